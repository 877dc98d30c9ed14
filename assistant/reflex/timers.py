"""Timers, alarms and reminders: kept in the database, and told when they end.

All of them are in memory, and every change is written down after it is made: when the database can't be written to,
they go on, and their owner is told. One task (`run`) tells of those that end, to the second: to the session that set
it, else to any of the same user's that is connected, else as soon as one connects. An ended timer is told again now
and then, until somebody hushes it or it has been told often enough.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from assistant.reflex.timer import Kind, Timer
from assistant.reflex.timer_table import TimerTable
from assistant.store.errors import StoreError

logger = logging.getLogger(__name__)

MOST: Final = 50
"""Timers of one user."""
_LOOK_S: Final = 1.0
"""The clock on the wall may be set, or the machine may sleep, while we wait by another clock: so we look again."""


class Audience(Protocol):
    """The sessions that are connected."""

    async def announce(self, session: str, text: str) -> bool:
        """Have the session say this as soon as nobody speaks; False where it isn't connected."""
        ...

    def connected(self, user: str) -> tuple[str, ...]:
        """Return the user's sessions that are connected, the latest first."""
        ...


class Timers:
    """All timers of all users. `load` it, then let `run` run."""

    def __init__(  # noqa: PLR0913 - each is a fact of the house
        self,
        table: TimerTable,
        audience: Audience,
        ending: Callable[[Timer, float], str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        tell_times: int = 3,
        tell_every_s: float = 20.0,
    ) -> None:
        """Take what is said of a timer that ended so many seconds ago (`ending`)."""
        self._table = table
        self._audience = audience
        self._ending = ending
        self._now = now
        self._tell_times = tell_times
        self._tell_every_s = tell_every_s
        self._timers: dict[str, Timer] = {}
        self._next: dict[str, datetime] = {}
        """When an ended timer is told again."""
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Take up what was written down. Raises StoreError."""
        for timer in await self._table.all():
            if timer.told:
                await self._table.delete([timer.id])  # it was told before the restart, and that's long ago
            else:
                self._timers[timer.id] = timer
        self._changed.set()

    # --- What there is: in memory, at once ---

    def running(self, user: str, kind: Kind = "timer") -> tuple[Timer, ...]:
        """Return the user's timers that haven't ended, paused ones too, the one that ends first in front."""
        now = self._now()
        found = [each for each in self._of(user) if each.kind == kind and (each.ends_at is None or each.ends_at > now)]
        return tuple(sorted(found, key=lambda each: each.left(now)))

    def ringing(self, user: str) -> tuple[Timer, ...]:
        """Return those whose end is being told."""
        return tuple(each for each in self._of(user) if each.told)

    def find(self, timer_id: str) -> Timer | None:
        """Return the timer of this id, where there is one."""
        return self._timers.get(timer_id)

    def full(self, user: str) -> bool:
        """Tell whether the user may have no more of them."""
        return sum(1 for _ in self._of(user)) >= MOST

    def _of(self, user: str) -> Iterable[Timer]:
        return (each for each in self._timers.values() if each.user == user)

    # --- Changes: made at once, then written down ---

    async def put(self, *timers: Timer) -> bool:
        """Add timers, or change those of the same ids. False where that couldn't be written down."""
        for timer in timers:
            self._timers[timer.id] = timer
            if not timer.told:
                self._next.pop(timer.id, None)
        self._changed.set()
        return await self._written(self._table.put(timers))

    async def remove(self, *timers: Timer) -> bool:
        """Forget timers. False where that couldn't be written down."""
        ids = [timer.id for timer in timers]
        for each in ids:
            self._timers.pop(each, None)
            self._next.pop(each, None)
        self._changed.set()
        return await self._written(self._table.delete(ids))

    async def hush(self, user: str) -> None:
        """Tell no more of those that have ended."""
        await self.remove(*self.ringing(user))

    def arrived(self) -> None:
        """Take note that a session has connected: what is still to be told to its user is told now."""
        self._changed.set()

    async def _written(self, writing: Awaitable[None]) -> bool:
        try:
            await writing
        except StoreError as error:
            logger.warning("A timer could not be written down: %s", error)
            return False
        return True

    # --- Their ends ---

    async def run(self) -> None:
        """Tell of timers that end, until cancelled."""
        while True:
            self._changed.clear()
            for timer in [each for each in self._timers.values() if self._due(each) <= self._now()]:
                await self._tell(timer)
            if self._changed.is_set():
                continue
            waits = [(self._due(each) - self._now()).total_seconds() for each in self._timers.values()]
            # What nobody could be told of waits for somebody to connect; it is no reason to look again at once.
            wait = min((each for each in waits if each > 0), default=None)
            try:
                async with asyncio.timeout(None if wait is None else min(wait, _LOOK_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _due(self, timer: Timer) -> datetime:
        if timer.told:
            return self._next.get(timer.id, self._now())
        return timer.ends_at or datetime.max.replace(tzinfo=UTC)

    async def _tell(self, timer: Timer) -> None:
        if timer.told >= self._tell_times:
            await self.remove(timer)
            return
        assert timer.ends_at is not None, "what is paused doesn't end"
        late_s = 0.0 if timer.told else (self._now() - timer.ends_at).total_seconds()
        text = self._ending(timer, late_s)
        for session in dict.fromkeys((timer.session, *self._audience.connected(timer.user))):
            if await self._audience.announce(session, text):
                break
        else:
            return
        if self._timers.get(timer.id) is timer:  # nobody cancelled it meanwhile
            self._next[timer.id] = self._now() + timedelta(seconds=self._tell_every_s)
            await self.put(replace(timer, told=timer.told + 1))
