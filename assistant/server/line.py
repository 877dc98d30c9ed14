"""One websocket, as a session sees it: it takes messages, brings messages, and ends with a reason."""

import asyncio
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from assistant.server.wire import Message, encode

GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
TRY_AGAIN_LATER: Final = 1013
TAKEN_OVER: Final = 4001
_GOODBYES: Final = frozenset({1000, 1005, 1012})
"""A client that closes, with or without a code, and the server that stops; anything else is an accident."""


class Hangup(Exception):  # noqa: N818 - it ends a connection, which isn't always an error
    """Ends a connection: with this code, or without a word where the client has gone."""

    def __init__(
        self, code: int | None = None, reason: str = "", *, ends_session: bool = True, last_word: Message | None = None
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.ends_session = ends_session
        """False where the session may go on without its client."""
        self.last_word = last_word
        """What the client is told before."""


class Line:
    """A connection that may be accepted; `subprotocol` is what we choose of those that the client offers."""

    def __init__(self, websocket: WebSocket, send_timeout_s: float, subprotocol: str | None = None) -> None:
        self.gone = asyncio.Event()
        """Nothing goes through it any more."""
        self._websocket = websocket
        self._send_timeout_s = send_timeout_s
        self._subprotocol = subprotocol
        self._hung_up = asyncio.Event()
        self._hangup = Hangup()

    async def accept(self) -> None:
        """Open it. Raises Hangup when the client has gone already."""
        try:
            await self._websocket.accept(self._subprotocol)
        except (WebSocketDisconnect, OSError):
            raise Hangup(ends_session=False) from None

    async def send(self, data: str | bytes) -> None:
        """Send one message. Raises Hangup when the client has gone or doesn't read."""
        try:
            async with asyncio.timeout(self._send_timeout_s):
                if isinstance(data, bytes):
                    await self._websocket.send_bytes(data)
                else:
                    await self._websocket.send_text(data)
        except TimeoutError:
            reason = "The client doesn't read what it is sent."
            raise Hangup(POLICY_VIOLATION, reason, ends_session=False) from None
        except WebSocketDisconnect:
            raise Hangup(ends_session=False) from None

    async def receive(self) -> str | bytes:
        """Return the next message. Raises Hangup when the client has gone."""
        frame = await self._websocket.receive()
        if frame["type"] == "websocket.disconnect":
            raise Hangup(ends_session=frame.get("code") in _GOODBYES)
        text: str | None = frame.get("text")
        data: bytes = frame.get("bytes") or b""
        return data if text is None else text

    def hang_up(self, hangup: Hangup) -> None:
        """End the connection from our side."""
        self._hangup = hangup
        self._hung_up.set()

    async def until_hung_up(self) -> None:
        """Wait for `hang_up`, and raise what it was given."""
        await self._hung_up.wait()
        raise self._hangup

    async def close(self, hangup: Hangup) -> None:
        """Say the last word and close, as far as there is somebody to be told."""
        states = (self._websocket.client_state, self._websocket.application_state)
        if hangup.code is None or WebSocketState.DISCONNECTED in states:
            return
        if hangup.last_word is not None:
            try:
                await self.send(encode(hangup.last_word))
            except Hangup:
                return
        await self._websocket.close(hangup.code, hangup.reason)
