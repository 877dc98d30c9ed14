"""The MCP servers among a client's tools: what the wire says about them, and whether they may be reached."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from assistant.tools.spec import ALL, NONE, McpServer, ToolFilter, origin_of, reachable
from pipeline.errors import RequestError

Tree: TypeAlias = Any
"""What JSON holds."""

_LABEL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE: Final = re.compile(r"[\x20-\x7e\t]{0,8192}")
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})
_SECRET: Final = frozenset({"authorization", "headers"})
_MOST: Final = 8
"""Servers of one session."""


def mcp_servers(tools: Sequence[Tree], allowed: Sequence[str], *, at: str) -> tuple[McpServer, ...]:
    """Return the servers among `tools`, which have their schemas' types. Raises RequestError.

    `allowed` are the origins that clients may name; `at` is the path under which the tools stand, such as "session.".
    """
    servers: list[McpServer] = []
    for number, tool in enumerate(tools):
        if tool.get("type") != "mcp":
            continue
        path = f"{at}tools.{number}"
        server = _server(tool, allowed, path)
        if any(other.label == server.label for other in servers):
            raise _wrong(f"{path}.server_label", f"is {server.label!r}, as another server's: give each one of its own")
        servers.append(server)
    if len(servers) > _MOST:
        raise _wrong(f"{at}tools", f"has at most {_MOST} MCP servers")
    return tuple(servers)


def shown(tools: Sequence[Tree]) -> list[Tree]:
    """Return the tools as a client may see them: without what opens doors."""
    return [
        {key: value for key, value in tool.items() if tool.get("type") != "mcp" or key not in _SECRET} for tool in tools
    ]


def _server(tool: Mapping[str, Tree], allowed: Sequence[str], at: str) -> McpServer:
    label, url = tool["server_label"], tool.get("server_url")
    if not _LABEL.fullmatch(label):
        raise _wrong(f"{at}.server_label", "is a letter and up to 63 more letters, digits, _ or -")
    for name in ("connector_id", "tunnel_id"):
        if tool.get(name) is not None:
            message = f"{at}.{name}: connectors and tunnels are OpenAI's own. Give the server_url of an MCP server."
            raise RequestError("unsupported_parameter", message, f"{at}.{name}")
    if url is None:
        raise RequestError("missing_required_parameter", f"{at}.server_url is required.", f"{at}.server_url")
    origin = origin_of(url)
    if origin is None:
        raise _wrong(f"{at}.server_url", "is an http:// or https:// address, without a name and a password in it")
    if not reachable(url, allowed):
        message = (
            f"{at}.server_url: this server reaches only MCP servers that its owner has allowed, and {origin} isn't one "
            f'of them. To allow it, put mcp_servers = ["{origin}"] into the section [tools] of the configuration.'
        )
        raise RequestError("mcp_server_not_allowed", message, f"{at}.server_url")
    always, never = _approval(tool.get("require_approval"))
    return McpServer(label, url, tuple(_headers(tool, at)), _filter(tool.get("allowed_tools"), ALL), always, never)


def _headers(tool: Mapping[str, Tree], at: str) -> Iterator[tuple[str, str]]:
    given: Mapping[str, str] = tool.get("headers") or {}
    for name, value in given.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise _wrong(f"{at}.headers", f"has {name[:64]!r}, which can't be set")
        if not _VALUE.fullmatch(value):
            raise _wrong(f"{at}.headers.{name}", "has characters that no header may have, or too many")
        yield name.lower(), value
    token = tool.get("authorization")
    if token is not None:
        if not _VALUE.fullmatch(token):
            raise _wrong(f"{at}.authorization", "has characters that no header may have, or too many")
        if "authorization" in {name.lower() for name in given}:
            raise _wrong(f"{at}.authorization", "stands among the headers too: give it once")
        yield "authorization", f"Bearer {token}"


def _filter(given: Tree, default: ToolFilter) -> ToolFilter:
    match given:
        case None:
            return default
        case list():
            return ToolFilter(tuple(given))
        case _:
            names = given.get("tool_names")
            return ToolFilter(None if names is None else tuple(names), given.get("read_only"))


def _approval(given: Tree) -> tuple[ToolFilter, ToolFilter]:
    """Return of which tools each call has to be allowed: all, unless something else is said."""
    match given:
        case "never":
            return NONE, ALL
        case None | "always":
            return ALL, NONE
        case _:
            always = _filter(given.get("always"), ALL if given.get("never") is not None else NONE)
            return always, _filter(given.get("never"), NONE)


def _wrong(param: str, what: str) -> RequestError:
    return RequestError("invalid_value", f"{param} {what}.", param)
