"""How numbers are said that are no plain counts: telephones, versions, ranges, ratios, products, signs.

A count ("1,234", "3.14", "the 21st") is left to the voice, which reads it well.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
"""What to look for, and what to say instead."""
Stage = tuple[re.Pattern[str], tuple[Rule, ...]]
"""The sign without which none of its rules applies, and the rules, in order."""

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS: Final = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}
_TELEPHONE_DIGITS: Final = 7
"""A plus before fewer digits belongs to a sum."""


def table(text: str) -> dict[str, str]:
    """Read "km: kilometer; m: meter"."""
    return dict(entry.split(": ") for entry in " ".join(text.split()).split("; "))


def any_of(words: Iterable[str]) -> str:
    """Return a pattern for any of `words`; where two begin alike, for the longer one."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def words(number: int) -> str:
    """Return a number, 0..99, in words."""
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_ONES[ones]}" if ones else _TENS[tens]


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th."""
    return f"{number}{'th' if 10 < number % 100 < 14 else _ENDINGS.get(number % 10, 'th')}"


def _digits(match: re.Match[str]) -> str:
    """Say digits one by one, with a pause where they are parted."""
    groups = ", ".join(" ".join(group) for group in re.findall(r"\d+", match[0]))
    return f"plus {groups}" if match[0].startswith("+") else groups


def _telephone(match: re.Match[str]) -> str:
    return _digits(match) if sum(map(str.isdigit, match[0])) >= _TELEPHONE_DIGITS else match[0]


def _dotted(match: re.Match[str]) -> str:
    """Say a version with points, and an internet address, which has four numbers, with dots."""
    dot = " dot " if match[0].count(".") == 3 else " point "
    return match[0].replace(".", dot).replace(":", " port ")


def _range(match: re.Match[str]) -> str:
    is_sum = match["gap"] == " - " and "=" in match.string[match.end() :]
    return f"{match['low']} {'minus' if is_sum else 'to'} "


def _times(match: re.Match[str]) -> str:
    is_unknown = "=" in match.string
    return match[0] if is_unknown else f"{match[1]} times"


def _round_ordinal(match: re.Match[str]) -> str:
    name = "hundredth" if match[2] == "00" else "thousandth"
    return name if match[1] == "1" else f"{match[1]} {name}"


NUMBERS: Final[tuple[Stage, ...]] = (
    (
        re.compile(r"\d{3}|\d-\d"),  # what is read digit by digit, as telephones are
        (
            (re.compile(r"(?<![\w.,])\d{1,3}(?: 000)+(?!\d)"), lambda match: match[0].replace(" ", ",")),
            (re.compile(r"(?<![\w)])\+\d{1,3}(?:[ ()./-]{0,2}\d{1,12}){1,7}"), _telephone),
            (re.compile(r"(?<![\w-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"), _digits),
            (re.compile(r"(?<![\w.,/-])0\d{1,4}[ /-]?\d{4,}(?:[ -]\d+)*(?![\w-])"), _digits),
            (re.compile(r"(?<![\w.,/-])(?:555-\d{4}|\d+(?:-\d+){2,})(?![\w-])"), _digits),
            (re.compile(r"(?<=[Cc]all )(?:911|999|112|988|311)\b|(?<=[Dd]ial )\d{3}\b"), _digits),
            (re.compile(r"(?<![\d,.])(\d)(00|,?000)th\b"), _round_ordinal),
            (re.compile(r"(?<!\w)(\d{1,2})([1-9]\d)p\b"), r"\1 \2 p"),  # 1080p
        ),
    ),
    (
        re.compile(r"\.\d|[#v]\d|o\. ?\d"),
        (
            (re.compile(r"\bNo\. ?(?=\d)|(?<!\w)#(?=\d)"), "number "),
            (re.compile(r"(?<![\w.])v(?=\d+\.\d)"), "version "),
            (
                re.compile(r"\b([Vv]ersion|Python|Ubuntu|Node|Go|Django|kernel) (\d+)\.([1-9]\d)(?![\d.]*\d)"),
                r"\1 \2 point \3",
            ),
            (re.compile(r"(?<![\w.,])\d+(?:\.\d+){2,}(?::\d+)?(?!,?\d)"), _dotted),
            (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
        ),
    ),
    (
        re.compile(r"[-–−] ?[\d$€£¥]"),
        (
            (re.compile(r"(?<![\w)\]%°.])[-−–](?=[$€£¥]?\d)"), "minus "),
            (re.compile(r"(?<=\d) ?− ?(?=\d)"), " minus "),
            (
                re.compile(
                    r"(?<![\w.,:/$€£¥-])(?P<low>\d(?:[\d.,:]*\d)?(?: ?(?:[ap]\.?m\.?|[a-zA-Zµ%°]{1,4})(?=[-–]))?)"
                    r"(?P<gap> ?[-–] ?)(?=\d)"
                ),
                _range,
            ),
        ),
    ),
    (
        re.compile(r"\d(?: ?x|:\d)"),
        (
            (re.compile(r"(?<![\w.,:/])(?!\d{1,2}:[0-5]\d(?!\d))(\d{1,4}):(?=\d{1,4}(?![\d:]))"), r"\1 to "),
            (re.compile(r"(?<![\w.,])(?!0x)(\d[\d.,]*)x(?=\d)"), r"\1 by "),
            (re.compile(r"(?<=\d) x (?=\d)"), " times "),
            (re.compile(r"(?<![\w.,])(\d[\d.,]*)x(?= [a-z]|[.,;:!?)]|$)"), _times),
        ),
    ),
)
