"""Who may work now: priorities across sessions and engines, on a machine of few cores.

Work is admitted, not scheduled: nothing that runs is stopped. A job enters while fewer jobs of its own and the higher
lanes are at work than there are cores; so what a user waits for never queues behind what nobody waits for, and the
lower lanes thin out first. A check enters only when nothing above it is at work, since nobody hears the difference;
nor does background work, so that a core is free when somebody begins to speak.
Within a lane, who came first goes first.

The language model is at work on all cores, and leaves one to each voice that is being made, from the next token on: its
threads wait for each other hundreds of times a token, so one that shares its core holds up the others, which spin
meanwhile, and the voice is what somebody waits for.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum


class Lane(IntEnum):
    """The lanes, the most urgent first."""

    SPEECH = 0
    """The voice of a reply."""
    WORDS = 1
    """What was said, when an answer waits for it."""
    ENDING = 2
    """Whether the user is done."""
    THOUGHT = 3
    """The language model."""
    CHECK = 4
    """The reference recogniser, while the answer is under way without it."""
    PARTIAL = 5
    """Words while the user speaks."""
    VISION = 6
    BACKGROUND = 7
    """What programs ask for apart from any conversation: files, chats, speech."""


class Lanes:
    """Admits work; one object for all sessions of a process, on one event loop.

    `spare` is told how many cores no voice is being made on, at least one, whenever that changes.
    """

    def __init__(self, cores: int, spare: Callable[[int], None] = lambda _cores: None) -> None:
        self._cores = max(1, cores)
        self._spare = spare
        self._running = dict.fromkeys(Lane, 0)
        self._waiting: dict[Lane, list[asyncio.Future[None]]] = {lane: [] for lane in Lane}

    def free(self, lane: Lane) -> bool:
        """Tell whether a job of this lane would enter at once. Work that only helps is left out where it wouldn't."""
        return not any(self._waiting[other] for other in Lane if other <= lane) and self._has_room(lane)

    @asynccontextmanager
    async def enter(self, lane: Lane, patience_s: float | None = None) -> AsyncIterator[None]:
        """Wait for admission, at most `patience_s`, and be counted for as long as the block runs."""
        if self.free(lane):
            self._count(lane, 1)
        else:
            try:
                async with asyncio.timeout(patience_s):
                    await self._wait(lane)
            except TimeoutError:
                self._count(lane, 1)
        try:
            yield
        finally:
            self._leave(lane)

    def _has_room(self, lane: Lane) -> bool:
        if lane is Lane.THOUGHT and self._running[lane]:
            return True  # the model works on all its conversations in one batch: one more takes no core
        # That batch is one job, however many conversations are in it.
        jobs = sum(min(self._running[other], 1 if other is Lane.THOUGHT else 99) for other in Lane if other <= lane)
        return jobs < (1 if lane in {Lane.CHECK, Lane.BACKGROUND} else self._cores)

    def _count(self, lane: Lane, more: int) -> None:
        self._running[lane] += more
        if lane is Lane.SPEECH:
            self._spare(max(1, self._cores - self._running[lane]))

    async def _wait(self, lane: Lane) -> None:
        admitted = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(admitted)
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted in self._waiting[lane]:
                self._waiting[lane].remove(admitted)
            elif not admitted.cancelled():  # let in and called off in the same moment
                self._leave(lane)
            raise

    def _leave(self, lane: Lane) -> None:
        self._count(lane, -1)
        for other in Lane:
            waiting = self._waiting[other]
            while waiting and self._has_room(other):
                admitted = waiting.pop(0)
                if not admitted.cancelled():
                    self._count(other, 1)
                    admitted.set_result(None)
