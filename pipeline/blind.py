"""A language model that takes no pictures, in a conversation that may have some."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from pipeline.engines import ChatMessage, ChatRequest, Generated, LanguageModel

UNSEEN: Final = "(This is about a picture that you cannot see. If you need it, answer: Sorry, I cannot see pictures.)"
"""Small models make up what they aren't shown unless they are told what to say, and told last."""


class Blind:
    """Stands before such a model: where there is a picture, it is told so in words."""

    takes_pictures: Final = False

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Generate as the model does."""
        return self._model.stream(replace(request, messages=tuple(map(_told, request.messages))))

    async def prefill(self, request: ChatRequest) -> float | None:
        """Read as the model does."""
        *others, last = request.messages
        # The last message may go on, so its sentence isn't there yet: what is read is still how the prompt begins.
        return await self._model.prefill(replace(request, messages=(*map(_told, others), replace(last, pictures=()))))


def _told(message: ChatMessage) -> ChatMessage:
    """Return the message with a sentence after its words instead of its pictures."""
    told = f"{message.content} {UNSEEN}".strip()
    return replace(message, content=told, pictures=()) if message.pictures else message
