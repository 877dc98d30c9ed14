"""How much of each of the assistant's messages was played."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """A message whose sound was stopped: the loudspeaker took only its first `played_s` seconds."""

    item_id: str
    played_s: float


@dataclass(slots=True)
class _Message:
    item_id: str
    begin_s: float
    length_s: float


class Playback:
    """Maps a loudspeaker's position to messages. A position is the seconds of sound that it has taken in all."""

    def __init__(self) -> None:
        self._messages: deque[_Message] = deque()
        self._end_s = 0.0

    def queue(self, item_id: str, length_s: float) -> None:
        """Note that so much sound of a message was queued, behind all that is queued already."""
        if not self._messages or self._messages[-1].item_id != item_id:
            self._messages.append(_Message(item_id, self._end_s, 0.0))
        self._messages[-1].length_s += length_s
        self._end_s += length_s

    def cut(self, taken_s: float) -> Cut | None:
        """Note that the queue was dropped at `taken_s`; return the message that was being played, if any was."""
        while self._messages and self._messages[0].begin_s + self._messages[0].length_s <= taken_s:
            self._messages.popleft()
        current = self._messages[0] if self._messages else None
        self._messages.clear()
        self._end_s = taken_s
        return None if current is None else Cut(current.item_id, max(0.0, taken_s - current.begin_s))
