"""The sentences of tests/data/privacy, with what was planted in them."""

import re
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data" / "privacy"
NAMES = ("Anna Berger", "Mia", "Tobias", "Dr. Okafor", "Grandma Rose", "José García", "Siobhán")
"""The owner's list."""
_PLANTED = re.compile(r"\[(\w+)\|([^\]]+)\]")
KINDS = {
    "name": "PERSON",
    "phone": "PHONE",
    "email": "EMAIL",
    "address": "ADDRESS",
    "card": "CARD",
    "iban": "IBAN",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    planted: tuple[tuple[str, str], ...]
    """Kind of placeholder and text of each item."""
    held_out: bool

    def __str__(self) -> str:
        return self.text


def personal() -> list[Sentence]:
    sentences, held_out = [], False
    for line in (DATA / "personal.txt").read_text(encoding="utf-8").splitlines():
        held_out = held_out or line == "## held out"
        if line and not line.startswith("#"):
            planted = tuple((KINDS[found[1]], found[2]) for found in _PLANTED.finditer(line))
            assert planted, line
            sentences.append(Sentence(_PLANTED.sub(r"\2", line), planted, held_out))
    return sentences


def harmless() -> list[str]:
    lines = (DATA / "harmless.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
