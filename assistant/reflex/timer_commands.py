"""What is said about timers, alarms and reminders, and what is done about it."""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from assistant.reflex.clock_times import read_when
from assistant.reflex.durations import read_duration, seconds_of, whole_duration
from assistant.reflex.numbers import words_of
from assistant.reflex.reflex import Handler, Match, Reflex
from assistant.reflex.responses import Responses
from assistant.reflex.timer import Kind, Timer
from assistant.reflex.timer_words import TimerWords, meant, name_of
from assistant.reflex.timers import MOST, Timers

_TASK_CHARS: Final = 200
_GOES_ON_S: Final = 6.0
"""Speech that follows a commit so soon may make one sentence of both; recognition and all."""
_SAME: Final = 0.8
"""How alike two transcripts are that are of the same sound."""
_SNOOZE_S: Final = 5 * 60.0
_TASK: Final = re.compile(r"(?:to|about|that) (?P<rest>.+)", re.I)
_WHEN_LAST: Final = re.compile(r" (?=(?:in|and|at|on|by|tomorrow|tonight|this|next|after)\b)", re.I)
_WHEN_FIRST: Final = re.compile(r"(?P<when>.+?) (?:to|about|that) (?P<task>.+)", re.I)


class _Set(NamedTuple):
    match: Match
    timer: Timer
    at: datetime


class _Wanted(NamedTuple):
    length_s: float
    name: str


