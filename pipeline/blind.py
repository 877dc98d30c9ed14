"""A language model that takes no pictures, in a conversation that may have some."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from pipeline.engines import ChatMessage, ChatRequest, Generated, LanguageModel, View

UNSEEN: Final = "(This is about a picture that you cannot see. If you need it, answer: Sorry, I cannot see pictures.)"
"""Small models make up what they aren't shown unless they are told what to say, and told last."""


class Blind:
    """Stands before such a model: where there is a picture, it is told in words what that shows, or that it can't see.

    A question about a picture isn't about what the camera shows, nor is one that may be, while the camera is off.
    """

    takes_pictures: Final = False

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Generate as the model does."""
        view, messages = request.view, request.messages
        shown = [bool(message.pictures) for message in messages]
        if view is not None and any(shown) and not shown[-1] and not view.on:
            request = replace(request, view=None)
        illustrated = messages[-1] if shown and shown[-1] else None
        told = tuple([await in_words(message, view) for message in messages])
        request = replace(request, messages=told, illustrated=illustrated)
        async with aclosing(self._model.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def prefill(self, request: ChatRequest) -> float | None:
        """Read as the model does, as far as the words for the pictures are known."""
        *others, last = request.messages
        told: list[ChatMessage] = []
        for message in others:
            if request.view is not None and any(request.view.described(each) is None for each in message.pictures):
                break
            told.append(await in_words(message, request.view))
        else:
            # The last message may go on, so its sentence isn't there yet: this is still how the prompt begins.
            told.append(replace(last, pictures=()))
        return await self._model.prefill(replace(request, messages=tuple(told))) if told else None


async def in_words(message: ChatMessage, view: View | None, unseen: str = UNSEEN) -> ChatMessage:
    """Return the message with what its pictures show after its words, or `unseen` where that isn't known."""
    if not message.pictures:
        return message
    shown = [] if view is None else [await view.describe(picture) for picture in message.pictures]
    told = f"(My picture shows: {' '.join(filter(None, shown))})" if any(shown) else unseen
    return replace(message, content=f"{message.content} {told}".strip(), pictures=())
