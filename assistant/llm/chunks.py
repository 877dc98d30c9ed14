"""Puts the chunks of a streamed answer together, whatever the server's habits.

Calls come in fragments (OpenAI), whole (Ollama, LM Studio), all with the index 0 (older Ollama) or without any
(Gemini), with or without an id. Usage comes in a chunk of its own, in the last one, in each, or never. Thoughts come in
fields of their own, which are ignored, or in <think> tags before the answer, which are left out. `Any`: nobody has
checked any of this before it comes here.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from assistant.llm.chat_wire import text_tokens, tokens
from pipeline.engines import ChatRequest, Finish, TextDelta, ToolCall
from pipeline.ids import random_id

_BEGIN: Final = "<think>"
_END: Final = "</think>"


class NonsenseError(Exception):
    """What came isn't what the protocol says; the message says what came."""


class Thoughts:
    """Leaves out thoughts in tags, which stand before the answer."""

    def __init__(self) -> None:
        self._held = ""
        self._at: Literal["beginning", "thoughts", "gap", "answer"] = "beginning"

    def feed(self, text: str) -> str:
        """Take a piece, and return what of it is the answer's."""
        if self._at == "answer":
            return text
        self._held += text
        if self._at == "beginning":
            begun = self._held.lstrip()
            if begun != _BEGIN and _BEGIN.startswith(begun):
                return ""  # it isn't known yet
            self._at = "thoughts" if begun.startswith(_BEGIN) else "gap"
        if self._at == "thoughts":
            _, end, after = self._held.partition(_END)
            if not end:
                self._held = self._held[-len(_END) :]
                return ""
            self._at, self._held = "gap", after
        return self._release(self._held.lstrip())

    def flush(self) -> str:
        """Return what was held back: the answer is over."""
        return "" if self._at == "thoughts" else self._release(self._held.lstrip())

    def _release(self, answer: str) -> str:
        self._held = ""
        if answer:
            self._at = "answer"
        return answer


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: str
    index: int | None


class Reply:
    """One answer, as it comes."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._thoughts = Thoughts()
        self._text = ""
        self._reason: str | None = None
        self._calls: list[_Call] = []
        self._usage: Any = None

    @property
    def reason(self) -> str | None:
        """Why it ended, in the server's word; None while it hasn't said that this is all."""
        return self._reason

    def take(self, chunk: Any) -> list[TextDelta]:
        """Return the text in a chunk. Raises NonsenseError."""
        if not isinstance(chunk, dict):
            raise NonsenseError("an event that isn't an object")
        self._usage = part(chunk, "usage") or self._usage
        pieces: list[TextDelta] = []
        for choice in (part(chunk, "choices") or ())[:1]:
            # A server that can't stream sends a message where a delta is expected.
            delta = part(choice, "delta") or part(choice, "message")
            if text := self._thoughts.feed(_text(part(delta, "content"))):
                self._text += text
                pieces.append(TextDelta(text))
            for call in part(delta, "tool_calls") or ():
                self._take_call(call)
            self._reason = part(choice, "finish_reason") or self._reason
        return pieces

    def end(self) -> list[TextDelta | ToolCall | Finish]:
        """Return the rest: text that was held back, the calls, the end. Raises NonsenseError."""
        rest: list[TextDelta | ToolCall | Finish] = []
        if held := self._thoughts.flush():
            self._text += held
            rest.append(TextDelta(held))
        calls = self._calls if self._request.toolbox.parallel else self._calls[:1]
        rest += [self._checked(call) for call in calls]
        if not self._text and not calls and not (self._request.sampling and self._request.sampling.stop):
            raise NonsenseError(f"an answer without a word (its reason to end: {self._reason})")
        rest.append(self._finish())
        return rest

    def _take_call(self, fragment: Any) -> None:
        function = part(fragment, "function")
        call_id, index = part(fragment, "id"), part(fragment, "index")
        name, arguments = part(function, "name") or "", part(function, "arguments") or ""
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        open_call = self._open_call(call_id, index, begins=bool(name))
        if open_call is None:
            self._calls.append(_Call(call_id or random_id("call"), name, arguments, index))
        else:
            open_call.arguments += arguments

    def _open_call(self, call_id: str | None, index: int | None, *, begins: bool) -> _Call | None:
        """Return the call that a fragment belongs to; None where it begins one."""
        last = self._calls[-1] if self._calls else None
        if call_id is not None:
            # Some repeat the id with each fragment, and some give calls side by side the same index.
            return next((call for call in self._calls if call.id == call_id), None)
        if index is None:
            return None if begins else last
        same = [call for call in self._calls if call.index == index]
        if begins and same and _is_object(same[-1].arguments):
            return None
        return same[-1] if same else None

    def _checked(self, call: _Call) -> ToolCall:
        if not any(tool.name == call.name for tool in self._request.toolbox.tools):
            raise NonsenseError("a call of a function that isn't there")
        arguments = call.arguments.strip() or "{}"
        if not _is_object(arguments):
            raise NonsenseError(f"a call of {call.name} with arguments that are no JSON object")
        return ToolCall(call.id, call.name, arguments)

    def _finish(self) -> Finish:
        reason: Literal["stop", "length"] = "length" if self._reason == "length" else "stop"
        said = self._text + "".join(call.name + call.arguments for call in self._calls)
        told_in, told_out = _count(self._usage, "prompt_tokens"), _count(self._usage, "completion_tokens")
        cached = _count(part(self._usage, "prompt_tokens_details"), "cached_tokens")
        if cached is None:
            cached = _count(self._usage, "prompt_cache_hit_tokens")  # DeepSeek's
        return Finish(
            reason,
            tokens(self._request.messages) if told_in is None else told_in,
            cached or 0,
            text_tokens(said) if told_out is None else told_out,
        )


def part(whole: Any, name: str) -> Any:
    """Return what an object has under a name, None for anything that isn't an object."""
    return whole.get(name) if isinstance(whole, dict) else None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # Mistral's thinking models: parts, of which some are thoughts
        return "".join(str(part(each, "text") or "") for each in content if part(each, "type") == "text")
    return ""


def _count(usage: Any, name: str) -> int | None:
    count = part(usage, name)
    return count if isinstance(count, int) and count >= 0 else None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
