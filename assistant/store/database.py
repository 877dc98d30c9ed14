"""The store: one database for all that outlives a conversation. SQLite by default, PostgreSQL by another URL."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import platformdirs
from sqlalchemy import Connection, MetaData, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from assistant.store.errors import StoreBusyError, StoreError, StoreTooNewError, explain
from assistant.store.schema import UtcDateTime, bring_up_to_date, check_version, metadata

__all__ = ["Database", "StoreBusyError", "StoreError", "StoreTooNewError", "UtcDateTime", "metadata", "place"]

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_BUSY_TIMEOUT_S: Final = 5.0
_CONNECT_TIMEOUT_S: Final = 10.0
_CONNECTIONS: Final = 4
_WRITES: Final = "parley_writes"


class Database:
    """A database that is open; an async context manager that closes it.

    All tasks of one event loop may use it at once. What is read and written raises StoreError where the database
    can't be used, and SQLAlchemy's own errors (IntegrityError) where a statement is at fault.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Take over the engine. Use `open`."""
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        # SQLite shows a reader one state by itself.
        self._reader = engine if self.is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        # SQLite has one writer at a time. In turn here, none of ours has to poll for its turn.
        self._turn = asyncio.Lock() if self.is_sqlite else None

    @classmethod
    async def open(cls, url: str = "", *, tables: MetaData = metadata) -> Self:
        """Open the database at `url`, which is made where it is missing, with the tables that are missing.

        `url` is sqlite:///PATH or postgresql://USER@HOST/NAME; empty, it is the user's own file. Import the modules
        that define tables before. Raises StoreError.
        """
        at = place(url)
        if at.get_backend_name() == "sqlite":
            await asyncio.to_thread(_make_file, at)
        database = cls(_engine(at))
        try:
            async with database.writing() as connection:
                await connection.run_sync(lambda raw: bring_up_to_date(raw, tables=tables))
        except BaseException:
            await database.close()
            raise
        return database

    @classmethod
    async def check(cls, url: str = "") -> None:
        """Look whether the database at `url`, which is there, can be used; change nothing. Raises StoreError."""
        async with cls(_engine(place(url))) as database, database.reading() as connection:
            await connection.run_sync(check_version)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, with its own full-text search, or else PostgreSQL."""
        return self._engine.dialect.name == "sqlite"

    @property
    def url(self) -> str:
        """Where it is, without any password."""
        return self._engine.url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection, None]:
        """Lend a connection to read with: it sees one state of the database, whatever is written meanwhile."""
        with _explained(self._engine.url):
            async with AsyncExitStack() as stack:
                yield await self._connect(self._reader.connect(), stack)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """Lend a connection to write with. All of it is committed at the end, or nothing where an error is raised.

        Keep it short: with SQLite, others that write wait.
        """
        with _explained(self._engine.url):
            async with self._turn or nullcontext(), AsyncExitStack() as stack:
                yield await self._connect(self._writer.begin(), stack)

    async def _connect(
        self, connecting: AbstractAsyncContextManager[AsyncConnection], stack: AsyncExitStack
    ) -> AsyncConnection:
        try:
            return await stack.enter_async_context(connecting)
        except OSError as error:  # asyncpg's own, as it comes
            raise explain(error, self._engine.url) or error from error

    async def compact(self, table: str) -> None:
        """Write what is left of a table anew, so that nothing of what was deleted stays on the disk.

        Of SQLite, that is the whole file and its log; PostgreSQL's own log keeps what it keeps. Waits for others that
        write, and a few seconds for programs that read.
        """
        with _explained(self._engine.url):
            async with self._turn or nullcontext(), self._engine.connect() as connection:
                if not self.is_sqlite:
                    plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
                    await plain.exec_driver_sql(f'VACUUM (FULL) "{table}"')
                    return
                # Outside of any transaction: SQLAlchemy has begun none on it.
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    cursor = await driver.execute(statement)
                    await cursor.fetchall()
                    await cursor.close()

    async def close(self) -> None:
        """Close all connections. Harmless when done twice."""
        await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def place(url: str = "") -> URL:
    """Return where the store is, with its driver. Raises StoreError where no store can be at `url`."""
    if not url:
        return URL.create("sqlite+aiosqlite", database=str(platformdirs.user_state_path("parley") / "parley.db"))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "[store] url isn't a database's URL: write sqlite:///PATH or postgresql://USER@HOST/NAME. An @, a colon or "
            "a slash in a name or a password is written %40, %3A or %2F."
        ) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise StoreError(
            f"[store] url begins with {parsed.drivername}://, and Parley stores in sqlite:///PATH or postgresql://…."
        )
    parsed = parsed.set(drivername=driver)
    if driver.startswith("sqlite"):
        if not parsed.database:
            raise StoreError(
                "[store] url names no file: write sqlite:///PATH, with four slashes for a path from the root."
            )
        if parsed.database != ":memory:":
            parsed = parsed.set(database=str(Path(parsed.database).expanduser().absolute()))
    return parsed


def _make_file(url: URL) -> None:
    """Make the file, for its owner only; SQLite gives the files that it puts beside it the same rights."""
    if url.database is None or url.database == ":memory:":
        return
    file = Path(url.database)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno == errno.EISDIR:
            raise StoreError(f"The store {file} is a folder: set [store] url to a file.") from error
        raise explain(error, url) or error from error


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        in_memory = url.database == ":memory:"
        engine = create_async_engine(
            url,
            connect_args={"timeout": _BUSY_TIMEOUT_S},
            # A database in memory lives in its one connection.
            poolclass=AsyncAdaptedQueuePool,
            pool_size=1 if in_memory else _CONNECTIONS,
            max_overflow=0,
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine
    try:
        return create_async_engine(
            url,
            connect_args={"timeout": _CONNECT_TIMEOUT_S, "server_settings": {"application_name": "parley"}},
            pool_size=_CONNECTIONS,
            pool_pre_ping=True,
        )
    except ImportError as error:
        raise StoreError("For PostgreSQL, install what speaks to it: pip install 'parley[postgresql]'.") from error


def _prepare(connection: Any, _record: object) -> None:
    # Transactions are begun below, not by the driver's guess at what a statement does.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: what was committed is on the disk, so that the ledger holds also after a power cut.
    # What is deleted is overwritten.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # One that reads first and then writes could not wait for its turn any more: it would fail at once.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _explained(url: URL) -> Generator[None, None, None]:
    """Turn what is wrong with the database into a StoreError."""
    try:
        yield
    except SQLAlchemyError as error:
        found = explain(error, url)
        if found is None:
            raise
        raise found from error
