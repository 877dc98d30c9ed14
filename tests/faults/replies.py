"""What the stand-in does with one request: an answer, and what goes wrong with it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

WORDS = ("It", " is", " half", " past", " nine.", " You", " have", " plenty", " of", " time", " left.")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function."""

    name: str
    arguments: str = "{}"
    id: str | None = "call_1"
    """None: the server gives none, as some do."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and its faults. Pieces are counted from the first one that has text."""

    pieces: tuple[str, ...] = WORDS
    calls: tuple[Call, ...] = ()
    finish: str = "tool_calls or stop"
    """Or "length", "content_filter" …"""

    headers_s: float = 0.0
    """Before anything at all."""
    first_s: float = 0.0
    """Before the first piece, after the headers."""
    between_s: float = 0.0
    """Before each of the others."""
    stall_after: int | None = None
    """So many pieces, then nothing, for as long as the client stays."""
    cut_after: int | None = None
    """So many pieces, then the connection breaks."""
    cut_at_end: bool = False
    """The connection breaks after the finish_reason, before the account of what was used."""
    end_after: int | None = None
    """So many pieces, then the body ends in good order, without a finish_reason and without [DONE]."""
    malformed_after: int | None = None
    """So many pieces, then an event that isn't JSON."""
    error_after: int | None = None
    """So many pieces, then an event with an error in it, as OpenRouter sends when its provider fails."""

    status: int = 200
    error: str = "The server had an error."
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Such as Retry-After."""
    content_type: str | None = None
    """Wrong on purpose: the body is then a web page, as that of a captive portal."""
    body: bytes | None = None
    """Instead of all that, the whole body."""

    usage: bool = True
    """Tell the tokens used, if the client asks for it."""
    usage_in_last_chunk: bool = False
    """Tell them beside finish_reason, asked or not, as some servers do."""
    tokens: tuple[int, int] = (20, 11)
    """Of the prompt, and of the answer."""
    cached: int | None = None
    calls_as: Literal["fragments", "whole", "same index", "no index"] = "fragments"
    """How calls are streamed: in pieces, as OpenAI does; each in one chunk; the same, but all with index 0 (old
    versions of Ollama) or without an index (Gemini)."""
    keep_alives: int = 0
    """Comments before the first piece, as OpenRouter sends while it waits."""
    reasoning: tuple[str, ...] = ()
    """Thoughts, in `reasoning_content`, before the answer."""


def error_body(message: str, code: str | None = None, kind: str = "server_error") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the deltas that hold the answer, calls last."""
    yield from ({"content": piece} for piece in reply.pieces)
    for number, call in enumerate(reply.calls):
        begin: dict[str, Any] = {} if call.id is None else {"id": call.id}
        begin |= {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        match reply.calls_as:
            case "whole":
                yield {"tool_calls": [{"index": number} | begin]}
            case "same index":
                yield {"tool_calls": [{"index": 0} | begin]}
            case "no index":
                yield {"tool_calls": [begin]}
            case "fragments":
                function = {"name": call.name, "arguments": ""}
                yield {"tool_calls": [{"index": number} | begin | {"function": function}]}
                for start in range(0, len(call.arguments), 5):
                    part = call.arguments[start : start + 5]
                    yield {"tool_calls": [{"index": number, "function": {"arguments": part}}]}


def finish_reason(reply: Reply) -> str:
    return reply.finish if " " not in reply.finish else ("tool_calls" if reply.calls else "stop")


def usage_of(reply: Reply) -> dict[str, Any]:
    prompt, completion = reply.tokens
    told: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    return told if reply.cached is None else told | {"prompt_tokens_details": {"cached_tokens": reply.cached}}


def whole(reply: Reply, model: str) -> dict[str, Any]:
    """Return the `chat.completion` of an answer that isn't streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.pieces)}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": finish_reason(reply)}
    told = {"id": "chatcmpl-stand-in", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
    return told | ({"usage": usage_of(reply)} if reply.usage else {})


def chunk(model: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
    head = {"id": "chatcmpl-stand-in", "object": "chat.completion.chunk", "created": 1, "model": model}
    return b"data: " + json.dumps(head | {"choices": choices} | more).encode() + b"\n\n"
