"""Lengths of time in English: "an hour and a half", "90 seconds", "two hours thirty"."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from assistant.reflex.numbers import read_number
from assistant.reflex.reflex import Slot

_UNITS: Final = {
    name: seconds
    for seconds, names in {
        1: "second seconds sec secs s",
        60: "minute minutes min mins minuet minuets minutes' minute's minit minits m",
        3600: "hour hours hr hrs hour's h our ours",
        86400: "day days",
        604800: "week weeks",
    }.items()
    for name in names.split()
}
MOST_S: Final = 366 * 86400
"""The longest length that anybody means."""


def read_duration(words: Sequence[str], at: int = 0) -> tuple[float, int] | None:
    """Return the seconds of the length that begins at word `at`, and the place of the word after it."""
    total, here, last = Fraction(0), at, 10**9
    while (part := _part(words, here, last)) is not None:
        seconds, here, last = part
        total += seconds
        if words[here : here + 1] == ["and"] and _part(words, here + 1, last) is not None:
            here += 1
    minutes = read_number(words, here) if last == 3600 else None
    if minutes is not None and minutes[1] == len(words) and 0 < minutes[0] < 60 and minutes[0].denominator == 1:
        # "two hours thirty": the unit is left out, at the end only.
        total, here = total + 60 * minutes[0], minutes[1]
    return (float(total), here) if here > at and 0 < total <= MOST_S else None


def whole_duration(words: Sequence[str]) -> float | None:
    """Return the seconds of a length that is all there is, or None."""
    found = read_duration(words)
    return found[0] if found is not None and found[1] == len(words) else None


def _part(words: Sequence[str], at: int, below: int) -> tuple[Fraction, int, int] | None:
    """Read one unit's worth, of a smaller unit than `below`: its seconds, the place after it, its unit."""
    number = _count(words, at)
    if number is None:
        return None
    count, here = number
    if words[here : here + 2] in (["of", "a"], ["of", "an"]):
        here += 2
    elif words[here : here + 1] in (["a"], ["an"], ["of"]):
        here += 1
    unit = _UNITS.get(words[here]) if here < len(words) else None
    if unit is None or unit >= below:
        return None
    here += 1
    if words[here : here + 1] == ["and"]:
        rest = read_number(words, here + 1)
        follows = words[rest[1]] if rest is not None and rest[1] < len(words) else ""
        # "an hour and a half", but not "an hour and half a minute"
        if rest is not None and 0 < rest[0] < 1 and follows not in {"a", "an", "of", *_UNITS}:
            count, here = count + rest[0], rest[1]
    return count * unit, here, unit


def _count(words: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    if words[at : at + 3] == ["a", "couple", "of"]:
        return Fraction(2), at + 3
    if words[at : at + 1] in (["a"], ["an"], ["another"]) and at + 1 < len(words) and words[at + 1] in _UNITS:
        return Fraction(1), at + 1
    return read_number(words, at)


def seconds_of(slots: Mapping[str, Slot], prefix: str = "") -> float | None:
    """Return the length that Home Assistant's slots stand for: `prefix` and "hours", "minutes", "seconds"."""
    total, found = 0.0, False
    for name, unit in (("hours", 3600), ("minutes", 60), ("seconds", 1)):
        value = slots.get(prefix + name)
        if value is None:
            continue
        try:
            total, found = total + unit * float(value), True
        except ValueError:
            return None
    return total if found and 0 < total <= MOST_S else None
