"""Where in the reply a sound comes from, and what becomes of the reply on its way from the loudspeaker back to us."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.types import Samples
from pipeline.spectra import (
    BANDS,
    BINS,
    FRAME,
    HOP,
    RATE,
    FromOutput,
    Powers,
    Spectra,
    noise,
    per_band,
    powers,
    spectra,
    whitener,
)

_KEPT: Final = 3 * RATE  # of the reply
_REACH: Final = round(1.25 * RATE)  # how long before the last sound sent an echo may have been sent

_UNEXPLAINED: Final = 0.40  # share of what is heard, in amplitude, that may be more than the echo
_SURE: Final = 0.20  # share below which there is nobody to learn from but the echo
_MARGIN: Final = 2.0  # power that may be heard for one of expected: rooms differ from frame to frame
_LEARN_S: Final = 2.0
_RELEARN_S: Final = 0.5
_DIRECT: Final = 1.6  # power of an echo for one of what arrives on the shortest way
_EVEN: Final = 0.2  # pull towards the mean of all bands, in average bands' power

_FLOOR_DB: Final = -66.0  # dBFS of a quiet room
_FLOOR_RISE_DB: Final = 12.0  # a second: as fast as the floor follows a room that gets noisier

_TAIL: Final = 24  # frames that still ring in the room
_RINGING_S: Final = 0.5  # reverberation time, and power of the first frame that rings: more than in most rooms
_RINGING: Final = 0.3
_MOST_FRAMES: Final = RATE // HOP + _TAIL


class SentSound:
    """The last seconds of the sound that was sent, at RATE, addressed in samples since the reply began."""

    def __init__(self) -> None:
        self._sound: Samples = np.zeros(0, np.float32)
        self._stream = FromOutput()
        self.end = 0

    def append(self, samples: Samples) -> None:
        """Add what is sent, at OUTPUT_RATE."""
        fresh = self._stream.feed(samples)
        self._sound = np.concatenate([self._sound, fresh])[-_KEPT:]
        self.end += len(fresh)

    def cut(self, start: int, stop: int) -> Samples:
        """Return what was sent from `start` to `stop`, with silence where there was nothing or it is forgotten."""
        piece = np.zeros(stop - start, np.float32)
        first = self.end - len(self._sound)
        known = self._sound[max(0, start - first) : max(0, stop - first)]
        at = max(0, first - start)
        piece[at : at + len(known)] = known
        return piece

    def find(self, sound: Samples) -> tuple[float, int]:
        """Return how like `sound` (0..1) the most similar stretch of the reply is, and where that one stops."""
        count = len(sound)
        reply = self.cut(self.end - count - _REACH, self.end)
        # Vowels are alike, and so are voices. Flattened, what is left is what the voice does from moment to moment.
        flatten = whitener(sound, 12)
        sound, reply = np.convolve(sound, flatten)[:count], np.convolve(reply, flatten)[: len(reply)]
        reply = np.convolve(reply, whitener(reply, 4))[: len(reply)]
        size = 1 << (len(reply) - 1).bit_length()
        spectrum = np.fft.rfft(reply, size) * np.conj(np.fft.rfft(sound, size))
        products = np.fft.irfft(spectrum, size)[: _REACH + 1]
        sums = np.concatenate([[0.0], np.cumsum(np.square(reply, dtype=np.float64))])
        energy = sums[count:] - sums[:-count]
        least = 0.01 * energy.max() + 1e-9  # in the reply's pauses nothing is like anything
        likeness = np.abs(products) / np.sqrt(np.maximum(energy, least) * np.dot(sound, sound) + 1e-12)
        best = int(likeness.argmax())
        return float(likeness[best]), self.end - _REACH + best


class EchoPath:
    """What becomes of the reply on its way back, learnt from its echoes."""

    def __init__(self) -> None:
        self._echo: Powers = np.zeros(BANDS)  # power that came back,
        self._sent: Powers = np.zeros(BANDS)  # and what of the reply it came from
        self._known = False
        self._floor = noise(_FLOOR_DB)
        self._heard: Powers = np.zeros((0, BANDS))
        self._fresh = 0  # frames of it that weren't heard before

    def hear(self, heard: Powers, fresh: int) -> None:
        """Take in what is to be explained; its last `fresh` frames are new."""
        self._heard, self._fresh = heard, fresh
        risen = self._floor * 10 ** (_FLOOR_RISE_DB / 10 * fresh * HOP / RATE)
        # A quieter floor would say nothing new, and from digital silence none would ever rise.
        self._floor = np.maximum(np.minimum(risen, heard[-fresh:].min(axis=0)), noise(_FLOOR_DB))

    def explains(self, reply: SentSound, stop: int) -> bool:
        """Tell whether the reply up to `stop` explains what is heard, and learn from it where that is beyond doubt."""
        if not self._known:
            return False
        sent = self._ringing(reply, stop)
        expected = self._gains() * sent
        excess = np.maximum(0.0, self._heard - _MARGIN * expected - 2 * self._floor)
        # Amplitudes: powers would let the loudest band decide alone.
        share = np.sqrt(excess).sum() / (np.sqrt(self._heard).sum() + 1e-9)
        if share <= _SURE:
            keep = self._keep(_LEARN_S)
            self._echo = keep * self._echo + self._heard[-self._fresh :].sum(axis=0)
            self._sent = keep * self._sent + sent[-self._fresh :].sum(axis=0)
        return bool(share <= _UNEXPLAINED)

    def learn(self, frames: Spectra, reply: SentSound, stop: int, *, anew: bool) -> None:
        """Learn from what is heard where in it the reply, up to `stop`, surely is; `anew`: forget the old path.

        Only what keeps step with the reply counts, so that a user who talks over it changes little.
        """
        source = spectra(reply.cut(stop - (len(frames) - 1) * HOP - FRAME, stop))
        sent = powers(source).sum(axis=0)
        together = per_band((frames * source.conj()).sum(axis=0, keepdims=True))[0]
        heard = self._heard.sum(axis=0)
        by_chance = heard / (0.5 * len(frames) * BINS)
        in_step = np.maximum(0.0, np.abs(together) ** 2 / (sent + 1e-9) - by_chance)
        echo = np.minimum(heard, _DIRECT * in_step)
        ringing = self._ringing(reply, stop)
        gains = _gains(echo, ringing.sum(axis=0), echo.sum() / (sent.sum() + 1e-9))
        anew = anew or not self._known
        keep = 0.0 if anew else self._keep(_RELEARN_S)
        latest = ringing.sum(axis=0) if anew else ringing[-self._fresh :].sum(axis=0)
        self._echo, self._sent = keep * self._echo + gains * latest, keep * self._sent + latest
        self._known = True

    def _ringing(self, reply: SentSound, stop: int) -> Powers:
        """Return the reply's power in the frames that are heard, with what still rings of the frames before."""
        count = len(self._heard) + _TAIL
        sent = powers(spectra(reply.cut(stop - (count - 1) * HOP - FRAME, stop)))
        return np.asarray((_RING[:count, :count] @ sent)[_TAIL:])

    def _gains(self) -> Powers:
        return _gains(self._echo, self._sent, self._echo.sum() / (self._sent.sum() + 1e-9))

    def _keep(self, seconds: float) -> float:
        return float(np.exp(-self._fresh * HOP / RATE / seconds))


def _gains(echo: Powers, sent: Powers, whole: float) -> Powers:
    """Return what comes back of each band; of one in which little was sent, about what comes back of the `whole`."""
    pull = _EVEN * float(sent.mean()) + 1e-9
    return (echo + pull * whole) / (sent + pull)


def _ring() -> NDArray[np.float64]:
    lags = np.subtract.outer(np.arange(_MOST_FRAMES), np.arange(_MOST_FRAMES))
    fall = 10 ** (-6 * HOP / RATE / _RINGING_S)
    return np.where(lags > 0, _RINGING * fall ** np.maximum(lags, 0), lags == 0).astype(np.float64)


_RING: Final = _ring()
