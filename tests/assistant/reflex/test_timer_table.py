"""Timers in a real database file."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from assistant.config import load
from assistant.reflex.build import open_reflexes
from assistant.reflex.timer import Timer
from assistant.reflex.timer_table import TimerTable
from assistant.store.database import Database
from pipeline.engines import Asker
from tests.assistant.reflex.house import NOW, Sessions, Watch

TIMER = Timer("1", "timer", "owner", "kitchen", "de", "Nudeln", 540.0, NOW)


def test_timers_are_written_down_changed_and_forgotten(tmp_path: Path) -> None:
    async def script() -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/parley.db") as database:
            table = TimerTable(database)
            other = replace(TIMER, id="2", ends_at=None, left_s=12.5)
            await table.put([TIMER, other])
            assert await table.all() == [TIMER, other]
            later = TIMER.extended(60)
            await table.put([later])
            assert {each.id: each for each in await table.all()} == {"1": later, "2": other}
            await table.delete(["1"])
            await table.delete([])
            assert await table.all() == [other]

    asyncio.run(script())


def test_the_reflexes_of_a_configuration_outlive_it(tmp_path: Path) -> None:
    config = load()
    watch, sessions = Watch(), Sessions()
    asker = Asker(session="kitchen")

    async def script() -> None:
        async with (
            await Database.open(f"sqlite:///{tmp_path}/parley.db") as database,
            open_reflexes(config, database, sessions, now=watch) as (reflexes, timers),
        ):
            reflex = reflexes.match("Set a tea timer for five minutes", language="en", asker=asker, said_last="")
            assert await reflex.act() is None
            assert len(timers.running("owner")) == 1
        watch.pass_s(600)
        async with (
            await Database.open(f"sqlite:///{tmp_path}/parley.db") as database,
            open_reflexes(config, database, sessions, now=watch) as (_, timers),
        ):
            ticking = asyncio.create_task(timers.run())
            async with asyncio.timeout(10):
                while not timers.ringing("owner"):  # noqa: ASYNC110 - writing is the database's thread's work
                    await asyncio.sleep(0.01)
            assert [text for _, _, text in sessions.told] == ["Your tea timer ended 5 minutes ago."]
            (told,) = timers.ringing("owner")
            assert told.ends_at == NOW + timedelta(minutes=5)
            await timers.hush("owner")
            assert await TimerTable(database).all() == []
            ticking.cancel()

    asyncio.run(script())
