"""The messages of a session: adding, changing and writing them down, and telling the client."""

import asyncio
from dataclasses import replace
from typing import Final

from audio.types import INPUT_RATE, Samples
from pipeline import events
from pipeline.context import Context, Written
from pipeline.engines import Asker, Transcript
from pipeline.errors import RequestError, StageError
from pipeline.history import History, Item, Spoken
from pipeline.settings import Settings
from pipeline.transcribe import transcribe

MAX_PICTURES_BYTES: Final = 64 * 2**20
"""Of pictures that a conversation keeps, as data URLs."""


class Conversation:
    """A history whose every change is an event."""

    def __init__(self, context: Context) -> None:
        self.history = History()
        self.language: str | None = None
        """The user's, as last recognised."""
        self._context = context
        self._unwritten: set[str] = set()  # messages whose words are still being found out
        self._all_written = asyncio.Event()
        self._all_written.set()

    def asker(self, settings: Settings, turn: str = "", language: str | None = None) -> Asker:
        """Return on whose behalf the model is asked; `language` is that of the words, where they aren't the last."""
        spoken = language or settings.language or self.language
        return replace(self._context.asker, turn=turn, route=settings.route, language=spoken)

    async def all_written(self) -> None:
        """Wait until it is known of every message what its words are, or that they can't be found out."""
        await self._all_written.wait()

    async def add(self, item: Item, settings: Settings, after: str | None = None) -> None:
        """Put a client's message in. Raises RequestError when it can't stand there."""
        pictures = sum(len(picture.url) for each in (*self.history, item) for picture in each.pictures)
        if pictures > MAX_PICTURES_BYTES:
            limit = MAX_PICTURES_BYTES // 2**20
            raise RequestError(
                "too_many_pictures",
                f"The pictures of a conversation have at most {limit} MiB: delete items with old ones.",
                "item.content",
            )
        previous = self.history.add(item, after)
        await self._context.emit(events.ItemAdded(item, previous))
        self._write(item, settings)

    async def add_utterance(self, item: Item, settings: Settings) -> None:
        """Put what the user said in, at the end; words that are missing without sound to find them in will follow."""
        previous = self.history.add(item)
        await self._context.emit(events.AudioCommitted(item.id, previous))
        await self._context.emit(events.ItemAdded(item, previous))
        if any(isinstance(part, Spoken) and part.transcript is None and part.audio is None for part in item.parts):
            self._expect(item.id)
        self._write(item, settings)

    async def retrieve(self, item_id: str) -> None:
        """Show a message. Raises RequestError when it isn't there."""
        await self._context.emit(events.ItemRetrieved(self.history.get(item_id)))

    async def retrieve_all(self, under_way: Item | None) -> None:
        """Show all messages; `under_way` is the reply's, as it stands now."""
        items = tuple(under_way if under_way and item.id == under_way.id else item for item in self.history)
        await self._context.emit(events.ConversationRetrieved(items))

    async def delete(self, item_id: str) -> None:
        """Take a message out. Raises RequestError when it isn't there."""
        self.history.delete(item_id)
        await self._context.emit(events.ItemDeleted(item_id))

    async def truncate(self, item_id: str, audio_end_s: float) -> None:
        """Keep of an assistant's speech what was heard. Raises RequestError for anything else."""
        sound_s = self.history.truncate(item_id, audio_end_s)
        # A client's clock may be ahead of what it was sent: clamp, don't refuse.
        await self._context.emit(events.ItemTruncated(item_id, min(audio_end_s, sound_s)))

    async def tell_words(
        self, item_id: str, words: Transcript | StageError, audio_s: float, settings: Settings
    ) -> None:
        """Report the words of a message."""
        if isinstance(words, StageError):
            await self._context.emit(events.TranscriptFailed(item_id, words.code, words.message))
            return
        self.language = words.language
        if settings.show_transcript:
            await self._context.emit(events.TranscriptCompleted(item_id, words.text, audio_s, words.tokens))

    async def settle(self, item_id: str, words: Transcript | StageError, audio_s: float, settings: Settings) -> None:
        """Report the last word on what the user said, in a message that stands already.

        Words that the reference recogniser didn't find stay as they were heard.
        """
        item = self.history.get(item_id)
        if isinstance(words, Transcript) and words.text:
            self.history.replace(replace(item, parts=(Spoken(words.text),)))
        elif item.text:
            words = Transcript(item.text, self.language)
        await self.tell_words(item_id, words, audio_s, settings)
        self._written(item_id)

    async def take(self, written: Written, settings: Settings) -> None:
        """Take in the words of a message that came as sound."""
        if written.item_id in self.history:
            text = written.transcript.text if isinstance(written.transcript, Transcript) else ""
            item = self.history.get(written.item_id)
            parts = tuple(replace(p, transcript=text, audio=None) if isinstance(p, Spoken) else p for p in item.parts)
            self.history.replace(replace(item, parts=parts))
        await self.tell_words(written.item_id, written.transcript, written.audio_s, settings)
        self._written(written.item_id)

    def _write(self, item: Item, settings: Settings) -> None:
        """Find out the words of a message that came as sound."""
        for part in item.parts:
            if isinstance(part, Spoken) and part.audio is not None:
                self._expect(item.id)
                self._context.spawn(self._transcribe(item.id, part.audio, settings))

    def _expect(self, item_id: str) -> None:
        self._unwritten.add(item_id)
        self._all_written.clear()

    def _written(self, item_id: str) -> None:
        self._unwritten.discard(item_id)
        if not self._unwritten:
            self._all_written.set()

    async def _transcribe(self, item_id: str, audio: Samples, settings: Settings) -> None:
        words = await transcribe(self._context.engines.stt, audio, settings.language, settings.transcription_prompt)
        await self._context.post(Written(item_id, words, len(audio) / INPUT_RATE))
