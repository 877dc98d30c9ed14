"""Figures of backends: what they say, and that they outlive a restart."""

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.router import figures_store
from assistant.router.figures import KEPT, Figures, Sample, sample_now
from assistant.router.figures_store import kept, recalled
from assistant.store.database import Database

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def sample(number: int, first_token_s: float | None = 0.5, error: str = "") -> Sample:
    return Sample(NOON + timedelta(seconds=number), first_token_s, 20, 0.5, error)


def test_too_few_requests_say_nothing():
    figures = Figures([sample(0), sample(1)])
    assert figures.first_token_s(0.95) is None
    assert figures.summary().tokens_per_s is None
    assert Figures().summary().as_json()["last_at"] is None


def test_what_the_last_requests_say():
    figures = Figures(sample(n, n / 100) for n in range(1, 101))
    figures.add(sample(101, None, "TooSlow"))
    summary = figures.summary()
    assert (summary.first_token_p50_s, summary.first_token_p95_s) == (0.5, 0.95)
    assert (summary.requests, summary.errors, summary.last_error) == (101, 1, "TooSlow")
    assert summary.tokens_per_s == 40.0
    assert summary.last_at == NOON + timedelta(seconds=101)
    assert summary.as_json()["last_error"] == "TooSlow"


def test_short_answers_say_nothing_of_the_speed():
    figures = Figures([Sample(NOON, 0.1, 2, 0.001) for _ in range(5)])
    assert figures.summary().tokens_per_s is None


def test_old_requests_are_forgotten():
    figures = Figures(sample(n, 9.0) for n in range(KEPT))
    for n in range(KEPT):
        figures.add(sample(n, 0.1))
    assert figures.first_token_s(1.0) == 0.1
    assert figures.summary().requests == KEPT


@given(st.lists(st.floats(0, 100), min_size=3, max_size=50), st.floats(0.01, 1))
def test_so_many_stay_below_a_quantile(values, quantile):
    found = Figures(sample(0, value) for value in values).first_token_s(quantile)
    assert found in values
    assert sum(value <= found for value in values) >= quantile * len(values) - 1e-9
    assert sum(value < found for value in values) < quantile * len(values) + 1e-9


def test_they_outlive_a_restart(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'parley.db'}"

    async def run(*fresh: Sample) -> Figures:
        figures, other = Figures(), Figures()
        async with await Database.open(url) as database:
            async with kept(database, {"gpt/small": figures, "gpt/large": other}):
                for each in fresh:
                    figures.add(each)
            assert await recalled(database, "gpt/large") == []
        return figures

    first = [sample(n) for n in range(150)]
    second = [sample(150 + n, None, "Busy") for n in range(100)]
    asyncio.run(run(*first))
    asyncio.run(run(*second))
    assert asyncio.run(run())._samples == Figures([*first, *second])._samples
    with sqlite3.connect(tmp_path / "parley.db") as database:
        assert database.execute("SELECT count(*) FROM backend_samples").fetchone() == (KEPT,)


def test_they_are_written_while_requests_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database:
            figures = Figures()
            async with kept(database, {"gpt": figures}), asyncio.timeout(10):
                figures.add(sample_now(0.5))
                await written.wait()
                assert len(await recalled(database, "gpt")) == 1

    written = asyncio.Event()

    async def write_and_tell(*arguments) -> None:
        await write(*arguments)
        written.set()

    write = figures_store._write
    monkeypatch.setattr(figures_store, "_write", write_and_tell)
    asyncio.run(main())


def test_a_database_that_fails_costs_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database:
            figures = Figures()
            async with kept(database, {"gpt": figures}):
                with sqlite3.connect(tmp_path / "parley.db") as other:
                    other.execute("DROP TABLE backend_samples")
                figures.add(sample(1))
            assert figures.summary().requests == 1

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert "could not be kept" in caplog.text
