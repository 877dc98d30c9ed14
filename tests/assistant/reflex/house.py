"""Reflexes as the server has them, on virtual time, with a table in memory instead of a database."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from assistant.reflex import clock, memory, sent, sum_commands
from assistant.reflex.clock import Clock
from assistant.reflex.reflex import Reflex
from assistant.reflex.reflexes import Reflexes
from assistant.reflex.responses import Responses
from assistant.reflex.speech_commands import SpeechCommands
from assistant.reflex.timer import Timer
from assistant.reflex.timer_commands import TimerCommands
from assistant.reflex.timer_words import TimerWords
from assistant.reflex.timers import Timers
from assistant.reflex.watch_commands import WatchCommands
from assistant.reflex.watches import Watches
from assistant.store.errors import StoreError
from pipeline.engines import Asker
from pipeline.events import Request
from vision.detect.coco import LABELS

NOW = datetime(2026, 11, 24, 15, 20, tzinfo=UTC)
"""A Tuesday."""
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass
class Watch:
    """Shows a time that tests move, or that follows a loop's."""

    at: datetime = NOW
    loop_time: object = None

    def __call__(self) -> datetime:
        return self.at if self.loop_time is None else NOW + timedelta(seconds=self.loop_time())

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Table:
    """Stands for the database's table."""

    rows: dict[str, Timer] = field(default_factory=dict)
    broken: bool = False

    async def all(self) -> list[Timer]:
        return list(self.rows.values())

    async def put(self, timers) -> None:
        self._check()
        self.rows |= {each.id: each for each in timers}

    async def delete(self, ids) -> None:
        self._check()
        for each in ids:
            self.rows.pop(each, None)

    def _check(self) -> None:
        if self.broken:
            raise StoreError("The disk is full.")


@dataclass
class Sessions:
    """Stands for the server's sessions: notes what they are told, and when."""

    here: list[str] = field(default_factory=lambda: ["kitchen"])
    told: list[tuple[float, str, str]] = field(default_factory=list)
    now: Watch | None = None

    asked: list[tuple[str, Request]] = field(default_factory=list)
    """What they were asked for."""

    async def ask(self, session: str, request: Request) -> bool:
        if session not in self.here:
            return False
        self.asked.append((session, request))
        return True

    async def announce(self, session: str, text: str) -> bool:
        if session not in self.here:
            return False
        self.told.append(((self.now() - NOW).total_seconds() if self.now else 0.0, session, text))
        return True

    def connected(self, user: str) -> tuple[str, ...]:
        return tuple(reversed(self.here))


class Memory:
    """Stands for the parts that plug in."""

    async def remember(self, user: str, fact: str, language: str) -> str:
        return f"I'll remember that {fact}."

    async def forget(self, user: str, about: str, language: str) -> str:
        return f"I've forgotten {about}."

    async def known(self, user: str, language: str) -> str:
        return "You like tea."

    async def said_today(self, user: str, language: str | None) -> str:
        return "Nothing."


class House:
    """All reflexes."""

    def __init__(self, zone: tzinfo = BERLIN, **telling: float) -> None:
        self.watch = Watch()
        self.table = Table()
        self.sessions = Sessions(now=self.watch)
        responses = Responses()
        here = Clock(zone, self.watch)
        words = TimerWords(here, responses)
        self.timers = Timers(self.table, self.sessions, words.ending, now=self.watch, **telling)
        commands = TimerCommands(self.timers, words, responses)
        self.watches = Watches(self.sessions, now=lambda: self.seconds)
        self.seconds = 100.0
        """By the clock of the scenes."""
        self.reflexes = Reflexes(
            {
                **clock.handlers(here, responses),
                **sum_commands.handlers(responses),
                **commands.handlers(),
                **SpeechCommands(commands, responses).handlers(),
                **WatchCommands(self.watches, LABELS, responses).handlers(),
                **memory.handlers(Memory()),
                **sent.handlers(Memory()),
            }
        )
        self.said_last = ""

    def warmed(self, *languages: str) -> Self:
        self.reflexes.warm(*languages)
        return self

    def match(
        self, text: str, language: str | None = "en", session: str = "kitchen", user: str = "owner"
    ) -> Reflex | None:
        asker = Asker(session=session, user=user)
        return self.reflexes.match(text, language=language, asker=asker, said_last=self.said_last)

    async def say(
        self, text: str, language: str | None = "en", session: str = "kitchen", user: str = "owner"
    ) -> str | None:
        """Ask, commit, and return all that is answered; None where it is no reflex."""
        reflex = self.match(text, language, session, user)
        if reflex is None:
            return None
        words = [
            reflex.words,
            await reflex.reads() if reflex.reads else None,
            await reflex.act() if reflex.act else None,
        ]
        return " ".join(filter(None, words))
