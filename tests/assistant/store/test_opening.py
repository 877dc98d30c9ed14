"""A store that can't be used: who is told, and what goes on."""

import asyncio
import logging
from pathlib import Path

import pytest

from assistant.config import load
from assistant.doctor import Verdict, keeping
from assistant.store.database import Database
from assistant.store.errors import StoreError
from assistant.store.opening import open_store


def at(folder: Path, url: str) -> str:
    return url.format(folder=folder)


def test_a_store_that_can_be_used_is_lent_and_closed(store_url: str) -> None:
    async def main() -> None:
        async with open_store(store_url) as store:
            assert isinstance(store, Database)

    asyncio.run(main())


def test_one_that_cannot_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with open_store(f"sqlite:///{tmp_path}") as store:
            assert isinstance(store, StoreError)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert "is a folder" in caplog.text
    assert "nothing is sent to other machines" in caplog.text


@pytest.mark.parametrize(
    ("url", "verdict", "words"),
    [
        ("sqlite:///{folder}/new/parley.db", Verdict.GOOD, "will be made"),
        ("sqlite:///{folder}/there.db", Verdict.GOOD, "can be used"),
        ("sqlite:///{folder}/junk.db", Verdict.WARN, "damaged"),
        ("mysql://here/parley", Verdict.WARN, "mysql://"),
        ("postgresql://me@127.0.0.1:1/parley", Verdict.WARN, "can't be reached"),
    ],
)
def test_the_doctor_looks_at_it_and_makes_none(tmp_path: Path, url: str, verdict: Verdict, words: str) -> None:
    async def make() -> None:
        await (await Database.open(f"sqlite:///{tmp_path}/there.db")).close()

    asyncio.run(make())
    (tmp_path / "junk.db").write_bytes(b"no database" * 500)
    before = sorted(path.name for path in tmp_path.iterdir())
    config = load()
    finding = keeping(config.model_copy(update={"store": config.store.model_copy(update={"url": at(tmp_path, url)})}))
    assert (finding.verdict, words in finding.text) == (verdict, True), finding
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_doctor_of_a_store_in_postgresql(postgresql) -> None:
    config = load()
    url = postgresql.new()
    finding = keeping(config.model_copy(update={"store": config.store.model_copy(update={"url": url})}))
    assert finding.verdict is Verdict.GOOD
