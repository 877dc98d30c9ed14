"""The messages that a response answers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.context import Context
from pipeline.conversation import Conversation
from pipeline.errors import RequestError, StageError
from pipeline.events import ItemReference
from pipeline.history import Item, Part, Spoken
from pipeline.settings import Settings
from pipeline.transcribe import transcribe


class ResponseInput:
    """The conversation's messages, or those that the client gave instead of them.

    Iterate over it when it is `ready`. What the client only refers to is looked up then: its words may become known in
    the meantime. Raises RequestError when a reference names no message.
    """

    def __init__(
        self,
        given: Sequence[Item | ItemReference] | None,
        conversation: Conversation,
        context: Context,
        settings: Settings,
    ) -> None:
        self._conversation = conversation
        self._context = context
        self._settings = settings
        self._refers = given is None or any(isinstance(each, ItemReference) for each in given)
        self._given = None if given is None else [self._own(each, at) for at, each in enumerate(given)]

    def __iter__(self) -> Iterator[Item]:
        history = self._conversation.history
        if self._given is None:
            return iter(history)
        return iter([history.get(item.id) if item.id in history else item for item in self._given])

    async def ready(self) -> StageError | None:
        """Wait until the words of every message are known; return why they can't be, where they can't."""
        if self._refers:
            await self._conversation.all_written()
        for at, item in enumerate(self._given or ()):
            parts: list[Part] = []
            for part in item.parts:
                heard = await self._write(part)
                if isinstance(heard, StageError):
                    return heard
                parts.append(heard)
            assert self._given is not None
            self._given[at] = replace(item, parts=tuple(parts))
        return None

    async def _write(self, part: Part) -> Part | StageError:
        if not isinstance(part, Spoken) or part.transcript is not None or part.audio is None:
            return part
        settings = self._settings
        words = await transcribe(
            self._context.engines.stt, part.audio, settings.language, settings.transcription_prompt
        )
        return words if isinstance(words, StageError) else Spoken(words.text)

    def _own(self, given: Item | ItemReference, at: int) -> Item:
        if isinstance(given, Item):
            return given
        history = self._conversation.history
        if given.item_id not in history:
            message = f"There is no item {given.item_id!r} in this conversation."
            raise RequestError("item_retrieve_invalid_item_id", message, f"response.input.{at}.id")
        return history.get(given.item_id)
