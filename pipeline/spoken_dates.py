"""How dates, times of day, durations, decades and years are said.

A year is put in words, since a voice reads it as a count. A date in figures with slashes has the month first, unless
only the day makes sense there; with dots it has the day first.
"""

import re
from typing import Final

from pipeline.spoken_numbers import Stage, ordinal, words

SENTENCE_START: Final = (
    r"(?:The|This|That|These|Those|There|Then|They|It|Its|It's|He|His|She|Her|We|Our|You|Your|I|I'm|I'll|My|If|In|On|At|"
    r"As|So|And|But|Or|For|From|To|By|With|When|While|What|Who|Why|How|Where|Now|No|Not|Yes|Is|Are|Do|Does|Can|Could|"
    r"Would|Will|Should|Let|Let's|Please|However|Also|After|Before|Some|Many|Most|Both|Each|All|One|An|A)\b"
)
"""A word that begins a sentence far more often than it is part of a name."""
DOT: Final = rf"(?:\.(?![\"'”’)\]]*(?:$|\s+{SENTENCE_START})))?"
"""The dot of an abbreviation, unless it ends the sentence too."""

_MONTHS: Final = "January February March April May June July August September October November December".split()
_MONTH: Final = rf"((?:{'|'.join(_MONTHS)})\b|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b{DOT})"
_WEEKDAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_WEEKDAY: Final = r"\b(Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\b\.?"
_DAY: Final = r"([12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\w%°$€£]|[.,:/]\d)"
_TO: Final = r" ?(?:[-–]|\bto\b) ?"
_MEASURED: Final = (
    r"(?:[a-z]*(?:meter|gram|byte|liter|watt|hertz|pixel|calorie|joule|volt|second|minute|hour)s?|miles|feet|yards|"
    r"pounds|ounces|tons|degrees|percent|dollars|euros|yen|won|yuan|rupees|rubles|cents|square|cubic|US|Swiss|hundred|"
    r"thousand|million|billion|trillion)\b"
)
"""What follows a number that is certainly no year."""

_HALF_DAY_FOLLOWS: Final = re.compile(r" (?:to|and) \d{1,2}(?:(?::| oh )\d{1,2})? [AP]M\b")
_PARTS: Final = ("hour", "minute", "second")


def year(number: int) -> str:
    """Return a year, 1000..2099, in words; a round one in figures, which voices read well."""
    century, rest = divmod(number, 100)
    if rest == 0 or (rest < 10 and century % 10 == 0):
        return str(number)
    return f"{words(century)} {'oh ' if rest < 10 else ''}{words(rest)}"


def _month(abbreviation: str) -> str:
    return next(month for month in _MONTHS if month.startswith(abbreviation[:3]))


def _weekday(abbreviation: str) -> str:
    return next(day for day in _WEEKDAYS if day.startswith(abbreviation[:3]))


def _iso_date(match: re.Match[str]) -> str:
    said = f"{_MONTHS[int(match[2]) - 1]} {ordinal(int(match[3]))}, {match[1]}"
    return f"{said} at {match[4]}" if match[4] else said


def _date_in_figures(match: re.Match[str]) -> str:
    """Say a date; one that no calendar has stays as it is."""
    month, day, number = int(match[1]), int(match[3]), match[4]
    if match[2] == "." or month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    if len(number) == 2:
        number = f"{20 if int(number) < 70 else 19}{number}"
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {number}"


def _day_of_month(match: re.Match[str]) -> str:
    days = " to ".join(ordinal(int(day)) for day in (match[1], match[2]) if day)
    return f"the {days} of {_month(match[3])}"


def _month_and_day(match: re.Match[str]) -> str:
    days = " to ".join(ordinal(int(day)) for day in (match[2], match[3]) if day)
    return f"{_month(match[1])} {days}"


def _half_day(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), match[2] or "00"
    return f"{hour if minute == '00' else _hour_and_minute(hour, minute)} {match[3].upper()}M"


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), match[2]
    if minute != "00":
        return _hour_and_minute(hour, minute)
    if hour > 24:
        return match[0]
    if hour in {0, 24}:
        return "midnight"
    if _HALF_DAY_FOLLOWS.match(match.string, match.end()):
        return str(hour)
    return f"{hour} o'clock" if hour <= 12 else f"{hour} hundred"


def _hour_and_minute(hour: int, minute: str) -> str:
    return f"{hour} oh {minute[1]}" if minute[0] == "0" else f"{hour}:{minute}"


def _duration(match: re.Match[str]) -> str:
    hours, minutes, seconds = (_count(int(part), name) for part, name in zip(match.groups(), _PARTS, strict=True))
    return f"{hours}, {minutes} and {seconds}"


