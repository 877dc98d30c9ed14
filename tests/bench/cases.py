"""The cases of turn-taking: what is played to the server, and what is known about it.

`tests/data/turns/cases.json` has them as data; `tests/bench/make_cases.py` makes that file.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from tests.bench.sound import DATA, Piece, Room, Stretch

FILE: Final = DATA / "turns" / "cases.json"

BackchannelKind: TypeAlias = Literal["word", "cough", "noise"]


@dataclass(frozen=True, slots=True)
class InnerPause:
    """An utterance with one or more pauses inside: nobody may answer before it is over."""

    id: str
    lang: str
    sound: tuple[Stretch, ...]
    parts: tuple[str, ...]
    """The words before, between and after the pauses: one more than there are pauses."""
    pauses_s: tuple[tuple[float, float], ...]
    """Where each pause begins and ends in the sound."""
    speech_end_s: float
    spliced: bool
    """Whether the pauses were put in; the others were spoken."""
    complete: tuple[bool, ...]
    """For each pause, whether the words before it could have been all: the hardest kind."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Something that is said into a reply, and must stop it."""

    id: str
    sound: tuple[Stretch, ...]
    text: str
    speech_start_s: float
    """Where its voice begins in the sound; it is quiet before."""
    speech_end_s: float
    offset_s: float
    """How long the reply has been heard when the voice begins."""
    prompt: str
    """The typed question that brings the reply."""


@dataclass(frozen=True, slots=True)
class Backchannel:
    """A sign of listening, or a noise, during a reply: it must not end it."""

    id: str
    sound: tuple[Stretch, ...]
    kind: BackchannelKind
    real: bool
    """Whether it was recorded; the others are synthetic."""
    offset_s: float
    """How long the reply has been heard when the sound begins."""
    prompt: str


@dataclass(frozen=True, slots=True)
class Echo:
    """A reply that comes back through the microphone: it must not interrupt itself."""

    id: str
    prompt: str
    delay_s: float
    gain_db: float


@dataclass(frozen=True, slots=True)
class Cases:
    """All of them."""

    inner_pauses: tuple[InnerPause, ...]
    barge_ins: tuple[BargeIn, ...]
    backchannels: tuple[Backchannel, ...]
    echoes: tuple[Echo, ...]


@cache
def load(file: Path = FILE) -> Cases:
    """Read the cases."""
    rows = json.loads(file.read_text())
    return Cases(
        inner_pauses=tuple(InnerPause(**_tuples(row)) for row in rows["inner_pauses"]),
        barge_ins=tuple(BargeIn(**_tuples(row)) for row in rows["barge_ins"]),
        backchannels=tuple(Backchannel(**_tuples(row)) for row in rows["backchannels"]),
        echoes=tuple(Echo(**row) for row in rows["echoes"]),
    )


def save(cases: Cases, file: Path = FILE) -> None:
    """Write the cases, one a line."""
    kinds = []
    for field in dataclasses.fields(cases):
        lines = ",\n".join(json.dumps(_plain(case), ensure_ascii=False) for case in getattr(cases, field.name))
        kinds.append(f'"{field.name}": [\n{lines}\n]')
    file.write_text("{\n" + ",\n".join(kinds) + "\n}\n")


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    whole = {name: _tuple(value) for name, value in row.items()}
    whole["sound"] = tuple(_stretch(stretch) for stretch in row["sound"])
    return whole


def _tuple(value: Any) -> Any:
    return tuple(_tuple(one) for one in value) if isinstance(value, list) else value


def _stretch(row: dict[str, Any]) -> Stretch:
    return Piece(**row) if "clip" in row else Room(**row)


def _plain(case: InnerPause | BargeIn | Backchannel | Echo) -> dict[str, Any]:
    row = dataclasses.asdict(case)
    if "sound" in row:
        row["sound"] = [_without_defaults(stretch) for stretch in row["sound"]]
    return {name: _rounded(value) for name, value in row.items()}


def _without_defaults(stretch: dict[str, Any]) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in stretch.items() if (name, value) != ("gain_db", 0.0)}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    return [_rounded(one) for one in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
