"""Sound by bands of frequency, moment by moment, at a rate that keeps what tells one voice from another."""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from audio.types import INPUT_RATE, OUTPUT_RATE, Samples

Spectra: TypeAlias = NDArray[np.complex64]
"""Shape [frames, FRAME // 2 + 1]."""
Powers: TypeAlias = NDArray[np.float64]
"""Power in each frame and band, shape [frames, BANDS]; or in each band alone, [BANDS]."""

RATE: Final = 8_000
FRAME: Final = 256
HOP: Final = 128
_WINDOW: Final = np.hanning(FRAME + 1)[:-1].astype(np.float32)
_EDGES: Final = np.array([4, 6, 9, 12, 15, 18, 21, 24, 28, 32, 36, 40, 45, 50, 56, 62, 69, 76, 84, 92, 101, 110, 120])
BANDS: Final = len(_EDGES) - 1
BINS: Final[NDArray[np.int64]] = np.diff(_EDGES)
"""Bins in each band: 60 Hz wide at 125 Hz, 300 Hz at 3.6 kHz."""
_CUTOFF: Final = 3_300  # Hz


def _lowpass(rate: int, taps: int) -> Samples:
    at = np.arange(taps) - (taps - 1) / 2
    response = np.sinc(2 * _CUTOFF / rate * at) * np.kaiser(taps, 6)
    return np.asarray(response / response.sum(), np.float32)


_FROM_INPUT: Final = _lowpass(INPUT_RATE, 47)
_FROM_OUTPUT: Final = _lowpass(OUTPUT_RATE, 71)


def from_input(sound: Samples) -> Samples:
    """Bring sound from INPUT_RATE to RATE."""
    return np.convolve(sound, _FROM_INPUT, "same")[:: INPUT_RATE // RATE]


class FromOutput:
    """Brings a stream of sound from OUTPUT_RATE to RATE, piece by piece."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(len(_FROM_OUTPUT) - 1, np.float32)  # what the filter still needs

    def feed(self, sound: Samples) -> Samples:
        """Return what is ready."""
        step = OUTPUT_RATE // RATE
        waiting = np.concatenate([self._rest, sound])
        count = (len(waiting) - len(_FROM_OUTPUT)) // step + 1
        if count <= 0:
            self._rest = waiting
            return np.zeros(0, np.float32)
        self._rest = waiting[count * step :]
        return np.convolve(waiting, _FROM_OUTPUT, "valid")[::step]


def spectra(sound: Samples) -> Spectra:
    """Return the spectrum of each whole frame; there must be one at least."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
    return np.asarray(np.fft.rfft(frames * _WINDOW, axis=1), np.complex64)


def per_band(values: NDArray[Any]) -> NDArray[Any]:
    """Add up the bins of each band, in each frame."""
    return np.asarray(np.add.reduceat(values[:, : _EDGES[-1]], _EDGES[:-1], axis=1))


def powers(of: Spectra) -> Powers:
    """Return the power in each frame and band."""
    return np.asarray(per_band(np.square(of.real) + np.square(of.imag)), np.float64)


def noise(db: float) -> Powers:
    """Return what a frame of white noise of `db` dBFS has in each band."""
    return 10 ** (db / 10) * float(np.square(_WINDOW).sum()) * BINS.astype(np.float64)


def whitener(sound: Samples, order: int) -> Samples:
    """Return the filter that takes from a sound what its next sample can be foretold by (linear prediction)."""
    sound = sound * np.hanning(len(sound)).astype(np.float32)
    alike = np.array([np.dot(sound[: len(sound) - lag], sound[lag:]) for lag in range(order + 1)], np.float64)
    alike[0] = 1.03 * alike[0] + 1e-9  # what is 15 dB below the rest may be noise
    matrix = alike[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
    return np.concatenate([[1.0], -np.linalg.solve(matrix, alike[1:])]).astype(np.float32)
