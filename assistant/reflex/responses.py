"""What is answered, in the language of the question.

Templates (Jinja) stand beside the sentences in configs/sentences/LANGUAGE/, under `responses`, by intent and by name;
where we have none, home-assistant-intents has one for its own intents, which reads its values from `slots`; else
English answers. The filter `duration` says a number of seconds by the language's `units`; `clock` says a time of day
in English.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Final

from jinja2 import Template
from jinja2.sandbox import SandboxedEnvironment

from assistant.reflex.numbers import written
from assistant.reflex.sentences import sentences

_ENGLISH: Final = "en"
_UNITS: Final = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


class Responses:
    """Says the answers of all languages."""

    def say(self, language: str, intent: str, name: str = "default", /, **values: object) -> str:
        """Return the answer `name` to `intent`, with these values in it. Raises KeyError where there is none."""
        template = _template(language, intent, name)
        return " ".join(template.render(values, slots=values).split())

    def has(self, language: str, intent: str, name: str) -> bool:
        """Tell whether the language has an answer of this name of its own."""
        return name in sentences(language).responses.get(intent, {})


def prepare(language: str) -> None:
    """Compile the answers of a language: that takes longer than to say one."""
    for intent, answers in sentences(language).responses.items():
        for name in answers:
            _template(language, intent, name)


@cache
def _template(language: str, intent: str, name: str) -> Template:
    for of, named in ((language, name), (language, "default"), (_ENGLISH, name)):
        found = sentences(of).responses.get(intent, {}).get(named)
        if found is not None:
            return _environment(of).from_string(found)
    raise KeyError(f"no answer {name!r} to {intent}")


@cache
def _environment(language: str) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(autoescape=False)  # spoken, never put into a page
    units = sentences(language).units or sentences(_ENGLISH).units
    environment.filters |= {
        "duration": lambda seconds: duration(seconds, units),
        "adjective": lambda seconds: duration(seconds, {**units, **{unit: [units[unit][0]] * 2 for unit, _ in _UNITS}}),
        "clock": clock,
        "number": written,
        "either": lambda texts: listed(texts, units["or"][0]),
        "all": lambda texts: listed(texts, units["and"][0]),
        "ordinal": ordinal,
    }
    return environment


def duration(seconds: float, units: dict[str, list[str]]) -> str:
    """Say a length of time in its two largest units: "1 hour and 30 minutes"."""
    left, parts = max(0, round(seconds)), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {units[unit][count != 1]}")
    return f" {units['and'][0]} ".join(parts[:2]) or f"0 {units['second'][1]}"


def clock(time: datetime) -> str:
    """Say a time of day in English: "7:30 AM"."""
    return f"{time.hour % 12 or 12}:{time.minute:02d} {'AM' if time.hour < 12 else 'PM'}"


def listed(texts: Sequence[str], last: str) -> str:
    """Join texts as one reads them out: "a, b and c"."""
    return f" {last} ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def ordinal(number: int) -> str:
    """Say the day of a month in English: "3rd"."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
