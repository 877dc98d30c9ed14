"""Tools that are carried out elsewhere on the session's behalf: what a conversation asks of the servers that have them.

The model calls such a tool as it calls any other. The session has the call carried out, and the model goes on with what
it returned.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.errors import ParleyError


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A server that has tools, as the session's settings name it."""

    label: str
    key: str = ""
    """Tells two servers with the same label apart; it says nothing about them."""


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """Where a tool is carried out."""

    server: ToolServer
    name: str
    """By which the server knows it; the model may know it by another one."""
    asks: bool = False
    """The user has to allow each call."""


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server describes it."""

    name: str
    description: str = ""
    parameters: str = '{"type": "object", "properties": {}}'
    """The JSON Schema of its arguments, an object, as JSON text."""
    annotations: str | None = None
    """What the server says about its nature, a JSON object."""
    asks: bool = False
    """The user has to allow each call."""


@dataclass(frozen=True, slots=True)
class ToolFailure:
    """Why a tool has returned nothing, in a sentence that the model is told and the client is shown."""

    kind: Literal["protocol_error", "tool_execution_error", "http_error"]
    """Of the server, of the tool itself, or of the way to the server."""
    message: str
    code: int = 0
    """JSON-RPC's or HTTP's; 0 where there is none."""


class ToolError(ParleyError):
    """A tool, or the server that has it, failed. Whatever the message says is fit to be shown."""

    def __init__(self, failure: ToolFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ToolServers(Protocol):
    """Reaches the servers of one session."""

    async def tools(self, server: ToolServer) -> tuple[ListedTool, ...]:
        """Return the tools that may be called. Raises ToolError."""
        ...

    async def call(self, server: ToolServer, name: str, arguments: str) -> str:
        """Have the server's tool `name` carried out, and return what it returned; cancelling gives the call up.

        `arguments` is a JSON object, as text. Raises ToolError.
        """
        ...


class NoToolServers:
    """Where no server can be reached."""

    async def tools(self, server: ToolServer) -> tuple[ListedTool, ...]:
        """Fail."""
        raise ToolError(ToolFailure("protocol_error", f"There is no tool server {server.label!r}."))

    async def call(self, server: ToolServer, name: str, arguments: str) -> str:
        """Fail."""
        raise ToolError(ToolFailure("protocol_error", f"There is no tool server {server.label!r} to call {name!r} on."))


def failure_of(error: Exception) -> ToolFailure:
    """Return why a tool or its server failed; what an unexpected error says may be fit for nobody's eyes."""
    if isinstance(error, ToolError):
        return error.failure
    return ToolFailure("protocol_error", f"The tool's server could not be used ({type(error).__name__}).")
