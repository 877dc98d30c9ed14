"""Personal data stays here: placeholders go to a model elsewhere, and come back as what they stand for."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from assistant.privacy.addresses import find_addresses, find_emails
from assistant.privacy.names import Names
from assistant.privacy.numbers import find_cards, find_ibans, find_phones
from assistant.privacy.spans import Kind, Span, disjoint
from pipeline.engines import ChatMessage, ChatRequest, Tool, Toolbox

NOTE: Final = (
    "Words in brackets such as [PERSON_1] or [PHONE_1] stand for what the user keeps private. Use them exactly as they "
    "are, as if they were the real thing."
)
"""What a model is told where there are placeholders."""

_CONVERSATIONS: Final = 256
_TEXTS: Final = 512
_WORDS: Final = "|".join(Kind)
# Bracketed, a model may put a space for the underscore; without brackets only what is clearly no ordinary word counts.
_PLACEHOLDER: Final = re.compile(
    rf"\[\s?(?P<a>{_WORDS})\s?\\?[_ -]?\s?(?P<b>\d{{1,4}})\s?\]|(?<![^\W_])(?P<c>{_WORDS})\\?_(?P<d>\d{{1,4}})(?!\d)",
    re.I,
)
_BEGUN: Final = re.compile(r"\[[^\[\]\n]{0,16}$|(?<![^\W_])[A-Za-z]{1,8}(?:\\?_?|\\?_\d{1,4})$")


class Masks:
    """Hides personal data, the same thing behind the same placeholder throughout a conversation."""

    def __init__(self, names: Sequence[str] = (), region: str = "US") -> None:
        """`names` is the owner's list; `region` (ISO 3166) is where phone numbers without a country's code belong."""
        self._names = Names(names)
        self._region = region
        # Those that weren't heard of for longest are forgotten first: their placeholders then begin anew.
        self._conversations: OrderedDict[str, _Conversation] = OrderedDict()

    def mask(self, messages: Sequence[ChatMessage], *, session: str = "") -> "tuple[tuple[ChatMessage, ...], Unmask]":
        """Return the messages with placeholders for personal data, and what puts it back. Pictures stay as they are.

        `session` names the conversation; without one, the messages are all there is of it.
        """
        told = self._conversation(session)
        masked = tuple(_message(message, told.mask) for message in messages)
        return masked, Unmask(told.originals, _things(_texts(masked)))

    def mask_request(self, request: ChatRequest) -> "tuple[ChatRequest, Unmask]":
        """Return the request with placeholders also in what its functions and its schema list, and a note to the model.

        The conversation is that of the asker's session.
        """
        told = self._conversation(request.asker.session)
        messages = tuple(_message(message, told.mask) for message in request.messages)
        toolbox = _toolbox(request.toolbox, told.mask)
        sampling = request.sampling
        if sampling is not None and sampling.schema is not None:
            sampling = replace(sampling, schema=_schema(sampling.schema, told.mask))
        listed = [text for tool in toolbox.tools for text in (tool.description, tool.parameters)]
        if sampling is not None and sampling.schema is not None:
            listed.append(sampling.schema)
        unmask = Unmask(told.originals, _things([*_texts(messages), *listed]))
        if unmask.masked:
            messages = _with_note(messages)
        return replace(request, messages=messages, toolbox=toolbox, sampling=sampling), unmask

    def _conversation(self, session: str) -> "_Conversation":
        told = self._conversations.pop(session, None) if session else None
        if told is None:
            told = _Conversation(self._find)
        if session:
            self._conversations[session] = told
            while len(self._conversations) > _CONVERSATIONS:
                self._conversations.popitem(last=False)
        return told

    def _find(self, text: str) -> list[Span]:
        literal = [
            Span(Kind.LITERAL, found.start(), found.end(), found.group()) for found in _PLACEHOLDER.finditer(text)
        ]
        return disjoint(
            [
                *literal,
                *find_emails(text),
                *find_ibans(text),
                *find_cards(text),
                *find_addresses(text),
                *find_phones(text, self._region),
                *self._names.find(text),
            ],
            text,
        )


class Unmask:
    """Puts personal data back into one answer, also where a placeholder comes in pieces or in another case."""

    def __init__(self, originals: dict[str, str], masked: int) -> None:
        self._originals = originals
        self._masked = masked
        self._held = ""

    @property
    def masked(self) -> int:
        """How many pieces of personal data are hidden in what is sent, each thing counted once."""
        return self._masked

    def feed(self, text: str) -> str:
        """Take the next piece of the answer and return what is sure of it; the rest comes later."""
        if not self._originals:
            return text
        text = self._held + text
        begun = _BEGUN.search(text)
        sure = len(text) if begun is None or not self._may_become(begun.group()) else begun.start()
        self._held = text[sure:]
        return self._put_back(text[:sure])

    def flush(self) -> str:
        """Return what was held back: the text is over. Then the next text may be fed."""
        rest, self._held = self._held, ""
        return self._put_back(rest)

    def arguments(self, arguments: str) -> str:
        """Return a call's arguments, a JSON object as text, with personal data in them."""
        return _json(arguments, self._put_back) if self._originals else arguments

    def _put_back(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self._originals.get(_canonical(found), found.group()), text)

    def _may_become(self, piece: str) -> bool:
        """Say whether a placeholder that we know may begin with the piece."""
        plain = re.sub(r"\W", "", re.sub(r"[\s-]", "_", piece)).upper().strip("_")
        kind, _, number = plain.partition("_")
        return any(
            known[1:-1].startswith(f"{kind}_{number}") if number else known[1:].startswith(kind)
            for known in self._originals
        )


