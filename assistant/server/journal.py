"""What a session sent to its client, in order, as far back as it may have to be sent again. No socket in it.

Every message has a number: 1, 2, 3 … One is *pending* until it has been handed to a socket. A journal that keeps
what was sent lets go of it when the client acknowledges it, or when it gets too large; what is pending always stays.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pipeline.errors import RequestError

MOST_BYTES: Final = 4 * 2**20
"""About a minute of speech as base64."""
_ENTRY_BYTES: Final = 64
"""What an entry takes beside its message, so that many small ones count too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message to the client."""

    number: int
    data: str | bytes
    sound_s: float

    @property
    def size(self) -> int:
        """Its bytes, more or less."""
        return len(self.data) + _ENTRY_BYTES


class Journal:
    """The messages of one session."""

    def __init__(self, max_bytes: int = MOST_BYTES) -> None:
        self.keeps = False
        """Whether what was sent is kept; otherwise it is dropped at once."""
        self.last = 0
        """The newest number."""
        self.acknowledged = 0
        """The client's word on what it has received; 0 while it never gave it."""
        self.sound_s = 0.0
        """Seconds of speech in what is kept and what is pending."""
        self._max_bytes = max_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._sent = 0  # the newest number that a socket has taken

    def add(self, data: str | bytes, sound_s: float = 0.0) -> None:
        """Note a message with so much speech in it; its number is `last + 1`."""
        self.last += 1
        entry = Entry(self.last, data, sound_s)
        self._entries.append(entry)
        self._bytes += entry.size
        self.sound_s += sound_s
        while self._bytes > self._max_bytes and self._first <= self._sent:
            self._drop()

    @property
    def full(self) -> bool:
        """Whether it holds all that it may."""
        return self._bytes >= self._max_bytes

    @property
    def pending(self) -> Entry | None:
        """The oldest message that no socket has taken."""
        return self._entries[self._sent + 1 - self._first] if self._sent < self.last else None

    def took(self, number: int) -> None:
        """Note that a socket has taken the pending message with this number."""
        self._sent = number
        while not self.keeps and self._entries and self._first <= number:
            self._drop()

    def acknowledge(self, number: int) -> None:
        """Let go of what the client has received. Raises RequestError for what was never sent."""
        if number > self._sent:
            message = f"The last event that was sent has the number {self._sent}: {number} can't have been received."
            raise RequestError("invalid_value", message, "received")
        self.acknowledged = max(self.acknowledged, number)
        while self._entries and self._first <= number:
            self._drop()

    def resumes_at(self, received: int | None) -> int | None:
        """Return after which number to go on for a client that has received so much; None when that is impossible.

        A client that doesn't know goes on after what it last acknowledged, or else as far back as there is anything.
        """
        if received is None:
            return self._first - 1
        return received if self._first - 1 <= received <= self.last else None

    def rewind(self, received: int) -> float:
        """Make all after this number pending, and return how many seconds of speech that is."""
        self._sent = received
        return sum(entry.sound_s for entry in self._after(received))

    def leave(self) -> None:
        """Make all that is kept pending: nobody knows yet what the client has received."""
        self._sent = self._first - 1

    @property
    def _first(self) -> int:
        return self.last - len(self._entries) + 1

    def _after(self, number: int) -> Iterator[Entry]:
        return islice(self._entries, number + 1 - self._first, None)

    def _drop(self) -> None:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        self.sound_s = self.sound_s - entry.sound_s if self._entries else 0.0
