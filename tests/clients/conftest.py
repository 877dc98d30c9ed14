"""A Realtime server that plays a script: real sockets, no models."""

import asyncio
import base64
import http
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from assistant.server.frames import Frame, Kind, unpack

PAGE = Path(__file__).resolve().parents[2] / "clients" / "browser"
CSP = (
    "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def tone(seconds: float, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 24_000)) / 24_000)).astype(np.float32)


def pcm(samples: np.ndarray) -> str:
    return base64.b64encode((samples * 32767).astype("<i2").tobytes()).decode()


@dataclass
class Conversation:
    """One client's connection, seen by the script."""

    websocket: ServerConnection
    received: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[tuple[float, Frame]] = field(default_factory=list)
    """The camera's, each with the moment at which it came."""

    async def send(self, kind: str, **fields: Any) -> None:
        await self.websocket.send(json.dumps({"type": kind, "event_id": "event_1"} | fields))

    async def receive(self, kind: str) -> dict[str, Any]:
        """Take the client's events up to the first of this kind."""
        async for data in self.websocket:
            event = self.take(data)
            if event["type"] == kind:
                return event
        raise AssertionError(f"The client left without {kind}.")

    def take(self, data: str | bytes) -> dict[str, Any]:
        if isinstance(data, str):
            event: dict[str, Any] = json.loads(data)
        else:
            frame = unpack(data)
            event = {"type": frame.kind.name.lower()}
            if frame.kind is Kind.PICTURE:
                self.pictures.append((asyncio.get_running_loop().time(), frame))
        self.received.append(event)
        return event

    async def agree(self) -> dict[str, Any]:
        """Give the client the extensions that it asks for, and return them."""
        parley: dict[str, Any] = (await self.receive("session.update"))["session"]["parley"]
        await self.send("session.updated", session={"type": "realtime", "parley": parley})
        return parley

    async def hear(self, seconds: float) -> None:
        """Take so much sound."""
        missing = seconds * 24_000
        while missing > 0:
            missing -= len(base64.b64decode((await self.receive("input_audio_buffer.append"))["audio"])) / 2

    async def user_said(self, words: str, item: str = "user_1") -> None:
        await self.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=500)
        await self.send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        await self.send(
            "conversation.item.input_audio_transcription.completed", item_id=item, content_index=0, transcript=words
        )

    async def begin_answer(self, words: str, sound: np.ndarray | None, n: int = 1) -> None:
        at = {"response_id": f"response_{n}", "item_id": f"assistant_{n}", "output_index": 0, "content_index": 0}
        await self.send("response.created", response={"id": f"response_{n}", "status": "in_progress"})
        for word in words.split():
            await self.send("response.output_audio_transcript.delta", delta=word + " ", **at)
        if sound is not None:
            for piece in np.array_split(sound, max(1, sound.size // 2400)):
                await self.send("response.output_audio.delta", delta=pcm(piece), **at)
            await self.send("response.output_audio.done", **at)
        await self.send("response.output_audio_transcript.done", transcript=words, **at)

    async def end_answer(self, status: str = "completed", n: int = 1, **details: Any) -> None:
        response = {"id": f"response_{n}", "status": status, "status_details": details or None, "output": []}
        await self.send("response.done", response=response)

    async def until_gone(self) -> None:
        """Take everything that the client still sends."""
        async for data in self.websocket:
            self.take(data)


Script: TypeAlias = Callable[[Conversation], Awaitable[None]]


@dataclass
class Scripted:
    """The server while it runs."""

    port: int
    conversations: list[Conversation]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"


@asynccontextmanager
async def scripted(
    script: Script, *, token: str | None = None, port: int = 0, files: Mapping[str, bytes] = MappingProxyType({})
) -> AsyncIterator[Scripted]:
    """Serve the script, the page, and these files by their paths."""
    conversations: list[Conversation] = []

    async def converse(websocket: ServerConnection) -> None:
        conversation = Conversation(websocket)
        conversations.append(conversation)
        await conversation.send("session.created", session={"type": "realtime", "id": "session_1"})
        try:
            await script(conversation)
        except ConnectionClosed:
            return

    def answer(_: ServerConnection, request: Request) -> Response | None:
        if request.path == "/v1/realtime":
            offered = request.headers.get("Sec-WebSocket-Protocol", "")
            given = {request.headers.get("Authorization", "").removeprefix("Bearer ")}
            given |= {p.strip().removeprefix("openai-insecure-api-key.") for p in offered.split(",")}
            return None if token is None or token in given else _plain(http.HTTPStatus.UNAUTHORIZED)
        return _sent("a.js", files[request.path]) if request.path in files else _file(request.path)

    choose = lambda _, offered: "realtime" if "realtime" in offered else None  # noqa: E731
    made: list[ServerConnection] = []

    class Known(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            made.append(self)

    server = await serve(
        converse, "127.0.0.1", port, process_request=answer, select_subprotocol=choose, create_connection=Known
    )
    try:
        yield Scripted(server.sockets[0].getsockname()[1], conversations)
    finally:
        server.close()
        await _cut(made, server)


async def _cut(made: list[ServerConnection], server: Server) -> None:
    """End every connection: the server forgets whoever comes while it closes, and waits ten seconds for the silent."""
    closed = asyncio.ensure_future(server.wait_closed())
    while not closed.done():
        for connection in made:
            if connection.state is not State.OPEN:
                connection.transport.abort()
        await asyncio.wait([closed], timeout=0.1)
    for _ in range(5):  # turns of the loop: from an accepted socket to the connection that is made of it
        await asyncio.sleep(0)
    for connection in made:
        connection.transport.abort()
        await connection.wait_closed()


def _plain(status: http.HTTPStatus) -> Response:
    return Response(status, status.phrase, Headers({"Content-Length": "0", "Connection": "close"}), b"")


def _file(path: str) -> Response:
    file = PAGE / (path.split("?", maxsplit=1)[0].lstrip("/") or "index.html")
    if not file.is_file():
        return _plain(http.HTTPStatus.NOT_FOUND)
    return _sent(file.name, file.read_bytes())


def _sent(name: str, body: bytes) -> Response:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    return Response(200, "OK", Headers(headers | {"Content-Security-Policy": CSP}), body)


@pytest.fixture
def serving() -> Callable[..., AbstractAsyncContextManager[Scripted]]:
    """Start a scripted server: `async with serving(script) as server`, then use server.url."""
    return scripted


@pytest.fixture
def unused_port() -> int:
    """A port on which nothing listens."""

    async def find() -> int:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return port

    return asyncio.run(find())
