"""One connection of `/v1/realtime`: a client's events go into a session, what happens there goes to the client."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol, TypeAlias, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from assistant.config import Config
from assistant.server.decode import Decoder
from assistant.server.encode import Encoder
from assistant.server.session_config import SessionConfig
from assistant.server.wire import FrameError, Message, encode, error_message, parse
from pipeline.engines import Engines
from pipeline.errors import RequestError
from pipeline.events import Audio, Event, Request, SettingsUpdated, Update
from pipeline.ids import random_id
from pipeline.settings import Settings

logger = logging.getLogger(__name__)

_Error = TypeVar("_Error", bound=BaseException)

SUBPROTOCOL: Final = "realtime"
_GOING_AWAY: Final = 1001
_POLICY_VIOLATION: Final = 1008
_INTERNAL_ERROR: Final = 1011
_TRY_AGAIN_LATER: Final = 1013


class Conversation(Protocol):
    """What a connection asks of pipeline.session.Session."""

    async def run(self) -> None:
        """Own the conversation until cancelled."""
        ...

    async def put(self, request: Request) -> None:
        """Ask for something."""
        ...

    async def next_event(self) -> Event:
        """Wait for what happens next."""
        ...


class NewConversation(Protocol):
    """How a conversation begins."""

    def __call__(self, engines: Engines, settings: Settings, *, new_id: Callable[[str], str]) -> Conversation:
        """Return a conversation that isn't running yet."""
        ...


Recording: TypeAlias = Callable[[str, NewConversation], NewConversation]
"""Given a session's id and how conversations begin, how one begins that is recorded under that id."""


class Seats:
    """How many conversations there are, and may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Hold a seat for as long as the block runs; False when none was free."""
        if self.taken >= self.limit:
            yield False
            return
        self.taken += 1
        try:
            yield True
        finally:
            self.taken -= 1


class _Hangup(Exception):  # noqa: N818 - it ends a connection, which isn't always an error
    """Ends the connection: with this code, or without a word where the client has gone."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def refuse(websocket: WebSocket, code: str, message: str) -> None:
    """Accept the connection only to say why it can't be had now."""
    await websocket.accept(_subprotocol(websocket))
    with suppress(WebSocketDisconnect):
        await websocket.send_text(encode(error_message(code, message, fault="server")))
        await websocket.close(_TRY_AGAIN_LATER, message)


async def converse(
    websocket: WebSocket, config: Config, engines: Engines, begin: NewConversation, record: Recording | None = None
) -> None:
    """Serve one client until it leaves, or the server hangs up."""
    await websocket.accept(_subprotocol(websocket))
    query = websocket.query_params
    transcribes = query.get("intent") == "transcription"
    session = SessionConfig.fresh(config, query.get("model") or "parley", transcribes=transcribes)
    if record is not None:
        begin = record(session.session_id, begin)
    connection = _Connection(websocket, config, session, begin(engines, session.settings(), new_id=random_id))
    with suppress(WebSocketDisconnect):
        await connection.run()


def _subprotocol(websocket: WebSocket) -> str | None:
    offered: list[str] = websocket.scope["subprotocols"]
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


class _Connection:
    def __init__(
        self, websocket: WebSocket, config: Config, session: SessionConfig, conversation: Conversation
    ) -> None:
        self._websocket = websocket
        self._limits = config.server
        self._conversation = conversation
        self._decoder = Decoder(session)
        self._encoder = Encoder(session)
        self._updates: deque[SessionConfig] = deque()  # asked for and not yet in force, in their order

    async def run(self) -> None:
        """Run the reader, the conversation and the writer until one of them ends it."""
        hangup = _Hangup()
        try:
            async with asyncio.TaskGroup() as group:
                await self._send({"type": "session.created", "session": self._encoder.config.wire()})
                group.create_task(self._read())
                group.create_task(self._conversation.run())
                group.create_task(self._write())
                group.create_task(self._expire())
        except* _Hangup as raised:
            hangup = _first(raised)
        except* Exception as raised:
            # A failure's text may hold what was said: it is for the debug log only.
            kinds = ", ".join(sorted({type(error).__name__ for error in _leaves(raised)}))
            logger.error("A session failed (%s); the others go on. Log level debug tells more.", kinds)  # noqa: TRY400
            logger.debug("The failed session", exc_info=raised)
            hangup = _Hangup(_INTERNAL_ERROR, "The session failed.")
        states = (self._websocket.client_state, self._websocket.application_state)
        if hangup.code is None or WebSocketState.DISCONNECTED in states:
            return
        if hangup.code == _INTERNAL_ERROR:
            await self._last_word("session_failed", "The session failed. Connect again.")
        await self._websocket.close(hangup.code, hangup.reason)

    async def _read(self) -> None:
        while True:
            frame = await self._websocket.receive()
            if frame["type"] == "websocket.disconnect":
                raise _Hangup
            text = frame.get("text")
            if text is None:
                message = "Binary messages aren't supported: send JSON text, with the audio as base64."
                await self._send(error_message("invalid_event", message))
                continue
            del frame  # a large message must not live until the next one comes
            await self._obey(text)
            del text

    async def _obey(self, text: str) -> None:
        try:
            event = parse(text, max_bytes=self._limits.max_message_bytes)
        except FrameError as error:
            await self._send(error_message(error.code, error.message, error.param, error.event_id))
            return
        try:
            for request in self._decoder.requests(event):
                if isinstance(request, Update):
                    self._updates.append(self._decoder.config)
                await self._conversation.put(request)
                if isinstance(request, Audio):
                    await asyncio.sleep(0)  # a long append is many requests: the others get their turn in between
        except RequestError as error:
            await self._send(error_message(error.code, error.message, error.param, event.event_id))

    async def _write(self) -> None:
        while True:
            event = await self._conversation.next_event()
            if isinstance(event, SettingsUpdated) and self._updates:
                self._encoder.config = self._updates.popleft()
            for message in self._encoder.messages(event):
                await self._send(message)

    async def _expire(self) -> None:
        await asyncio.sleep(self._encoder.config.expires_at - time.time())
        await self._send(
            error_message("session_expired", "The session has reached its greatest length. Connect again.")
        )
        raise _Hangup(_GOING_AWAY, "session_expired")

    async def _send(self, message: Message) -> None:
        """Send one message; a client that doesn't read holds this up, for so long as the configuration allows."""
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._websocket.send_text(encode(message))
        except TimeoutError:
            raise _Hangup(_POLICY_VIOLATION, "The client doesn't read what it is sent.") from None
        except WebSocketDisconnect:
            raise _Hangup from None

    async def _last_word(self, code: str, message: str) -> None:
        try:
            await self._send(error_message(code, message, fault="server"))
        except _Hangup:
            logger.debug("The client had gone before it could be told that its session failed.")


def _first(group: BaseExceptionGroup[_Hangup]) -> _Hangup:
    """Return the hangup with a code, where there is one: it is the cause, the others follow from it."""
    hangups = list(_leaves(group))
    return next((hangup for hangup in hangups if hangup.code is not None), hangups[0])


def _leaves(group: BaseExceptionGroup[_Error]) -> Iterator[_Error]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
