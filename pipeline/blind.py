"""A language model that takes no pictures, in a conversation that may have some."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Final

from pipeline.engines import NO_TOOLS, ChatMessage, Generated, LanguageModel, Sampling, Toolbox

UNSEEN: Final = "(This is about a picture that you cannot see. If you need it, answer: Sorry, I cannot see pictures.)"
"""Small models make up what they aren't shown unless they are told what to say, and told last."""


class Blind:
    """Stands before such a model: where there is a picture, it is told so in words."""

    takes_pictures: Final = False

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float,
        toolbox: Toolbox = NO_TOOLS,
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[Generated, None]:
        """Generate as the model does."""
        told = [_told(message) for message in messages]
        return self._model.stream(
            told, max_tokens=max_tokens, temperature=temperature, toolbox=toolbox, sampling=sampling
        )

    async def prefill(self, messages: Sequence[ChatMessage], *, toolbox: Toolbox = NO_TOOLS) -> float | None:
        """Read as the model does."""
        *others, last = messages
        # The last message may go on, so its sentence isn't there yet: what is read is still how the prompt begins.
        read = [*map(_told, others), replace(last, pictures=())]
        return await self._model.prefill(read, toolbox=toolbox)


def _told(message: ChatMessage) -> ChatMessage:
    """Return the message with a sentence after its words instead of its pictures."""
    told = f"{message.content} {UNSEEN}".strip()
    return replace(message, content=told, pictures=()) if message.pictures else message
