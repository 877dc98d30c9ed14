"""Uvicorn, made to let go: of clients that don't read, and of all clients when the server stops."""

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from assistant.config import Server as ServerConfig
from assistant.server.addresses import addresses_on_lan
from pipeline.errors import ParleyError

_CLOSE_S: Final = 1.0
"""Seconds that a client has for its half of the closing handshake."""
_GOING_AWAY: Final = 1001
_LOST: Final = 1006
_RESTART: Final = 1012
"""Not what the client is told, but what tells the app the server's end from the client's."""


class _Socket(WebSocketsSansIOProtocol):
    """Uvicorn's websocket: `send` waits for a client that reads slowly, and closing doesn't.

    A transport that closes waits until everything is sent, which a client that doesn't read can put off for ever, and
    hold on to the memory; so it is cut off soon after.
    """

    async def run_asgi(self) -> None:
        self.close_timeout = _CLOSE_S
        await super().run_asgi()
        if not self.disconnected:
            self.loop.call_later(2 * _CLOSE_S, self.transport.abort)

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "websocket.close":
            self.writable.set()  # nothing follows a close, so it needn't wait for what was sent before it
        elif message["type"] == "websocket.send" and self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.close":
            self.loop.call_later(2 * _CLOSE_S, self.transport.abort)  # the app may go on without this connection

    def connection_lost(self, exc: Exception | None) -> None:
        # Uvicorn says 1005 here, which is also what a client's close without a code is: this is none.
        self.queue.put_nowait({"type": "websocket.disconnect", "code": _LOST})
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()  # who doesn't answer a ping won't read what is left either

    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": _RESTART})
        self.conn.send_close(_GOING_AWAY, "The server is shutting down.")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_CLOSE_S, self.transport.abort)


class Listener(uvicorn.Server):
    """Serves an app on a socket until SIGINT, SIGTERM or `should_exit`; `listening` is set once it accepts.

    `on_stop` is called when it begins to stop.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: ServerConfig,
        tls: ssl.SSLContext | None = None,
        *,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                ws=_Socket,
                # Beyond this the websocket closes (1009); what lies between has an answer, and the session goes on.
                ws_max_size=4 * config.max_message_bytes,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            )
        )
        self.listening = asyncio.Event()
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and let go of what has no client."""
        self._on_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal, and not raise it again afterwards as uvicorn does: that would kill what closes later."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[signal.Signals, Callable[..., object] | int | None] = {
            name: signal.signal(name, self.handle_exit) for name in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


def bind(config: ServerConfig) -> socket.socket:
    """Return a socket on the configured address. Raises OSError when the port is taken, ParleyError for no address."""
    try:
        found = socket.getaddrinfo(config.host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ParleyError(f"There is no address {config.host!r} to listen on: {error.strerror}.") from error
    family, _, _, _, address = found[0]
    bound = socket.create_server(address[:2], family=family, backlog=128)
    # Its connections inherit it. asyncio does this only for sockets that were made for TCP by name, as this one wasn't;
    # without it the kernel holds back a reply's first sound until the client has confirmed the words sent before it,
    # which it does with its next 20 ms of microphone, or after 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def url_of(bound: socket.socket, *, secure: bool = False) -> str:
    """Return the URL of a bound socket; of one on every address, the one for this machine."""
    host, port = bound.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return _url("https" if secure else "http", host, port)


def addresses_for_others(config: ServerConfig, url: str) -> list[str]:
    """Return the URLs at which other machines reach the server whose own URL is `url`."""
    parts = urlsplit(url)
    return [_url(parts.scheme, address, parts.port) for address in addresses_on_lan(config.host)]


def _url(scheme: str, host: str, port: int | None) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