def _count(number: int, name: str) -> str:
    return f"{number} {name if number == 1 else f'{name}s'}"


def _decade(match: re.Match[str]) -> str:
    """Say "1990s" as "nineteen nineties", "1900s" as "nineteen hundreds"."""
    century, tens = match[1], int(match[2])
    if century == "20" and tens == 0:
        return "two thousands"
    return f"{words(int(century))} {'hundreds' if tens == 0 else _tens(tens)}"


def _tens(tens: int) -> str:
    return "tens" if tens == 1 else f"{words(10 * tens)[:-1]}ies"


DATES: Final[tuple[Stage, ...]] = (
    (
        re.compile(r"\d[-./]\d"),
        (
            (
                re.compile(
                    r"(?<![\w/-])(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
                    r"(?:[T ](\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\w-])"
                ),
                _iso_date,
            ),
            (
                re.compile(r"(?<![\w./-])(\d{1,2})([/.])(\d{1,2})\2(\d{4}|(?<=/)\d\d)(?![\w/-]|\.\d)"),
                _date_in_figures,
            ),
        ),
    ),
    (
        re.compile(
            r"(?:Jan|Feb|Ma[ry]|Apr|Ju[nl]|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? ?[-–\d]|\d[a-z]{0,2}(?: of)? [ADFJMNOS]"
        ),
        (
            (re.compile(rf"(?:\bthe )?(?<![\w.,:/$-])(?<!\d ){_DAY}(?:{_TO}{_DAY})?(?: of)? {_MONTH}"), _day_of_month),
            (re.compile(rf"\b{_MONTH} {_DAY}(?:{_TO}{_DAY})?"), _month_and_day),
            (re.compile(rf"\b{_MONTH}(?= \d{{4}}\b)"), lambda match: _month(match[1])),
            (re.compile(rf"\b{_MONTH} ?[-–] ?{_MONTH}"), lambda match: f"{_month(match[1])} to {_month(match[2])}"),
            (re.compile(rf"(?<=\d[a-z][a-z]) ?[-–] ?(?={_MONTH})"), " to "),
        ),
    ),
    (
        re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:s|rs?)?\b"),
        (
            (
                re.compile(rf"{_WEEKDAY} ?[-–] ?{_WEEKDAY}"),
                lambda match: f"{_weekday(match[1])} to {_weekday(match[2])}",
            ),
            (
                re.compile(rf"{_WEEKDAY}(?=,? (?:the \d+[a-z]+ of )?{_MONTH}| \d{{1,2}}(?::\d\d| ?[ap]\.?m\b))"),
                lambda match: _weekday(match[1]),
            ),
        ),
    ),
)
"""Before a hyphen or a slash between numbers means anything else."""

TIMES: Final[tuple[Stage, ...]] = (
    (
        re.compile(r"\d['’]?s"),
        (
            (re.compile(r"(?<![\w.,:/])(1\d|20)(\d)0['’]?s\b"), _decade),
            (re.compile(r"(?<!\w)['’]([1-9])0s\b"), lambda match: _tens(int(match[1]))),
            (
                re.compile(r"\b(the|his|her|their|my|your|our|early|mid|late)([ -])([2-9])0['’]?s\b"),
                lambda match: f"{match[1]}{match[2]}{_tens(int(match[3]))}",
            ),
        ),
    ),
    (
        re.compile(r"\d:\d|\d ?[AaPp]\.? ?[Mm]\b"),
        (
            (re.compile(r"(?<![\w.,:/])(\d{1,2}):([0-5]\d):([0-5]\d)(?![\d:]|[.,]\d| ?[AaPp]\.?[Mm])"), _duration),
            (re.compile(rf"(?<![\w.,:/$])(\d{{1,2}})(?:[:.]([0-5]\d))? ?([AaPp])\.? ?[Mm]\b{DOT}"), _half_day),
            (re.compile(r"(?<![\w.,:/])(\d{1,2}):([0-5]\d)(?![\d:]|[.,]\d)(?: o['’]clock)?"), _clock),
        ),
    ),
)
"""After ranges, whose ends they may be, and before units, since the s of a decade is no second."""

YEARS: Final[tuple[Stage, ...]] = (
    (
        re.compile(r"(?:1\d|20)\d\d"),
        (
            (
                re.compile(
                    r"(?<![\w.,:/$€£¥+#=])(?<!\d-)(?<!number )(?<!minus )(?:1\d|20)\d\d\b"
                    rf"(?![.,:/]\d|[%°$€£]|-\d| [-+*/=] \d)(?! {_MEASURED})"
                ),
                lambda match: year(int(match[0])),
            ),
        ),
    ),
)
"""After everything that makes a number something else."""
