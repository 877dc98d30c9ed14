"""What users wait to see: "tell me when a cat appears". Kept in memory only, by session, for as long as that lasts.

Scenes come in as the sessions see them (`saw`). One task (`run`) speaks up in the session when something has come true,
and tells the other clients of the same user.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from assistant.reflex.watch import Watch
from assistant.reflex.watching import Describing, Watching
from pipeline.engines import Asker
from pipeline.events import Announce, LookClosely, Request
from vision.types import Scene

MOST: Final = 10
"""At once, in a session."""
_SESSIONS: Final = 256
"""Sessions that are remembered; the one that was quiet for longest is forgotten."""
_WAITING: Final = 256
"""What has come true and waits to be told; when there is more, it is dropped."""
_READ_EVERY_S: Final = 2.5
_SEES_S: Final = 3.0


class Audience(Protocol):
    """The sessions that are connected."""

    async def ask(self, session: str, request: Request) -> bool:
        """Ask the session for something; False where it isn't connected."""
        ...

    def connected(self, user: str) -> tuple[str, ...]:
        """Return the user's sessions that are connected."""
        ...


class _Session:
    def __init__(self) -> None:
        self.watching: list[Watching] = []
        self.describing: Describing | None = None
        self.seen_at = float("-inf")

    @property
    def reads(self) -> bool:
        return self.describing is not None or any(each.watch.kind == "text" for each in self.watching)


class Watches:
    """All that is watched for. Let `run` run."""

    def __init__(self, audience: Audience, *, now: Callable[[], float] | None = None) -> None:
        """`now` is the clock of the scenes; by default the running loop's."""
        self.audience = audience
        self.eyes = True
        """There are some that could see it."""
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._tell: asyncio.Queue[tuple[str, Request]] = asyncio.Queue(_WAITING)

    def of(self, session: str) -> tuple[Watch, ...]:
        """Return what this session watches for, in the order in which it was asked for."""
        return tuple(each.watch for each in self._of(session).watching)

    def full(self, session: str) -> bool:
        """Tell whether it may watch for nothing more."""
        return len(self._of(session).watching) >= MOST

    def sees(self, session: str) -> bool:
        """Tell whether its camera is on."""
        return self._now() - self._of(session).seen_at < _SEES_S

    def describes(self, session: str) -> bool:
        """Tell whether it is told what changes."""
        return self._of(session).describing is not None

    async def put(self, watch: Watch) -> None:
        """Watch for this."""
        self._known(watch.session).watching.append(Watching(watch))
        await self._read(watch.session)

    async def remove(self, *watches: Watch) -> None:
        """Watch for these no more."""
        ids = {watch.id for watch in watches}
        for name in {watch.session for watch in watches}:
            session = self._of(name)
            session.watching = [each for each in session.watching if each.watch.id not in ids]
            await self._read(name)

    async def describe(self, session: str, *, on: bool) -> None:
        """Say what changes, or stop it."""
        self._known(session).describing = Describing() if on else None
        await self._read(session)

    async def _read(self, session: str) -> None:
        every_s = _READ_EVERY_S if self._of(session).reads else None
        await self.audience.ask(session, LookClosely(every_s))

    def saw(self, asker: Asker, scene: Scene) -> None:
        """Take in what the camera of a session shows."""
        name = asker.session
        session = self._known(name)
        session.seen_at = self._now()
        for each in list(session.watching):
            if (text := each.saw(scene)) is not None:
                session.watching.remove(each)
                self._queue(name, Announce(text, each.watch.name))
                for other in self.audience.connected(asker.user):
                    if other != name:
                        self._queue(other, Announce("", each.watch.name))
                self._queue(name, LookClosely(_READ_EVERY_S if session.reads else None))
        if session.describing is not None and (text := session.describing.saw(scene)) is not None:
            # What is said late isn't true any more.
            self._queue(name, Announce(text, within_s=5.0))

    async def run(self) -> None:
        """Tell what has come true, until cancelled."""
        while True:
            session, request = await self._tell.get()
            await self.audience.ask(session, request)

    def _queue(self, session: str, request: Request) -> None:
        if not self._tell.full():
            self._tell.put_nowait((session, request))

    def _known(self, session: str) -> _Session:
        """Return the session to be changed, and remember it."""
        found = self._sessions.setdefault(session, _Session())
        self._sessions.move_to_end(session)
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return found

    def _of(self, session: str) -> _Session:
        return self._sessions.get(session) or _Session()
