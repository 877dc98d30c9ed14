"""The MCP servers that the owner has configured for every session."""

import os

from assistant.config import Tools
from assistant.tools.spec import ALL, NONE, McpServer, ToolFilter


def owned(tools: Tools) -> tuple[McpServer, ...]:
    """Return them; access tokens come from the environment."""
    return tuple(
        McpServer(
            each.label,
            each.url,
            (("authorization", f"Bearer {token}"),) if (token := os.environ.get(each.key_env or "-", "")) else (),
            ALL if each.allowed_tools is None else ToolFilter(each.allowed_tools),
            ALL if each.require_approval == "always" else NONE,
            NONE if each.require_approval == "always" else ALL,
        )
        for each in tools.mcp
    )
