"""Builds the reflexes: the one place that knows all their parts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from assistant.config import Config
from assistant.reflex import clock, sum_commands
from assistant.reflex.clock import Clock, zone_named
from assistant.reflex.reflex import Handler
from assistant.reflex.reflexes import Reflexes
from assistant.reflex.responses import Responses
from assistant.reflex.speech_commands import SpeechCommands
from assistant.reflex.timer_commands import TimerCommands
from assistant.reflex.timer_table import TimerTable
from assistant.reflex.timer_words import TimerWords
from assistant.reflex.timers import Audience, Timers
from assistant.store.database import Database

_LANGUAGES: Final = ("de", "fr", "es")
"""Those that are answered in our own words, besides English."""


@asynccontextmanager
async def open_reflexes(
    config: Config,
    database: Database,
    audience: Audience,
    *,
    more: Mapping[str, Handler] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[tuple[Reflexes, Timers]]:
    """Load the sentences and the timers, about a second's work. Whoever opens them lets `Timers.run` run.

    `more` has the handlers of other parts, by intent: assistant.reflex.memory's and assistant.reflex.sent's. Open the
    database after importing this module, which defines a table. Raises ParleyError for a time zone, a sentence or a
    database that can't be used.
    """
    responses = Responses()
    here = Clock(zone_named(config.reflexes.timezone), now)
    words = TimerWords(here, responses)
    timers = Timers(
        TimerTable(database),
        audience,
        words.ending,
        now=now,
        tell_times=config.reflexes.tell_times,
        tell_every_s=config.reflexes.tell_every_s,
    )
    await timers.load()
    commands = TimerCommands(timers, words, responses)
    reflexes = Reflexes(
        {
            **clock.handlers(here, responses),
            **sum_commands.handlers(responses),
            **commands.handlers(),
            **SpeechCommands(commands, responses).handlers(),
            **(more or {}),
        }
    )
    try:
        await asyncio.to_thread(reflexes.warm)
        reflexes.load(*_spoken(config))
        yield reflexes, timers
    finally:
        reflexes.close()


def _spoken(config: Config) -> tuple[str, ...]:
    """Return the languages that are loaded beside the start; others are when they are first heard."""
    if config.stt.engine == "moonshine":
        return ()  # it knows English only
    return (config.stt.language,) if config.stt.language else _LANGUAGES
