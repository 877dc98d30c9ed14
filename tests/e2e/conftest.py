"""A whole server on a port of its own, in a thread; tests talk to it over real sockets."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from assistant.config import Config, load
from assistant.server.app import build_app
from assistant.server.listener import Listener, bind, url_of
from assistant.server.present import Present
from assistant.server.realtime import Seats
from assistant.server.resume import Lives
from assistant.server.wire import encode_base64
from audio.pcm import resample, to_pcm16
from audio.types import INPUT_RATE, Samples
from pipeline.engines import Engines
from tests.e2e.fakes import fake_engines
from tests.e2e.schema import check_message

WAIT_S = 30.0


class Client:
    """A plain websocket client that reads as strictly as can be."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        self.numbered = False
        """It has asked for resume."""

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def speak(self, samples: Samples, *, paced: bool = False) -> None:
        """Send sound (at INPUT_RATE) in pieces of 40 ms, in real time if `paced`."""
        pcm = to_pcm16(resample(samples, INPUT_RATE, 24_000))
        loop = asyncio.get_running_loop()
        began = loop.time()
        for start in range(0, len(pcm), 1920):
            await self.send("input_audio_buffer.append", audio=encode_base64(pcm[start : start + 1920]))
            if paced:
                await asyncio.sleep(max(0.0, began + (start + 1920) / 48_000 - loop.time()))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            message = check_message(json.loads(await self.socket.recv()), numbered=self.numbered)
        self.seen.append(message)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """Read on until a message of this type; what came before it is in `seen`."""
        while (message := await self.next())["type"] != kind:
            pass
        return message

    def kinds(self, *, deltas: bool = False) -> list[str]:
        return [m["type"] for m in self.seen if deltas or not m["type"].endswith(".delta")]


@dataclass
class Running:
    """A server that runs."""

    url: str
    listener: Listener
    token: str | None
    lives: Lives
    present: Present
    seats: Seats
    loop: asyncio.AbstractEventLoop
    """The server's own, in its thread."""

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/v1/realtime?model=gpt-realtime"

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        """Connect; `session.created` has been read."""
        async with connect(self.ws_url, max_size=None, **options) as socket:
            client = Client(socket)
            await client.until("session.created")
            yield client


@contextmanager
def running(
    config: Config,
    engines: Engines | None,
    token: str | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> Iterator[Running]:
    with bind(config.server) as bound:
        present = Present(settle_s=0)
        app = build_app(config, engines, token=token, present=present, **options)
        listener = Listener(app, config.server, tls, on_stop=app.state.house.lives.end_waiting)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=partial(_serve, loop, listener, bound), name="server")
        url = url_of(bound, secure=tls is not None)
        thread.start()
        try:
            yield Running(url, listener, token, app.state.house.lives, present, app.state.house.seats, loop)
        finally:
            listener.should_exit = True
            thread.join(WAIT_S)
            assert not thread.is_alive()


def _serve(loop: asyncio.AbstractEventLoop, listener: Listener, bound: socket.socket) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(listener.serve([bound]))


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Start a server: `serve(engines=…, token=…, max_sessions=…, api={…}, tools={…})`; it stops with the test.

    With `ready=False` its engines are never there.
    """
    with ExitStack() as stack:

        def start(engines: Engines | None = None, token: str | None = None, **keys: Any) -> Running:
            options = {"begin": keys.pop("begin")} if "begin" in keys else {}
            api, tools, ready = keys.pop("api", {}), keys.pop("tools", {}), keys.pop("ready", True)
            config = load(port=0, **keys)
            sections = {"api": config.api.model_copy(update=api), "tools": config.tools.model_copy(update=tools)}
            config = config.model_copy(update=sections)
            engines = engines or fake_engines() if ready else None
            return stack.enter_context(running(config, engines, token, **options))

        yield start
