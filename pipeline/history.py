"""What was said, and what of it was heard."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Final, Literal, TypeAlias, assert_never

from audio.types import Samples
from pipeline.engines import ChatMessage, Picture, ToolCall
from pipeline.errors import RequestError
from pipeline.tool_servers import ListedTool, RemoteTool, ToolFailure

_CHARS_PER_S: Final = 15.0  # of unhurried English, where a clause's real length isn't known yet
_PICTURE_CHARS: Final = 2000  # what a picture counts for in a prompt: models make a few hundred tokens of it
_RUNNING: Final = "(still running: its result isn't known yet)"
"""What a call has returned that hasn't returned: a model that sees no result calls again."""
_ASKED: Final = "(not carried out yet: the user has been asked for permission)"
_CUT: Final = "… (cut here: it is too long)"


@dataclass(frozen=True, slots=True)
class Text:
    """Written content."""

    text: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of speech and how long it sounds; `seconds` is None until it has been made to its end."""

    text: str
    """Empty where its words stand in no transcript: a bridge."""
    seconds: float | None = None

    @property
    def length_s(self) -> float:
        """How long it sounds; a guess while that isn't known."""
        return len(self.text) / _CHARS_PER_S if self.seconds is None else self.seconds


@dataclass(frozen=True, slots=True)
class Spoken:
    """Spoken content.

    `transcript` is None until the words are known; `audio` (INPUT_RATE) is a user's sound, kept until then; `clauses`
    say which words of an assistant's speech sound when.
    """

    transcript: str | None
    audio: Samples | None = None
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call of a function has returned."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """A call of a tool that the session has carried out, and what came of it."""

    call: ToolCall
    """By the model's name for the tool."""
    tool: RemoteTool
    request_id: str | None = None
    """Of the item that asks the user to allow it."""
    waits: bool = False
    """They haven't answered yet."""
    output: str | None = None
    """What it returned; None while it runs, and where it failed."""
    failure: ToolFailure | None = None

    @property
    def result(self) -> str:
        """What the model is told of it."""
        if self.failure is not None:
            return f"(It failed: {self.failure.message})"
        if self.output is not None:
            return self.output
        return _ASKED if self.waits else _RUNNING


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """Asks the user to allow a call."""

    tool: RemoteTool
    arguments: str
    """A JSON object, as text."""


@dataclass(frozen=True, slots=True)
class Approval:
    """The user allows a call, or doesn't."""

    request_id: str
    approves: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ToolList:
    """What a server's tools are."""

    label: str
    tools: tuple[ListedTool, ...] = ()


Part: TypeAlias = Text | Spoken | Picture | ToolCall | ToolResult | RemoteCall | ApprovalRequest | Approval | ToolList


@dataclass(frozen=True, slots=True)
class Item:
    """One message of the conversation; or a call, its result, or what else concerns tools: then it has one part."""

    id: str
    role: Literal["user", "assistant", "system", "tool"]
    """A call is the assistant's, a result the tool's."""
    parts: tuple[Part, ...]
    status: Literal["in_progress", "completed", "incomplete"] = "completed"

    @property
    def text(self) -> str:
        """All its words, as far as they are known."""
        return " ".join(filter(None, map(_words, self.parts)))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All its pictures."""
        return tuple(part for part in self.parts if isinstance(part, Picture))

    @property
    def call(self) -> ToolCall | None:
        """The call that it is, if it is one."""
        calls = (part.call if isinstance(part, RemoteCall) else part for part in self.parts)
        return next((call for call in calls if isinstance(call, ToolCall)), None)

    @property
    def remote(self) -> RemoteCall | None:
        """The call of a remote tool that it is, if it is one."""
        return next((part for part in self.parts if isinstance(part, RemoteCall)), None)

    @property
    def approval(self) -> Approval | None:
        """The user's answer to a request for approval that it is, if it is one."""
        return next((part for part in self.parts if isinstance(part, Approval)), None)

    @property
    def result(self) -> ToolResult | None:
        """The result that it is, if it is one."""
        return next((part for part in self.parts if isinstance(part, ToolResult)), None)


