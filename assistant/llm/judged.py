"""A language model that leaves it to a much smaller one to tell whether a message is over.

That question is asked every few words while somebody speaks, and in each pause, where the turn's end hangs on it. A
model of 135 million parameters needs a quarter of the time that one of 500 million does for it, and tells as well: of
70 questions and commands in all their beginnings, it sets the whole ones apart from the others with an area under the
curve of 0.97 (the larger one, 0.96), and from the places where speakers of recordings pause with 0.98 (0.97).
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from assistant.llm.embedded import EmbeddedLlm
from pipeline.endings import LIKELY
from pipeline.engines import ChatMessage, ChatRequest, Generated

log = logging.getLogger(__name__)

_TOKENS: Final = 1024
"""What a judge must be able to hold of one conversation."""
_PARALLEL: Final = 2
"""Conversations of that length at once; there is room for the beginnings of all."""

_EXAMPLES: Final = """\
You are Parley, a friendly voice assistant. Answer in one or two short, plain sentences. \
You have no clock, no internet and no devices. Examples:
Turn on the lamp. - Sorry, I cannot control devices.
Is the window open? - Sorry, I have no devices.
What time is it? - Sorry, I have no clock.
What day is today? - Sorry, I have no calendar.
What is the weather in London? - Sorry, I cannot check the weather.
Order a pizza. - Sorry, I cannot order anything.
What do you see? - Sorry, I can't see anything.
What is this? (On camera: a man, holding a cup.) - It's a cup.
What can you do? - I can answer questions and tell jokes.
Who wrote Hamlet? - William Shakespeare wrote Hamlet."""
"""What a model has read that finds a short command finished, and half a sentence not. The numbers in
pipeline/endings.py were fitted with it, so it stays when the assistant's instructions change."""
JUDGE_BEGINNING: Final = (ChatMessage("system", _EXAMPLES),)

_QUESTION: Final = re.compile(r"(?:^|[.?!…]\s+)([^.?!…]{1,100}\?)\s*$")
"""What the assistant asked last; a long one isn't worth the time that it takes to read."""
_LAST_CHARS: Final = 600
"""Of a long message: more the judge can't hold."""
_WORTH_READING: Final = 16
"""Characters, some three words: as many as take no longer to read together with the last ones than those alone."""


def load_judge(model: Path, keep: Path | None = None) -> EmbeddedLlm:
    """Load a judge; see EmbeddedLlm for `keep`. Raises LlmError when the model can't be loaded."""
    return EmbeddedLlm(
        model, threads=1, context_tokens=_TOKENS, parallel=_PARALLEL, beginning=JUDGE_BEGINNING, keep=keep
    )


class Judged:
    """`model` answers; `judge` tells how finished an English message is."""

    def __init__(self, model: EmbeddedLlm, judge: EmbeddedLlm) -> None:
        self._model = model
        self._judge = judge
        self._ahead: asyncio.Task[float | None] | None = None

    takes_pictures: Final = False

    async def warm(self) -> None:
        """Touch every weight once."""
        await self._model.warm()
        await self._judge.warm()

    async def prefill(self, request: ChatRequest) -> float | None:
        """Have the messages read, and return the probability that a user's message ends where they end.

        The model reads along every few words, and nobody waits for it.
        """
        last = request.messages[-1] if request.messages else None
        if last is None or last.role != "user" or not _is_english(last.content, request.asker.language):
            return await self._model.prefill(request)
        finished = await self._judge.prefill(ChatRequest(shown(request.messages)))
        if not request.urgent and finished is not None and finished < LIKELY:
            self._read_ahead(request, last.content)  # what may be all of it will be read by who answers it
        return finished

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Let the model answer."""
        return self._model.stream(request)

    def close(self) -> None:
        """Free both. Blocks for a fraction of a second."""
        self._judge.close()
        self._model.close()

    def _read_ahead(self, request: ChatRequest, words: str) -> None:
        """Let the model read all but the last word, which may become another, if that is worth a pass of its own."""
        if self._ahead is not None and not self._ahead.done():
            return
        known = replace(request, messages=(*request.messages[:-1], ChatMessage("user", words.rpartition(" ")[0])))
        if self._model.unread(known) >= _WORTH_READING:
            self._ahead = asyncio.create_task(self._model.prefill(known))
            self._ahead.add_done_callback(_read)


def _read(ahead: asyncio.Task[float | None]) -> None:
    if not ahead.cancelled() and (error := ahead.exception()) is not None:
        log.warning("The question could not be read ahead: %s", type(error).__name__)


def shown(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Return what the judge sees of a conversation: after a question, "Paris." is a whole message."""
    said = [message.content for message in messages[:-1] if message.role == "assistant"]
    asked = _QUESTION.search(said[-1]) if said else None
    before = [ChatMessage("user", "Hello."), ChatMessage("assistant", asked[1])] if asked else []
    return (*JUDGE_BEGINNING, *before, ChatMessage("user", messages[-1].content[-_LAST_CHARS:]))


def _is_english(words: str, language: str | None) -> bool:
    return words.isascii() if language is None else language == "en"
