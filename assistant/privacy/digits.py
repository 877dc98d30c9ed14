"""Numbers as they are written and as they are spoken, digit by digit: "415 555-2671", "four one five, double five …"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
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
        """Whether it only counts up or down."""
        values = [int(piece.digits) for piece in self.pieces]
        steps = {after - before for before, after in zip(values, values[1:], strict=False)}
        return len(values) > 2 and (steps == {1} or steps == {-1})

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
    """Return the piece that begins at a token, and how many tokens it takes."""

    def word(offset: int) -> str:
        if at + offset >= len(tokens):
            return ""
        gap = text[tokens[at + offset - 1].end() : tokens[at + offset].start()] if offset else ""
        return tokens[at + offset].group().casefold() if gap.strip(" -") == "" else ""

    def made(digits: str, used: int) -> tuple[Piece, int]:
        return Piece(digits, tokens[at].start(), tokens[at + used - 1].end(), spoken=not word(0).isdigit()), used

    said = word(0)
    # A word with digits in it ("3M02", "b2") is no number; neither is one that goes on ("34th").
    before, after = tokens[at].start() - 1, tokens[at].end()
    if (before >= 0 and text[before].isalnum()) or (
        after < len(text) and (text[after].isalnum() or text[after] == "_")
    ):
        return None, 0
    if said.isdigit():
        return made(said, 1)
    if first and said in _NOT_FIRST:
        return None, 0
    if said in _TIMES:
        digit = _ONES.get(word(1)) or (word(1) if len(word(1)) == 1 and word(1).isdigit() else None)
        return made(digit * _TIMES[said], 2) if digit else (None, 0)
    hundred = word(1) in {"hundred", "hundert"}
    if said in _ONES:
        return made(_ONES[said] + "00", 2) if hundred and said != "oh" else made(_ONES[said], 1)
    if said in _TEENS:
        return made(_TEENS[said] + "00", 2) if hundred else made(_TEENS[said], 1)
    if said in _TENS:
        unit = _ONES.get(word(1), "0")
        return made(_TENS[said] + unit, 2) if unit != "0" and word(1) not in _NOT_FIRST else made(_TENS[said] + "0", 1)
    return None, 0
