"""A language model that takes no pictures, in a conversation that may have some."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from pipeline.engines import ChatMessage, Generated, LanguageModel

UNSEEN: Final = "(This is about a picture that you cannot see. If you need it, answer: Sorry, I cannot see pictures.)"
"""Small models make up what they aren't shown unless they are told what to say, and told last."""


class Blind:
    """Stands before such a model: where there is a picture, it is told so in words."""

    takes_pictures: Final = False

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[Generated, None]:
        """Generate as the model does."""
        told = [_told(message) for message in messages]
        return self._model.stream(told, max_tokens=max_tokens, temperature=temperature)

    async def prefill(self, messages: Sequence[ChatMessage]) -> float | None:
        """Read as the model does."""
        *others, last = messages
        # The last message may go on, so its sentence isn't there yet: what is read is still how the prompt begins.
        return await self._model.prefill([*map(_told, others), ChatMessage(last.role, last.content)])


def _told(message: ChatMessage) -> ChatMessage:
    """Return the message with a sentence after its words instead of its pictures."""
    return ChatMessage(message.role, f"{message.content} {UNSEEN}".strip()) if message.pictures else message
