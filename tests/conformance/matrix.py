"""The conformance matrix: hold the conversations with every client, judge them, and write the table."""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

from tests.conformance.clients import CLIENTS, Client
from tests.conformance.recordings import prepare
from tests.conformance.rows import CONVERSATIONS, ROWS, Row
from tests.conformance.server import serving

HERE: Final = Path(__file__).resolve().parent
README: Final = HERE.parents[1] / "README.md"
BEGIN: Final = "<!-- conformance: written by `make conformance` -->"
END: Final = "<!-- end of conformance -->"
MOST_AT_ONCE: Final = 3  # on two cores
COLUMN_LIMIT_S: Final = 200.0
PASSES, FAILS, ABSENT = "✓", "✗", "–"


@dataclass(frozen=True, slots=True)
class Cell:
    mark: str
    reason: str = ""


Column: TypeAlias = Mapping[str, Cell]
"""A client's cells, by the rows' titles."""


def measure(clients: Iterable[Client]) -> dict[str, Column]:
    """Run the server and these clients, a few at once; returns a column for each, by the client's name."""
    clients = tuple(clients)
    if len(clients) > MOST_AT_ONCE:
        return measure(clients[:MOST_AT_ONCE]) | measure(clients[MOST_AT_ONCE:])
    commands = {client.name: client.command() for client in clients}
    with _stage() as (url, folder), ThreadPoolExecutor(len(clients)) as pool:
        columns = [pool.submit(column, client, commands[client.name], url, folder) for client in clients]
        return {client.name: each.result() for client, each in zip(clients, columns, strict=True)}


@contextmanager
def _stage() -> Iterator[tuple[str, Path]]:
    with TemporaryDirectory() as folder, serving() as url:
        prepare(Path(folder))
        yield url, Path(folder)


def column(client: Client, command: list[str], url: str, folder: Path) -> Column:
    """Run a client's driver against the server, with the recordings in `folder`, and judge what it tells."""
    wanted = [name for name in CONVERSATIONS if name not in client.absent]
    done = subprocess.run(
        [*command, url, str(folder), *wanted], capture_output=True, text=True, timeout=COLUMN_LIMIT_S, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    told = {line["conversation"]: line for line in lines}
    lost = {
        name: {"failed": "the client's program ended: " + _last_line(done.stderr)}
        for name in wanted
        if name not in told
    }
    return {row.title: _cell(row, client, told | lost) for row in ROWS}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["without a word"])[-1]


def _cell(row: Row, client: Client, told: Mapping[str, Any]) -> Cell:
    if (why := client.absent.get(row.title) or client.absent.get(row.conversation)) is not None:
        return Cell(ABSENT, why)
    line = told[row.conversation]
    reason = line["failed"] if "failed" in line else row.check(line["facts"])
    return Cell(PASSES) if reason is None else Cell(FAILS, reason)


def write(columns: Mapping[str, Column]) -> None:
    """Put these columns into the README; those that weren't measured stay as they are."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table({**read(), **columns})}{END}{after}", encoding="utf-8")


def table(columns: Mapping[str, Column]) -> str:
    """Return the matrix in Markdown, with a list of what isn't ✓ and why."""
    shown = [client for client in CLIENTS if client.name in columns]
    lines = ["| | " + " | ".join(f"{client.title} {client.version()}" for client in shown) + " |"]
    lines.append("|---" * (len(shown) + 1) + "|")
    lines += [f"| {row.title} | " + " | ".join(columns[c.name][row.title].mark for c in shown) + " |" for row in ROWS]
    notes = [
        f"- {cell.mark} {client.title}, {row.title}: {cell.reason}"
        for client in shown
        for row in ROWS
        if (cell := columns[client.name][row.title]).mark != PASSES
    ]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def read(text: str | None = None) -> dict[str, Column]:
    """Return the columns that a text with the matrix in it shows; the README, if none is given."""
    text = README.read_text(encoding="utf-8") if text is None else text
    shown = text.partition(BEGIN)[2].partition(END)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines() if line.startswith("|")
    ]
    if not rows:
        return {}
    notes = [line[4:] for line in shown.splitlines() if line.startswith("- ")]
    columns: dict[str, Column] = {}
    for at, heading in enumerate(rows[0][1:], start=1):
        (client,) = [client for client in CLIENTS if heading.startswith(f"{client.title} ")]
        columns[client.name] = {
            row[0]: Cell(row[at], _reason(notes, f"{client.title}, {row[0]}: ")) for row in rows[2:]
        }
    return columns


def _reason(notes: Iterable[str], begins: str) -> str:
    return next((note.removeprefix(begins) for note in notes if note.startswith(begins)), "")
