"""What a recogniser may have made of a command: slips that leave no word of the language, as in "wat's the tyme".

A word that isn't known and is one letter away from a word of the sentences may be that word. Words that are English,
though, are what they are ("what's the data"): configs/sentences/en/lookalikes.txt has those that come so near. Where
one real word is often heard for another ("set a time for five minutes"), the sentences themselves say so.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations, product
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MOST: Final = 2
"""Words that are mended in one sentence; with more, it is another sentence."""
_READINGS: Final = 12
_SHORTEST: Final = 3
"""Letters: shorter words are too near to too many others."""
_LONGEST_TEXT: Final = 12
"""Words of a text that may be a command with slips in it."""


class Mishearings:
    """Mends a transcript by the words of the sentences."""

    def __init__(self, words: Iterable[str], real: Iterable[str]) -> None:
        self._known = frozenset(words)
        self._real = frozenset(real)
        self._near: dict[str, set[str]] = defaultdict(set)
        for word in self._known:
            if len(word) >= _SHORTEST and word.replace("'", "").isalpha():
                for key in _keys(word):
                    self._near[key].add(word)

    def readings(self, text: str) -> Iterator[str]:
        """Yield what may have been said instead, the likeliest first: at most a dozen."""
        found = list(_WORD.finditer(text))
        if len(found) > _LONGEST_TEXT:
            return
        slips = [(word, meant) for word in found if (meant := self.meant(word[0]))]
        given = 0
        for count in range(min(_MOST, len(slips)), 0, -1):
            for chosen in combinations(slips, count):
                for words in product(*(meant for _, meant in chosen)):
                    if given == _READINGS:
                        return
                    given += 1
                    yield _replaced(text, [word.span() for word, _ in chosen], words)

    def meant(self, word: str) -> list[str]:
        """Return the words of the sentences that `word`, which is none of the language, may stand for."""
        word = word.casefold().replace("’", "'")
        if word in self._known or word in self._real or len(word) < _SHORTEST:
            return []
        near = {each for key in _keys(word) for each in self._near.get(key, ())}
        return sorted(each for each in near if _one_slip(word, each))[:3]


def _keys(word: str) -> set[str]:
    """Return the word, and what it is without one of its letters: two words one slip apart share one of these."""
    return {word} | {word[:at] + word[at + 1 :] for at in range(len(word))}


def _one_slip(one: str, other: str) -> bool:
    """Tell whether a letter was added, left out or changed, or two neighbours were swapped."""
    if len(one) > len(other):
        one, other = other, one
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    return swapped or one[at + 1 :] == other[at + 1 :]


def _replaced(text: str, spans: list[tuple[int, int]], words: tuple[str, ...]) -> str:
    for (start, end), word in reversed(list(zip(spans, words, strict=True))):
        text = text[:start] + word + text[end:]
    return text
