"""How timers are named, meant and told of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Final

from assistant.reflex.clock import Clock
from assistant.reflex.durations import seconds_of, whole_duration
from assistant.reflex.numbers import words_of
from assistant.reflex.reflex import Match
from assistant.reflex.responses import Responses
from assistant.reflex.timer import Timer

LATE_S: Final = 20.0
"""So long after its end, a timer that is told of says how long ago it was."""
_ALIKE: Final = 0.75
"""How alike two names are that may be one, misheard."""
_NAME_WORDS: Final = 5
_NO_NAME: Final = frozenset(
    "all every each another other others any new timer timers what that which who how why when where is are was were "
    "said says say if i you he she we they it to from until till my your stop start cancel set and".split()
)
"""Words that no timer is called."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A timer, as answers speak of it; the names from `is_active` on are those of Home Assistant's templates."""

    label: str
    left: float
    paused: bool
    name: str
    length: float

    @property
    def is_active(self) -> bool:
        """It runs."""
        return not self.paused

    @property
    def total_seconds_left(self) -> int:
        """Rounded."""
        return round(self.left)

    @property
    def rounded_hours_left(self) -> int:
        """Whole hours."""
        return self.total_seconds_left // 3600

    @property
    def rounded_minutes_left(self) -> int:
        """Whole minutes beyond the hours."""
        return self.total_seconds_left // 60 % 60

    @property
    def rounded_seconds_left(self) -> int:
        """Seconds beyond the minutes."""
        return self.total_seconds_left % 60

    @property
    def start_hours(self) -> int:
        """Of its length."""
        return round(self.length) // 3600

    @property
    def start_minutes(self) -> int:
        """Of its length."""
        return round(self.length) // 60 % 60

    @property
    def start_seconds(self) -> int:
        """Of its length."""
        return round(self.length) % 60


class TimerWords:
    """Names timers in the language of whoever asks."""

    def __init__(self, clock: Clock, responses: Responses) -> None:
        self.clock = clock
        self._responses = responses

    def label(self, timer: Timer, language: str) -> str:
        """Return what a timer is called: "pasta timer", "5 minute timer", "7:30 AM alarm"."""
        at = timer.ends_at.astimezone(self.clock.zone) if timer.ends_at else None
        values = {"kind": timer.kind, "name": timer.name, "length": timer.length_s, "at": at}
        return self._responses.say(language, "Timer", "label", **values)

    def ending(self, timer: Timer, late_s: float) -> str:
        """Return what is said of a timer that ended `late_s` ago."""
        at = timer.ends_at.astimezone(self.clock.zone) if timer.ends_at else None
        name = "ended_late" if late_s >= LATE_S else "ended"
        language = timer.language if self._responses.has(timer.language, "Timer", name) else "en"
        values = {"kind": timer.kind, "name": timer.name, "at": at, "label": self.label(timer, language)}
        # A minute more or less is of no interest, a second even less.
        late = late_s if late_s < 60 else 60 * round(late_s / 60)
        return self._responses.say(language, "Timer", name, late=late, **values)

    def shown(self, timers: Sequence[Timer], language: str) -> list[Shown]:
        """Return the timers as answers speak of them."""
        now = self.clock.now()
        return [
            Shown(self.label(each, language), each.left(now), each.ends_at is None, each.name, each.length_s)
            for each in timers
        ]

    def day(self, at: datetime) -> str:
        """Return what follows a time of day: nothing for the next 12 hours, else " tomorrow", " on Friday"."""
        now = self.clock.local()
        days = (at.date() - now.date()).days
        if days == 0 or (days == 1 and (at - now).total_seconds() < 12 * 3600):
            return ""
        return " tomorrow" if days == 1 else f" on {at.strftime('%A')}"


def name_of(text: str) -> str | None:
    """Return the name that `text` is, without the words around it; None where nobody calls a timer that."""
    words = words_of(text)
    while words[:1] and words[0] in {"the", "my", "a", "an", "our", "for"}:
        words = words[1:]
    while words[-1:] and words[-1] in {"timer", "timers", "please", "one"}:
        words = words[:-1]
    if not words or len(words) > _NAME_WORDS or _NO_NAME & set(words):
        return None
    return " ".join(words)


def meant(match: Match, timers: Sequence[Timer]) -> list[Timer] | None:
    """Return those of `timers` that are spoken of: all, where none is described; None where nobody would say it so."""
    description = match.words("description") or match.words("name")
    length = seconds_of(match.slots, "start_")
    if description:
        length = whole_duration(words_of(description))
        name = name_of(description) if length is None else None
        if length is None and name is None:
            return None
        if name is not None:
            return _called(name, timers)
    if length is not None:
        found = [each for each in timers if abs(each.length_s - length) < 1]
        return [each for each in found if not each.name] or found
    return list(timers)


def _called(name: str, timers: Sequence[Timer]) -> list[Timer]:
    exact = [each for each in timers if _stem(each.name) == _stem(name)]
    if exact:
        return exact
    alike = [(SequenceMatcher(None, _stem(each.name), _stem(name)).ratio(), each) for each in timers if each.name]
    best = max((ratio for ratio, _ in alike), default=0.0)
    return [each for ratio, each in alike if ratio == best] if best >= _ALIKE else []


def _stem(name: str) -> str:
    return " ".join(word.removesuffix("s") for word in words_of(name))
