"""How a small model answers where there are functions: it decides, names one, and fills in the arguments.

The model writes freely, and as soon as it begins what may be a call, it is stopped. Whether that was meant shows in the
name that it would write: one that exists (a call), or one that it makes up ("joke", "good_morning": words). A call is
then written under a grammar, so that its name exists and its arguments fit their schema; words are written under one
that keeps calls out. An ordinary answer is what the model wrote freely, and waits for nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from assistant.llm.prompts import Template
from assistant.llm.tool_text import (
    CALL_END,
    CALL_MARKS,
    CALL_MIDDLE,
    CALL_OPEN,
    GREETING,
    WORDS_GRAMMAR,
    Words,
    call_grammar,
    call_text,
)
from pipeline.engines import ChatMessage, NamedTool, TextDelta, Tool, Toolbox, ToolCall
from pipeline.ids import random_id

Body: TypeAlias = dict[str, Any]
Take: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Takes a chunk of llama.cpp's; True stops the request."""
Ask: TypeAlias = Callable[[Body, Take], None]
"""Makes a request of llama.cpp: of its chat where there are messages, of plain completion where there is a prompt."""

_LIKELY: Final = 0.5
"""How probable the names of functions must be together. Of calls that are meant they have 0.7 at least, of others a
quarter at most."""
_INVITED: Final = 1.0
"""Added to the log odds that a call begins: one too many is noticed by its name, and one too few by nobody."""
_LOOKED_AT: Final = 40
"""Tokens whose probability is looked at for that, the likeliest ones."""
_CANDIDATES: Final = 1000
"""Tokens among which probabilities are told: what they leave out has 0.002 together."""


class Answer:
    """One answer, which may be a call."""

    def __init__(  # noqa: PLR0913 - what a request has
        self,
        ask: Ask,
        template: Template,
        read: Callable[[Mapping[str, Any]], list[TextDelta]],
        toolbox: Toolbox,
        *,
        messages: Sequence[ChatMessage],
        chat: Body,
        say: Callable[[TextDelta | ToolCall], None],
    ) -> None:
        """Answer `messages`, plain ones (see tool_text); `chat` is the request that does it with words.

        `read` notes what a chunk says and returns the text in it; `say` takes the answer.
        """
        self._ask = ask
        self._template = template
        self._read = read
        self._toolbox = toolbox
        self._messages = messages
        self._chat = chat
        self._deliver = say
        self._said = ""

    def give(self, *, after_result: bool) -> str:
        """Deliver the answer, and return its text as it stands in the next prompt.

        `after_result`: a function has just returned. Small models would then call it again, for ever.
        """
        choice = self._toolbox.choice
        if self._toolbox.may_call and choice != "auto":
            return self._call(
                [tool for tool in self._toolbox.tools if choice == "required" or choice == NamedTool(tool.name)]
            )
        if after_result:
            # A small model that can make nothing of a result ("done", an error) greets instead, as in the examples.
            self._say(self._chat | {"grammar": WORDS_GRAMMAR, "logit_bias": [[GREETING, False]]})
        elif not self._toolbox.may_call:
            self._say(self._chat | {"grammar": WORDS_GRAMMAR})
        elif not self._say(self._chat | {"logit_bias": [[mark, _INVITED] for mark in CALL_MARKS]}):
            if self._means_a_call():
                return self._call(self._toolbox.tools)
            if not self._said:
                self._say(self._chat | {"grammar": WORDS_GRAMMAR})
        return self._said

    def _say(self, body: Body) -> bool:
        """Say what the model writes, up to a call; False when one began."""
        words = Words()

        def take(chunk: Mapping[str, Any]) -> bool:
            for piece in self._read(chunk):
                self._pass_on(words.feed(piece.text))
            return words.called

        self._ask(body, take)
        self._pass_on(words.flush())
        return not words.called

    def _pass_on(self, text: str) -> None:
        if text:
            self._said += text
            self._deliver(TextDelta(text))

    def _prompt(self) -> str:
        return self._template.answered(self._messages) + self._said + CALL_OPEN

    def _means_a_call(self) -> bool:
        """Tell whether the call that the model begins is one of a function that there is."""
        names = [tool.name + CALL_MIDDLE for tool in self._toolbox.tools]
        likely = (
            probability
            for token, probability in likely_tokens(self._ask, self._prompt(), _LOOKED_AT)
            if token and any(name.startswith(token) for name in names)
        )
        return sum(likely) >= _LIKELY

    def _call(self, tools: Sequence[Tool]) -> str:
        text = ""

        def take(chunk: Mapping[str, Any]) -> bool:
            nonlocal text
            text += "".join(piece.text for piece in self._read(chunk))
            return False

        limits = {key: self._chat[key] for key in ("max_tokens", "stream", "stream_options", "return_progress")}
        body = {"prompt": self._prompt(), "grammar": call_grammar(tools), "temperature": 0, **limits}
        self._ask(body, take)
        name, _, arguments = text.partition(CALL_MIDDLE)
        arguments = arguments.removesuffix(CALL_END[0])
        if not _is_object(arguments):
            return self._said + text  # it was cut off: half a call is none
        call = ToolCall(random_id("call"), name, arguments)
        self._deliver(call)
        return "\n".join(filter(None, (self._said, call_text(call))))


def likely_tokens(ask: Ask, prompt: str, number: int, **more: Any) -> list[tuple[str, float]]:
    """Return so many of the likeliest tokens after a prompt, and how probable; none where the request is stopped."""
    chunks: list[Mapping[str, Any]] = []

    def take(chunk: Mapping[str, Any]) -> bool:
        chunks.append(chunk)
        return False

    # Probabilities among all tokens cost 20 ms: llama.cpp sorts its whole vocabulary for them.
    sampling = {"samplers": ["top_k"], "top_k": _CANDIDATES, "repeat_penalty": 1.0, "post_sampling_probs": True}
    ask({"prompt": prompt, "max_tokens": 1, "n_probs": number, **sampling, **more}, take)
    choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
    tokens = [token for choice in choices for token in (choice.get("logprobs") or {}).get("content") or ()]
    return [(each["token"], each["prob"]) for each in tokens[0]["top_probs"]] if tokens else []


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
