"""Which conversation's remembered work a request goes on from."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import commonprefix
from typing import Final

from pipeline.engines import ChatMessage

_LITTLE: Final = 120
"""Characters that are read again in no time."""


@dataclass(slots=True)
class Slot:
    """One remembered conversation. `text` stands for what llama.cpp has in this slot and may be asked for again."""

    number: int
    text: str = ""
    used: int = 0
    stop: threading.Event | None = None
    """Of the request that has the slot; None when it is idle."""
    prefilling: bool = False

    def answered(self, answer: str) -> None:
        """Note a whole answer. One that was stopped is of no use to anyone."""
        self.text += rendered([ChatMessage("assistant", answer)])


class Slots:
    """Lends each request the slot of its own conversation, or else the one where the least is lost.

    Left to choose, llama.cpp gives a new conversation the slot of the one that has the same system prompt. Work is
    weighed in characters. Safe to use from several threads.
    """

    def __init__(self, count: int, beginning: str = "", read: int = 0) -> None:
        """Make `count` slots, the first `read` of which have read `beginning` (see `rendered`) already."""
        self._slots = [Slot(number, beginning if number < read else "") for number in range(count)]
        self._beginning = beginning
        self._clock = 0
        self._changed = threading.Condition()

    @contextmanager
    def lend(self, messages: Sequence[ChatMessage], stop: threading.Event, *, prefill: bool = False) -> Iterator[Slot]:
        """Lend the best slot for a prompt; wait where it is one that is being prefilled or was just told to stop.

        `stop` tells the borrower to stop. `prefill`: rather an empty slot than one that holds just the same. At most
        as many may be lent at once as there are slots.
        """
        text = rendered(messages)
        with self._changed:
            slot = self._choose(text, prefill)
            while slot.stop is not None:
                self._changed.wait()
                slot = self._choose(text, prefill)
            self._clock += 1
            slot.text, slot.used, slot.stop, slot.prefilling = text, self._clock, stop, prefill
        try:
            yield slot
        finally:
            with self._changed:
                slot.stop = None
                self._changed.notify_all()

    def unread(self, messages: Sequence[ChatMessage]) -> int:
        """Return how many characters of a prompt no slot has read, nor is reading."""
        text = rendered(messages)
        with self._changed:
            return len(text) - max(_shared(slot.text, text) for slot in self._slots)

    def _choose(self, text: str, prefill: bool) -> Slot:
        # What is being prefilled, or was told to stop, is worth waiting for: to read a conversation anew takes seconds.
        free = [slot for slot in self._slots if slot.stop is None or slot.stop.is_set() or slot.prefilling]
        if prefill and any(not slot.text for slot in free):
            free = [slot for slot in free if not slot.text or not slot.text.startswith(text)]
        own = max(free, key=lambda slot: (self._gain(slot.text, text), slot.stop is None))
        if self._gain(own.text, text) > 0:
            return own
        # Of what holds little, or else of everything, the longest unused: it may belong to nobody any more.
        cheap = [slot for slot in free if len(slot.text) - _shared(slot.text, text) <= _LITTLE]
        return min(cheap or free, key=lambda slot: (slot.stop is not None, slot.used))

    def _gain(self, held: str, wanted: str) -> int:
        """Return what a request shares with a slot, beyond what all begin with, less what it would destroy."""
        shared = _shared(held, wanted)
        common = len(self._beginning) if wanted.startswith(self._beginning) else 0
        return shared - min(shared, common) - (len(held) - shared)


def rendered(messages: Sequence[ChatMessage]) -> str:
    """Return the text that stands for `messages`."""
    return "".join(f"\n{message.role}\n{message.content}" for message in messages)


def _shared(held: str, wanted: str) -> int:
    return len(commonprefix([held, wanted]))  # noqa: RUF071 - characters are what is meant
