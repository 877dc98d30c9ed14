"""A link that outlives its socket: when the network breaks, it connects anew and the conversation goes on."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from websockets.asyncio.client import ClientConnection

from clients.link import URL, Link, Lost, Message, Refused, Unreachable, open_socket

Reopen: TypeAlias = Callable[[str], Awaitable[ClientConnection]]
"""Opens another socket, showing this claim."""

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 2.0


class ResumingLink(Link):
    """Comes back by itself while the server keeps the session; raises Lost only when that has failed."""

    def __init__(self, websocket: ClientConnection, url: str, reopen: Reopen) -> None:
        super().__init__(websocket, url)
        self._reopen = reopen
        self._token: str | None = None
        self._window_s = 0.0
        self._received = 0
        self._count = 0  # messages that the session has been sent
        # Of those sent last; None is sound or a picture, not worth sending late. What falls out has long been taken.
        self._sent: deque[tuple[int, str | bytes | None]] = deque(maxlen=256)
        self._restoring = asyncio.Lock()
        self.returns = 0
        """How often it has come back: each time, sound that was to be sent is lost."""

    async def _deliver(self, data: str | bytes, *, again: bool) -> None:
        """Send it; what the network swallows is sent again, if that is worth it."""
        self._count += 1
        self._sent.append((self._count, data if again else None))
        websocket = self._websocket
        try:
            await super()._deliver(data, again=again)
        except Lost as lost:
            await self._restore(websocket, lost)

    async def receive(self) -> Message:
        """Return the next server event, each once."""
        while True:
            websocket = self._websocket
            try:
                message = await super().receive()
            except Lost as lost:
                await self._restore(websocket, lost)
                continue
            self._received = message.get("parley_seq", self._received)
            if message["type"] != "parley.resumable":
                return message
            self._token, self._window_s = message["token"], message["window_s"]

    async def _restore(self, broken: ClientConnection, lost: Lost) -> None:
        """Put another socket in the place of the broken one. Raises Lost."""
        async with self._restoring:
            if self._websocket is not broken:
                return  # whoever noticed it first has done it
            if self._token is None or broken.close_code != 1006:
                raise lost  # the server, or we, ended the conversation
            self._websocket = await self._come_back(self._token, lost)
            self.returns += 1

    async def _come_back(self, token: str, lost: Lost) -> ClientConnection:
        wait_s = _FIRST_WAIT_S
        try:
            async with asyncio.timeout(self._window_s):
                while True:
                    try:
                        websocket = await self._reopen(f"{token}.{self._received}")
                        break
                    except (Unreachable, Refused):
                        await asyncio.sleep(wait_s)
                        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                hello = json.loads(await websocket.recv())
        except TimeoutError:
            raise lost from None
        if hello["type"] != "parley.resumed":
            await websocket.close()
            raise Lost(f"The server at {self._url} doesn't know of this conversation any more. Start again.")
        again = [data for number, data in self._sent if number > hello["taken"] and data is not None]
        self._sent.clear()
        self._count = hello["taken"]
        for data in again:
            self._count += 1
            self._sent.append((self._count, data))
            await websocket.send(data)
        return websocket


@asynccontextmanager
async def connect_for_good(
    url: str = URL, token: str | None = None, trust: ssl.SSLContext | None = None
) -> AsyncIterator[ResumingLink]:
    """Open a conversation that survives its connections, as `connect` does. Raises Unreachable or Refused."""
    link = ResumingLink(await open_socket(url, token, trust), url, lambda claim: open_socket(url, token, trust, claim))
    try:
        await link.update({"parley": {"resume": True}}, event_id="ask_resume")
        yield link
    finally:
        await link.close()
