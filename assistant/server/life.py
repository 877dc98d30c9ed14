"""One session from its first connection to its last: it may lose its client, and wait for it to come back.

A session has one line at a time. What it tells its client goes into a journal, and from there through the line; what
the client sends comes in through the line. Where the client asked for `resume`, the session stays when its line is
lost: the reply is held, the journal keeps what happens, and another line may go on from any number in it. Otherwise the
session ends with its line.
"""

import asyncio
import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from assistant.config import Server
from assistant.server.decode import Decoder
from assistant.server.encode import Encoder
from assistant.server.extensions import AcknowledgeEvent
from assistant.server.frames import Frame, pack
from assistant.server.groups import kinds, leaves
from assistant.server.journal import Journal
from assistant.server.line import GOING_AWAY, INTERNAL_ERROR, TAKEN_OVER, Hangup, Line
from assistant.server.session_config import SessionConfig
from assistant.server.wire import FrameError, Message, encode, error_message, parse
from assistant.tools.spec import McpServer
from audio.types import OUTPUT_RATE
from pipeline.engines import Asker, Engines
from pipeline.errors import RequestError
from pipeline.events import (
    Audio,
    ClientLeft,
    ClientReturned,
    Event,
    Request,
    ResponseAudio,
    SceneSeen,
    SettingsUpdated,
    Update,
)
from pipeline.settings import Settings
from vision.types import Scene

logger = logging.getLogger(__name__)

_STALLED_S: Final = 2.0
"""Speech that a client which acknowledges hasn't acknowledged: then the network stalls, and the reply is held."""
_FLOWING_S: Final = 0.5
"""So little of it is left when the reply goes on."""


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

    def __call__(
        self, engines: Engines, settings: Settings, *, new_id: Callable[[str], str], asker: Asker
    ) -> Conversation:
        """Return a conversation that isn't running yet; `asker` names the session, and its user."""
        ...


class Registry(Protocol):
    """Where a session can be found again."""

    def issue(self, life: "Life") -> str:
        """Return the token by which this session is found from now on."""
        ...

    def withdraw(self, life: "Life") -> None:
        """Let it not be found any more."""
        ...


class ResumeError(Exception):
    """The session can't go on from there; the message says why."""


