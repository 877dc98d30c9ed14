"""A conversation with the server, in real time, that a script leads: `converse`."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from audio.types import Samples
from clients.link import Link, LinkError, Message, connect
from tests.bench.account import Account, Reply
from tests.bench.microphone import ROOM_DB, Microphone, Mixer
from tests.bench.sound import amplitude
from vision.camera import Camera

T = TypeVar("T")

_LEAD_S: Final = 1.0
"""Nobody speaks in the moment of connecting."""
_FRAMES_A_SECOND: Final = 2
_ANSWER_S: Final = 3.0
"""How long a message that is asked for is waited for."""


class Talk:
    """One conversation under way."""

    def __init__(self, link: Link, microphone: Microphone, account: Account, clock: Callable[[], float]) -> None:
        self.link = link
        self.microphone = microphone
        self.account = account
        self.now = clock
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        """Take the server's events, without end."""
        async for event in self.link:
            self.account.take(event, self.now())
            self._changed.set()

    async def change(self, timeout_s: float) -> None:
        """Wait for the next event, but not longer than `timeout_s`."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until it holds; return whether it did in time."""
        deadline = self.now() + timeout_s
        while not condition():
            if (left := deadline - self.now()) <= 0:
                return False
            await self.change(min(left, 0.1))  # conditions may depend on the clock, too
        return True

    async def until_or_idle(self, condition: Callable[[], bool], *, patience_s: float, timeout_s: float) -> bool:
        """Wait until it holds, but not longer than the server has had nothing to do for `patience_s`."""
        idle_since = begin = self.now()
        while not condition():
            now = self.now()
            if self.account.busy:
                idle_since = now
            if now - idle_since > patience_s or now - begin > timeout_s:
                return False
            await self.change(0.1)
        return True

    async def audible(self, reply: Callable[[], Reply | None], timeout_s: float) -> bool:
        """Wait until the reply is heard."""

        def heard() -> bool:
            playback = self.account.playback(reply())
            return playback is not None and playback.heard_from is not None and playback.heard_from <= self.now()

        return await self.until(heard, timeout_s)

    async def retrieve(self, item_id: str) -> str | None:
        """Return the words of a message as the conversation has it now; None when the server doesn't say."""
        self.account.retrieved.pop(item_id, None)
        await self.link.send({"type": "conversation.item.retrieve", "item_id": item_id})
        await self.until(lambda: item_id in self.account.retrieved, _ANSWER_S)
        return self.account.retrieved.get(item_id)

    async def said(self) -> list[str]:
        """Return what the user's spoken messages are in the conversation now, empty ones left out."""
        account = self.account
        await self.until(lambda: all(one.transcript is not None for one in account.utterances.values()), _ANSWER_S)
        return [words for item_id in list(account.utterances) if (words := await self.retrieve(item_id))]

    async def stop_reply(self) -> None:
        """Cancel the reply that is under way, if any, and wait for its end."""
        reply = self.account.last_reply
        if reply is not None and reply.done_at is None:
            await self.link.cancel()
            await self.until(lambda: reply.done_at is not None, _ANSWER_S)


async def converse(
    url: str,
    script: Callable[[Talk], Awaitable[T]],
    *,
    session: Message | None = None,
    room_db: float = ROOM_DB,
    echo_delay_s: float | None = None,
    echo_db: float = 0.0,
    camera: Path | None = None,
) -> T:
    """Open a conversation and let `script` lead it; the microphone is on all the time.

    With `echo_delay_s`, what the loudspeaker plays comes back through the microphone, so much later and `echo_db`
    louder. With `camera`, a picture or a video, frames of it are sent, two a second. Raises LinkError.
    """
    loop = asyncio.get_running_loop()
    account = Account()
    gain = amplitude(echo_db)

    def echo(begin: float, end: float) -> Samples:
        assert echo_delay_s is not None
        return account.loudspeaker.between(begin - echo_delay_s, end - echo_delay_s) * gain

    microphone = Microphone(Mixer(room_db), loop.time, echo=None if echo_delay_s is None else echo)
    async with connect(url) as link:
        talk = Talk(link, microphone, account, loop.time)
        await link.update((session or {}) | {"parley": {"timings": True, "binary": camera is not None}})
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(talk.listen()), group.create_task(microphone.run(link))]
                if camera is not None:
                    tasks.append(group.create_task(_film(link, camera)))
                await asyncio.sleep(_LEAD_S)
                result = await script(talk)
                for task in tasks:
                    task.cancel()
        except* LinkError as group_error:
            raise group_error.exceptions[0] from None
    return result


async def _film(link: Link, shown: Path) -> None:
    """Send frames as a camera does that films this, over and over."""
    now = asyncio.get_running_loop().time
    still = None if shown.suffix == ".mp4" else await asyncio.to_thread(shown.read_bytes)
    while still is not None:
        await link.append_picture(still, now())
        await asyncio.sleep(1 / _FRAMES_A_SECOND)
    while True:
        async with Camera(str(shown), rate=_FRAMES_A_SECOND, max_side=640) as frames:
            async for frame in frames:
                await link.append_picture(frame.data, now())
