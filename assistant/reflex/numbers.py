"""Numbers as English says and writes them: "twenty four", "2.5", "one and a half", "three quarters", "1,200"."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

_ONES: Final = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
}
_TENS: Final = {
    word: 10 * number
    for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_BELOW_HUNDRED: Final = _ONES.keys() | _TENS.keys()
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS: Final = {
    "half": Fraction(1, 2),
    "third": Fraction(1, 3),
    "thirds": Fraction(1, 3),
    "quarter": Fraction(1, 4),
    "quarters": Fraction(1, 4),
    "fifth": Fraction(1, 5),
    "fifths": Fraction(1, 5),
    "tenth": Fraction(1, 10),
    "tenths": Fraction(1, 10),
}
_DIGITS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
_FRACTION: Final = re.compile(r"(\d{1,4})/([1-9]\d{0,3})")
_WORD: Final = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+/\d+|\d+:\d\d|\d+(?:\.\d+)?|\.\d+|[^\W\d_]+(?:['.][^\W\d_]+)*|[%°+*×÷=/^√-]"
)
_VULGAR: Final = {"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3"}


def words_of(text: str) -> list[str]:
    """Split what was said into words, numbers and signs: "5pm" is two of them, and "ten-minute" too."""
    text = text.casefold().replace("’", "'").replace("−", "-")
    for sign, plain in _VULGAR.items():
        text = text.replace(sign, plain)
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W_])|(?<=\d)-(?=[^\W\d_])", " ", text)
    return [word.rstrip(".") for word in _WORD.findall(text)]


def read_number(words: Sequence[str], at: int = 0) -> tuple[Fraction, int] | None:
    """Return the number that begins at word `at`, and the place of the word after it; None where none does."""
    if at < len(words) and words[at] in {"minus", "negative", "-"}:
        found = _positive(words, at + 1)
        return None if found is None else (-found[0], found[1])
    return _positive(words, at)


def _positive(words: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    found = _written(words, at) or _spoken(words, at)
    if found is None:
        return _part(words, at)
    value, after = found
    if (part := _part_of(value, words, after)) is not None:
        return part
    if words[after : after + 1] == ["and"] and (part := _part(words, after + 1)) is not None and part[0] < 1:
        return value + part[0], part[1]
    return _mixed(value, words, after)


def _mixed(value: Fraction, words: Sequence[str], after: int) -> tuple[Fraction, int]:
    """Read "2 1/2" and "2 million"."""
    if after < len(words):
        if value.denominator == 1 and (part := _FRACTION.fullmatch(words[after])):
            return value + Fraction(int(part[1]), int(part[2])), after + 1
        if words[after] in _SCALES:
            return value * _SCALES[words[after]], after + 1
    return value, after


def _written(words: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    word = words[at] if at < len(words) else ""
    if part := _FRACTION.fullmatch(word):
        return Fraction(int(part[1]), int(part[2])), at + 1
    return (Fraction(word.replace(",", "")), at + 1) if _DIGITS.fullmatch(word) and len(word) < 25 else None


def _spoken(words: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    """Read "two hundred and thirty four thousand": hundreds in `group`, what is multiplied already in `total`."""
    total, group, scale, here = 0, 0, 10**18, at
    while here < len(words):
        word = words[here]
        ahead = words[here + 1] if here + 1 < len(words) else ""
        if word in _ONES and _fits(_ONES[word], group) and (_ONES[word] or here == at):
            group += _ONES[word]
        elif word in _TENS and group % 100 == 0:
            group += _TENS[word]
        elif word == "hundred" and 0 < group < 100:
            group *= 100
        elif word == "a" and here == at and ahead in {"hundred", *_SCALES}:
            group = 1
        elif word in _SCALES and group and _SCALES[word] < scale:
            scale = _SCALES[word]
            total, group = total + group * scale, 0
        elif not (word == "and" and here > at and group % 100 == 0 and (group or total) and ahead in _BELOW_HUNDRED):
            break
        here += 1
        if word == "zero":
            break
    if here == at:
        return None
    value = Fraction(total + group)
    return _decimals(value, words, here) if words[here : here + 1] == ["point"] else (value, here)


def _fits(ones: int, group: int) -> bool:
    """Whether a number below twenty may follow in the group: after "forty" only one below ten."""
    return group % 100 == 0 or (group % 10 == 0 and group % 100 >= 20 and ones < 10)


def _decimals(value: Fraction, words: Sequence[str], point: int) -> tuple[Fraction, int]:
    here, digits = point + 1, ""
    while here < len(words) and (words[here] in _ONES or words[here] == "oh"):
        digits += str(_ONES.get(words[here], 0))
        here += 1
    return (value + Fraction(f"0.{digits}"), here) if digits else (value, point)


def _part(words: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    """Read "half", "a quarter", "a half"."""
    here = at + 1 if words[at : at + 1] == ["a"] else at
    word = words[here] if here < len(words) else ""
    return (_PARTS[word], here + 1) if word in {"half", "quarter", "third", "fifth", "tenth"} else None


def _part_of(value: Fraction, words: Sequence[str], after: int) -> tuple[Fraction, int] | None:
    """Read what follows in "three quarters"."""
    word = words[after] if after < len(words) else ""
    return (value * _PARTS[word], after + 1) if word in _PARTS and word != "half" and 0 < value < 10 else None


def written(value: Fraction | float, digits: int = 4) -> str:
    """Return a number as it is shown: "408", "3.3333", "1,200,000"; `digits` of them behind the point at most."""
    text = f"{float(value):,.{digits}f}" if Fraction(value).denominator != 1 else f"{int(value):,}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
