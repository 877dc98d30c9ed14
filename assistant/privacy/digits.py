"""Numbers as they are written and spoken, digit by digit: "415 555-2671", "four one five, double five …"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_ONES: Final = {
    # What recognisers write for a digit that is said, in the languages whose words don't clash with each other's.
    word: str(digit)
    for digit, words in enumerate(
        (
            "zero oh o nought null zéro cero",
            "one eins un uno",
            "two zwei zwo deux dos",
            "three drei trois tres",
            "four vier quatre cuatro",
            "five fünf cinq cinco",
            "six sechs seis",
            "seven sieben sept siete",
            "eight acht huit ocho",
            "nine neun neuf nueve",
        )
    )
    for word in words.split()
}
_TEENS: Final = {
    word: str(number)
    for number, words in enumerate(
        (
            "ten zehn dix diez",
            "eleven elf onze",
            "twelve zwölf douze doce",
            "thirteen dreizehn treize trece",
            "fourteen vierzehn quatorze catorce",
            "fifteen fünfzehn quinze quince",
            "sixteen sechzehn seize",
            "seventeen siebzehn",
            "eighteen achtzehn",
            "nineteen neunzehn",
        ),
        start=10,
    )
    for word in words.split()
}
_TENS: Final = {
    word: str(number)
    for number, words in zip(
        range(2, 10),
        (
            "twenty zwanzig vingt veinte",
            "thirty dreißig trente treinta",
            "forty vierzig quarante cuarenta",
            "fifty fünfzig cinquante cincuenta",
            "sixty sechzig soixante sesenta",
            "seventy siebzig",
            "eighty achtzig",
            "ninety neunzig",
        ),
        strict=True,
    )
    for word in words.split()
}
_TIMES: Final = {"double": 2, "doppel": 2, "triple": 3, "treble": 3}
_HUNDRED: Final = frozenset({"hundred", "hundert"})
_NOT_FIRST: Final = frozenset({"o", "un", "dos", "uno"})
"""Words that are seldom digits, unless others stand before them."""
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+")
_BETWEEN: Final = re.compile(r"\.|[ \t\u00a0]*[-–/,()]?[ \t\u00a0]*[()]?[ \t\u00a0]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """Digits that stand together."""

    digits: str
    start: int
    end: int
    spoken: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Pieces that follow each other with nothing but spaces and punctuation in between."""

    pieces: tuple[Piece, ...]
    plus: bool
    """A plus sign, or the word, stands before it and belongs to it."""
    start: int

    @property
    def digits(self) -> str:
        """All of them."""
        return "".join(piece.digits for piece in self.pieces)

    @property
    def end(self) -> int:
        """Where the text goes on."""
        return self.pieces[-1].end

    @property
    def spoken(self) -> bool:
        """Whether words stand for some of the digits."""
        return any(piece.spoken for piece in self.pieces)

    @property
    def counts(self) -> bool:
        """Whether it only counts up or down, such as in twos or in tens."""
        values = [int(piece.digits) for piece in self.pieces]
        steps = {after - before for before, after in pairwise(values)}
        (step,) = steps if len(steps) == 1 else (0,)
        return len(values) > 2 and step != 0 and values[0] % step == 0

    def part(self, first: int, last: int) -> "Run":
        """Return the run of the pieces from `first` up to, without, `last`."""
        pieces = self.pieces[first:last]
        return Run(pieces, self.plus and first == 0, self.start if first == 0 else pieces[0].start)


def runs(text: str) -> Iterator[Run]:
    """Yield all runs of digits, whether written or spoken, from left to right."""
    tokens = list(_TOKEN.finditer(text))
    at = 0
    while at < len(tokens):
        pieces: list[Piece] = []
        while at < len(tokens):
            begin = pieces[-1].end if pieces else tokens[at].start()
            if pieces and not _BETWEEN.fullmatch(text, begin, tokens[at].start()):
                break
            piece, used = _piece(tokens, at, text, first=not pieces)
            if piece is None:
                break
            pieces.append(piece)
            at += used
        if pieces:
            plus = re.search(r"(?:\+|\bplus\s)\s*\(?$", text[: pieces[0].start], re.IGNORECASE)
            opening = re.search(r"\($", text[: pieces[0].start])
            start = plus.start() if plus else opening.start() if opening else pieces[0].start
            yield Run(tuple(pieces), plus is not None, start)
        else:
            at += 1


def _piece(tokens: list[re.Match[str]], at: int, text: str, *, first: bool) -> tuple[Piece | None, int]:
    """Return the piece that begins at a token, and how many tokens it takes; none where the token is no number."""
    before, after = tokens[at].start() - 1, tokens[at].end()
    if (before >= 0 and text[before].isalnum()) or (
        after < len(text) and (text[after].isalnum() or text[after] == "_")
    ):
        return None, 0  # part of a word with digits, such as "3M02" and "34th"
    said, following = tokens[at].group().casefold(), _next_word(tokens, at, text)
    digits, used = ("", 0) if first and said in _NOT_FIRST else _digits(said, following)
    if not digits:
        return None, 0
    return Piece(digits, tokens[at].start(), tokens[at + used - 1].end(), spoken=not said.isdigit()), used


def _next_word(tokens: list[re.Match[str]], at: int, text: str) -> str:
    if at + 1 >= len(tokens) or text[tokens[at].end() : tokens[at + 1].start()].strip(" -"):
        return ""
    return tokens[at + 1].group().casefold()


def _digits(said: str, following: str) -> tuple[str, int]:
    """Return the digits that a word, perhaps with the one after it, stands for, and how many words that takes."""
    below_twenty = _ONES.get(said) or _TEENS.get(said)
    digit = _ONES.get(following) or (following if len(following) == 1 and following.isdecimal() else "")
    if said.isdecimal():
        found = said, 1
    elif said in _TIMES:
        found = digit * _TIMES[said], 2
    elif below_twenty is not None:
        found = (below_twenty + "00", 2) if following in _HUNDRED else (below_twenty, 1)
    elif said in _TENS and digit not in {"", "0"} and following not in _NOT_FIRST:
        found = _TENS[said] + digit, 2
    else:
        found = (_TENS[said] + "0", 1) if said in _TENS else ("", 0)
    return found
