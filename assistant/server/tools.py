"""The functions that a client offers: what `tools`, `tool_choice` and `parallel_tool_calls` of the wire mean."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pipeline.engines import NamedTool, RemoteChoice, Tool, Toolbox, ToolChoice
from pipeline.errors import RequestError

Tree: TypeAlias = Any
"""What JSON holds."""

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NO_ARGUMENTS: Final[Mapping[str, Tree]] = {"type": "object", "properties": {}}


def toolbox(  # noqa: PLR0913 - what the wire says, and where
    tools: Sequence[Tree],
    choice: Tree,
    *,
    parallel: bool,
    at: str = "",
    inside: str = "",
    labels: Collection[str] | None = None,
) -> Toolbox:
    """Return what they mean; they have their schemas' types. Raises RequestError.

    `at` is the path under which they stand, such as "session.", and `inside` leads from a tool to its function.
    `labels` are those of the MCP servers, which must stand among `tools` nowhere where it is None.
    """
    known: list[Tool] = []
    for number, tool in enumerate(tools):
        if labels is not None and tool.get("type") == "mcp":
            continue
        path = f"{at}tools.{number}{inside}"
        known.append(_tool(tool, path))
        name = known[-1].name
        if name in [each.name for each in known[:-1]]:
            raise _wrong(f"{path}.name", f"is {name!r}, as another tool's: give each a name of its own")
    names = [tool.name for tool in known]
    return Toolbox(tuple(known), _choice(choice, names, f"{at}tool_choice", labels or ()), parallel)


def _tool(tool: Mapping[str, Tree], at: str) -> Tool:
    if tool.get("type", "function") != "function":
        raise RequestError(
            "unsupported_tool", f'{at}.type: only tools of type "function" are possible here.', f"{at}.type"
        )
    name, parameters = tool.get("name"), tool.get("parameters")
    if name is None:
        raise RequestError("missing_required_parameter", f"{at}.name is required.", f"{at}.name")
    if not _NAME.fullmatch(name):
        raise _wrong(f"{at}.name", "is 1 to 64 letters, digits, _ or -")
    schema = _NO_ARGUMENTS if parameters is None else parameters
    check_schema(schema, f"{at}.parameters")
    return Tool(name, tool.get("description") or "", json.dumps(schema, ensure_ascii=False))


def check_schema(schema: Tree, at: str) -> None:
    """Raise RequestError where a function's arguments can't be described like that."""
    if not isinstance(schema, dict):
        raise _wrong(at, 'is a JSON Schema: an object such as {"type": "object", "properties": {}}')
    if schema.get("type") != "object":
        raise _wrong(f"{at}.type", 'is "object": a function\'s arguments have names')
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict):
        raise _wrong(f"{at}.properties", "is an object with a schema for each name")
    for name, each in properties.items():
        if not isinstance(each, dict | bool):
            raise _wrong(f"{at}.properties.{name}", "is a schema: an object")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise _wrong(f"{at}.required", "is a list of names")
    for number, name in enumerate(required):
        if name not in properties:
            raise _wrong(f"{at}.required.{number}", f"names {name!r}, which isn't among the properties")


def _choice(choice: Tree, names: Sequence[str], at: str, labels: Collection[str]) -> ToolChoice:
    match choice:
        case "auto":
            return "auto"
        case "none":
            return "none"
        case "required":
            if not names and not labels:
                raise _wrong(at, 'is "required", and there are no tools: send them along')
            return "required"
        case {"type": "function", "name": name}:
            if name not in names:
                known = ", ".join(names) or "none"
                raise _wrong(f"{at}.name", f"is {name!r}, and there is no such tool. Known: {known}")
            return NamedTool(name)
        case {"type": "mcp", "server_label": label, **named}:
            if label not in labels:
                known = ", ".join(labels) or "none"
                raise _wrong(f"{at}.server_label", f"is {label!r}, and there is no such MCP server. Known: {known}")
            name = named.get("name")
            return RemoteChoice(label, name if isinstance(name, str) else None)
        case _:
            raise RequestError(
                "unsupported_tool", f'{at}: choose "auto", "none", "required" or one function.', f"{at}.type"
            )


def _wrong(param: str, what: str) -> RequestError:
    return RequestError("invalid_value", f"{param} {what}.", param)
