"""Timers: what is said about them, when they end, and who is told."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from assistant.record.virtual_time import run
from tests.assistant.reflex.house import House


def conversation(house: House, *lines: tuple[str, str | None]) -> None:
    async def talk() -> None:
        for said, answer in lines:
            assert await house.say(said) == answer, said

    asyncio.run(talk())


def test_a_timer_is_set_asked_about_and_cancelled(house: House) -> None:
    conversation(house, ("Set a timer for five minutes.", "5 minutes, starting now."))
    house.watch.pass_s(80)
    conversation(
        house,
        ("How much time is left?", "3 minutes and 40 seconds left on the 5 minute timer."),
        ("cancel the timer", "I've cancelled the 5 minute timer."),
        ("How much time is left on the timer?", "You have no timer running."),
        ("How much time is left?", None),
    )
    assert house.table.rows == {}


def test_several_timers_have_names(house: House) -> None:
    conversation(
        house,
        ("Set a pasta timer for nine minutes.", "9 minutes for pasta, starting now."),
        ("Set a six minute egg timer.", "6 minutes for egg, starting now."),
        ("Set a timer for 20 minutes.", "20 minutes, starting now."),
        (
            "List my timers.",
            "You have 3 timers: the egg timer with 6 minutes left, the pasta timer with 9 minutes left, and the 20 "
            "minute timer with 20 minutes left.",
        ),
        ("Cancel the timer.", "Which one: the egg timer, the pasta timer or the 20 minute timer?"),
        ("Cancel the past a timer.", "I've cancelled the pasta timer."),
        ("Cancel the laundry timer.", "I don't know of that one. You have the egg timer and the 20 minute timer."),
        ("Cancel the 20 minute timer", "I've cancelled the 20 minute timer."),
        ("Cancel all timers", "I've cancelled your timer."),
    )


def test_a_timer_is_paused_goes_on_and_is_made_longer_and_shorter(house: House) -> None:
    conversation(house, ("Set a timer for ten minutes", "10 minutes, starting now."))
    house.watch.pass_s(60)
    conversation(house, ("Pause the timer", "The 10 minute timer is paused, with 9 minutes left."))
    house.watch.pass_s(3600)
    conversation(
        house,
        ("How long is left on the timer?", "9 minutes left on the 10 minute timer, which is paused."),
        ("Add two minutes to the timer", "The 10 minute timer has 11 minutes left now."),
        ("Resume the timer", "The 10 minute timer goes on, with 11 minutes left."),
        ("Take one minute off the timer", "The 10 minute timer has 10 minutes left now."),
        ("Take an hour off the timer", "That would end it: say cancel, if you mean that."),
        ("Extend my timer by half an hour", "The 10 minute timer has 40 minutes left now."),
    )


def test_nothing_changes_before_it_is_committed(house: House) -> None:
    assert house.match("Set a timer for five minutes.").words == "5 minutes, starting now."
    assert house.timers.running("owner") == ()


def test_it_runs_from_the_commit_on(house: House) -> None:
    async def late() -> None:
        reflex = house.match("Set a timer for one minute.")
        house.watch.pass_s(2)
        await reflex.act()

    asyncio.run(late())
    (timer,) = house.timers.running("owner")
    assert timer.left(house.watch()) == 60


def test_a_sentence_that_goes_on_after_its_commit_sets_one_timer(house: House) -> None:
    conversation(
        house,
        ("Set a timer for ten minutes.", "10 minutes, starting now."),
        ("Set a timer for 10 minutes and thirty seconds.", "10 minutes and 30 seconds, starting now."),
        ("List my timers", "10 minutes and 30 seconds left on the 10 minute and 30 second timer."),
        ("Set a timer for 10 minutes", "10 minutes, starting now."),
    )
    house.watch.pass_s(10)
    conversation(house, ("Set a timer for 10 minutes and 30 seconds", "10 minutes and 30 seconds, starting now."))
    assert len(house.timers.running("owner")) == 3


def test_each_user_has_timers_of_their_own(house: House) -> None:
    async def talk() -> None:
        await house.say("Set a timer for five minutes", user="anna")
        assert await house.say("What timers do I have?", user="tom") == "You have no timer running."

    asyncio.run(talk())


def test_there_are_only_so_many(house: House) -> None:
    async def talk() -> str | None:
        for _ in range(50):
            await house.say("Set a timer for five minutes")
        return await house.say("Set a timer for five minutes")

    assert asyncio.run(talk()) == "You have 50 timers already: cancel one first."


def test_a_timer_that_cannot_be_written_down_runs_and_its_owner_is_told(house: House) -> None:
    house.table.broken = True
    words = "1 minute, starting now. I can't write it down, though, so it won't outlive a restart."
    conversation(house, ("Set a timer for one minute", words))
    assert len(house.timers.running("owner")) == 1


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Set an alarm for 7:30.", "Alarm set for 7:30 PM."),
        ("Wake me up at six thirty", "Alarm set for 6:30 AM tomorrow."),
        ("Set an alarm for Friday at 8 a.m.", "Alarm set for 8:00 AM on Friday."),
        ("Set an alarm in 20 minutes", "Alarm set for 4:40 PM."),
        ("Remind me to call my mother in ten minutes", "I'll remind you in 10 minutes."),
        ("Remind me at 5 PM to leave", "I'll remind you at 5:00 PM."),
        ("Remind me at half past to leave", None),
        ("Set an alarm for when I get home", None),
    ],
)
def test_alarms_and_reminders(house: House, said: str, answer: str | None) -> None:
    conversation(house, (said, answer))  # it is 4:20 PM


def test_alarms_are_listed_and_cancelled_by_their_time(house: House) -> None:
    conversation(
        house,
        ("Set an alarm for 7 AM", "Alarm set for 7:00 AM tomorrow."),
        ("Set an alarm for 9 PM", "Alarm set for 9:00 PM."),
        ("What alarms do I have?", "You have 2 alarms: 9:00 PM and 7:00 AM tomorrow."),
        ("Cancel my 7 o'clock alarm", "I've cancelled the 7:00 AM alarm."),
        ("Cancel the alarm for 7:30", "I don't know of that one. You have the 9:00 PM alarm."),
        ("Turn off the alarm", "I've cancelled the 9:00 PM alarm."),
        ("When is my alarm?", "You have no alarm set."),
    )


# --- Ends, on virtual time ---


@asynccontextmanager
async def ticking(house: House):
    house.watch.loop_time = asyncio.get_running_loop().time
    await house.timers.load()
    task = asyncio.create_task(house.timers.run())
    yield
    task.cancel()
    await asyncio.wait([task])


def test_a_timer_that_ends_is_told_to_the_second_in_the_session_that_set_it(house: House) -> None:
    async def script() -> None:
        async with ticking(house):
            house.sessions.here = ["bedroom", "kitchen", "garden"]
            await house.say("Set a pasta timer for nine minutes", session="kitchen")
            await asyncio.sleep(541)
            assert house.sessions.told == [(pytest.approx(540, abs=0.01), "kitchen", "Your pasta timer is done.")]

    run(script())


def test_it_is_told_again_until_somebody_hushes_it(house: House) -> None:
    async def script() -> None:
        async with ticking(house):
            await house.say("Set a timer for one minute")
            await asyncio.sleep(85)
            assert [round(at) for at, *_ in house.sessions.told] == [60, 80]
            assert await house.say("Stop") == ""
            await asyncio.sleep(100)
            assert len(house.sessions.told) == 2
            assert house.table.rows == {}

    run(script())


def test_it_is_told_three_times_at_most(house: House) -> None:
    async def script() -> None:
        async with ticking(house):
            await house.say("Set a timer for one minute")
            await asyncio.sleep(600)
            assert [round(at) for at, *_ in house.sessions.told] == [60, 80, 100]
            assert house.table.rows == {}

    run(script())


@pytest.mark.parametrize("said", ["okay", "Thanks!", "got it", "cancel the timer", "turn off the timer"])
def test_what_hushes_it(house: House, said: str) -> None:
    async def script() -> None:
        async with ticking(house):
            await house.say("Set a timer for one minute")
            await asyncio.sleep(65)
            assert await house.say(said) is not None
            await asyncio.sleep(60)
            assert len(house.sessions.told) == 1

    run(script())


def test_thanks_is_for_the_model_while_nothing_rings(house: House) -> None:
    assert house.match("Thanks!") is None
    assert house.match("Snooze") is None


def test_snooze(house: House) -> None:
    async def script() -> None:
        async with ticking(house):
            await house.say("Set an alarm in 10 minutes")
            await asyncio.sleep(605)
            assert await house.say("Snooze for 2 minutes") == "I'll come back in 2 minutes."
            await asyncio.sleep(150)
            assert [round(at) for at, *_ in house.sessions.told] == [600, 725, 745]

    run(script())


def test_another_session_is_told_when_the_one_that_set_it_has_gone(house: House) -> None:
    async def script() -> None:
        async with ticking(house):
            await house.say("Set a timer for one minute", session="kitchen")
            house.sessions.here = ["bedroom", "garden"]
            await asyncio.sleep(61)
            assert house.sessions.told == [(pytest.approx(60, abs=0.01), "garden", "Your 1 minute timer is done.")]

    run(script())


def test_an_end_that_nobody_hears_waits_for_somebody(house: House) -> None:
    async def script() -> None:
        async with ticking(house):
            await house.say("Set a pasta timer for one minute")
            house.sessions.here = []
            await asyncio.sleep(60 + 180)
            house.sessions.here = ["bedroom"]
            house.timers.arrived()
            await asyncio.sleep(1)
            assert house.sessions.told == [
                (pytest.approx(240, abs=0.01), "bedroom", "Your pasta timer ended 3 minutes ago.")
            ]

    run(script())


def test_what_was_set_before_a_restart_goes_on_after_it() -> None:
    async def script() -> None:
        before = House().warmed()
        async with ticking(before):
            await before.say("Set a timer for one minute")
            await before.say("Set a timer for two hours")
            await before.say("Set a tea timer for three minutes")
            await before.say("pause the tea timer")
        after = House().warmed()
        after.table = before.table
        after.timers._table = before.table
        after.sessions.here = []
        async with ticking(after):
            await asyncio.sleep(200)
            assert "the 2 hour timer" in (await after.say("list my timers"))
            after.sessions.here = ["elsewhere"]
            after.timers.arrived()
            await asyncio.sleep(1)
            assert [text for _, _, text in after.sessions.told] == ["Your 1 minute timer ended 2 minutes ago."]

    run(script())


def test_the_clock_on_the_wall_may_be_set_meanwhile(house: House) -> None:
    async def script() -> None:
        await house.say("Set a timer for an hour")
        task = asyncio.create_task(house.timers.run())
        await asyncio.sleep(5)
        house.watch.pass_s(3600)
        await asyncio.sleep(1.5)
        assert len(house.sessions.told) == 1
        task.cancel()

    run(script())


@pytest.mark.parametrize(
    ("language", "said", "answer", "end"),
    [
        (
            "de",
            "Stelle einen Timer auf fünf Minuten",
            "5 Minuten ab jetzt.",
            "Dein Timer über 5 Minuten ist abgelaufen.",
        ),
        ("fr", "Mets un minuteur de 5 minutes", "5 minutes, c'est parti.", "Votre minuteur de 5 minutes est terminé."),
        (
            "es",
            "Pon un temporizador de cinco minutos",
            "5 minutos a partir de ahora.",
            "Tu temporizador de 5 minutos ha terminado.",
        ),
    ],
)
def test_timers_in_other_languages(house: House, language: str, said: str, answer: str, end: str) -> None:
    async def script() -> None:
        async with ticking(house):
            assert await house.say(said, language) == answer
            await asyncio.sleep(301)
            assert [text for _, _, text in house.sessions.told] == [end]

    run(script())
