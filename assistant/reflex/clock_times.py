"""Times of day in English: "seven thirty", "half past six tomorrow", "Friday at 8 a.m.", "in twenty minutes"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from assistant.reflex.durations import read_duration
from assistant.reflex.numbers import read_number

_Half: TypeAlias = Literal["am", "pm"]

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HALVES: Final[dict[str, _Half]] = {"am": "am", "a.m": "am", "pm": "pm", "p.m": "pm"}
_PARTS: Final[dict[str, _Half]] = {"morning": "am", "afternoon": "pm", "evening": "pm"}
_FILLERS: Final = frozenset("for at on to by the this in around about o'clock oclock sharp of my".split())
_CLOCK: Final = re.compile(r"(\d{1,2})[:.](\d\d)")
_DIGITS: Final = re.compile(r"(\d{1,2})(\d\d)")
_MORNING: Final = range(5, 12)
"""Hours of a day to come that are meant in the morning where it isn't said."""


@dataclass(slots=True)
class _When:
    day: int | None = None
    """Days from today."""
    weekday: int | None = None
    clock: tuple[int, int] | None = None
    half: _Half | None = None
    length_s: float | None = None
    night: bool = False
    """It was said to be at night."""


def read_when(words: Sequence[str], now: datetime, *, morning: bool = False) -> datetime | None:
    """Return the moment after `now` that all of `words` stand for; None where they stand for none.

    `now` is local time, with its zone. An hour that may be of the morning or of the afternoon is the next one of both,
    on another day the likelier one; with `morning`, it is of the morning.
    """
    when, here = _When(), 0
    while here < len(words):
        after = _read_one(words, here, when)
        if after is None:
            return None
        here = after
    if when.length_s is not None:
        alone = when.clock is None and when.day is None and when.weekday is None
        ends = now.astimezone(UTC) + timedelta(seconds=when.length_s)
        return ends.astimezone(now.tzinfo) if alone else None
    return None if when.clock is None else _resolve(when, now, morning=morning)


def _read_one(words: Sequence[str], at: int, when: _When) -> int | None:  # noqa: PLR0911 - each is a way to say it
    word = words[at]
    if word == "in" and (length := read_duration(words, at + 1)) is not None:
        when.length_s, after = length
        return after
    if words[at : at + 3] == ["day", "after", "tomorrow"]:
        when.day = 2
        return at + 3
    if word in {"today", "tonight", "tomorrow"}:
        when.day = int(word == "tomorrow")
        when.night |= word == "tonight"
        return at + 1
    if word.removeprefix("next ").rstrip("s") in _WEEKDAYS:
        when.weekday = _WEEKDAYS.index(word.rstrip("s"))
        return at + 1
    if (half := _HALVES.get(word) or _PARTS.get(word)) is not None:
        when.half = half
        return at + 1
    if word == "night":
        when.night = True
        return at + 1
    if words[at : at + 2] in (["a", "m"], ["p", "m"]):
        when.half = "am" if word == "a" else "pm"
        return at + 2
    if when.clock is None and (found := _clock(words, at, when)) is not None:
        when.clock, after = found
        return after
    return at + 1 if word in _FILLERS else None


def _clock(words: Sequence[str], at: int, when: _When) -> tuple[tuple[int, int], int] | None:  # noqa: PLR0911 - each is a way to say it
    word = words[at]
    if word in {"noon", "midday", "midnight"}:
        when.half = "am" if word == "midnight" else "pm"
        return (12, 0), at + 1
    if match := _CLOCK.fullmatch(word) or _DIGITS.fullmatch(word):
        clock = int(match[1]), int(match[2])
        return (clock, at + 1) if clock[0] < 24 and clock[1] < 60 else None
    if (relative := _relative(words, at)) is not None:
        return relative
    if (hour := _small(words, at, 24)) is None:
        return None
    number, after = hour
    if words[after : after + 1] == ["oh"] and (minute := _small(words, after + 1, 10)) is not None:
        return (number, minute[0]), minute[1]
    minute = _small(words, after, 60)
    if minute is not None and minute[0] >= 10:
        return (number, minute[0]), minute[1]
    return (number, 0), after


def _relative(words: Sequence[str], at: int) -> tuple[tuple[int, int], int] | None:
    """Read "half past six", "a quarter to eight", "ten minutes past seven"."""
    here = at + 1 if words[at] == "a" else at
    if words[here : here + 1] in (["half"], ["quarter"]):
        minutes, here = (30 if words[here] == "half" else 15), here + 1
    elif (number := _small(words, here, 60)) is not None:
        minutes, here = number
        here += words[here : here + 1] in (["minutes"], ["minute"])
    else:
        return None
    direction = words[here] if here < len(words) else ""
    if direction not in {"past", "after", "to", "before", "till"}:
        return None
    hour = _small(words, here + 1, 13)
    if hour is None:
        return None
    if direction in {"past", "after"}:
        return (hour[0], minutes), hour[1]
    return ((hour[0] - 1) % 12 or 12, 60 - minutes), hour[1]


def _small(words: Sequence[str], at: int, below: int) -> tuple[int, int] | None:
    """Read a whole number from 0 on that is `below`."""
    found = read_number(words, at)
    if found is None or found[0].denominator != 1 or not 0 <= found[0] < below:
        # "seven thirty" and "twenty five" are no numbers of one kind: the first word may stand alone
        found = read_number(words[: at + 1], at)
    if found is None or found[0].denominator != 1 or not 0 <= found[0] < below:
        return None
    return int(found[0]), found[1]


def _resolve(when: _When, now: datetime, *, morning: bool) -> datetime | None:
    assert when.clock is not None
    hour, minute = when.clock
    hours, late = _hours(when, hour, morning=morning)
    if when.day is None and when.weekday is None:
        moments = [_at(now, days, each, minute) for days in (0, 1) for each in hours]
        return min(moment for moment in moments if moment > now)
    days = when.day if when.day is not None else ((when.weekday or 0) - now.weekday()) % 7
    days += late
    moments = [moment for each in hours if (moment := _at(now, days, each, minute)) > now]
    if not moments and when.weekday is not None:
        days += 7
        moments = [_at(now, days, each, minute) for each in hours]
    if len(moments) > 1 and days > 0:
        return moments[0 if hour in _MORNING else 1]
    return min(moments, default=None)


def _hours(when: _When, hour: int, *, morning: bool) -> tuple[list[int], int]:
    """Return the hours of the day that may be meant, and 1 where they are those of the night after the day."""
    if not 0 < hour <= 12:
        return [hour], 0
    before, after = hour % 12, hour % 12 + 12
    if when.half is not None:
        return [before if when.half == "am" else after], 0
    if when.night:
        return ([before], 1) if before < 5 else ([after], 0)
    return ([before] if morning else [before, after]), 0


def _at(now: datetime, days: int, hour: int, minute: int) -> datetime:
    """Return that time of the wall clock: a day has 23 or 25 hours now and then."""
    day = now.date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=now.tzinfo)
