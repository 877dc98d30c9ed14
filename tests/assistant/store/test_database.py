"""The store on SQLite: what it keeps, for whom, and what it says when it can't."""

import asyncio
import os
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func, insert, inspect, select
from sqlalchemy import text as sql
from sqlalchemy.exc import IntegrityError

from assistant.store.database import Database, StoreBusyError, StoreError, StoreTooNewError, UtcDateTime, place
from assistant.store.schema import bring_up_to_date, metadata

TABLES = MetaData()
NOTES = Table(
    "notes",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("text", String, nullable=False),
    Column("at", UtcDateTime),
)
MARKS = Table("marks", TABLES, Column("note", ForeignKey("notes.id"), primary_key=True))
for table in metadata.tables.values():
    if table.name == "schema_version":
        table.to_metadata(TABLES)


def at(folder: Path) -> str:
    return f"sqlite:///{folder / 'parley.db'}"


async def write(database: Database, text: str) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(NOTES).values(text=text))


async def texts(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list((await connection.scalars(select(NOTES.c.text).order_by(NOTES.c.id))).all())


def test_what_is_written_is_there_after_a_restart(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url, tables=TABLES) as database:
            await write(database, "one")
        async with await Database.open(store_url, tables=TABLES) as database:
            await write(database, "two")
            assert await texts(database) == ["one", "two"]

    asyncio.run(main())


@pytest.mark.parametrize("url", ["sqlite://{}", "sqlite+aiosqlite://{}"])
def test_the_file_and_its_folder_are_their_owners_only(tmp_path: Path, url: str) -> None:
    async def main() -> None:
        async with await Database.open(url.format(f"/{folder}/parley.db"), tables=TABLES) as database:
            await write(database, "one")
            assert {path.name for path in folder.iterdir()} == {"parley.db", "parley.db-wal", "parley.db-shm"}
            assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
            assert folder.stat().st_mode & 0o777 == 0o700

    folder = tmp_path / "new" / "state"
    before = os.umask(0)
    try:
        asyncio.run(main())
    finally:
        os.umask(before)


def test_the_default_is_the_users_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert place().database == str(tmp_path / "parley" / "parley.db")


async def write_and_fail(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(NOTES).values(text="one"))
        raise ZeroDivisionError


def test_an_error_takes_back_all_that_was_written_with_it(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url, tables=TABLES) as database:
            with pytest.raises(ZeroDivisionError):
                await write_and_fail(database)
            assert await texts(database) == []

    asyncio.run(main())


def test_foreign_keys_hold_and_a_wrong_statement_keeps_its_own_error(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url, tables=TABLES) as database:
            with pytest.raises(IntegrityError):
                async with database.writing() as connection:
                    await connection.execute(insert(MARKS).values(note=7))

    asyncio.run(main())


def test_many_writers_and_readers_at_once(store_url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(store_url, tables=TABLES) as one,
            await Database.open(store_url, tables=TABLES) as other,
        ):
            async with asyncio.TaskGroup() as group:
                for number in range(40):
                    group.create_task(write((one, other)[number % 2], str(number)))
                    group.create_task(texts((one, other)[number % 2]))
            assert sorted(map(int, await texts(one))) == list(range(40))

    asyncio.run(main())


def test_a_reader_sees_one_state_while_another_writes(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url, tables=TABLES) as database:
            await write(database, "one")
            async with database.reading() as connection:
                counted = select(func.count()).select_from(NOTES)
                assert await connection.scalar(counted) == 1
                await write(database, "two")
                assert await connection.scalar(counted) == 1
            assert await texts(database) == ["one", "two"]

    asyncio.run(main())


def test_a_writer_that_is_cancelled_leaves_nothing_and_blocks_nobody(store_url: str) -> None:
    async def main() -> None:
        async def stay() -> None:
            async with database.writing() as connection:
                await connection.execute(insert(NOTES).values(text="cancelled"))
                inside.set()
                await asyncio.Event().wait()

        inside = asyncio.Event()
        async with await Database.open(store_url, tables=TABLES) as database:
            task = asyncio.create_task(stay())
            await inside.wait()
            task.cancel()
            await asyncio.wait([task])
            await write(database, "one")
            assert await texts(database) == ["one"]

    asyncio.run(main())


def test_a_database_in_memory_keeps_what_is_written() -> None:
    async def main() -> None:
        async with await Database.open("sqlite:///:memory:", tables=TABLES) as database:
            async with asyncio.TaskGroup() as group:
                for number in range(10):
                    group.create_task(write(database, str(number)))
            assert len(await texts(database)) == 10

    asyncio.run(main())


def test_a_moment_comes_back_in_utc(store_url: str) -> None:
    async def main() -> None:
        moment = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=9)))
        async with await Database.open(store_url, tables=TABLES) as database:
            async with database.writing() as connection:
                await connection.execute(insert(NOTES).values(text="now", at=moment))
            async with database.reading() as connection:
                found = await connection.scalar(select(NOTES.c.at).where(NOTES.c.at == moment))
        assert found == moment
        assert found is not None
        assert found.tzinfo is UTC

    asyncio.run(main())
    with pytest.raises(ValueError, match="time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 3, 29), None)  # type: ignore[arg-type]


# What can be wrong with it.


def refused(url: str, tables: MetaData = TABLES) -> str:
    async def main() -> None:
        await (await Database.open(url, tables=tables)).close()

    with pytest.raises(StoreError) as caught:
        asyncio.run(main())
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://me@here/parley", ["mysql://", "sqlite:///PATH", "postgresql://"]),
        ("/home/me/parley.db", ["isn't a database's URL", "sqlite:///PATH"]),
        ("sqlite://", ["names no file", "four slashes"]),
        ("postgresql+psycopg2://me@here/parley", ["postgresql+psycopg2://"]),
        ("postgresql://me:secret@127.0.0.1:1/parley", ["127.0.0.1:1", "can't be reached", "[store] url"]),
        ("postgresql://me:secret@/parley?host=/nowhere", ["/nowhere", "can't be reached"]),
    ],
)
def test_a_url_that_leads_nowhere_is_explained_without_its_password(url: str, words: list[str]) -> None:
    said = refused(url)
    assert [word for word in words if word not in said] == []
    assert "secret" not in said


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "parley.db").mkdir()
    assert "is a folder" in refused(at(tmp_path))


