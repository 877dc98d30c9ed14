"""Keeps the figures of backends over a restart. Writing is beside the requests: none of them waits for it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, Float, Index, Integer, String, Table, delete, insert, select

from assistant.router.figures import KEPT, Figures, Sample
from assistant.store.database import Database, StoreError, UtcDateTime, metadata

log = logging.getLogger(__name__)

_SAMPLES: Final = Table(
    "backend_samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("backend", String(200), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("first_token_s", Float),
    Column("tokens", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error", String(80), nullable=False),
    Index("ix_backend_samples_backend_id", "backend", "id"),
)
_MOST_UNWRITTEN: Final = 1000
_TOGETHER_S: Final = 1.0
"""What ends within this time is written together."""


async def recalled(database: Database, key: str) -> list[Sample]:
    """Return the last requests of a backend, the oldest first. Raises StoreError."""
    columns = (_SAMPLES.c.at, _SAMPLES.c.first_token_s, _SAMPLES.c.tokens, _SAMPLES.c.seconds, _SAMPLES.c.error)
    asked = select(*columns).where(_SAMPLES.c.backend == key).order_by(_SAMPLES.c.id.desc()).limit(KEPT)
    async with database.reading() as connection:
        rows = (await connection.execute(asked)).all()
    return [Sample(*row) for row in reversed(rows)]


@asynccontextmanager
async def kept(database: Database, figures: Mapping[str, Figures]) -> AsyncGenerator[None, None]:
    """Recall the figures of backends, by their keys, and write down what is added to them until the end.

    What can't be written is dropped: figures are worth no failed request. Raises StoreError where they can't be read.
    """
    for key, each in figures.items():
        each.recall(await recalled(database, key))
    # Full: the oldest is dropped.
    unwritten: deque[tuple[str, Sample]] = deque(maxlen=_MOST_UNWRITTEN)
    something = asyncio.Event()

    def add(key: str, sample: Sample) -> None:
        unwritten.append((key, sample))
        something.set()

    async def write_on() -> None:
        while True:
            await something.wait()
            await asyncio.sleep(_TOGETHER_S)
            something.clear()
            await _write(database, unwritten)

    for key, each in figures.items():
        each.on_sample = partial(add, key)
    writing = asyncio.create_task(write_on())
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        for each in figures.values():
            each.on_sample = lambda _sample: None
        await _write(database, unwritten)


async def _write(database: Database, unwritten: deque[tuple[str, Sample]]) -> None:
    if not unwritten:
        return
    batch = list(unwritten)
    rows: list[dict[str, Any]] = [
        {
            "backend": key,
            "at": sample.at,
            "first_token_s": sample.first_token_s,
            "tokens": sample.tokens,
            "seconds": sample.seconds,
            "error": sample.error,
        }
        for key, sample in batch
    ]
    try:
        async with database.writing() as connection:
            await connection.execute(insert(_SAMPLES), rows)
            for key in {key for key, _ in batch}:
                newest = select(_SAMPLES.c.id).where(_SAMPLES.c.backend == key).order_by(_SAMPLES.c.id.desc())
                oldest_kept = newest.limit(1).offset(KEPT - 1).scalar_subquery()
                await connection.execute(delete(_SAMPLES).where(_SAMPLES.c.backend == key, _SAMPLES.c.id < oldest_kept))
    except StoreError as error:
        log.warning("The figures of backends could not be kept: %s", error)
    for _ in batch:
        if unwritten:
            unwritten.popleft()
