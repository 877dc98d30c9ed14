"""Numbers, lengths, times of day and slips, read from words."""

from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.reflex.clock_times import read_when
from assistant.reflex.durations import read_duration, whole_duration
from assistant.reflex.mishearings import Mishearings
from assistant.reflex.numbers import read_number, words_of, written
from assistant.reflex.responses import clock, duration, listed, ordinal
from assistant.reflex.sums import read_sum
from tests.assistant.reflex.house import BERLIN

TUESDAY = datetime(2026, 11, 24, 15, 20, tzinfo=BERLIN)
UNITS = {
    "day": ["day", "days"],
    "hour": ["hour", "hours"],
    "minute": ["minute", "minutes"],
    "second": ["second", "seconds"],
    "and": ["and"],
}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("seventeen", 17),
        ("twenty-four", 24),
        ("a hundred and five", 105),
        ("one thousand two hundred", 1200),
        ("two hundred and thirty four thousand five hundred and sixty seven", 234567),
        ("12.5", Fraction(25, 2)),
        ("twelve point oh five", Fraction(241, 20)),
        ("one and a half", Fraction(3, 2)),
        ("2 1/2", Fraction(5, 2)),
        ("2½", Fraction(5, 2)),
        ("three quarters", Fraction(3, 4)),
        ("1,200.5", Fraction(2401, 2)),
        ("minus forty", -40),
        ("2 million", 2_000_000),
    ],
)
def test_a_number(said: str, value: Fraction) -> None:
    words = words_of(said)
    assert read_number(words) == (value, len(words))


@pytest.mark.parametrize(
    ("said", "value", "rest"), [("nineteen eighty four", 19, 2), ("nine ten", 9, 1), ("five and six", 5, 2)]
)
def test_what_is_more_than_a_number(said: str, value: int, rest: int) -> None:
    words = words_of(said)
    assert read_number(words) == (value, len(words) - rest)


@given(st.integers(0, 10**12))
def test_every_number_is_read_as_it_is_spoken(number: int) -> None:
    from unicode_rbnf import RbnfEngine  # noqa: PLC0415

    spoken = RbnfEngine.for_language("en").format_number(number).text
    words = words_of(spoken)
    assert read_number(words) == (number, len(words)), spoken
    assert read_number(words_of(written(number))) == (number, 1)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("five minutes", 300),
        ("an hour and a half", 5400),
        ("one and a half hours", 5400),
        ("two hours thirty", 9000),
        ("half an hour", 1800),
        ("a quarter of an hour", 900),
        ("three quarters of an hour", 2700),
        ("1h 30m", 5400),
        ("a minute and a half", 90),
        ("an hour and thirty seconds", 3630),
        ("a couple of minutes", 120),
        ("one hour, twenty minutes and five seconds", 4805),
        ("half", None),
        ("five", None),
        ("minutes", None),
        ("five minutes hour", None),
        ("minus five minutes", None),
        ("two years", None),
    ],
)
def test_a_length(said: str, seconds: float | None) -> None:
    assert whole_duration(words_of(said)) == seconds


@given(st.integers(1, 10**6))
def test_a_length_is_read_as_it_is_said(seconds: int) -> None:
    """Of the two largest units that are said, at least."""
    words = words_of(duration(seconds, UNITS))
    length, after = read_duration(words)
    assert after == len(words)
    assert abs(length - seconds) < (3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("for seven thirty", "24 19:30"),
        ("7 a.m.", "25 07:00"),
        ("tomorrow at 6:45", "25 06:45"),
        ("half past six", "24 18:30"),
        ("a quarter to eight", "24 19:45"),
        ("twenty five to nine", "24 20:35"),
        ("noon", "25 12:00"),
        ("midnight", "25 00:00"),
        ("10 o'clock tonight", "24 22:00"),
        ("tonight at 1", "25 01:00"),
        ("friday at 8 a.m.", "27 08:00"),
        ("on tuesday at 3", "01 15:00"),
        ("the day after tomorrow at 8", "26 08:00"),
        ("tomorrow afternoon at 2", "25 14:00"),
        ("tomorrow at 2", "25 14:00"),
        ("at 16:00", "24 16:00"),
        ("at seven oh five", "24 19:05"),
        ("at 730", "24 19:30"),
        ("in twenty minutes", "24 15:40"),
        ("today at noon", None),
        ("tomorrow", None),
        ("in twenty minutes tomorrow", None),
        ("when september ends", None),
        ("at 25:00", None),
        ("", None),
    ],
)
def test_a_time_of_day(said: str, expected: str | None) -> None:
    found = read_when(words_of(said), TUESDAY)
    assert (None if found is None else found.strftime("%d %H:%M")) == expected


def test_a_time_of_day_is_the_wall_clocks_when_the_clocks_change() -> None:
    evening = datetime(2026, 10, 24, 22, 0, tzinfo=BERLIN)  # the clocks go back at three in the morning
    at = read_when(words_of("tomorrow at 7"), evening)
    assert at.strftime("%d %H:%M") == "25 07:00"
    assert at.timestamp() - evening.timestamp() == 10 * 3600
    later = read_when(words_of("in ten hours"), evening)
    assert later.timestamp() - evening.timestamp() == 10 * 3600


@given(st.text(alphabet="abcdefghij 0123456789:./,%-+x'", max_size=40))
def test_nothing_that_is_said_breaks_a_reader(text: str) -> None:
    words = words_of(text)
    read_number(words)
    read_duration(words)
    read_when(words, TUESDAY)
    read_sum(text)


@given(
    st.lists(
        st.sampled_from(
            "seven thirty to past half quarter tomorrow at in minutes two hours and a friday am x plus of %".split()
        ),
        max_size=8,
    )
)
def test_times_are_in_the_future(words: list[str]) -> None:
    at = read_when(words, TUESDAY)
    assert at is None or TUESDAY < at <= TUESDAY + timedelta(days=400)
    read_sum(" ".join(words))


def test_a_slip_is_mended_where_it_leaves_no_word() -> None:
    mishearings = Mishearings(["timer", "minutes", "what's", "date"], ["tiger", "data"])
    assert list(mishearings.readings("wat's the tymer")) == ["what's the timer", "what's the tymer", "wat's the timer"]
    assert list(mishearings.readings("what's the data for the tiger")) == []
    assert list(mishearings.readings("fuor mintues")) == ["fuor minutes"]


def test_answers_as_they_are_spoken() -> None:
    assert [ordinal(each) for each in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)] == (
        "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 31st".split()
    )
    assert clock(TUESDAY) == "3:20 PM"
    assert clock(TUESDAY.replace(hour=0)) == "12:20 AM"
    assert listed(["a"], "and") == "a"
    assert listed(["a", "b", "c"], "and") == "a, b and c"
    assert [duration(each, UNITS) for each in (0, 1, 59.6, 3661, 90000)] == [
        "0 seconds",
        "1 second",
        "1 minute",
        "1 hour and 1 minute",
        "1 day and 1 hour",
    ]