class _Conversation:
    """What stands for what, in one conversation."""

    def __init__(self, find: Callable[[str], list[Span]]) -> None:
        self._find = find
        self._placeholders: dict[tuple[Kind, str], str] = {}
        self._counts: dict[Kind, int] = {}
        self._texts: dict[str, str] = {}
        self.originals: dict[str, str] = {}

    def mask(self, text: str) -> str:
        """Return the text with placeholders."""
        known = self._texts.get(text)
        if known is not None:
            return known
        masked, end = [], 0
        for span in self._find(text):
            masked += [text[end : span.start], self._placeholder(span, text[span.start : span.end])]
            end = span.end
        result = "".join((*masked, text[end:]))
        if len(self._texts) >= _TEXTS:
            self._texts.clear()
        self._texts[text] = result
        return result

    def _placeholder(self, span: Span, text: str) -> str:
        placeholder = self._placeholders.get((span.kind, span.key))
        if placeholder is None:
            number = self._counts[span.kind] = self._counts.get(span.kind, 0) + 1
            placeholder = self._placeholders[span.kind, span.key] = f"[{span.kind}_{number}]"
        # It comes back as it was said last.
        self.originals[placeholder] = text
        return placeholder


def _texts(messages: Sequence[ChatMessage]) -> list[str]:
    arguments = [call.arguments for message in messages for call in message.calls]
    return [*(message.content for message in messages), *arguments]


def _things(texts: Sequence[str]) -> int:
    """Count the things that are hidden in masked texts."""
    return len({_canonical(found) for text in texts for found in _PLACEHOLDER.finditer(text)})


def _canonical(found: re.Match[str]) -> str:
    kind, number = found["a"] or found["c"], found["b"] or found["d"]
    return f"[{kind.upper()}_{int(number)}]"


def _message(message: ChatMessage, change: Callable[[str], str]) -> ChatMessage:
    content = _json(message.content, change) if message.role == "tool" else change(message.content)
    calls = tuple(replace(call, arguments=_json(call.arguments, change)) for call in message.calls)
    return replace(message, content=content, calls=calls)


def _toolbox(toolbox: Toolbox, change: Callable[[str], str]) -> Toolbox:
    return replace(toolbox, tools=tuple(_tool(tool, change) for tool in toolbox.tools))


def _tool(tool: Tool, change: Callable[[str], str]) -> Tool:
    return replace(tool, description=change(tool.description), parameters=_schema(tool.parameters, change))


def _json(text: str, change: Callable[[str], str]) -> str:
    """Change the strings, numbers and keys of a JSON text; a text that is none as it stands."""
    value = _parsed(text)
    return change(text) if value is None else _written(text, value, _value(value, change))


def _schema(text: str, change: Callable[[str], str]) -> str:
    """Change the strings of a JSON schema: what it describes, and lists. Its keys and numbers are no data."""
    value = _parsed(text)
    return change(text) if value is None else _written(text, value, _value(value, change, schema=True))


def _parsed(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _written(text: str, before: object, after: object) -> str:
    return text if before == after else json.dumps(after, ensure_ascii=False)


def _value(value: Any, change: Callable[[str], str], *, schema: bool = False) -> Any:
    match value:
        case str():
            return change(value)
        case int() if not schema and not isinstance(value, bool):
            masked = change(str(value))
            return value if masked == str(value) else masked
        case dict():
            return {key if schema else change(key): _value(item, change, schema=schema) for key, item in value.items()}
        case list():
            return [_value(item, change, schema=schema) for item in value]
        case _:
            return value


def _with_note(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    if messages and messages[0].role == "system":
        first = replace(messages[0], content=f"{messages[0].content}\n\n{NOTE}".strip())
        return (first, *messages[1:])
    return (ChatMessage("system", NOTE), *messages)
