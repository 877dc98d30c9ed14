"""The tables of the store and their version. Each part defines its own tables on `metadata`, in its own module."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, Connection, DateTime, Dialect, Integer, MetaData, Table, func, insert, inspect, select
from sqlalchemy import text as sql
from sqlalchemy.types import TypeDecorator

from assistant.store.errors import StoreTooNewError

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Constraints have names, so that a later version can change them."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in, UTC in the database, aware (UTC) out. SQLite by itself would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what goes into the database. Raises ValueError for a moment without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment needs a time zone: it was given without.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what came out of it."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_versions: Final = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("reached_at", UtcDateTime, nullable=False),
)

MIGRATIONS: Final[tuple[Callable[[Connection], None], ...]] = ()
"""The steps that change tables that are there: the first leads from version 1 to 2, and so on. New tables need none."""

_LOCK: Final = 0x7061726C6579
"""The advisory lock under which programs that start side by side take turns."""


def bring_up_to_date(
    connection: Connection,
    *,
    tables: MetaData = metadata,
    migrations: tuple[Callable[[Connection], None], ...] = MIGRATIONS,
) -> None:
    """Create the tables that are missing, and change those of an earlier version, in the connection's transaction.

    Raises StoreTooNewError where a later version of Parley wrote the database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sql("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    newest = 1 + len(migrations)
    found = check_version(connection, newest)
    for migrate in migrations[found - 1 :] if found is not None else ():
        migrate(connection)
    tables.create_all(connection)
    if found != newest:
        connection.execute(insert(_versions).values(version=newest, reached_at=datetime.now(UTC)))


def check_version(connection: Connection, newest: int = 1 + len(MIGRATIONS)) -> int | None:
    """Return the version of the tables; None where there are none yet. Raises StoreTooNewError beyond `newest`."""
    if not inspect(connection).has_table(_versions.name):
        return None
    found: int | None = connection.execute(select(func.max(_versions.c.version))).scalar_one()
    if found is not None and found > newest:
        raise StoreTooNewError(
            f"The store was written by a later version of Parley (its tables are of version {found}, this Parley knows "
            f"{newest}): install that version again, or set [store] url to another place."
        )
    return found
