"""A loudspeaker on paper: when each sample of a reply is heard, if it is played from the moment it arrives."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from audio.types import OUTPUT_RATE, Samples

AUDIBLE: Final = 0.003
"""A sample at or above this amplitude (-50 dBFS) is not silent."""


def first_audible(samples: Samples) -> int | None:
    """Return the index of the first sample that is not silent."""
    loud = np.flatnonzero(np.abs(samples) >= AUDIBLE)
    return int(loud[0]) if loud.size else None


@dataclass(slots=True)
class _Chunk:
    """Sound of one message: it begins to be heard at `begin` (a clock's seconds)."""

    reply_id: str
    begin: float
    samples: Samples

    @property
    def end(self) -> float:
        return self.begin + self.samples.size / OUTPUT_RATE


@dataclass(slots=True)
class Playback:
    """What was received of one reply, and what of it was heard. Moments are a clock's seconds."""

    first_at: float
    """The first message with sound arrived."""
    last_at: float
    """The last one did."""
    first_audible_at: float | None = None
    """The first message with a sample that is not silent arrived."""
    heard_from: float | None = None
    """That sample was played."""
    heard_until: float = 0.0
    """The last sample was, or will be, played."""
    received_s: float = 0.0
    longest_gap_s: float = 0.0
    """The longest time in which the loudspeaker had run dry between two messages."""
    chunks: list[_Chunk] = field(default_factory=list)

    @property
    def audible_s(self) -> float:
        """How long the reply was heard, from its first sample that is not silent to its end or its stop."""
        return 0.0 if self.heard_from is None else max(0.0, self.heard_until - self.heard_from)

    @property
    def played(self) -> Samples:
        """The sound that was heard."""
        return np.concatenate([chunk.samples for chunk in self.chunks]) if self.chunks else np.zeros(0, np.float32)


class Loudspeaker:
    """Plays what arrives, one message after the other, until it is told to stop."""

    def __init__(self) -> None:
        self.replies: dict[str, Playback] = {}
        self._chunks: list[_Chunk] = []
        self._free_at = 0.0

    def take(self, reply_id: str, samples: Samples, now: float) -> None:
        """Queue sound of a reply that arrived at `now`."""
        reply = self.replies.get(reply_id)
        begin = max(now, self._free_at)
        if reply is None:
            reply = self.replies[reply_id] = Playback(first_at=now, last_at=now)
        elif reply.chunks:
            reply.longest_gap_s = max(reply.longest_gap_s, begin - reply.chunks[-1].end)
        chunk = _Chunk(reply_id, begin, samples)
        reply.last_at = now
        reply.received_s += samples.size / OUTPUT_RATE
        if reply.first_audible_at is None and (at := first_audible(samples)) is not None:
            reply.first_audible_at = now
            reply.heard_from = begin + at / OUTPUT_RATE
        reply.chunks.append(chunk)
        reply.heard_until = self._free_at = chunk.end
        self._chunks.append(chunk)

    def stop(self, now: float) -> list[str]:
        """Drop what hasn't been played by `now`; return the replies that lost sound by it."""
        cut: list[str] = []
        while self._chunks and self._chunks[-1].end > now:
            chunk = self._chunks[-1]
            reply = self.replies[chunk.reply_id]
            keep = max(0, round((now - chunk.begin) * OUTPUT_RATE))
            if chunk.reply_id not in cut:
                cut.append(chunk.reply_id)
            if keep:
                chunk.samples = chunk.samples[:keep]
                reply.heard_until = now
                break
            self._chunks.pop()
            reply.chunks.pop()
            reply.heard_until = reply.chunks[-1].end if reply.chunks else now
        self._free_at = min(self._free_at, now)
        return cut

    def playing(self, now: float) -> bool:
        """Whether there is sound left to play."""
        return self._free_at > now

    def between(self, begin: float, end: float) -> Samples:
        """Return what was played from `begin` to `end`: zeros where nothing was."""
        size = round((end - begin) * OUTPUT_RATE)
        heard = np.zeros(size, np.float32)
        for chunk in reversed(self._chunks):
            if chunk.end <= begin:
                break
            at = round((chunk.begin - begin) * OUTPUT_RATE)
            part = chunk.samples[max(0, -at) : max(0, size - at)]
            heard[max(0, at) : max(0, at) + part.size] += part
        return heard
