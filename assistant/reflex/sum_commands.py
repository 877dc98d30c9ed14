"""Sums and conversions, answered."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from assistant.reflex import units
from assistant.reflex.numbers import written
from assistant.reflex.reflex import Handler, Match, Reflex
from assistant.reflex.responses import Responses
from assistant.reflex.sums import read_sum

_DIGITS: Final = 4
"""Significant ones of a number that isn't whole: nobody takes in more by ear."""


def handlers(responses: Responses) -> Mapping[str, Handler]:
    """Return what works out sums and converts units."""

    def work_out(match: Match) -> Reflex | None:
        found = read_sum(match.words("sum"))
        if found is None:
            return None
        if found.value is None:
            return Reflex(match.intent, responses.say(match.language, match.intent, "zero"))
        value, about = _short(found.value)
        words = responses.say(match.language, match.intent, asked=found.asked, value=value, about=about)
        return Reflex(match.intent, words[:1].upper() + words[1:])

    def convert(match: Match) -> Reflex | None:
        given, unit = units.read_quantity(match.words("quantity")), units.whole_unit(match.words("unit"))
        result = None if given is None or unit is None else units.convert(given, unit)
        if given is None or result is None or given.unit == unit:
            return None
        amount, about = _short(result.value)
        name = result.unit.one if result.value == 1 else result.unit.many
        values = {"given": given, "verb": "is" if given.value == 1 or given.unit.name == "foot" else "are"}
        if given.unit.name in {"degC", "degF", "kelvin"}:
            values["verb"] = "is"
        words = responses.say(match.language, match.intent, result=f"{amount} {name}", about=about, **values)
        return Reflex(match.intent, words)

    return {"Sum": work_out, "Convert": convert}


def _short(value: Fraction) -> tuple[str, bool]:
    """Return a number with as many digits as one takes in by ear, and whether that rounds it."""
    if value.denominator == 1:
        return written(value), False
    if 10**4 % value.denominator == 0 and abs(value) < 10**6:
        return written(value), False
    digits = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = written(round(value, digits), min(digits, 12))
    return text, True
