"""The facts that each person asked to be remembered, in memory for as long as nobody changes them elsewhere."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.memory.tables import FACT, memories, revisions
from assistant.memory.wording import content
from assistant.store.database import Database

Vector: TypeAlias = npt.NDArray[np.float32]

MOST: Final = 2000
"""Facts of one person: so many are compared with a question in under a millisecond."""
_PEOPLE: Final = 16
"""Whose facts are kept in memory."""


class Embedder(Protocol):
    """Says what English texts mean."""

    async def embed(self, text: str) -> Vector:
        """Return a vector of length 1; two of them have a large dot product where the texts mean the same."""
        ...


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a person asked to be remembered."""

    id: int
    words: str
    """As they were said, about the speaker: "my bike is red"."""
    language: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """All facts of one person, the oldest first."""

    revision: str
    facts: tuple[Fact, ...]
    vectors: Vector
    """A row for each fact; zeros where it has none."""
    contents: tuple[frozenset[str], ...]


class Facts:
    """Reads and changes facts."""

    def __init__(self, database: Database, embedder: Embedder | None, now: Callable[[], datetime]) -> None:
        self._database = database
        self._embedder = embedder
        self._now = now
        self._known: OrderedDict[str, Known] = OrderedDict()

    async def of(self, user: str) -> Known:
        """Return all facts of a person. One look at the database tells whether those in memory still hold."""
        async with self._database.reading() as connection:
            chosen = select(revisions.c.revision).where(revisions.c.user == user)
            revision = (await connection.execute(chosen)).scalar_one_or_none() or ""
            known = self._known.get(user)
            if known is None or known.revision != revision:
                known = await _read(connection, user, revision)
        self._known[user] = known
        self._known.move_to_end(user)
        if len(self._known) > _PEOPLE:
            self._known.popitem(last=False)
        return known

    async def add(self, user: str, words: str, language: str, *, instead: Fact | None = None) -> None:
        """Keep a fact, in the place of another one where that is given."""
        vector = await self.vector(words)
        row = {"user": user, "role": FACT, "text": words, "language": language, "at": self._now()}
        async with self._database.writing() as connection:
            if instead is not None:
                await connection.execute(delete(memories).where(memories.c.id == instead.id))
            await connection.execute(insert(memories).values(**row, vector=None if vector is None else packed(vector)))
            await touch(connection, user)

    async def remove(self, user: str, fact: Fact) -> None:
        """Forget a fact."""
        async with self._database.writing() as connection:
            await connection.execute(delete(memories).where(memories.c.user == user, memories.c.id == fact.id))
            await touch(connection, user)

    async def vector(self, text: str) -> Vector | None:
        """Return what a text means; None where nothing here can say it."""
        return None if self._embedder is None else await self._embedder.embed(text)


async def touch(connection: AsyncConnection, user: str) -> None:
    """Say that a person's facts aren't what they were, to whoever has them in memory."""
    await connection.execute(delete(revisions).where(revisions.c.user == user))
    await connection.execute(insert(revisions).values(user=user, revision=secrets.token_hex(8)))


def packed(vector: Vector) -> bytes:
    """Return a vector for the database."""
    return vector.astype("<f2").tobytes()


def unpacked(stored: bytes | None, size: int) -> Vector:
    """Return a vector from the database; zeros, which are like nothing, where there is none or of another model."""
    if stored is None or len(stored) != 2 * size:
        return np.zeros(size, np.float32)
    return np.frombuffer(stored, "<f2").astype(np.float32)


async def _read(connection: AsyncConnection, user: str, revision: str) -> Known:
    columns = (memories.c.id, memories.c.text, memories.c.language, memories.c.at, memories.c.vector)
    chosen = select(*columns).where(memories.c.user == user, memories.c.role == FACT).order_by(memories.c.id)
    rows = (await connection.execute(chosen)).all()
    size = max((len(row.vector) // 2 for row in rows if row.vector), default=0)
    facts = tuple(Fact(row.id, row.text, row.language, row.at) for row in rows)
    vectors = np.array([unpacked(row.vector, size) for row in rows], np.float32).reshape(len(rows), size)
    return Known(revision, facts, vectors, tuple(content(fact.words) for fact in facts))
