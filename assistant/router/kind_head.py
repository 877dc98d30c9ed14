"""What turns a sentence into probabilities of kinds: one layer, trained by assistant/router/train_kinds.py.

It looks at what the sentence means (its vector) and at how it is said: "my", "this here", "how do I" tell kinds apart
that are about the same thing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from assistant.embeddings import SIZE, Vector

Matrix: TypeAlias = npt.NDArray[np.float64]

FOLDER: Final = Path(__file__).resolve().parents[2] / "configs" / "kinds"
"""The training sentences, one file for each kind, and the head."""
FOREIGN: Final = "foreign"
"""Not a kind of turn: another language than English, whose vectors mean nothing."""

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


@dataclass(frozen=True, slots=True)
class Head:
    """A softmax layer: the weights [labels, SIZE + terms], the bias [labels]."""

    labels: tuple[str, ...]
    terms: Mapping[str, int]
    """Words, and pairs of words, that count, and where their weights stand behind the vector's."""
    weights: Matrix
    bias: Matrix

    def probabilities(self, text: str, vector: Vector) -> dict[str, float]:
        """Return how probable each label is; they sum up to 1. `text` is `plain`, `vector` its vector."""
        logits = self.weights @ row(text, vector, self.terms) + self.bias
        shares = np.exp(logits - logits.max())
        return dict(zip(self.labels, map(float, shares / shares.sum()), strict=True))

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Self:
        """Read the trained head. Raises OSError or ValueError where it isn't one."""
        stored: dict[str, Any] = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        names = {term: SIZE + at for at, term in enumerate(stored["terms"])}
        return cls(tuple(stored["labels"]), names, np.array(stored["weights"]), np.array(stored["bias"]))


def plain(text: str) -> str:
    """Return the words as a recogniser may have written them while they were still being said."""
    return " ".join(text.split()).rstrip(" .,;:!?…").lower()


def row(text: str, vector: Vector, known: Mapping[str, int]) -> Matrix:
    """Return what the layer sees of a `plain` text: [SIZE + known terms]."""
    seen = np.zeros(SIZE + len(known))
    seen[:SIZE] = vector
    if found := [known[term] for term in terms(text) if term in known]:
        seen[found] = 1 / np.sqrt(len(found))
    return seen


def terms(text: str) -> set[str]:
    """Return the words and the pairs of words in a `plain` text; "<" is its beginning, ">" its end."""
    return set(_terms(text))


def _terms(text: str) -> Iterator[str]:
    words = _WORD.findall(text)
    yield from words
    ends = ["<", *words, ">"]
    yield from (f"{first} {second}" for first, second in pairwise(ends))
