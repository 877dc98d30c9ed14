"""The README's conformance matrix is what these clients see, and what these checks say of it."""

import subprocess
import sys
from collections.abc import Mapping
from functools import cache

import pytest

from tests.conformance import matrix
from tests.conformance.clients import CLIENTS, HEAVY, QUICK, Client, MissingClientError
from tests.conformance.matrix import ABSENT, FAILS, PASSES, Cell, Column
from tests.conformance.recordings import red_square
from tests.conformance.rows import CONVERSATIONS, ROWS, Row, plain

HELD = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(300)]
QUICK_CELLS = [pytest.param(c, row, id=f"{c.name}-{row.title}", marks=HELD) for c in QUICK for row in ROWS]


@cache
def measured() -> Mapping[str, Column]:
    return matrix.measure(client for client in QUICK if installed(client))


def installed(client: Client) -> bool:
    try:
        return bool(client.command())
    except MissingClientError:
        return False


@pytest.mark.parametrize(("client", "row"), QUICK_CELLS)
def test_the_readme_says_what_the_client_sees(client: Client, row: Row) -> None:
    if not installed(client):
        pytest.skip(f"{client.title} is not installed: `make peers` does it.")
    cell = measured()[client.name][row.title]
    assert cell.mark == matrix.read()[client.name][row.title].mark, cell.reason


def test_the_readme_shows_every_client_and_every_row() -> None:
    shown = matrix.read()
    assert list(shown) == [client.name for client in CLIENTS]
    assert all(list(column) == [row.title for row in ROWS] for column in shown.values())


def test_what_is_not_passed_has_its_reason() -> None:
    cells = [cell for column in matrix.read().values() for cell in column.values()]
    assert {cell.mark for cell in cells} <= {PASSES, FAILS, ABSENT}
    assert all(cell.reason for cell in cells if cell.mark != PASSES)


def test_the_readme_names_the_versions_that_are_pinned() -> None:
    heading = next(line for line in matrix.table(matrix.read()).splitlines())
    assert heading in matrix.README.read_text(encoding="utf-8")


@pytest.mark.parametrize("client", HEAVY, ids=lambda client: client.name)
def test_absent_conversations_are_known(client: Client) -> None:
    assert set(client.absent) <= {row.title for row in ROWS} | set(CONVERSATIONS)


def test_a_table_can_be_read_again() -> None:
    columns = {client.name: {row.title: Cell(PASSES) for row in ROWS} for client in CLIENTS}
    columns["node"] = dict.fromkeys(columns["node"], Cell(FAILS, "it said: no, never"))
    text = f"{matrix.BEGIN}\n{matrix.table(columns)}{matrix.END}"
    assert matrix.read(text) == columns


FACTS = {
    "user": "How old is the Brooklyn Bridge?",
    "assistant": "Paris, at 21 degrees.",
    "sound_s": 2.0,
    "errors": [],
    "interrupted": True,
    "truncated": True,
    "said": "A ship was sailing",
    "kept": "A ship was",
    "calls": [{"name": "get_weather", "arguments": '{"city": "Paris"}'}],
    "cancelled": True,
    "stopped": True,
    "event_id": "mine",
    "expected": "mine",
    "connections": 2,
}
SHORTCOMINGS = {
    "user": "",
    "assistant": "",
    "sound_s": 0.0,
    "errors": ["refused"],
    "interrupted": False,
    "truncated": False,
    "kept": "A ship was sailing",
    "calls": 2 * FACTS["calls"],
    "cancelled": False,
    "stopped": False,
    "event_id": None,
    "connections": 1,
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_row_is_passed_by_what_it_asks_for(row: Row) -> None:
    assert row.check({**FACTS, "kept": True if row.conversation == "image" else FACTS["kept"]}) is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_no_row_is_passed_by_a_client_that_saw_nothing(row: Row) -> None:
    assert row.check({**FACTS, **SHORTCOMINGS, "kept": "" if row.conversation == "image" else FACTS["said"]})


def test_words_are_compared_without_punctuation() -> None:
    assert plain("The Brooklyn Bridge's, twice!") == "the brooklyn bridge's twice"


def test_the_picture_is_one() -> None:
    assert red_square(8).startswith(b"\x89PNG\r\n\x1a\n")
    assert len(red_square(64)) < 1000


def test_a_driver_that_dies_fails_every_row() -> None:
    broken = Client("openai", "openai", "`openai`", "drivers/nothing_here.py")
    column = matrix.column(broken, [sys.executable, "-c", "raise SystemExit('gone')"], "http://nowhere", matrix.HERE)
    assert {cell.mark for cell in column.values()} == {FAILS}
    assert all("gone" in cell.reason for cell in column.values())


def test_a_lockfile_names_no_registry() -> None:
    locked = subprocess.run(
        ["git", "ls-files", "tests/node"], cwd=matrix.README.parent, stdout=subprocess.PIPE, check=True
    )
    assert b"package-lock.json" in locked.stdout
    assert '"resolved"' not in (matrix.HERE.parent / "node" / "package-lock.json").read_text()
