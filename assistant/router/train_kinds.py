"""Trains what tells the kinds of turn apart: `python -m assistant.router.train_kinds`.

Reads the sentences in configs/kinds/, one file for each kind, and writes configs/kinds/head.json. It is multinomial
logistic regression over sentence vectors and words, with the L2 penalty that predicts best in cross-validation. The
same sentences give the same head, up to the last digits on another processor. The held-out sentences in
tests/data/kinds/ are for tests only: nothing here reads them. Takes a few minutes.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from assistant.embeddings import SIZE, MiniLm, Vector
from assistant.models import Store
from assistant.router.kind_head import FOLDER, FOREIGN, Head, Matrix, plain, row, terms
from assistant.router.kinds import Kind

MODEL: Final = "minilm-l6-v2"
LABELS: Final = tuple(map(str, (*Kind, FOREIGN)))
PENALTIES: Final = (0.03, 0.06, 0.12)
_FOLDS: Final = 6
_STEPS: Final = 300
_COMMON: Final = 3
"""Sentences that a term must be in to count."""
_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A training sentence."""

    text: str
    """As it stands in the file."""
    label: str
    vector: Vector


def sentences(folder: Path) -> list[tuple[str, str]]:
    """Return all sentences with their labels."""
    return [
        (line, label)
        for label in LABELS
        for line in (folder / f"{label}.txt").read_text(encoding="utf-8").splitlines()
        if line
    ]


async def examples(folder: Path, embedder: MiniLm) -> list[Example]:
    """Return all sentences with their labels and vectors."""
    return [Example(text, label, await embedder.embed(plain(text))) for text, label in sentences(folder)]


def train(known: Sequence[Example], penalty: float) -> Head:
    """Return the head that makes the right labels most probable, less the penalty for large weights."""
    counted = Counter(term for each in known for term in terms(plain(each.text)))
    common = sorted(term for term, times in counted.items() if times >= _COMMON)
    named = {term: SIZE + at for at, term in enumerate(common)}
    weights = _fit(_rows(known, named), _answers(known), penalty).round(_DIGITS)
    return Head(LABELS, named, weights[:, :-1], weights[:, -1])


def _rows(known: Sequence[Example], named: Mapping[str, int]) -> Matrix:
    return np.array([row(plain(each.text), each.vector, named) for each in known])


def _answers(known: Sequence[Example]) -> Matrix:
    return np.array([[float(each.label == label) for label in LABELS] for each in known])


def _fit(rows: Matrix, answers: Matrix, penalty: float) -> Matrix:
    """Return the weights, the bias in the last column. Nesterov's accelerated descent: there is one minimum."""
    inputs = np.hstack([rows, np.ones((len(rows), 1))])
    weights = momentum = np.zeros((answers.shape[1], inputs.shape[1]))
    cost = np.full(inputs.shape[1], penalty)
    cost[-1] = 0.0
    # The gradient is at most so steep: half the largest singular value squared, plus the penalty.
    rate = 1 / (0.5 * float(np.linalg.eigvalsh(inputs.T @ inputs)[-1]) + penalty)
    for step in range(_STEPS):
        missed = _shares(inputs @ momentum.T) - answers
        following = momentum - rate * (missed.T @ inputs + cost * momentum)
        momentum = following + step / (step + 3) * (following - weights)
        weights = following
    return weights


def _shares(logits: Matrix) -> Matrix:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Matrix = raised / raised.sum(axis=1, keepdims=True)
    return result


def cross_validated(known: Sequence[Example], penalty: float) -> Matrix:
    """Return for each sentence the labels' probabilities, from a head that hasn't seen it: [sentences, labels]."""
    found = np.empty((len(known), len(LABELS)))
    for out in range(_FOLDS):
        head = train([each for at, each in enumerate(known) if at % _FOLDS != out], penalty)
        for at in range(out, len(known), _FOLDS):
            shares = head.probabilities(plain(known[at].text), known[at].vector)
            found[at] = [shares[label] for label in LABELS]
    return found


def judged(found: Matrix, known: Sequence[Example]) -> dict[str, float]:
    """Return how often the most probable label is right, and the mean negative log probability of the right one."""
    answers = _answers(known)
    right = found.argmax(axis=1) == answers.argmax(axis=1)
    surprise = -np.log((found * answers).sum(axis=1))
    return {"accuracy": round(float(right.mean()), 3), "surprise": round(float(surprise.mean()), 3)}


async def main(folder: Path = FOLDER) -> dict[str, object]:
    """Train on the folder's sentences, write its head.json, and return where it comes from."""
    embedder = MiniLm(Store().pull(MODEL))
    try:
        known = await examples(folder, embedder)
    finally:
        embedder.close()
    figures = {penalty: judged(cross_validated(known, penalty), known) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda each: figures[each]["surprise"])
    provenance: dict[str, object] = {
        "made_by": "python -m assistant.router.train_kinds",
        "model": MODEL,
        "sentences": len(known),
        "sentences_sha256": digest(folder),
        "penalty": penalty,
        "cross_validation": figures[penalty],
    }
    write(train(known, penalty), provenance, folder)
    return provenance


def digest(folder: Path = FOLDER) -> str:
    """Return the sha256 of the sentences."""
    text = "\n".join(f"{label}\t{line}" for line, label in sentences(folder))
    return hashlib.sha256(text.encode()).hexdigest()


def write(head: Head, provenance: Mapping[str, object], folder: Path) -> None:
    """Write head.json, a line for each label's weights."""
    weights = ",\n".join(json.dumps(each, separators=(",", ":")) for each in head.weights.tolist())
    parts = {"provenance": provenance, "labels": head.labels, "terms": list(head.terms), "bias": head.bias.tolist()}
    lines = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in parts.items()]
    text = ",\n".join([*lines, f'"weights": [\n{weights}\n]'])
    (folder / "head.json").write_text(f"{{{text}}}\n", encoding="utf-8")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main()), indent=2))