class Life:
    """A session. `run` it beside the `attend` of its first line; each later line attends in its own task."""

    def __init__(  # noqa: PLR0913 - whom it tells what
        self,
        limits: Server,
        session: SessionConfig,
        conversation: Conversation,
        registry: Registry,
        *,
        arrived: Callable[[], None] = lambda: None,
        learn: Callable[[Iterable[McpServer]], None] = lambda _: None,
        sees: bool = False,
        saw: Callable[[Scene], None] = lambda _: None,
    ) -> None:
        """Hold the session that `registry` finds again.

        `arrived` is called whenever a client has come; `learn` is told of the MCP servers that it names; `sees`: the
        conversation has eyes, and `saw` is called with what they see.
        """
        self.over = asyncio.Event()
        """Set by whoever runs it, when all is done."""
        self.absent_since: float | None = None
        """When its client was lost, by the loop's clock; None while there is one."""
        self._limits = limits
        self._conversation = conversation
        self._registry = registry
        self._arrived = arrived
        self._saw = saw
        self._decoder = Decoder(session, learn, sees=sees)
        self._encoder = Encoder(session)
        self._updates: deque[SessionConfig] = deque()  # asked for and not yet in force, in their order
        self._journal = Journal()
        self._line: Line | None = None
        self._taken = 0  # messages of the client's, so far
        self._stalled = False  # the reply is held because the client acknowledges too little
        self._news = asyncio.Event()  # there is something to send
        self._moved = asyncio.Event()  # something was sent, or the line is another
        self._ended = asyncio.Event()
        # When it is full, the session ends: no client comes and goes so often while a conversation takes in one of it.
        self._presence: asyncio.Queue[ClientLeft | ClientReturned] = asyncio.Queue(maxsize=64)
        self._tell({"type": "session.created", "session": session.wire()})

    @property
    def _resumable(self) -> bool:
        return self._journal.keeps and not self._ended.is_set()

    @property
    def attended(self) -> bool:
        """Whether it has a client now."""
        return self._line is not None and not self._ended.is_set()

    def complain(self, code: str, message: str) -> None:
        """Tell the client of something that went wrong before the session began."""
        self._tell(error_message(code, message))

    async def ask(self, request: Request) -> None:
        """Ask the conversation for something; what it is to say, a client that is away hears when it is back."""
        await self._conversation.put(request)

    def end(self) -> None:
        """End the session, wherever it is."""
        self._ended.set()

    async def run(self) -> None:
        """Hold the conversation until it ends, its client doesn't come back, or it fails; then hang up."""
        hangup = Hangup()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._conversation.run())
                group.create_task(self._write())
                group.create_task(self._stay())
                group.create_task(self._expire())
                group.create_task(self._until_ended())
        except* Hangup as raised:
            hangup = _first(raised)
        except* Exception as raised:  # noqa: BLE001 - whatever it is, the other sessions go on
            hangup = _failed(raised)
        finally:
            self._ended.set()
            self._registry.withdraw(self)
        if self._line is not None:
            self._line.hang_up(hangup)

    async def attend(self, line: Line, *, received: int | None = None, returns: bool = False) -> None:
        """Accept the line and serve the client through it until it is gone; another one that is there gives way.

        A client that `returns` is told that it is back, and all after the number that it `received`.
        Raises ResumeError, with the line not yet accepted, when that can't be told any more.
        """
        while (other := self._line) is not None:
            other.hang_up(Hangup(TAKEN_OVER, "Another connection has taken over.", ends_session=False))
            await other.gone.wait()
        greeting = self._return(received) if returns else None
        self._line = line
        self._moved.set()
        hangup = Hangup()
        try:
            await line.accept()
            self._arrived()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(line))
                group.create_task(self._send(line, greeting))
                group.create_task(line.until_hung_up())
        except* Hangup as raised:
            hangup = _first(raised)
        except* Exception as raised:  # noqa: BLE001 - whatever it is, the other sessions go on
            hangup = _failed(raised)
        finally:
            self._part()
            line.gone.set()
        if hangup.ends_session or not self._resumable:
            self.end()
        await line.close(hangup)

    # --- Coming and going ---

    def _return(self, received: int | None) -> Message:
        """Go on after `received`, and return what greets the client. Raises ResumeError."""
        if not self._resumable:
            raise ResumeError("The session is over.")
        number = self._journal.resumes_at(received)
        if number is None:
            raise ResumeError(
                f"The events after number {received} aren't kept, or never were: the session goes on from none of "
                "them. Leave the number out to go on after what was last acknowledged."
            )
        returned = ClientReturned(self._journal.rewind(number))
        self._presence_changed(returned)
        self.absent_since = None
        config = self._encoder.config
        greeting = {"type": "parley.resumed", "session_id": config.session_id, "received": number}
        return greeting | {"taken": self._taken, "session": config.wire()}

    def _part(self) -> None:
        self._line = None
        self._moved.set()
        if self._resumable:
            self._stalled = False
            self._journal.leave()
            self.absent_since = asyncio.get_running_loop().time()
            self._presence_changed(ClientLeft())

    def _presence_changed(self, change: ClientLeft | ClientReturned) -> None:
        try:
            self._presence.put_nowait(change)
        except asyncio.QueueFull:
            self.end()

    async def _stay(self) -> None:
        """Tell the conversation whether there is somebody, and end it when nobody comes back."""
        while True:
            await self._conversation.put(await self._presence.get())
            try:
                async with asyncio.timeout(self._limits.resume_s):
                    returned = await self._presence.get()
            except TimeoutError:
                raise Hangup from None
            await self._conversation.put(returned)

    async def _expire(self) -> None:
        await asyncio.sleep(self._encoder.config.expires_at - time.time())
        message = "The session has reached its greatest length. Connect again."
        raise Hangup(GOING_AWAY, "session_expired", last_word=error_message("session_expired", message))

    async def _until_ended(self) -> None:
        await self._ended.wait()
        raise Hangup

    # --- From the client ---

    async def _read(self, line: Line) -> None:
        while True:
            data = await line.receive()
            try:
                await self._obey(data)
            except RequestError as error:
                self._refuse(error, error.event_id if isinstance(error, FrameError) else None)
            self._taken += 1
            del data  # a large message must not live until the next one comes
            await self._room()

    async def _obey(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            await self._ask(self._decoder.binary(data))
            return
        event = parse(data, max_bytes=self._limits.max_message_bytes)
        try:
            if isinstance(event, AcknowledgeEvent):
                await self._acknowledge(event.received)
            else:
                await self._ask(self._decoder.requests(event))
        except RequestError as error:
            self._refuse(error, event.event_id)

    async def _ask(self, requests: Iterator[Request]) -> None:
        for request in requests:
            if isinstance(request, Update):
                self._updates.append(self._decoder.config)
            await self._conversation.put(request)
            if isinstance(request, Audio):
                await asyncio.sleep(0)  # a long append is many requests: the others get their turn in between

    async def _acknowledge(self, received: int) -> None:
        self._journal.acknowledge(received)
        if self._stalled and self._journal.sound_s < _FLOWING_S:
            self._stalled = False
            await self._conversation.put(ClientReturned(self._journal.sound_s))

    def _refuse(self, error: RequestError, event_id: str | None) -> None:
        self._tell(error_message(error.code, error.message, error.param, event_id))

    # --- To the client ---

    async def _write(self) -> None:
        while True:
            event = await self._conversation.next_event()
            if isinstance(event, SettingsUpdated) and self._updates:
                self._encoder.config = self._updates.popleft()
            if isinstance(event, SceneSeen):
                self._saw(event.scene)
            sound_s = len(event.samples) / OUTPUT_RATE if isinstance(event, ResponseAudio) else 0.0
            for message in self._encoder.messages(event):
                self._tell(message, sound_s)
            if isinstance(event, SettingsUpdated):
                self._keep(self._encoder.config)
            await self._watch_acknowledgements()
            await self._room()

    def _keep(self, config: SessionConfig) -> None:
        """Begin to survive lines, or stop it, as the client wants."""
        if config.extensions.resume == self._journal.keeps:
            return
        self._journal.keeps = config.extensions.resume
        if not self._journal.keeps:
            self._registry.withdraw(self)
            return
        resumable = {"session_id": config.session_id, "token": self._registry.issue(self)}
        self._tell({"type": "parley.resumable", **resumable, "window_s": self._limits.resume_s})

    async def _watch_acknowledgements(self) -> None:
        journal = self._journal
        if self._resumable and journal.acknowledged and not self._stalled and journal.sound_s > _STALLED_S:
            self._stalled = True
            await self._conversation.put(ClientLeft())

    def _tell(self, message: Message | Frame, sound_s: float = 0.0) -> None:
        number = self._journal.last + 1
        if isinstance(message, Frame):
            data: str | bytes = pack(dataclasses.replace(message, sequence=number if self._journal.keeps else 0))
        else:
            data = encode(message | {"parley_seq": number} if self._journal.keeps else message)
        self._journal.add(data, sound_s)
        self._news.set()

    async def _send(self, line: Line, greeting: Message | None) -> None:
        if greeting is not None:
            await line.send(encode(greeting))
        while True:
            while (entry := self._journal.pending) is not None:
                await line.send(entry.data)
                self._journal.took(entry.number)
                self._moved.set()
            self._news.clear()
            await self._news.wait()

    async def _room(self) -> None:
        """Wait until there is no more to be sent than may wait: without a client, as much as the journal holds."""
        while self._journal.pending is not None if self._line is not None else self._journal.full:
            self._moved.clear()
            await self._moved.wait()


def _failed(raised: BaseExceptionGroup[Exception]) -> Hangup:
    # A failure's text may hold what was said: it is for the debug log only.
    logger.error("A session failed (%s); the others go on. Log level debug tells more.", kinds(raised))
    logger.debug("The failed session", exc_info=raised)
    message = error_message("session_failed", "The session failed. Connect again.", fault="server")
    return Hangup(INTERNAL_ERROR, "The session failed.", last_word=message)


def _first(group: BaseExceptionGroup[Hangup]) -> Hangup:
    """Return the hangup with a code, where there is one: it is the cause, the others follow from it."""
    hangups = list(leaves(group))
    return next((hangup for hangup in hangups if hangup.code is not None), hangups[0])
