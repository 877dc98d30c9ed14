"""What is wrong with a database, in a sentence that names the cause and the cure.

StoreError        the store can't be used
├── StoreBusy     another program keeps it locked; trying again may help
└── StoreTooNew   a later version of Parley wrote it
"""

import sqlite3
from collections.abc import Iterator
from typing import Final

from sqlalchemy.engine import URL

from pipeline.errors import ParleyError


class StoreError(ParleyError):
    """The store can't be used; what is said and heard goes on without it."""


class StoreBusy(StoreError):
    """Another program keeps the store locked."""


class StoreTooNew(StoreError):
    """A later version of Parley wrote the store."""


def explain(error: BaseException, url: URL) -> StoreError | None:
    """Return what `error`, or what it was raised from, says of the database at `url`; None where it is none of its."""
    for cause in _causes(error):
        found = _sqlite(cause, url) if url.get_backend_name() == "sqlite" else _postgresql(cause, url)
        if found is not None:
            return found
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that lie below it, the innermost first: it knows best."""
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in chain:
            continue
        chain.append(one)
        waiting += [one.__context__, one.__cause__, getattr(one, "orig", None)]
    return reversed(chain)


def _sqlite(error: BaseException, url: URL) -> StoreError | None:  # noqa: PLR0911 - one for each cause
    file = url.database
    move = "Move it away (with its -wal and -shm files) to begin with an empty one, or put a copy in its place."
    if isinstance(error, OSError):
        return StoreError(f"The store {file} can't be opened: {error.strerror or error}. {_rights()}")
    match getattr(error, "sqlite_errorname", "").split("_")[1:2]:
        case ["FULL"]:
            return StoreError(f"The disk that holds the store {file} is full: free some space on it.")
        case ["READONLY" | "CANTOPEN" | "PERM" | "AUTH"]:
            return StoreError(f"Parley may not write to the store {file} or to its folder. {_rights()}")
        case ["BUSY" | "LOCKED"]:
            return StoreBusy(f"Another program keeps the store {file} locked: end it, or try again later.")
        case ["CORRUPT" | "NOTADB"]:
            return StoreError(f"The store {file} is damaged, or isn't an SQLite database. {move}")
        case ["IOERR" | "NOLFS"]:
            return StoreError(
                f"The disk that holds the store {file} fails to read or write ({error}): look at the disk."
            )
        case ["ERROR"] if isinstance(error, sqlite3.OperationalError) and "no such" in str(error):
            return StoreError(f"The store {file} lacks what Parley wrote there ({error}). {move}")
        case _:
            return None


def _rights() -> str:
    return "Give yourself the right to, or set [store] url to a place that is yours."


def _postgresql(error: BaseException, url: URL) -> StoreError | None:
    where = f"PostgreSQL at {_place(url)}"
    code = getattr(error, "sqlstate", None)
    if not isinstance(code, str):
        # asyncpg raises these as they come, before there is any server to speak of a state.
        if isinstance(error, OSError):
            reason = error.strerror or str(error) or "it doesn't answer"
            return StoreError(f"{where} can't be reached ({reason}): start it, or correct [store] url.")
        return None
    match code[:2], code:
        case "28", _:
            return StoreError(
                f"{where} refuses {url.username or 'this user'} ({error}): correct [store] url or PGPASSWORD."
            )
        case _, "3D000":
            return StoreError(
                f"{where} has no database {url.database!r}: make it with `createdb`, or correct [store] url."
            )
        case _, "42501":
            return StoreError(
                f"{where} doesn't let {url.username or 'this user'} do what Parley must ({error}): grant it."
            )
        case _, "53100":
            return StoreError(f"The disk of {where} is full: free some space on it.")
        case "53", _:
            return StoreBusy(f"{where} has no room for one more connection ({error}): end some, or raise its limits.")
        case (("57" | "08"), _):
            return StoreError(f"{where} ended the connection ({error}): see that it is running.")
        case "55", _:
            return StoreBusy(f"{where} keeps what Parley needs locked ({error}): end the other program.")
        case _, ("42P01" | "42703"):
            return StoreError(f"{where} lacks what Parley wrote there ({error}): use a database of its own for Parley.")
        case _:
            return None


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "this machine"
    return f"{host if isinstance(host, str) else ', '.join(host)}{f':{url.port}' if url.port else ''}"
