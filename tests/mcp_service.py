"""A real MCP server (the `mcp` package's own) on a port of its own; its tools answer, wait, fail, and return much."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ImageContent, TextContent, ToolAnnotations

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


@dataclass
class Service:
    """The server, and what has happened there."""

    url: str = ""
    origin: str = ""
    token: str | None = None
    """What it wants as a bearer token."""
    status: int | None = None
    """It answers everything with this HTTP status."""
    too_much: bool = False
    """It answers everything with far too much."""
    called: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def _tools(service: Service) -> MCPServer:
    server = MCPServer("tests", log_level="ERROR")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def get_weather(city: str) -> str:
        """The weather of a city."""
        service.called.append(f"get_weather {city}")
        return f"It is sunny in {city}, 21 degrees."

    @server.tool()
    async def slow(seconds: float) -> str:
        """Takes its time."""
        service.called.append("slow")
        try:
            await asyncio.sleep(seconds)
        except BaseException:
            service.cancelled.append("slow")
            raise
        return "done at last"

    @server.tool()
    def fail() -> str:
        """Fails."""
        raise ToolError("There is no such city.")

    @server.tool()
    def much() -> str:
        """Returns much."""
        return "word " * 100_000

    @server.tool(structured_output=False)
    def picture() -> list[TextContent | ImageContent]:
        """Returns a picture."""
        return [TextContent(text="See:"), ImageContent(data="AAAA", mime_type="image/png")]

    @server.tool()
    def open_door() -> str:
        """Opens the door."""
        service.called.append("open_door")
        return "The door is open."

    return server


def _guarded(app: App, service: Service) -> App:
    async def guard(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        service.headers.append(headers)
        status = service.status
        if service.token is not None and headers.get("authorization") != f"Bearer {service.token}":
            status = 401
        if status is None and not service.too_much:
            await app(scope, receive, send)
            return
        kind = [(b"content-type", b"application/json")]
        if status in (302, 307):
            kind.append((b"location", b"http://127.0.0.1:9/elsewhere"))
        await send({"type": "http.response.start", "status": status or 200, "headers": kind})
        await send({"type": "http.response.body", "body": b'"' + b"x" * (8 * 2**20 if service.too_much else 10) + b'"'})

    return guard


@contextmanager
def serving(way: Literal["http", "sse"] = "http", **settings: Any) -> Iterator[Service]:
    """Run one in a thread, for as long as the block runs."""
    service = Service(**settings)
    server = _tools(service)
    app = server.streamable_http_app() if way == "http" else server.sse_app(sse_path="/mcp")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        service.origin = f"http://127.0.0.1:{bound.getsockname()[1]}"
        service.url = f"{service.origin}/mcp"
        config = uvicorn.Config(_guarded(app, service), log_level="error", timeout_graceful_shutdown=1)  # type: ignore[arg-type]
        uvicorn_server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(uvicorn_server.serve([bound])))
        thread.start()
        try:
            while not uvicorn_server.started:
                time.sleep(0.01)
            yield service
        finally:
            uvicorn_server.should_exit = True
            thread.join()