def test_a_file_where_its_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert "[store] url" in refused(f"sqlite:///{tmp_path}/state/parley.db")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/usr/sbin/runuser").exists(), reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o500)
    before = os.geteuid()
    if before == 0:
        for above in (tmp_path, *tmp_path.parents[:3]):
            above.chmod(0o755)
        folder.chmod(0o555)
        os.seteuid(65534)
    try:
        said = refused(at(folder))
    finally:
        os.seteuid(before)
    assert "Permission denied" in said
    assert "Give yourself the right to" in said


@pytest.mark.parametrize("junk", [b"not a database at all, but long enough to be taken for one" * 20, b"\0" * 4096])
def test_a_damaged_file(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "parley.db").write_bytes(junk)
    said = refused(at(tmp_path))
    assert "damaged" in said
    assert "Move it away" in said
    assert (tmp_path / "parley.db").read_bytes() == junk


def test_a_file_that_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.store.database._BUSY_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with await Database.open(at(tmp_path), tables=TABLES) as database:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusyError, match=r"keeps the store .* locked"):
                await write(database, "one")
            other.execute("ROLLBACK")
            await write(database, "two")
            assert await texts(database) == ["two"]

    other = sqlite3.connect(tmp_path / "parley.db", isolation_level=None)
    try:
        asyncio.run(main())
        other.execute("BEGIN IMMEDIATE")
        assert "locked" in refused(at(tmp_path))
    finally:
        other.close()


async def _opened(folder: Path) -> None:
    await (await Database.open(at(folder), tables=TABLES)).close()


async def write_to_the_last_page(database: Database) -> None:
    async with database.writing() as connection:
        # As a disk without a free page would.
        await connection.execute(sql("PRAGMA max_page_count = 1"))
        await connection.execute(insert(NOTES).values(text="x" * 1_000_000))


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Database.open(at(tmp_path), tables=TABLES) as database:
            await write(database, "one")
            with pytest.raises(StoreError, match=r"disk that holds the store .* is full"):
                await write_to_the_last_page(database)
            assert await texts(database) == ["one"]

    asyncio.run(main())


# Versions.


def test_a_store_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    asyncio.run(_opened(tmp_path))
    with sqlite3.connect(tmp_path / "parley.db") as raw:
        raw.execute("INSERT INTO schema_version VALUES (99, '2031-01-01 00:00:00')")
        raw.execute("DROP TABLE marks")
    raw.close()
    with pytest.raises(StoreTooNewError, match="version 99"):
        asyncio.run(_opened(tmp_path))
    with sqlite3.connect(tmp_path / "parley.db") as raw:
        assert raw.execute("SELECT name FROM sqlite_master WHERE name = 'marks'").fetchall() == []
    raw.close()


def test_an_earlier_version_is_brought_up_to_date_once(store_url: str) -> None:
    async def main() -> list[str]:
        async with await Database.open(store_url, tables=TABLES) as database:
            for _ in range(2):
                async with database.writing() as connection:
                    await connection.run_sync(
                        lambda raw: bring_up_to_date(
                            raw,
                            tables=TABLES,
                            migrations=(
                                lambda raw: raw.execute(sql("ALTER TABLE notes ADD COLUMN colour TEXT")) and None,
                            ),
                        )
                    )
            async with database.reading() as connection:
                return await connection.run_sync(
                    lambda raw: [column["name"] for column in inspect(raw).get_columns("notes")]
                )

    assert "colour" in asyncio.run(main())