def _words(part: Part) -> str | None:
    match part:
        case Text(text):
            return text
        case Spoken(transcript):
            return transcript
        case Picture() | ToolCall() | ToolResult() | RemoteCall() | ApprovalRequest() | Approval() | ToolList():
            return None
        case _:
            assert_never(part)


def call_item(call: ToolCall, new_id: Callable[[str], str]) -> Item:
    """Return the item that a model's call becomes; not by the model's own name for it, which it may use twice."""
    return Item(new_id("item"), "assistant", (replace(call, call_id=new_id("call")),))


def heard(clauses: Sequence[Clause], seconds: float) -> str:
    """Return the words of `clauses` that sound within the first `seconds`; a word begun past its middle counts."""
    words: list[str] = []
    for clause in clauses:
        if seconds >= clause.length_s:
            words += filter(None, [clause.text])
            seconds -= clause.length_s
            continue
        reached = len(clause.text) * seconds / clause.length_s
        at = 0
        for word in clause.text.split():
            if at + len(word) / 2 > reached:
                break
            words.append(word)
            at += len(word) + 1
        break
    return " ".join(words)


class History:
    """The messages of one conversation, in order."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def last_id(self) -> str | None:
        """The newest message."""
        return next(reversed(self._items), None)

    def get(self, item_id: str) -> Item:
        """Return a message. Raises RequestError when there is none of this id."""
        try:
            return self._items[item_id]
        except KeyError:
            raise RequestError(
                "item_retrieve_invalid_item_id", f"There is no item {item_id!r} in this conversation.", "item_id"
            ) from None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert `item` after another ("root": first; None: last) and return the id before it, None at the front.

        Raises RequestError when `after` isn't there, the id is taken, or a result has no call that waits for it.
        """
        if item.id in self._items:
            message = f"There is an item {item.id!r} already: choose another id."
            raise RequestError("item_create_duplicate_item_id", message, "item.id")
        self._check_call(item)
        self._check_approval(item)
        if after is None or after == self.last_id:
            before = self.last_id
            self._items[item.id] = item
            return before
        if after != "root" and after not in self._items:
            raise RequestError(
                "invalid_value", f"There is no item {after!r} to put this one after.", "previous_item_id"
            )
        ids = list(self._items)
        ids.insert(0 if after == "root" else ids.index(after) + 1, item.id)
        self._items[item.id] = item
        self._items = {item_id: self._items[item_id] for item_id in ids}
        return None if after == "root" else after

    def _check_call(self, item: Item) -> None:
        if item.call is not None and any(each.call and each.call.call_id == item.call.call_id for each in self):
            what, cure = f"is a call {item.call.call_id!r} already", "choose another call_id"
        elif item.result is None:
            return
        elif all(each.call is None or each.call.call_id != item.result.call_id for each in self):
            what, cure = (
                f"is no call {item.result.call_id!r} in this conversation",
                "take the call_id of a function_call",
            )
        elif any(each.result and each.result.call_id == item.result.call_id for each in self):
            what, cure = f"is a result of the call {item.result.call_id!r} already", "delete that item first"
        else:
            return
        raise RequestError("invalid_call_id", f"There {what}: {cure}.", "item.call_id")

    def _check_approval(self, item: Item) -> None:
        approval = item.approval
        if approval is None:
            return
        asked = self._items.get(approval.request_id)
        if asked is None or not isinstance(asked.parts[0], ApprovalRequest):
            message = f"There is no mcp_approval_request {approval.request_id!r} in this conversation."
            raise RequestError("invalid_value", message, "item.approval_request_id")
        if self.waiting(approval.request_id) is None:
            message = f"The request {approval.request_id!r} has been answered already."
            raise RequestError("invalid_value", message, "item.approval_request_id")

    def waiting(self, request_id: str) -> Item | None:
        """Return the call that waits for the answer to this request; None when it doesn't, or not any more."""
        calls = (item for item in self if item.remote is not None and item.remote.waits)
        return next((item for item in calls if item.remote and item.remote.request_id == request_id), None)

    def replace(self, item: Item) -> None:
        """Put a new version of a message in its place; one that was deleted meanwhile stays deleted."""
        if item.id in self._items:
            self._items[item.id] = item

    def delete(self, item_id: str) -> None:
        """Take a message out. Raises RequestError when it isn't there."""
        self.get(item_id)
        del self._items[item_id]

    def truncate(self, item_id: str, seconds: float) -> float:
        """Keep of an assistant's speech what sounds within `seconds`, and return how long it was before.

        Raises RequestError for anything else.
        """
        item = self.get(item_id)
        spoken = [part for part in item.parts if isinstance(part, Spoken)]
        if item.role != "assistant" or not spoken:
            raise RequestError(
                "invalid_value", f"Item {item_id!r} is not an assistant's speech, so it can't be truncated.", "item_id"
            )
        clauses = spoken[0].clauses
        cut = replace(spoken[0], transcript=heard(clauses, seconds) if clauses else "")
        self.replace(replace(item, parts=(cut,), status="incomplete"))
        return sum(clause.length_s for clause in clauses)