class TimerCommands:
    """Handles what is said about timers. What is asked for is answered at once, from memory, and done afterwards."""

    def __init__(self, timers: Timers, words: TimerWords, responses: Responses) -> None:
        self._timers = timers
        self._words = words
        self._responses = responses
        self._set_last: _Set | None = None

    def handlers(self) -> Mapping[str, Handler]:
        """Return a handler for each intent."""
        return {
            "HassStartTimer": self.start,
            "HassCancelTimer": self.cancel,
            "HassCancelAllTimers": self.cancel_all,
            "HassTimerStatus": self.status,
            "HassPauseTimer": self.pause,
            "HassUnpauseTimer": self.resume,
            "HassIncreaseTimer": lambda match: self._change(match, +1),
            "HassDecreaseTimer": lambda match: self._change(match, -1),
            "SetAlarm": self.set_alarm,
            "CancelAlarm": self.cancel_alarm,
            "AlarmStatus": self.alarms,
            "SetReminder": self.remind,
            "Snooze": self.snooze,
            "Acknowledge": self.acknowledge,
        }

    # --- Timers ---

    def start(self, match: Match) -> Reflex | None:
        """Set a timer."""
        wanted = _wanted(match)
        if wanted is None:
            return None
        length_s, name = wanted
        ends_at = self._words.clock.now() + timedelta(seconds=length_s)
        timer = self._new(match, "timer", length_s, name, ends_at)
        # Home Assistant's answers look whether there is a name, not whether it is empty.
        named = {"name": name} if name else {}
        return self._set(match, timer, {"length": length_s, **named, **_parts(length_s)})

    def _new(self, match: Match, kind: Kind, length_s: float, name: str, ends_at: datetime) -> Timer:
        user, session = match.asker.user, match.asker.session
        ends_at = ends_at.astimezone(UTC)
        return Timer(secrets.token_hex(8), kind, user, session, match.language, name, length_s, ends_at)

    def _set(self, match: Match, timer: Timer, values: dict[str, object], say: str = "default") -> Reflex:
        if self._timers.full(timer.user):
            return Reflex(match.intent, self._responses.say(match.language, "Timer", "too_many", count=MOST))

        async def act() -> str | None:
            # A timer runs from the commit on: what was prepared may have waited for it.
            ends_at = self._words.clock.now() + timedelta(seconds=timer.length_s)
            begun = replace(timer, ends_at=ends_at) if timer.kind == "timer" else timer
            if (before := self._continued(match)) is not None:
                await self._timers.remove(before)
            self._set_last = _Set(match, begun, self._words.clock.now())
            return self._unless(await self._timers.put(begun), match)

        return Reflex(match.intent, self._responses.say(match.language, match.intent, say, **values), act)

    def _continued(self, match: Match) -> Timer | None:
        """Return the timer that the beginning of this sentence set, before its speaker went on.

        "Set a timer for ten minutes" is committed, and a breath later it is "... and thirty seconds".
        """
        last = self._set_last
        if last is None or last.match.asker.session != match.asker.session:
            return None
        if (self._words.clock.now() - last.at).total_seconds() > _GOES_ON_S:
            return None
        begun, whole = words_of(last.match.text), words_of(match.text)
        alike = SequenceMatcher(None, " ".join(begun), " ".join(whole[: len(begun)])).ratio() >= _SAME
        return last.timer if alike and len(whole) > len(begun) else None

    def cancel(self, match: Match) -> Reflex | None:
        """Cancel one timer; the one that rings, where one does."""
        return self._cancel_one(match, "timer")

    def _cancel_one(self, match: Match, kind: Kind, at: datetime | None = None) -> Reflex | None:
        ringing = self._ringing(match.asker.user, kind)
        timer = (
            ringing[0] if ringing and not self._timers.running(match.asker.user, kind) else self._find(match, kind, at)
        )
        if not isinstance(timer, Timer):
            return timer

        async def act() -> str | None:
            return self._unless(await self._timers.remove(timer), match)

        label = self._words.label(timer, match.language)
        return Reflex(match.intent, self._responses.say(match.language, match.intent, label=label), act)

    def cancel_all(self, match: Match) -> Reflex:
        """Cancel every timer."""
        return self._remove_all(match, "timer", "default")

    def _remove_all(self, match: Match, kind: Kind, name: str) -> Reflex:
        user = match.asker.user
        found = (*self._timers.running(user, kind), *self._ringing(user, kind))
        if not found:
            return Reflex(match.intent, self._none(match, kind))

        async def act() -> str | None:
            return self._unless(await self._timers.remove(*found), match)

        words = self._responses.say(match.language, match.intent, name, canceled=len(found))
        return Reflex(match.intent, words, act)

    def status(self, match: Match) -> Reflex | None:
        """Say how much is left."""
        timers = self._timers.running(match.asker.user)
        ask = match.words("ask")
        if ask == "rest" and not timers:
            return None  # nobody spoke of a timer, and there is none
        found = list(timers) if ask else meant(match, timers)
        if found is None:
            return None
        if not found:
            return Reflex(match.intent, self._unknown(match, timers, "timer"))
        shown = self._words.shown(found, match.language)
        return Reflex(match.intent, self._responses.say(match.language, match.intent, shown=shown, timers=shown))

    def pause(self, match: Match) -> Reflex | None:
        """Let a timer wait."""
        return self._change_one(match, lambda timer, now: timer.paused(now) if timer.ends_at else timer)

    def resume(self, match: Match) -> Reflex | None:
        """Let it run again."""
        return self._change_one(match, lambda timer, now: timer if timer.ends_at else timer.resumed(now))

    def _change(self, match: Match, sign: int) -> Reflex | None:
        length_s = _length(match)
        if length_s is None:
            return None
        return self._change_one(match, lambda timer, _: timer.extended(sign * length_s), **_parts(length_s))

    def _change_one(self, match: Match, change: Callable[[Timer, datetime], Timer], **values: object) -> Reflex | None:
        timer = self._find(match, "timer")
        if not isinstance(timer, Timer):
            return timer
        now = self._words.clock.now()
        left = change(timer, now).left(now)
        if left <= 0:
            return Reflex(match.intent, self._responses.say(match.language, "Timer", "ended_at_once"))

        async def act() -> str | None:
            current = self._timers.find(timer.id)
            if current is None:  # it ended between the words and the commit
                return None
            return self._unless(await self._timers.put(change(current, self._words.clock.now())), match)

        label = self._words.label(timer, match.language)
        values |= {"label": label, "left": left, "name": timer.name}
        return Reflex(match.intent, self._responses.say(match.language, match.intent, **values), act)

    # --- Alarms and reminders ---

    def set_alarm(self, match: Match) -> Reflex | None:
        """Set an alarm for a time of day."""
        local = self._words.clock.local()
        wakes = "wake" in match.text.casefold()
        at = read_when(words_of(match.words("when")), local, morning=wakes)
        if at is None:
            return None
        length_s = at.timestamp() - local.timestamp()
        return self._set(match, self._new(match, "alarm", length_s, "", at), {"at": at, "day": self._words.day(at)})

    def cancel_alarm(self, match: Match) -> Reflex | None:
        """Cancel an alarm."""
        if match.words("ask"):
            return self._remove_all(match, "alarm", "all")
        when = match.words("when")
        local = self._words.clock.local()
        at = read_when(words_of(when), local) if when else None
        if when and at is None:
            return None
        return self._cancel_one(match, "alarm", at)

    def alarms(self, match: Match) -> Reflex:
        """Say what alarms there are."""
        found = self._timers.running(match.asker.user, "alarm")
        if not found:
            return Reflex(match.intent, self._none(match, "alarm"))
        zone = self._words.clock.zone
        times = [each.ends_at.astimezone(zone) for each in found if each.ends_at]
        clocks = [self._responses.say(match.language, "Timer", "time", at=at, day=self._words.day(at)) for at in times]
        return Reflex(match.intent, self._responses.say(match.language, match.intent, shown=clocks))

    def remind(self, match: Match) -> Reflex | None:
        """Remind somebody of something."""
        local = self._words.clock.local()
        for task, said in _reminders(match.words("task")):
            at = read_when(said, local)
            if at is None or len(task) > _TASK_CHARS:
                continue
            length_s = at.timestamp() - local.timestamp()
            about = re.sub(r"\bmy\b", "your", task, flags=re.I)
            reminder = self._new(match, "reminder", length_s, about, at)
            values: dict[str, object] = {"at": at, "day": self._words.day(at), "length": length_s}
            return self._set(match, reminder, values, "soon" if said[0] == "in" else "default")
        return None

    # --- While one rings ---

    def snooze(self, match: Match) -> Reflex | None:
        """Let what rings ring again later."""
        user = match.asker.user
        ringing = self._timers.ringing(user)
        said = match.words("duration")
        length_s = whole_duration(words_of(said)) if said else _SNOOZE_S
        if not ringing or length_s is None:
            return None
        later = self._words.clock.now() + timedelta(seconds=length_s)

        async def act() -> str | None:
            again = [replace(each, ends_at=later, told=0) for each in ringing]
            return self._unless(await self._timers.put(*again), match)

        return Reflex(match.intent, self._responses.say(match.language, match.intent, length=length_s), act)

    def acknowledge(self, match: Match) -> Reflex | None:
        """Be quiet about what rings; where nothing does, this is no command."""
        return self.hush(match) if self._timers.ringing(match.asker.user) else None

    def hush(self, match: Match) -> Reflex:
        """End what rings. Nobody wants an answer to that."""

        async def act() -> str | None:
            await self._timers.hush(match.asker.user)
            return None

        return Reflex(match.intent, "", act)

    # --- Which one is meant ---

    def _ringing(self, user: str, kind: Kind) -> tuple[Timer, ...]:
        return tuple(each for each in self._timers.ringing(user) if each.kind == kind)

    def _find(self, match: Match, kind: Kind, at: datetime | None = None) -> Timer | Reflex | None:
        """Return the one that is meant; an answer where that isn't clear; None where nobody speaks of one so."""
        timers = self._timers.running(match.asker.user, kind)
        found = list(timers) if kind == "alarm" else meant(match, timers)
        if found is None:
            return None
        if at is not None:
            zone = self._words.clock.zone
            found = [each for each in found if each.ends_at and _same_time(each.ends_at.astimezone(zone), at)]
        if not found:
            return Reflex(match.intent, self._unknown(match, timers, kind))
        if len(found) > 1:
            labels = self._labels(match, found)
            return Reflex(match.intent, self._responses.say(match.language, "Timer", "which", labels=labels))
        return found[0]

    def _labels(self, match: Match, timers: Sequence[Timer]) -> list[str]:
        return [
            self._responses.say(match.language, "Timer", "one", label=self._words.label(each, match.language))
            for each in timers
        ]

    def _unknown(self, match: Match, timers: Sequence[Timer], kind: Kind) -> str:
        if not timers:
            return self._none(match, kind)
        return self._responses.say(match.language, "Timer", "unknown", labels=self._labels(match, timers))

    def _none(self, match: Match, kind: Kind) -> str:
        return self._responses.say(match.language, "Timer", "no_alarm" if kind == "alarm" else "none")

    def _unless(self, written: bool, match: Match) -> str | None:
        """Return what is to be said where something couldn't be written down."""
        return None if written else self._responses.say(match.language, "Timer", "unsaved")


