"""A client that tells what it has played, leaves in mid-reply, and comes back."""

import asyncio
from dataclasses import replace

import pytest

from audio.types import OUTPUT_RATE
from pipeline import events
from pipeline.history import Spoken, Text
from pipeline.playhead import Playhead
from tests.pipeline.doubles import Conversation, ScriptedLlm, taking
from tests.pipeline.scripts import HELLO, ended, one_question

ANSWER = "It is noon now. The sun stands high."
HEARING = replace(taking(), report_heard=True)


def sound_s(talk: Conversation, after: float = 0.0, before: float = 1e9) -> float:
    """Return the seconds of the reply that were sent in this stretch of time."""
    lengths = [
        len(entry.event.samples)
        for entry in talk.log
        if isinstance(entry.event, events.ResponseAudio) and after <= entry.at < before
    ]
    return sum(lengths) / OUTPUT_RATE


def long_reply(**options: object) -> Conversation:
    return Conversation(llm=ScriptedLlm([ANSWER]), **options)  # type: ignore[arg-type]


async def first_sound(talk: Conversation) -> float:
    """Ask, and return when the reply begins to sound."""
    await talk.hush(0.5)
    await talk.say(1.0)
    while not talk.of(events.ResponseAudio):
        await talk.hush(0.1)
    return talk.at(events.ResponseAudio)


# --- Heard text ---


def test_words_are_told_as_they_are_heard() -> None:
    talk = long_reply(settings=HEARING)
    talk.hold(one_question)
    told = [event.text for event in talk.of(events.ReplyHeard)]
    words = ANSWER.split()
    assert told[-1] == ANSWER
    assert len(told) >= len(words) - 1
    assert all(text.split() == words[: len(text.split())] for text in told)
    assert [len(text) for text in told] == sorted(len(text) for text in told)
    assert talk.kinds[-3:] == ["ReplyHeard", "TurnTimed", "ResponseEnded"]
    assert talk.of(events.ReplyHeard)[-1].at_s == pytest.approx(sound_s(talk))


def test_who_did_not_ask_is_told_nothing() -> None:
    talk = long_reply()
    talk.hold(one_question)
    assert talk.of(events.ReplyHeard) == []


def test_of_a_reply_that_is_cut_the_last_word_told_is_the_last_in_the_history() -> None:
    async def script(talk: Conversation) -> None:
        await first_sound(talk)
        await talk.hush(0.6)
        await talk.ask(events.CancelResponse())
        await talk.hush(0.5)

    talk = long_reply(settings=HEARING)
    talk.hold(script)
    told = talk.of(events.ReplyHeard)[-1]
    assert told.text == ended(talk).item.text
    assert 0 < len(told.text) < len(ANSWER)


def test_the_clients_position_beats_the_servers_count() -> None:
    async def script(talk: Conversation) -> None:
        await first_sound(talk)
        await talk.hush(0.9)
        (started,) = talk.of(events.ResponseStarted)
        await talk.ask(events.Played("another", 0.9))
        await talk.ask(events.Played(started.item_id, 0.25))
        await talk.ask(events.CancelResponse())
        await talk.ask(events.Played(started.item_id, 0.8))

    talk = long_reply(settings=HEARING)
    talk.hold(script)
    assert ended(talk).item.text == "It"
    assert [event.text for event in talk.of(events.ReplyHeard)][-2:] == ["It", "It"]


def test_a_position_back_at_the_beginning_unsays_the_words() -> None:
    async def script(talk: Conversation) -> None:
        await first_sound(talk)
        await talk.hush(0.6)
        (started,) = talk.of(events.ResponseStarted)
        await talk.ask(events.Played(started.item_id, -3.0))
        await talk.ask(events.CancelResponse())

    talk = long_reply(settings=HEARING)
    talk.hold(script)
    assert talk.of(events.ReplyHeard)[-2].text == ""
    assert ended(talk).item.text == ""


def test_nothing_is_told_of_a_written_reply() -> None:
    async def script(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(output="text"))
        (started,) = talk.of(events.ResponseStarted)
        await talk.ask(events.Played(started.item_id, 1.0))
        await talk.hush(1.0)

    talk = long_reply(settings=HEARING)
    talk.hold(script)
    assert talk.of(events.ReplyHeard) == []
    assert ended(talk).status == "completed"


def test_a_position_is_between_nothing_and_all_that_was_sent() -> None:
    playhead = Playhead()
    playhead.send(2.0, now=10.0)
    for said, taken in ((-1.0, 0.0), (0.5, 0.5), (2.0, 2.0), (9.0, 2.0)):
        playhead.correct(said, now=11.0)
        assert playhead.played_s(11.0) == pytest.approx(taken)
    playhead.correct(0.5, now=11.0)
    assert playhead.played_s(12.0) == pytest.approx(1.5)


# --- Leaving and coming back ---


