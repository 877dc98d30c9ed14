"""What a client, or the owner, says about an MCP server: where it is, which tools count, which need permission."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pipeline.tool_servers import ToolServer

_SALT: Final = secrets.token_bytes(32)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ToolFilter:
    """Picks tools: those that fit all that is given. One that gives nothing picks all."""

    names: tuple[str, ...] | None = None
    read_only: bool | None = None

    def picks(self, name: str, *, read_only: bool) -> bool:
        """Tell whether a tool fits; `read_only` is what its server says about it."""
        return (self.names is None or name in self.names) and self.read_only in (None, read_only)


ALL: Final = ToolFilter()
NONE: Final = ToolFilter(names=())


@dataclass(frozen=True, slots=True)
class McpServer:
    """One server. What opens its doors stands in `headers`, and is shown nowhere."""

    label: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    allowed: ToolFilter = ALL
    always: ToolFilter = ALL
    """Tools of which the user has to allow each call, unless they are among `never`."""
    never: ToolFilter = NONE

    @property
    def as_server(self) -> ToolServer:
        """Its name within a conversation; the key tells nothing about what it was made from."""
        told = repr((self.label, self.url, self.headers, self.allowed, self.always, self.never))
        return ToolServer(self.label, hmac.new(_SALT, told.encode(), hashlib.sha256).hexdigest()[:16])

    def asks(self, name: str, *, read_only: bool) -> bool:
        """Tell whether the user has to allow each call of this tool."""
        return not self.never.picks(name, read_only=read_only) and self.always.picks(name, read_only=read_only)


def origin_of(url: str) -> str | None:
    """Return the scheme, host and port of a web address, the usual port left out; None for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or parts.password is not None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")


def reachable(url: str, allowed: Iterable[str]) -> bool:
    """Tell whether the owner lets clients name this address: its origin is among `allowed`."""
    origin = origin_of(url)
    return origin is not None and origin in {origin_of(each) for each in allowed}
