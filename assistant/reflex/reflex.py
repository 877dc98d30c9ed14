"""What a reflex is: what was understood, and what is answered and done.

A part that wants words of its own plugs in with two things: sentences, a YAML file in configs/sentences/LANGUAGE/ in
hassil's format, whose intents and slots have names; and a `Handler` for each of these intents, given to
`assistant.reflex.reflexes.Reflexes`. A slot whose list is a wildcard (`{fact}`) takes any words, so its handler looks
twice: where it returns None, the sentence is no command, and a model answers it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.engines import Adjusted, Asker

Slot: TypeAlias = str | int | float


@dataclass(frozen=True, slots=True)
class Match:
    """A sentence that was recognised."""

    intent: str
    slots: Mapping[str, Slot]
    """A wildcard's are as they were said, without the punctuation around them."""
    text: str
    """All that was said."""
    language: str
    """Of the sentence, such as "en" or "pt-BR"."""
    asker: Asker
    said_last: str = ""
    """The assistant's last message."""

    def words(self, name: str) -> str:
        """Return the slot as text, empty where it wasn't said."""
        return str(self.slots.get(name, "")).strip()


@dataclass(frozen=True, slots=True)
class Reflex:
    """A command or question that needs no model. Making one changes nothing."""

    intent: str
    words: str | None = None
    """The answer, where it is known at once; empty where none is needed."""
    act: Callable[[], Awaitable[str | None]] | None = None
    """What it does, once it is sure that it is asked; returns what to say after `words`."""
    reads: Callable[[], Awaitable[str]] | None = None
    """An answer that is looked up and changes nothing: it may be called before the commit."""
    adjust: Adjusted | None = None
    """How the assistant speaks from then on."""


Handler: TypeAlias = Callable[[Match], Reflex | None]
"""Says what is done about a match, in under a millisecond and changing nothing; None where it is no command."""