def prompt(
    items: Iterable[Item], instructions: str, question: str | None = None, *, max_chars: int, retention: float = 0.5
) -> list[ChatMessage]:
    """Return what a language model needs to answer, ending with `question` where there is one.

    Messages of the same role in a row become one, and the results of its calls follow an assistant's message. When all
    of it is longer than `max_chars`, the oldest leave in blocks, so that `retention` (0..1) of it is left, and not one
    by one: the prompt's beginning then stays the same for many turns.
    """
    said = list(_exchanges(items, max_result_chars=max_chars // 2))
    if question:
        said.append([ChatMessage("user", question)])
    block = max(1, round(max_chars * (1 - retention)))
    excess = sum(map(_length, said)) - max_chars
    to_drop = -(-excess // block) * block
    while to_drop > 0 and len(said) > 1:
        to_drop -= _length(said.pop(0))
    messages = [ChatMessage("system", instructions)] if instructions else []
    for message in chain.from_iterable(said):
        if messages and messages[-1].role == message.role != "tool" and not messages[-1].calls:
            last = messages.pop()
            content = "\n".join(filter(None, (last.content, message.content)))
            message = replace(message, content=content, pictures=last.pictures + message.pictures)  # noqa: PLW2901
        messages.append(message)
    return messages


def _exchanges(items: Iterable[Item], *, max_result_chars: int) -> Iterator[list[ChatMessage]]:
    """Yield what belongs together: a message, or calls that were made at once and their results."""
    # What the model is told nothing of must not come between calls that were made at once.
    known = [item for item in items if item.text or item.pictures or item.call or item.result]
    results = {
        item.result.call_id: _cut(item.result.output, max_result_chars) for item in known if item.result is not None
    }
    results |= {
        item.remote.call.call_id: _cut(item.remote.result, max_result_chars)
        for item in known
        if item.remote is not None
    }
    for is_call, group in groupby(known, lambda item: item.call is not None):
        if not is_call:
            yield from (
                [ChatMessage(item.role, item.text, pictures=item.pictures)]
                for item in group
                if item.text or item.pictures
            )
        else:
            calls = tuple(item.call for item in group if item.call is not None)
            outputs = (ChatMessage("tool", results.get(call.call_id, _RUNNING), call_id=call.call_id) for call in calls)
            yield [ChatMessage("assistant", "", calls=calls), *outputs]


def _cut(output: str, most: int) -> str:
    """Return what fits: a result that is too long must not push out the question that it is for."""
    return output if len(output) <= most else output[:most] + _CUT


def _length(messages: Iterable[ChatMessage]) -> int:
    return sum(
        len(message.content)
        + _PICTURE_CHARS * len(message.pictures)
        + sum(len(call.name) + len(call.arguments) for call in message.calls)
        for message in messages
    )
