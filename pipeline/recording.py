"""The sound of a session, as far back as it is still needed."""

import numpy as np

from audio.types import INPUT_RATE, Samples


class Recording:
    """A growing stretch of sound at INPUT_RATE, addressed in samples since the session began."""

    def __init__(self) -> None:
        self._data: Samples = np.empty(INPUT_RATE * 4, dtype=np.float32)
        self._length = 0
        self.start = 0
        """The first sample that is still there."""

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return self.start + self._length

    def append(self, samples: Samples) -> None:
        """Add what was heard."""
        needed = self._length + len(samples)
        if needed > len(self._data):
            grown: Samples = np.empty(max(needed, 2 * len(self._data)), dtype=np.float32)
            grown[: self._length] = self._data[: self._length]
            self._data = grown
        self._data[self._length : needed] = samples
        self._length = needed

    def cut(self, start: int, end: int | None = None) -> Samples:
        """Return a copy of the samples from `start` to `end` (all by default), as far as they are still there."""
        stop = self.end if end is None else min(end, self.end)
        return self._data[max(0, start - self.start) : max(0, stop - self.start)].copy()

    def forget(self, before: int) -> None:
        """Let go of the samples before `before`; memory follows when a long utterance is over."""
        dropped = min(before, self.end) - self.start
        if dropped <= 0:
            return
        kept = self._data[dropped : self._length]
        roomy = len(self._data) > max(8 * len(kept), INPUT_RATE * 4)
        target: Samples = np.empty(max(2 * len(kept), INPUT_RATE * 4), dtype=np.float32) if roomy else self._data
        target[: len(kept)] = kept.copy() if target is self._data else kept
        self._data = target
        self._length = len(kept)
        self.start += dropped
