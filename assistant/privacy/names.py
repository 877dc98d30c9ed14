"""The names on the owner's list, as they turn up in a text."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from assistant.privacy.spans import Kind, Span

_TITLES: Final = frozenset(
    """dr doctor prof professor mr mrs ms miss sir dame herr frau monsieur madame señor señora grandma grandpa
    granny grandmother grandfather oma opa aunt uncle tante onkel mom mum dad mama papa von van der den de la le
    del di""".split()
)
_WORDS: Final = frozenset(
    # Names that are words as well: only with a capital letter are they names.
    """amber angel april art august autumn bill brook carol chance chase chip crystal daisy dale dawn dean dick
    drew earl faith fern flora frank gene glen grace grant guy hall heath holly honor hope hunter iris ivy jack
    jade jasmine jean jewel joy june king lane lily long mark mason may melody miles misty nick olive page pat
    patience pearl peg penny pierce poppy ray reed rich rob robin rose ruby rusty sage sandy scarlett sky stone
    sue summer trinity victor violet wade walker ward wayne will wren young kurt ernst wolf bar stein klein
    gross lang""".split()
)


class Names:
    """Finds names: a whole one however it is written, a part of one ("Berger") with a capital letter."""

    def __init__(self, names: Sequence[str]) -> None:
        whole, parts = set(), set()
        for name in names:
            words = [word for word in re.split(r"[\s.]+", _fold(name)[0]) if word]
            if not words:
                continue
            if len(words) == 1 and words[0] in _WORDS:
                parts.add(words[0])
                continue
            whole.add(r"\.?\s+".join(map(re.escape, words)))
            if len(words) > 1:
                parts |= {word for word in words if len(word) > 2 and word not in _TITLES}
        self._whole = _pattern(whole)
        self._parts = _pattern({re.escape(part) for part in parts})

    def find(self, text: str) -> Iterator[Span]:
        """Yield the names in the text."""
        folded, places = _fold(text)
        for pattern, capital in ((self._whole, False), (self._parts, True)):
            for found in pattern.finditer(folded) if pattern else ():
                start, end = places[found.start()], places[found.end() - 1] + 1
                while end < len(text) and unicodedata.combining(text[end]):
                    end += 1
                if not capital or text[start].isupper():
                    yield Span(Kind.PERSON, start, end, re.sub(r"[\s.]+", " ", found.group()))


def _pattern(names: set[str]) -> re.Pattern[str] | None:
    if not names:
        return None
    longest_first = sorted(names, key=len, reverse=True)
    # A genitive's s stays outside.
    return re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?=s?(?!\w))")


def _fold(text: str) -> tuple[str, list[int]]:
    """Return the text without accents and capitals, and for each of its characters the place it came from."""
    folded: list[str] = []
    places: list[int] = []
    for place, sign in enumerate(text):
        for plain in unicodedata.normalize("NFD", sign.casefold()):
            if not unicodedata.combining(plain):
                folded.append(plain)
                places.append(place)
    return "".join(folded), places