def _reminders(said: str) -> Iterator[tuple[str, list[str]]]:
    """Yield every way to take it apart: what is to be done, and the words that say when."""
    if (first := _WHEN_FIRST.fullmatch(said)) is not None:
        yield first["task"].strip(" ,."), words_of(first["when"])
    if (last := _TASK.fullmatch(said)) is not None:
        for space in _WHEN_LAST.finditer(last["rest"]):
            when = words_of(last["rest"][space.end() :])
            # "call Anna and ten minutes" is how "in ten minutes" is often heard.
            yield last["rest"][: space.start()].strip(" ,."), ["in", *when[1:]] if when[:1] == ["and"] else when


def _same_time(one: datetime, other: datetime) -> bool:
    """Tell whether the two show the same on a clock, with hands where it isn't known of which half of the day."""
    return (one.hour % 12, one.minute) == (other.hour % 12, other.minute)


def _length(match: Match) -> float | None:
    said = match.words("duration")
    return whole_duration(words_of(said)) if said else seconds_of(match.slots)


def _wanted(match: Match) -> _Wanted | None:
    """Read how long a timer is to run and what it is called."""
    name = match.words("name")
    if name and name_of(name) is None:
        return None
    name = name_of(name) or ""
    description = words_of(match.words("description"))
    if description:  # "six minute egg"
        found = read_duration(description)
        if found is None:
            return None
        length_s, after = found
        called = name_of(" ".join(description[after:])) if after < len(description) else ""
        return None if called is None else _Wanted(length_s, called or name)
    if not match.words("duration"):
        length = seconds_of(match.slots)
        return None if length is None else _Wanted(length, name)
    length = whole_duration(words_of(match.words("duration")))
    return None if length is None else _Wanted(length, name)


def _parts(length_s: float) -> dict[str, int]:
    """Return the values that Home Assistant's answers have."""
    whole = round(length_s)
    parts = {"hours": whole // 3600, "minutes": whole // 60 % 60, "seconds": whole % 60}
    return {unit: count for unit, count in parts.items() if count}
