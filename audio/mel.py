"""The log-mel spectrogram that Whisper and its relatives hear."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.types import INPUT_RATE, Samples

MELS: Final = 80
HOP: Final = 160
"""Samples between two frames: 10 ms."""

_FFT: Final = 400
_FLOOR: Final = 1e-10
_DYNAMIC_RANGE: Final = 8.0
"""Powers of ten below the loudest point under which everything counts as equally silent."""


def log_mel(audio: Samples) -> NDArray[np.float32]:
    """Return the log-mel spectrogram of sound at 16 kHz, shape [80, n // 160], values about -1..1.

    `audio` needs at least 201 samples. Centred periodic Hann windows of 25 ms, Slaney's mel scale and area
    normalisation, no frame for the last sample: the recipe that Whisper was trained with.
    """
    padded = np.pad(audio, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP][: audio.size // HOP]
    power = np.square(np.abs(np.fft.rfft(frames * _WINDOW, axis=-1))).astype(np.float32)
    levels = np.log10(np.maximum(_FILTERS @ power.T, _FLOOR))
    scaled: NDArray[np.float32] = (np.maximum(levels, levels.max() - _DYNAMIC_RANGE) + 4) / 4
    return scaled.astype(np.float32)


def _to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn Slaney's mels into hertz: linear up to 1 kHz (mel 15), logarithmic above."""
    above = 1000 * np.exp(np.log(6.4) / 27 * (mel - 15))
    return np.where(mel < 15, mel * 200 / 3, above)


def _filters() -> NDArray[np.float32]:
    nyquist = INPUT_RATE / 2
    top = 15 + np.log(nyquist / 1000) * 27 / np.log(6.4)
    edges = _to_hertz(np.linspace(0, top, MELS + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = np.linspace(0, nyquist, _FFT // 2 + 1)
    triangles = np.maximum(0, np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)))
    return (triangles * 2 / (high - low)).astype(np.float32)


_FILTERS: Final = _filters()
_WINDOW: Final = np.hanning(_FFT + 1)[:-1].astype(np.float32)
