"""Sums as they are spoken: read into an exact number by a small parser of its own, which runs nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Final

from assistant.reflex.numbers import read_number, words_of, written

_OPERATORS: Final[dict[tuple[str, ...], str]] = {
    ("plus",): "plus",
    ("+",): "plus",
    ("added", "to"): "plus",
    ("minus",): "minus",
    ("-",): "minus",
    ("times",): "times",
    ("x",): "times",
    ("*",): "times",
    ("×",): "times",
    ("multiplied", "by"): "times",
    ("multiplied", "with"): "times",
    ("time",): "times",
    ("divided", "by"): "divided by",
    ("divide", "by"): "divided by",
    ("÷",): "divided by",
    ("/",): "divided by",
    ("over",): "divided by",
    ("to", "the", "power", "of"): "to the power of",
    ("^",): "to the power of",
}
_STRENGTH: Final = {"plus": 1, "minus": 1, "times": 2, "divided by": 2, "to the power of": 4}
_PERCENT: Final = (("percent",), ("per", "cent"), ("%",))
_ROOTS: Final[dict[tuple[str, ...], int]] = {
    ("square", "root", "of"): 2,
    ("cube", "root", "of"): 3,
    ("root", "of"): 2,
    ("√",): 2,
}
_POWERS: Final[dict[str, int]] = {"squared": 2, "square": 2, "cubed": 3}
_MISHEARD: Final = {"to": "two", "too": "two", "for": "four"}
"""What numbers sound like."""
_FRACTION: Final = re.compile(r"(\d{1,9})/(\d{1,9})")
_DAYS: Final = 31
"""What is written as a fraction and doesn't go beyond it may be a date, or 24/7."""
_MOST: Final = 10**15
"""Beyond it, a number isn't one to be spoken."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum that was understood."""

    asked: str
    """With digits, as in "15 percent of 80"."""
    value: Fraction | None
    """None where it is divided by zero."""


class _Unreadable(Exception):  # noqa: N818 - it never leaves this file
    pass


def read_sum(text: str) -> Sum | None:
    """Return the sum that `text` is, all of it, with one operation at least; None where it is none."""
    words = words_of(text)
    if len(words) == 1 and (fraction := _FRACTION.fullmatch(words[0])) and int(fraction[1]) > _DAYS:
        words = [fraction[1], "/", fraction[2]]
    parser = _Parser(words)
    try:
        value, asked = parser.read(0)
    except _Unreadable:
        return None
    except ZeroDivisionError:
        return Sum("", None)
    return Sum(asked, value) if parser.over and parser.operations else None


class _Parser:
    """Reads a sum by the strengths of its operators. Each part is its value and how it is said."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._at = 0
        self.operations = 0

    @property
    def over(self) -> bool:
        """All has been read."""
        return self._at == len(self._words)

    def read(self, strength: int) -> tuple[Fraction, str]:
        """Read as long as the operators are stronger than `strength`."""
        value, asked = self._operand()
        while (found := self._operator()) is not None and _STRENGTH[found[0]] > strength:
            operator, self._at = found
            # Powers are read from the right: 2^3^2 is 2^9.
            right, said = self.read(_STRENGTH[operator] - (operator == "to the power of"))
            value, asked = _apply(operator, value, right), f"{asked} {operator} {said}"
            self.operations += 1
        return value, asked

    def _operator(self) -> tuple[str, int] | None:
        for words, operator in _OPERATORS.items():
            if self._ahead(words):
                return operator, self._at + len(words)
        return None

    def _ahead(self, words: tuple[str, ...]) -> bool:
        return tuple(self._words[self._at : self._at + len(words)]) == words

    def _took(self, words: tuple[str, ...]) -> bool:
        if self._ahead(words):
            self._at += len(words)
            return True
        return False

    def _operand(self, *, percent: bool = False) -> tuple[Fraction, str]:
        """Read a number and what belongs to it; with `percent`, a sign for it at the end is one too many."""
        self._took(("the",))
        for root, degree in _ROOTS.items():
            if self._took(root):
                value, asked = self._operand()
                self.operations += 1
                name = "square" if degree == 2 else "cube"
                return _root(value, degree), f"the {name} root of {asked}"
        words, began = self._words, self._at
        if began < len(words) and words[began] in _MISHEARD:
            words = [*words[:began], _MISHEARD[words[began]], *words[began + 1 :]]
        found = read_number(words, began)
        if found is None:
            raise _Unreadable
        value, self._at = found
        said = _said(words[began : self._at], value)
        if percent and any(self._took(sign) for sign in _PERCENT):  # recognisers write "15% of 80%"
            return value, said
        return self._after(value, said)

    def _after(self, value: Fraction, said: str) -> tuple[Fraction, str]:
        """Read what follows a number and belongs to it."""
        for word, exponent in _POWERS.items():
            if self._took((word,)):
                self.operations += 1
                return _power(value, Fraction(exponent)), f"{said} {word}"
        if any(self._took(words) for words in _PERCENT):
            if self._took(("of",)):
                whole, asked = self._operand(percent=True)
                self.operations += 1
                return value * whole / 100, f"{said} percent of {asked}"
            if self._took(("off",)):
                whole, asked = self._operand()
                self.operations += 1
                return whole * (100 - value) / 100, f"{said} percent off {asked}"
            raise _Unreadable
        if 0 < value < 1 and self._took(("of",)):
            whole, asked = self._operand()
            self.operations += 1
            return value * whole, f"{said} of {asked}"
        return value, said


def _said(words: Sequence[str], value: Fraction) -> str:
    """Return a number as it is repeated: in digits where these are exact, else as it was said."""
    if "/" in words[0] or 10**6 % value.denominator or {"half", "quarter"} & set(words):
        return " ".join(words)
    return written(value, 6)


def _apply(operator: str, left: Fraction, right: Fraction) -> Fraction:
    match operator:
        case "plus":
            value = left + right
        case "minus":
            value = left - right
        case "times":
            value = left * right
        case "divided by":
            value = left / right
        case _:
            value = _power(left, right)
    if abs(value) > _MOST:
        raise _Unreadable
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if abs(exponent) > 64 or exponent.denominator != 1 or base.denominator > 1000 or abs(base) > 10**7:
        raise _Unreadable
    if base == 0 and exponent < 0:
        raise ZeroDivisionError
    value = base ** int(exponent)
    if abs(value) > _MOST:
        raise _Unreadable
    return Fraction(value)


def _root(value: Fraction, degree: int) -> Fraction:
    if value < 0 or value > _MOST:
        raise _Unreadable
    exact = isqrt(int(value)) if degree == 2 else round(float(value) ** (1 / 3))
    return Fraction(exact) if exact**degree == value else Fraction(float(value) ** (1 / degree))
