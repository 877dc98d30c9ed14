"""What is wrong with a database, in a sentence that names the cause and the cure.

StoreError            the store can't be used
├── StoreBusyError    another program keeps it locked; trying again may help
└── StoreTooNewError  a later version of Parley wrote it
"""

import sqlite3
from collections.abc import Iterator

from sqlalchemy.engine import URL

from pipeline.errors import ParleyError


class StoreError(ParleyError):
    """The store can't be used; what is said and heard goes on without it."""


class StoreBusyError(StoreError):
    """Another program keeps the store locked."""


class StoreTooNewError(StoreError):
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
            return StoreBusyError(f"Another program keeps the store {file} locked: end it, or try again later.")
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
    who = url.username or "this user"
    said, kind = {
        "3D000": (f"has no database {url.database!r}: make it with `createdb`, or correct [store] url", StoreError),
        "42501": (f"doesn't let {who} do what Parley must ({error}): grant it", StoreError),
        "42P01": (f"lacks a table of Parley's ({error}): give Parley a database of its own", StoreError),
        "42703": (f"lacks a column of Parley's ({error}): give Parley a database of its own", StoreError),
        "53100": ("has a full disk: free some space on it", StoreError),
    }.get(code) or {
        "08": (f"ended the connection ({error}): see that it is running", StoreError),
        "28": (f"refuses {who} ({error}): correct [store] url or PGPASSWORD", StoreError),
        "53": (f"has no room for one more connection ({error}): end some, or raise its limit", StoreBusyError),
        "55": (f"keeps locked what Parley needs ({error}): end the other program", StoreBusyError),
        "57": (f"ended the connection ({error}): see that it is running", StoreError),
    }.get(code[:2], ("", StoreError))
    return kind(f"{where} {said}.") if said else None


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "this machine"
    return f"{host if isinstance(host, str) else ', '.join(host)}{f':{url.port}' if url.port else ''}"
