"""What a request is in the words of OpenAI's chat completions, and how servers differ about that.

| who | what |
|---|---|
| OpenAI, Azure | newer models want `max_completion_tokens` for `max_tokens`; some refuse `temperature` and penalties |
| Ollama, LM Studio, Mistral | know `max_tokens` only; Ollama and LM Studio ignore the other without a word |
| Mistral, older vLLM | refuse `stream_options` (422) |
| LM Studio | refuses the response format `json_object`, takes a schema |
| OpenAI | takes a strict schema only if every object in it is closed and all its properties are required |

So what a server refuses by name is left out or said otherwise, and remembered.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pipeline.engines import ChatMessage, ChatRequest, NamedTool, RemoteChoice, Toolbox

Body: TypeAlias = dict[str, Any]

_MODERN: Final = ("api.openai.com", ".openai.azure.com", ".cognitiveservices.azure.com")
"""Hosts that want `max_completion_tokens`; elsewhere it may be ignored without a word."""

_DISPENSABLE: Final = (
    "stream_options",
    "parallel_tool_calls",
    "frequency_penalty",
    "presence_penalty",
    "temperature",
    "top_p",
    "seed",
)
"""What an answer is still an answer without."""

_LIMITS: Final = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one server wants to be spoken to."""

    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    without: frozenset[str] = frozenset()
    json_object: bool = True
    strict: bool = True


def dialect_of(url: str) -> Dialect:
    """Return how the server at this address is spoken to at first."""
    host = (urlsplit(url).hostname or "").lower()
    modern = any(host == name or (name.startswith(".") and host.endswith(name)) for name in _MODERN)
    return Dialect("max_completion_tokens" if modern else "max_tokens")


def body_of(request: ChatRequest, model: str, dialect: Dialect) -> Body:
    """Return the body of a request for a stream."""
    body: Body = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        dialect.limit: request.max_tokens,
        "temperature": request.temperature,
    }
    body |= _tools(request.toolbox)
    if (sampling := request.sampling) is not None:
        chosen = {
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "stop": list(sampling.stop) or None,
            "response_format": None if sampling.schema is None else _format(sampling.schema, dialect),
        }
        body |= {name: value for name, value in chosen.items() if value is not None}
    return {name: value for name, value in body.items() if name not in dialect.without}


def adapted(dialect: Dialect, sent: Body, param: str | None, complaint: str) -> Dialect | None:
    """Return how to say it otherwise after a refusal, None where it wasn't about a way to say it.

    `param` is the field that the server names; `complaint` is all that it says.
    """
    for name in _LIMITS:
        if dialect.limit == name and _names(name, param, complaint):
            return replace(dialect, limit="max_tokens" if name == "max_completion_tokens" else "max_completion_tokens")
    for name in _DISPENSABLE:
        if name in sent and _names(name, param, complaint):
            return replace(dialect, without=dialect.without | {name})
    if "response_format" in sent and "response_format" in f"{param} {complaint}":
        kind = sent["response_format"]["type"]
        if kind == "json_object" and dialect.json_object:
            return replace(dialect, json_object=False)
        if kind == "json_schema" and dialect.strict:
            return replace(dialect, strict=False)
    return None


def _names(field: str, param: str | None, complaint: str) -> bool:
    if param:
        return param.split(".")[0] == field
    # A word of everyday English counts only in quotes: the complaint may quote what was said.
    pattern = rf"\b{field}\b" if "_" in field else rf"""["'`]{field}["'`]"""
    return re.search(pattern, complaint) is not None


def _message(message: ChatMessage) -> Body:
    content: str | list[Body] | None = message.content
    if message.pictures:
        pictures = [
            {"type": "image_url", "image_url": {"url": picture.url} | _detail(picture.detail)}
            for picture in message.pictures
        ]
        content = [*([{"type": "text", "text": message.content}] if message.content else []), *pictures]
    told: Body = {"role": message.role, "content": content}
    if message.calls:
        told["content"] = content or None
        told["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
    if message.call_id is not None:
        told["tool_call_id"] = message.call_id
    return told


def _detail(detail: str) -> Body:
    return {} if detail == "auto" else {"detail": detail}


def _tools(toolbox: Toolbox) -> Body:
    if not toolbox.tools:
        return {}
    choice: str | Body
    match toolbox.choice:
        case NamedTool(name):
            choice = {"type": "function", "function": {"name": name}}
        case RemoteChoice():
            raise AssertionError("it became one of the others before a model was asked")
        case "auto" | "none" | "required" as word:
            choice = word
    tools = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)},
        }
        for tool in toolbox.tools
    ]
    # "auto" and parallel calls are what goes without saying, and some servers don't know the words for it.
    asked: Body = {} if choice == "auto" else {"tool_choice": choice}
    return {"tools": tools} | asked | ({} if toolbox.parallel else {"parallel_tool_calls": False})


def _format(schema: str, dialect: Dialect) -> Body:
    parsed: Mapping[str, Any] = json.loads(schema)
    if not parsed and dialect.json_object:
        return {"type": "json_object"}
    told: Body = {"name": "answer", "schema": parsed or {"type": "object"}}
    if parsed and dialect.strict:
        told["strict"] = True
    return {"type": "json_schema", "json_schema": told}


def tokens(messages: Sequence[ChatMessage]) -> int:
    """Return about how many tokens a conversation has, for a server that doesn't say."""
    pictures = sum(len(message.pictures) for message in messages)
    texts = [message.content + "".join(call.name + call.arguments for call in message.calls) for message in messages]
    return sum(text_tokens(text) + 4 for text in texts) + 765 * pictures


def text_tokens(text: str) -> int:
    """Return about how many tokens a text has: four bytes make one, in most languages."""
    return -(-len(text.encode()) // 4)
