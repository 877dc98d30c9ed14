"""The store on a real PostgreSQL: what it says when that is away, locked up, or lacks what it needs."""

import asyncio

import pytest
from sqlalchemy import text as sql

from assistant.store.database import Database, StoreError, StoreTooNewError
from tests.assistant.store.test_database import TABLES, refused, texts, write
from tests.postgresql import Cluster


async def execute(url: str, *statements: str) -> None:
    async with await Database.open(url, tables=TABLES) as database, database.writing() as connection:
        for statement in statements:
            await connection.execute(sql(statement))


def test_a_database_that_is_not_there(postgresql: Cluster) -> None:
    said = refused(postgresql.url("nowhere"))
    assert "has no database 'nowhere'" in said
    assert "createdb" in said


def test_a_user_that_may_not_come_in(postgresql: Cluster) -> None:
    said = refused(postgresql.url("postgres", user="stranger"))
    assert "refuses stranger" in said
    assert "PGPASSWORD" in said


def test_a_user_that_may_not_make_tables(postgresql: Cluster) -> None:
    url = postgresql.new()
    asyncio.run(execute(url, "CREATE ROLE guest LOGIN", "DROP TABLE marks, notes, schema_version"))
    try:
        said = refused(url.replace("parley@", "guest@"))
    finally:
        asyncio.run(execute(url, "DROP ROLE guest"))
    assert "doesn't let guest do" in said


def test_a_store_of_a_later_version_is_refused(postgresql: Cluster) -> None:
    url = postgresql.new()
    asyncio.run(execute(url, "INSERT INTO schema_version VALUES (99, now())"))
    with pytest.raises(StoreTooNewError, match="version 99"):
        asyncio.run(execute(url))


def test_programs_that_start_side_by_side_make_the_tables_once(postgresql: Cluster) -> None:
    async def main() -> None:
        opened = await asyncio.gather(*(Database.open(url, tables=TABLES) for _ in range(4)))
        await write(opened[0], "one")
        assert [await texts(database) for database in opened] == [["one"]] * 4
        for database in opened:
            await database.close()

    url = postgresql.new()
    asyncio.run(main())


def test_a_server_that_goes_and_comes_back(postgresql: Cluster) -> None:
    async def main() -> None:
        async with await Database.open(url, tables=TABLES) as database:
            await write(database, "one")
            postgresql.stop()
            try:
                with pytest.raises(StoreError, match=r"can't be reached|ended the connection"):
                    await write(database, "two")
            finally:
                postgresql.start()
            await write(database, "three")
            assert await texts(database) == ["one", "three"]

    url = postgresql.new()
    asyncio.run(main())
