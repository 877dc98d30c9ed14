"""Who is there to be spoken to: the sessions with a client, by their users."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from pipeline.engines import Asker
from pipeline.events import Announce, Request
from vision.types import Scene

SETTLE_S: Final = 1.0
"""A client that has just connected says first how it wants to be spoken to."""


class Hosted(Protocol):
    """A session, as far as it can be spoken to."""

    @property
    def attended(self) -> bool:
        """Whether it has a client now."""
        ...

    async def ask(self, request: Request) -> None:
        """Ask the conversation for something."""
        ...


class Present:
    """The sessions that there are, each found by its id as soon as its client has settled."""

    def __init__(self, *, settle_s: float = SETTLE_S) -> None:
        self._settle_s = settle_s
        self._sessions: dict[str, tuple[str, Hosted]] = {}
        self._arrived: list[Callable[[], None]] = []
        self._watchers: list[Callable[[Asker, Scene], None]] = []

    def when_arrived(self, arrived: Callable[[], None]) -> None:
        """Have `arrived` called whenever a client has come, or has come back."""
        self._arrived.append(arrived)

    def when_seen(self, watcher: Callable[[Asker, Scene], None]) -> None:
        """Have `watcher` called with all that the cameras of the sessions show."""
        self._watchers.append(watcher)

    def saw(self, asker: Asker, scene: Scene) -> None:
        """Tell what a session's camera shows."""
        for watcher in self._watchers:
            watcher(asker, scene)

    @contextmanager
    def one(self, asker: Asker, session: Hosted) -> Iterator[None]:
        """Let the session be found for as long as the block runs."""

        def settle() -> None:
            self._sessions[asker.session] = (asker.user, session)
            self.came()

        settling = asyncio.get_running_loop().call_later(self._settle_s, settle)
        try:
            yield
        finally:
            settling.cancel()
            self._sessions.pop(asker.session, None)

    def came(self) -> None:
        """Tell that a session has a client now."""
        for arrived in self._arrived:
            arrived()

    def connected(self, user: str) -> tuple[str, ...]:
        """Return the user's sessions that have a client, the latest first."""
        found = [name for name, (whose, session) in self._sessions.items() if whose == user and session.attended]
        return tuple(reversed(found))

    async def announce(self, session: str, text: str) -> bool:
        """Have the session say this as soon as nobody speaks; False where it has no client."""
        return await self.ask(session, Announce(text))

    async def ask(self, session: str, request: Request) -> bool:
        """Ask the session for something; False where it has no client."""
        _, found = self._sessions.get(session, ("", None))
        if found is None or not found.attended:
            return False
        await found.ask(request)
        return True
