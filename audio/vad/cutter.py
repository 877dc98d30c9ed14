"""Cuts a long sound at its silences, into pieces that a recogniser can take."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from audio.types import INPUT_RATE, Samples

WINDOW: Final = 512
"""Samples that the voice detector judges at once: 32 ms."""
_WINDOW_S: Final = WINDOW / INPUT_RATE
_VOICE: Final = 0.5
_AROUND: Final = 8
"""Windows of silence kept before and after a voice: words begin and end more softly than is noticed."""
_ENOUGH: Final = ((6.0, 0.8), (12.0, 0.3), (20.0, 0.1))
"""Up to so many seconds, a piece ends at a silence of so many: the longer it is, the less it takes."""
LONGEST_S: Final = 20.0 + 2 * _AROUND * _WINDOW_S
"""A voice that never pauses is cut here, where it sounds least like one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of sound with a voice in it."""

    start_s: float
    """In the whole sound."""
    samples: Samples


class Cutter:
    """Takes a sound (INPUT_RATE) bit by bit and returns the pieces that are complete; silence is left out.

    `score` tells the probability (0..1) of a voice in WINDOW samples. It is called in order, once for each window.
    """

    def __init__(self, score: Callable[[Samples], float]) -> None:
        self._score = score
        self._rest = np.zeros(0, np.float32)
        self._judged = 0  # samples
        self._before: deque[Samples] = deque(maxlen=_AROUND)
        self._windows: list[Samples] = []  # of the piece that is under way; none when nobody speaks
        self._scores: list[float] = []

    @property
    def heard_s(self) -> float:
        """How much sound there has been."""
        return (self._judged + self._rest.size) / INPUT_RATE

    def feed(self, samples: Samples) -> list[Piece]:
        """Return what the next samples completed."""
        sound = np.concatenate([self._rest, samples])
        whole = sound.size // WINDOW * WINDOW
        self._rest = sound[whole:]
        return [piece for window in sound[:whole].reshape(-1, WINDOW) if (piece := self._hear(window)) is not None]

    def flush(self) -> list[Piece]:
        """Return what is left: the sound is over."""
        left = self._rest.size
        pieces = self.feed(np.zeros(WINDOW - left, np.float32)) if left else []
        if self._windows:
            pieces.append(self._end(len(self._windows)))
        self._judged -= WINDOW - left if left else 0
        return pieces

    def _hear(self, window: Samples) -> Piece | None:
        self._judged += WINDOW
        score = self._score(window)
        if not self._windows:
            self._before.append(window)
            if score < _VOICE:
                return None
            self._windows = list(self._before)
            self._scores = [0.0] * (len(self._windows) - 1) + [score]
        else:
            self._windows.append(window)
            self._scores.append(score)
        cut = self._cut()
        return None if cut is None else self._end(cut)

    def _cut(self) -> int | None:
        """Return how many windows make a piece by now, or None."""
        seconds = len(self._windows) * _WINDOW_S
        for limit_s, silence_s in _ENOUGH:
            if seconds < limit_s:
                return len(self._windows) if _silent(self._scores) * _WINDOW_S >= silence_s else None
        half = len(self._scores) // 2
        return half + int(np.argmin(self._scores[half:])) + 1

    def _end(self, cut: int) -> Piece:
        """Make a piece of the first `cut` windows, and go on with what comes after them."""
        start = self._judged - len(self._windows) * WINDOW
        last = cut - max(0, _silent(self._scores[:cut]) - _AROUND)  # beyond that, silence is of no use
        piece = Piece(start / INPUT_RATE, np.concatenate(self._windows[:last]))
        self._before.clear()
        self._before.extend(self._windows[last:])
        self._windows, self._scores = self._windows[cut:], self._scores[cut:]
        if all(score < _VOICE for score in self._scores):
            self._windows, self._scores = [], []
        return piece


def _silent(scores: list[float]) -> int:
    """Return how many windows at the end have no voice."""
    return next((number for number, score in enumerate(reversed(scores)) if score >= _VOICE), len(scores))
