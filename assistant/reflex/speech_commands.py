"""How the assistant speaks, whether, and what it said: volume, speed, stop, repeat."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from assistant.reflex.numbers import read_number, words_of
from assistant.reflex.reflex import Handler, Match, Reflex
from assistant.reflex.responses import Responses
from assistant.reflex.timer_commands import TimerCommands
from pipeline.engines import Adjusted

_VOLUME_STEP: Final = 0.2
_SPEED_STEP: Final = 0.15
_LEAST_VOLUME: Final = 0.1
_SPEEDS: Final = (0.55, 1.5)
_SESSIONS: Final = 256
"""Sessions whose voice is remembered; the one that was adjusted longest ago is forgotten."""
_LEVELS: Final = {
    "full": 1.0,
    "whole": 1.0,
    "maximum": 1.0,
    "maxima": 1.0,
    "max": 1.0,
    "highest": 1.0,
    "half": 0.5,
    "medium": 0.5,
    "normal": 1.0,
}
_LEVELS_TOO: Final = {"minimum": _LEAST_VOLUME, "min": _LEAST_VOLUME, "lowest": _LEAST_VOLUME, "zero": 0.0}


@dataclass(frozen=True, slots=True)
class _Voice:
    volume: float = 1.0
    speed: float = 1.0


class SpeechCommands:
    """Handles what is said about the assistant's voice."""

    def __init__(self, timers: TimerCommands, responses: Responses) -> None:
        self._timers = timers
        self._responses = responses
        self._voices: OrderedDict[str, _Voice] = OrderedDict()

    def handlers(self) -> Mapping[str, Handler]:
        """Return a handler for each intent."""
        return {
            "ChangeVolume": self.change_volume,
            "SetVolume": self.set_volume,
            "ChangeSpeed": self.change_speed,
            "Repeat": self.repeat,
            "Stop": self.stop,
            "Help": self.help,
        }

    def change_volume(self, match: Match) -> Reflex:
        """Speak louder or more quietly."""
        voice, by = self._voice(match), int(match.slots["by"])
        volume = round(min(1.0, max(_LEAST_VOLUME, voice.volume + by * _VOLUME_STEP)), 2)
        return self._adjust(match, _Voice(volume, voice.speed), self._changed(match, volume == voice.volume, by))

    def set_volume(self, match: Match) -> Reflex | None:
        """Speak at a volume."""
        level = _level(match.words("level"))
        if level is None:
            return None
        words = self._responses.say(match.language, match.intent, percent=round(100 * level)) if level else ""
        return self._adjust(match, _Voice(level, self._voice(match).speed), words)

    def change_speed(self, match: Match) -> Reflex:
        """Speak faster or slower; 0 is the usual speed."""
        voice, by = self._voice(match), int(match.slots["by"])
        speed = round(min(_SPEEDS[1], max(_SPEEDS[0], voice.speed + by * _SPEED_STEP)), 2) if by else 1.0
        return self._adjust(match, _Voice(voice.volume, speed), self._changed(match, speed == voice.speed, by))

    def repeat(self, match: Match) -> Reflex:
        """Say the last message again."""
        return Reflex(match.intent, match.said_last or self._responses.say(match.language, match.intent, "nothing"))

    def help(self, match: Match) -> Reflex:
        """Say what can be asked for."""
        return Reflex(match.intent, self._responses.say(match.language, match.intent))

    def stop(self, match: Match) -> Reflex:
        """Be quiet: the reply has ended already, by being interrupted, and what rings ends too."""
        return self._timers.hush(match)

    def _voice(self, match: Match) -> _Voice:
        return self._voices.get(match.asker.session, _Voice())

    def _changed(self, match: Match, unchanged: bool, by: int) -> str:
        name = ("most" if by > 0 else "least") if unchanged and by else "default"
        return self._responses.say(match.language, match.intent, name)

    def _adjust(self, match: Match, voice: _Voice, words: str) -> Reflex:
        before = self._voice(match)
        if voice == before:
            return Reflex(match.intent, words)
        adjusted = Adjusted(
            volume=None if voice.volume == before.volume else voice.volume,
            speed=None if voice.speed == before.speed else voice.speed,
        )
        return Reflex(match.intent, words, self._remember(match.asker.session, voice), adjust=adjusted)

    def _remember(self, session: str, voice: _Voice) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            self._voices[session] = voice
            self._voices.move_to_end(session)
            while len(self._voices) > _SESSIONS:
                self._voices.popitem(last=False)

        return act


def _level(said: str) -> float | None:
    """Return the volume that is meant, 0..1: "fifty percent", "five" (of ten), "maximum"."""
    words = [word for word in words_of(said) if word not in {"the", "to", "at", "its", "a"}]
    if len(words) == 1 and (named := (_LEVELS | _LEVELS_TOO).get(words[0])) is not None:
        return named
    found = read_number(words)
    if found is None or found[0].denominator != 1:
        return None
    number, rest = int(found[0]), words[found[1] :]
    if rest in (["percent"], ["%"], ["per", "cent"]):
        return number / 100 if 0 <= number <= 100 else None
    if rest:
        return None
    return number / 10 if 0 <= number <= 10 else number / 100 if number <= 100 else None
