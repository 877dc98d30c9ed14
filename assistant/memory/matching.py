"""Which facts a question or a request is about."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from assistant.memory.facts import Fact, Known, Vector
from assistant.memory.wording import content, numbers

_SHARED: Final = 0.25
"""What all words in common add to the likeness of two meanings (which is 1 for the same)."""
_RELEVANT: Final = 0.63
"""From here on a fact bears on a question. Tuned on tests/data/memory/recall_tuned.tsv: questions about a fact have at
least 0.67 with it, others at most 0.61 with any."""
_BEHIND: Final = 0.25
"""A fact that is so much less like the question than the best one isn't what is asked for."""
_LOOKED_AT: Final = 64
"""Facts, nearest in meaning, whose words are looked at."""
_SAME: Final = 0.97
_MEANT: Final = 0.8
_SIMILAR: Final = 0.45
_LEAD: Final = 0.12
_WORDS_ONLY: Final = 0.6
"""Without vectors: the part of a question's words that a fact must have."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much a fact is like a text."""

    fact: Fact
    meaning: float
    """The vectors' dot product; 0 where there are none."""
    shared: float
    """The part (0..1) of the text's words that the fact has, too."""

    @property
    def score(self) -> float:
        """Both together."""
        return self.meaning + _SHARED * self.shared


def likenesses(known: Known, text: str, vector: Vector | None) -> list[Likeness]:
    """Return how much facts are like the text, the most alike first, the newest of equals."""
    if not known.facts:
        return []
    words = content(text)
    meanings = np.zeros(len(known.facts), np.float32)
    chosen = np.arange(len(known.facts))
    if vector is not None and known.vectors.shape[1] == len(vector):
        meanings = known.vectors @ vector
        chosen = np.argsort(-meanings)[:_LOOKED_AT]
    found = [
        Likeness(known.facts[at], float(meanings[at]), len(words & known.contents[at]) / len(words) if words else 0.0)
        for at in chosen
    ]
    return sorted(found, key=lambda each: (each.score, each.fact.id), reverse=True)


def relevant(found: list[Likeness], *, most: int, by_meaning: bool) -> list[Fact]:
    """Return the facts that bear on a question; mostly none."""
    if not found:
        return []
    if not by_meaning:
        return [each.fact for each in found if each.shared >= _WORDS_ONLY][:most]
    least = max(_RELEVANT, found[0].score - _BEHIND)
    return [each.fact for each in found[:most] if each.score >= least]


def same(found: list[Likeness], words: str) -> Fact | None:
    """Return the fact that says the same as `words`, if there is one."""
    for each in found:
        if each.fact.words.casefold() == words.casefold():
            return each.fact
        if each.meaning >= _SAME and content(each.fact.words) == content(words):
            return each.fact
    return None


def outdated(found: list[Likeness], words: str) -> Fact | None:
    """Return the fact that can't be true any more when `words` are: both give the same thing that there is one of."""
    subject = _single(words)
    if subject is None:
        return None
    return next((each.fact for each in found if _single(each.fact.words) == subject), None)


@dataclass(frozen=True, slots=True)
class Meant:
    """What a request to forget may be about: the one fact, or several that it could be."""

    fact: Fact | None
    perhaps: tuple[Fact, ...] = ()


def meant(found: list[Likeness], about: str, *, most: int) -> Meant:
    """Return the fact that `about` is sure to mean; else those that it may mean."""
    digits = numbers(about)
    sure = [
        each
        for each in found
        if (each.shared == 1 or each.meaning >= _MEANT) and digits <= numbers(each.fact.words) and content(about)
    ]
    if sure and (len(sure) == 1 or sure[0].score - sure[1].score >= _LEAD):
        return Meant(sure[0].fact)
    perhaps = sure or [each for each in found if each.score >= _SIMILAR]
    return Meant(None, tuple(each.fact for each in perhaps[:most]))


_ONE_OF: Final = frozenset(
    "birthday anniversary name number address colour color password code pin age height weight size job doctor dentist "
    "boss car".split()
)


def _single(words: str) -> frozenset[str] | None:
    """Return what a statement gives the value of, where a person has only one of it: {sister, birthday}."""
    subject, found, _ = words.casefold().partition(" is ")
    named = content(subject) if found and subject.startswith(("my ", "our ", "the ")) else frozenset()
    favourite = {"favourite", "favorite"} & named
    return named if favourite or named & _ONE_OF or "name" in subject.split() else None
