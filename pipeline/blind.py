"""A language model that takes no pictures, in a conversation that may have some."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from pipeline.engines import ChatMessage, Generated, LanguageModel

UNSEEN: Final = "(I am showing you a picture, but you have no eyes and cannot see it.)"


class Blind:
    """Stands before such a model: where there is a picture, it is told so in words."""

    takes_pictures: Final = False

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[Generated, None]:
        """Generate as the model does."""
        return self._model.stream(in_words(messages), max_tokens=max_tokens, temperature=temperature)

    async def prefill(self, messages: Sequence[ChatMessage]) -> float | None:
        """Read as the model does."""
        return await self._model.prefill(in_words(messages))


def in_words(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with a sentence, before their words, instead of their pictures."""
    return [
        ChatMessage(message.role, f"{UNSEEN}\n{message.content}".rstrip()) if message.pictures else message
        for message in messages
    ]
