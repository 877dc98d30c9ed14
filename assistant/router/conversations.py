"""What the router remembers of each conversation."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from assistant.router.notices import Notice

_MOST: Final = 1000
"""Conversations that are remembered; those that were quiet for longest are forgotten first."""


@dataclass(slots=True)
class Conversation:
    """One of them; it changes only after a commit."""

    private: bool = False
    """It stays on this machine."""
    last_bridge: str = ""
    told: set[Notice] = field(default_factory=set)
    """What needn't be said again."""


class Conversations:
    """All of them, by their sessions' names."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Conversation] = OrderedDict()

    def of(self, session: str) -> Conversation:
        """Return a conversation; a request without a session is one by itself."""
        if not session:
            return Conversation()
        conversation = self._known.setdefault(session, Conversation())
        self._known.move_to_end(session)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return conversation

    def over(self, *notices: Notice) -> None:
        """Note that these have passed: what comes again is told again."""
        for conversation in self._known.values():
            conversation.told.difference_update(notices)
