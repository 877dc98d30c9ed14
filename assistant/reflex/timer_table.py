"""The timers' table in the store."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Column, Float, Integer, String, Table, delete, insert, select

from assistant.reflex.timer import Timer
from assistant.store.database import Database, UtcDateTime, metadata

timers: Final = Table(
    "timers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("user", String(255), nullable=False),
    Column("session", String(64), nullable=False),
    Column("language", String(16), nullable=False),
    Column("name", String(255), nullable=False),
    Column("length_s", Float, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("left_s", Float),
    Column("told", Integer, nullable=False),
)


class TimerTable:
    """Writes timers down. Everything raises StoreError where the database can't be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Timer]:
        """Return every timer that is written down."""
        async with self._database.reading() as connection:
            return [Timer(**row._mapping) for row in await connection.execute(select(timers))]

    async def put(self, changed: Sequence[Timer]) -> None:
        """Write down timers that are new, or that changed."""
        async with self._database.writing() as connection:
            await connection.execute(delete(timers).where(timers.c.id.in_([each.id for each in changed])))
            for timer in changed:
                values = {column.name: getattr(timer, column.name) for column in timers.columns}
                await connection.execute(insert(timers).values(values))

    async def delete(self, ids: Collection[str]) -> None:
        """Forget timers."""
        if ids:
            async with self._database.writing() as connection:
                await connection.execute(delete(timers).where(timers.c.id.in_(ids)))
