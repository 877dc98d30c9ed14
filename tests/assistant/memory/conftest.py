"""A store with memories, and the vectors of a real model for those tests that need them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.embeddings import MiniLm
from assistant.memory import tables  # noqa: F401 - so that they are made
from assistant.memory.memory import Memory
from assistant.store.database import Database

DATA = Path(__file__).parents[2] / "data" / "memory"
FACTS = (DATA / "facts.txt").read_text(encoding="utf-8").splitlines()


def cases(name: str) -> list[tuple[str, set[str]]]:
    """Return what is said, and the facts that it is about."""
    rows = (line.split("\t") for line in (DATA / name).read_text(encoding="utf-8").splitlines())
    return [(said, {FACTS[int(at) - 1] for at in about.split(",") if at != "-"}) for said, about in rows]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    async with await Database.open(url) as database:
        yield database


@pytest.fixture
def minilm(model_path: Callable[[str], Path]) -> Any:
    made = MiniLm(model_path("minilm-l6-v2"))
    yield made
    made.close()


async def filled(database: Database, embedder: MiniLm | None) -> Memory:
    """Return a memory that has all facts."""
    memory = Memory(database, embedder)
    for fact in FACTS:
        assert (await memory.remember("ann", fact, "en")).startswith("I'll remember")
    return memory


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)
