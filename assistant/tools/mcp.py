"""An MCP server, reached with the official client: streamable HTTP, or HTTP with server-sent events where it is older.

Nothing that it says is trusted: sizes, numbers and times have limits, and redirections don't leave its origin (the
client sees to that). Headers, which may hold keys, are in no error and in no log.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Literal, TypeVar

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from assistant.server.groups import leaves
from assistant.tools.spec import McpServer
from pipeline.tool_servers import ToolError, ToolFailure

T = TypeVar("T")
logger = logging.getLogger(__name__)

LARGEST_BYTES: Final = 4 * 2**20
"""Of one message from a server."""
_CONNECT_S: Final = 5.0
_MOST_PAGES: Final = 50
_NOT_HERE: Final = frozenset({400, 404, 405, 406, 415, 501})
"""What a server of the older kind answers to the newer way."""
_TIMED_OUT: Final = -32001


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, on_too_large: Callable[[], None]) -> None:
        self._stream = stream
        self._on_too_large = on_too_large

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in self._stream:
            received += len(chunk)
            if received > LARGEST_BYTES:
                self._on_too_large()
                raise httpx2.ReadError("it is too large")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Way(httpx2.AsyncBaseTransport):
    """The way to one server: it limits answers, and knows how the last request went."""

    def __init__(self) -> None:
        self._http = httpx2.AsyncHTTPTransport()
        self.status = 200
        self.too_large = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._http.handle_async_request(request)
        self.status = response.status_code
        # A stream of events may well go on for a day; each of its events has a limit of its own.
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Limited(response.stream, self._complain)
        return response

    def _complain(self) -> None:
        self.too_large = True

    async def aclose(self) -> None:
        await self._http.aclose()


class Connection:
    """One server, connected when it's first needed, and anew after a failure."""

    def __init__(self, server: McpServer, timeout_s: float, tasks: asyncio.TaskGroup) -> None:
        """Live in `tasks`; no request takes longer than `timeout_s`."""
        self._server = server
        self._timeout_s = timeout_s
        self._group = tasks
        self.tasks: set[asyncio.Task[None]] = set()
        """Those that hold a connection, or are about to leave it."""
        self._way = _Way()
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._left: asyncio.Event | None = None

    async def tools(self, most: int) -> list[types.Tool]:
        """Return what it has, the first `most` of it. Raises ToolError."""

        async def pages(client: Client) -> list[types.Tool]:
            found: list[types.Tool] = []
            cursor: str | None = None
            for _ in range(_MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                found += page.tools
                cursor = page.next_cursor
                if cursor is None or len(found) >= most:
                    break
            return found[:most]

        return await self._do(pages)

    async def call(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Call a tool; cancelling tells the server. Raises ToolError, but not for a failure of the tool's own."""
        return await self._do(lambda client: client.call_tool(name, arguments))

    def close(self) -> None:
        """Let it end."""
        if self._left is not None:
            self._left.set()
        self._client = None

    async def _do(self, work: Callable[[Client], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s + _CONNECT_S):
                async with self._opening:
                    client = self._client or await self._open()
                return await work(client)
        except Exception as error:  # noqa: BLE001 - all of it has one kind of error
            self.close()  # the next one has a fresh connection
            raise ToolError(self._failure(error)) from None  # the cause may quote headers

    async def _open(self) -> Client:
        """Connect; the connection is held by a task of its own, since only the task that opened it may close it."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Client] = loop.create_future()
        self._left = asyncio.Event()
        task = self._group.create_task(self._hold(opened, self._left))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        self._client = await opened
        return self._client

    async def _hold(self, opened: asyncio.Future[Client], left: asyncio.Event) -> None:
        older = self._server.url.split("?")[0].rstrip("/").endswith("/sse")
        for way in (self._older,) if older else (self._newer, self._older):
            try:
                async with way() as client:
                    if not opened.done():
                        opened.set_result(client)
                    await left.wait()
            except Exception as error:  # noqa: BLE001 - whoever waits for the connection is told
                logger.debug("The MCP server %s: %s", self._server.label, type(error).__name__)
                if not opened.done() and way == self._newer and self._way.status in _NOT_HERE:
                    continue
                if not opened.done():
                    opened.set_exception(ToolError(self._failure(error)))
            return

    @asynccontextmanager
    async def _newer(self) -> AsyncGenerator[Client, None]:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(
                self._http(None, httpx2.Timeout(_CONNECT_S, read=self._timeout_s + _CONNECT_S))
            )
            transport = streamable_http_client(self._server.url, http_client=http, max_sse_event_size=LARGEST_BYTES)
            client = Client(transport, read_timeout_seconds=self._timeout_s, cache=None)
            yield await stack.enter_async_context(client)

    @asynccontextmanager
    async def _older(self) -> AsyncGenerator[Client, None]:
        transport = sse_client(self._server.url, timeout=_CONNECT_S, httpx_client_factory=self._http)
        async with Client(transport, read_timeout_seconds=self._timeout_s, cache=None) as client:
            yield client

    def _http(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        self._way = _Way()
        # Neither proxies nor keys from the environment: the address that the owner allowed is the one that is reached.
        return httpx2.AsyncClient(
            headers=dict(self._server.headers), timeout=timeout, auth=auth, transport=self._way, trust_env=False
        )

    def _failure(self, error: Exception) -> ToolFailure:
        found = list(leaves(error)) if isinstance(error, ExceptionGroup) else [error]
        label, status = self._server.label, self._way.status
        first = found[0]
        kind: Literal["protocol_error", "http_error"] = "protocol_error"
        code = 0
        if isinstance(first, ToolError):
            return first.failure
        if isinstance(first, TimeoutError) or (isinstance(first, MCPError) and first.code == _TIMED_OUT):
            said = f"took longer than {self._timeout_s:g} s"
        elif self._way.too_large or isinstance(first, httpx2.SSEError):
            said = f"sends more than {LARGEST_BYTES // 2**20} MiB at once"
        elif status >= 400:
            kind, code = "http_error", status
            said = f"answered with HTTP status {status}" + (": check its authorization" if status in (401, 403) else "")
        elif isinstance(first, httpx2.TransportError):
            kind, said = "http_error", f"can't be reached ({type(first).__name__})"
        elif isinstance(first, MCPError):
            code, said = first.code, f"refused: {first.message[:300]}"
        else:
            said = f"can't be used ({type(first).__name__})"
        return ToolFailure(kind, f"The MCP server {label!r} {said}.", code)