def test_a_reply_is_held_while_nobody_listens_and_goes_on_afterwards() -> None:
    times: list[float] = []

    async def script(talk: Conversation) -> None:
        clock = asyncio.get_running_loop()
        await first_sound(talk)
        await talk.hush(0.5)
        await talk.ask(events.ClientLeft())
        times.append(clock.time())
        await asyncio.sleep(60.0)
        times.append(clock.time())
        await talk.ask(events.ClientReturned(0.0))
        await asyncio.sleep(5.0)

    talk = long_reply()
    talk.hold(script)
    left, back = times
    assert sound_s(talk, before=left) > 0.5
    assert sound_s(talk, left + 0.001, back) == 0.0
    assert sound_s(talk, back) > 1.0
    assert ended(talk).status == "completed"
    assert ended(talk).item.text == ANSWER
    assert talk.at(events.ResponseEnded) >= back + sound_s(talk, back) - 0.01


def test_what_was_missed_is_played_before_more_is_sent() -> None:
    times: list[float] = []

    async def script(talk: Conversation) -> None:
        await first_sound(talk)
        await talk.hush(0.9)
        await talk.ask(events.ClientLeft())
        await asyncio.sleep(10.0)
        times.append(asyncio.get_running_loop().time())
        await talk.ask(events.ClientReturned(0.7))
        await asyncio.sleep(0.5)
        await talk.ask(events.CancelResponse())

    talk = long_reply()
    talk.hold(script)
    assert sound_s(talk, times[0]) == 0.0
    sent_s = sound_s(talk)
    (spoken,) = ended(talk).item.parts
    assert isinstance(spoken, Spoken)
    # Of the 0.7 s that it had missed, the client has played 0.5 s when the reply is cut.
    assert len(spoken.transcript or "") == pytest.approx((sent_s - 0.2) * 10, abs=4)


def test_a_reply_whose_sound_was_all_sent_ends_when_the_client_has_played_it() -> None:
    times: list[float] = []

    async def script(talk: Conversation) -> None:
        await first_sound(talk)
        while sound_s(talk) < 3.5:
            await talk.hush(0.032)
        await talk.ask(events.ClientLeft())
        await asyncio.sleep(10.0)
        times.append(asyncio.get_running_loop().time())
        await talk.ask(events.ClientReturned(1.5))
        await asyncio.sleep(3.0)

    talk = long_reply()
    talk.hold(script)
    assert talk.at(events.ResponseEnded) == pytest.approx(times[0] + 1.5, abs=0.05)


def test_a_client_that_leaves_again_at_once_gets_nothing_more() -> None:
    async def script(talk: Conversation) -> None:
        await first_sound(talk)
        await talk.ask(events.ClientLeft())
        await asyncio.sleep(1.0)
        await talk.ask(events.ClientReturned(0.5))
        await talk.ask(events.ClientLeft())
        await asyncio.sleep(10.0)

    talk = long_reply()
    talk.hold(script)
    assert talk.of(events.ResponseEnded) == []
    assert sound_s(talk) < 0.6


def test_who_leaves_before_the_answer_hears_it_on_coming_back() -> None:
    times: list[float] = []

    async def script(talk: Conversation) -> None:
        await talk.hush(0.5)
        await talk.say(1.0)
        await talk.ask(events.ClientLeft())
        await asyncio.sleep(20.0)
        times.append(asyncio.get_running_loop().time())
        await talk.ask(events.ClientReturned(0.0))
        await asyncio.sleep(6.0)

    talk = long_reply()
    talk.hold(script)
    assert talk.at(events.ResponseStarted) < times[0]
    assert talk.at(events.ResponseAudio) >= times[0]
    assert ended(talk).item.text == ANSWER


def test_who_comes_back_to_silence_misses_nothing() -> None:
    async def script(talk: Conversation) -> None:
        await talk.ask(events.ClientLeft())
        await talk.ask(events.ClientReturned(0.0))
        await one_question(talk)

    talk = long_reply()
    talk.hold(script)
    assert ended(talk).status == "completed"


def test_a_written_reply_waits_too() -> None:
    async def script(talk: Conversation) -> None:
        await talk.ask(events.ClientLeft())
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(10.0)
        assert talk.of(events.ResponseText) == []
        await talk.ask(events.ClientReturned(0.0))
        await asyncio.sleep(2.0)

    talk = long_reply()
    talk.hold(script)
    assert ended(talk).item.parts == (Text(ANSWER),)


# --- The whole conversation ---


def test_the_conversation_shows_what_has_been_heard_of_the_reply_under_way() -> None:
    async def script(talk: Conversation) -> None:
        await talk.ask(events.RetrieveConversation())
        await first_sound(talk)
        await talk.hush(0.6)
        await talk.ask(events.RetrieveConversation())
        await talk.hush(5.0)
        await talk.ask(events.RetrieveConversation())

    talk = long_reply()
    talk.hold(script)
    empty, during, after = (event.items for event in talk.of(events.ConversationRetrieved))
    assert empty == ()
    assert [(item.role, item.status) for item in during] == [("user", "completed"), ("assistant", "in_progress")]
    assert 0 < len(during[1].text) < len(ANSWER)
    assert [item.text for item in after] == ["what time is it", ANSWER]
