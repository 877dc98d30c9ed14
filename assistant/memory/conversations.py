"""Conversations, kept as they were heard: written down behind the conversation's back, and not for ever."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import delete, insert, select, update

from assistant.memory.facts import Embedder, packed
from assistant.memory.tables import FACT, memories
from assistant.store.database import Database
from pipeline.errors import ParleyError

log = logging.getLogger(__name__)

_WAITING: Final = 256
_TIDIED: Final = timedelta(hours=1)
_FLUSH_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it stands in the conversation: of a reply, what was heard."""

    id: str
    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Messages that are new, or whose words have changed."""

    user: str
    session: str
    messages: tuple[Message, ...]
    at: datetime


class Conversations:
    """Writes messages down, one note after the other. Use `keeping`.

    At most `_WAITING` notes wait; when there are more, `note` refuses, and whoever noted tries again with the next one.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder | None = None,
        *,
        retention_days: int = 30,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._retention = timedelta(days=retention_days)
        self._now = now
        self._tidied: datetime | None = None
        self._waiting: asyncio.Queue[Note] = asyncio.Queue(_WAITING)

    def note(self, user: str, session: str, messages: Sequence[Message]) -> bool:
        """Have messages written down soon; one with a known id replaces it. False when too much waits already."""
        try:
            self._waiting.put_nowait(Note(user, session, tuple(messages), self._now()))
        except asyncio.QueueFull:
            return False
        return True

    async def run(self) -> None:
        """Write what is noted until cancelled."""
        await self._attempt(self._tidy())
        while True:
            note = await self._waiting.get()
            try:
                await self._attempt(self._write(note))
                await self._attempt(self._tidy())
            finally:
                self._waiting.task_done()

    async def flush(self) -> None:
        """Wait until all is written."""
        await self._waiting.join()

    async def _attempt(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:
            # An error of the database's may quote what was to be written.
            why = error if isinstance(error, ParleyError) else type(error).__name__
            log.error("A conversation could not be written down: %s", why)  # noqa: TRY400
            log.debug("What was wrong with it", exc_info=error)

    async def _write(self, note: Note) -> None:
        vectors = {each.id: await self._vector(each.text) for each in note.messages if each.text}
        mine = memories.c.user == note.user
        async with self._database.writing() as connection:
            ids = [each.id for each in note.messages]
            rows = await connection.execute(select(memories.c.item).where(mine, memories.c.item.in_(ids)))
            there = set(rows.scalars())
            for each in note.messages:
                this = (mine, memories.c.item == each.id)
                if not each.text:
                    await connection.execute(delete(memories).where(*this))
                    continue
                values = {"text": each.text, "vector": vectors[each.id]}
                if each.id in there:
                    await connection.execute(update(memories).where(*this).values(**values))
                    continue
                row = {"user": note.user, "role": each.role, "session": note.session, "item": each.id, "at": note.at}
                await connection.execute(insert(memories).values(**row, **values))

    async def _vector(self, text: str) -> bytes | None:
        return None if self._embedder is None else packed(await self._embedder.embed(text))

    async def _tidy(self) -> None:
        """Erase what is too old, about once an hour."""
        now = self._now()
        if self._tidied is not None and now - self._tidied < _TIDIED:
            return
        self._tidied = now
        old = (memories.c.role != FACT, memories.c.at < now - self._retention)
        async with self._database.writing() as connection:
            await connection.execute(delete(memories).where(*old))


@asynccontextmanager
async def keeping(conversations: Conversations) -> AsyncGenerator[Conversations, None]:
    """Write while the block runs, and at its end what is left, for some seconds at most."""
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(conversations.run())
        try:
            yield conversations
            try:
                async with asyncio.timeout(_FLUSH_S):
                    await conversations.flush()
            except TimeoutError:
                log.warning("The end of a conversation could not be written down: the store doesn't keep up.")
        finally:
            writing.cancel()
