"""The MCP servers of one session: which tools they have there, and calling them."""

import asyncio
import importlib
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from assistant.config import Tools
from assistant.server.tools import check_schema
from assistant.tools.spec import McpServer
from pipeline.errors import RequestError
from pipeline.tool_servers import ListedTool, ToolError, ToolFailure, ToolServer

if TYPE_CHECKING:
    import mcp_types as types

    from assistant.tools.mcp import Connection

logger = logging.getLogger(__name__)

_LONGEST_DESCRIPTION: Final = 1024
_FAREWELL_S: Final = 2.0
_CUT: Final = "… (cut here: it is too long)"


class McpServers:
    """What a session may reach; use it with `async with`, which ends the connections."""

    def __init__(self, limits: Tools) -> None:
        self._limits = limits
        self._specs: dict[ToolServer, McpServer] = {}
        self._connections: dict[ToolServer, Connection] = {}
        self._tasks = asyncio.TaskGroup()
        self._loading = asyncio.Lock()

    async def __aenter__(self) -> "McpServers":
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            connection.close()
        if isinstance(error, Exception) or error is None:
            leaving = [task for connection in self._connections.values() for task in connection.tasks]
            if leaving:
                _, slow = await asyncio.wait(leaving, timeout=_FAREWELL_S)
                for task in slow:
                    task.cancel()
            kind = error = trace = None  # an error of the session's is none of these tasks': it stays as it is
        await self._tasks.__aexit__(kind, error, trace)

    def learn(self, servers: Iterable[McpServer]) -> None:
        """Let these be reached from now on."""
        self._specs |= {server.as_server: server for server in servers}

    async def tools(self, server: ToolServer) -> tuple[ListedTool, ...]:
        """Return those that are allowed and can be offered to a model."""
        spec = self._spec(server)
        most = self._limits.mcp_max_tools
        found = await (await self._connection(server, spec)).tools(10 * most)
        listed = [self._listed(tool, spec) for tool in found if spec.allowed.picks(tool.name, read_only=_reads(tool))]
        usable = tuple(filter(None, listed))
        if len(usable) > most:
            message = f"The MCP server {spec.label!r} has more than {most} tools: name in allowed_tools what is needed."
            raise ToolError(ToolFailure("protocol_error", message))
        return usable

    async def call(self, server: ToolServer, name: str, arguments: str) -> str:
        """Return the text of what a tool returned, shortened where it is too long."""
        spec = self._spec(server)
        given = _arguments(arguments)
        result = await (await self._connection(server, spec)).call(name, given)
        text = _text(result)
        longest = self._limits.mcp_max_result_chars
        text = text if len(text) <= longest else text[:longest] + _CUT
        if result.is_error:
            raise ToolError(ToolFailure("tool_execution_error", text or "The tool gives no reason."))
        return text

    def _spec(self, server: ToolServer) -> McpServer:
        spec = self._specs.get(server)
        if spec is None:
            message = f"The MCP server {server.label!r} isn't known any more."
            raise ToolError(ToolFailure("protocol_error", message))
        return spec

    async def _connection(self, server: ToolServer, spec: McpServer) -> "Connection":
        async with self._loading:
            if server not in self._connections:
                # Most sessions need none of it, and it takes half a second to load: not on the loop that serves all.
                mcp = await asyncio.to_thread(importlib.import_module, "assistant.tools.mcp")
                self._connections[server] = mcp.Connection(spec, self._limits.mcp_timeout_s, self._tasks)
        return self._connections[server]

    def _listed(self, tool: "types.Tool", spec: McpServer) -> ListedTool | None:
        try:
            check_schema(tool.input_schema, "inputSchema")
        except RequestError as error:
            logger.warning("The MCP server %s has a tool that can't be offered: %s", spec.label, error.param)
            return None
        notes = tool.annotations
        annotations = None if notes is None else notes.model_dump_json(exclude_none=True, by_alias=True)
        return ListedTool(
            tool.name,
            (tool.description or "")[:_LONGEST_DESCRIPTION],
            json.dumps(tool.input_schema, ensure_ascii=False),
            annotations,
            spec.asks(tool.name, read_only=_reads(tool)),
        )


def _reads(tool: "types.Tool") -> bool:
    """Tell whether its server says that a tool changes nothing."""
    return bool(tool.annotations and tool.annotations.read_only_hint)


def _arguments(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        given = json.loads(text)
        if isinstance(given, dict):
            return given
    raise ToolError(ToolFailure("tool_execution_error", "Its arguments aren't a JSON object."))


def _text(result: "types.CallToolResult") -> str:
    """Return the words of a result; of what else is in it, that it is there."""
    said = [_words(block) for block in result.content]
    if not said and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(filter(None, said))


def _words(block: "types.ContentBlock") -> str:
    match block.type:
        case "text":
            return block.text
        case "resource":
            return getattr(block.resource, "text", f"({block.resource.uri})")
        case "resource_link":
            return f"({block.name}: {block.uri})"
        case _:
            return f"({block.type}, {block.mime_type})"
