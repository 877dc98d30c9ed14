"""The session speaks up by itself: a timer has ended."""

import asyncio
from dataclasses import replace

import pytest

from audio.types import OUTPUT_RATE
from pipeline import events
from pipeline.engines import ChatMessage
from pipeline.history import Item, Spoken, Text
from tests.pipeline.doubles import Conversation, ScriptedLlm, ScriptedStt, taking
from tests.pipeline.scripts import HELLO, ended

PASTA = events.Announce("Your pasta timer is over.")
EGG = events.Announce("Your egg timer is over.")
LONG = ScriptedLlm(answers=["This is a rather long answer to a short question, and it goes on."])


def said(talk: Conversation) -> list[str]:
    return [event.item.text for event in talk.of(events.ResponseEnded)]


def test_it_speaks_at_once_when_nobody_else_does() -> None:
    talk = Conversation()

    async def ring(talk: Conversation) -> None:
        await talk.hush(1.0)
        await talk.ask(PASTA)
        await talk.hush(4.0)
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    talk.hold(ring)
    assert talk.at(events.ResponseStarted) == pytest.approx(1.0, abs=0.01)
    start, end = talk.of(events.ResponseStarted)[0], talk.of(events.ResponseEnded)[0]
    assert (start.item_id, start.output, start.asked) == (end.item.id, "audio", None)
    assert (end.status, end.text, end.usage) == ("completed", PASTA.text, events.Usage())
    assert sum(len(event.samples) for event in talk.of(events.ResponseAudio)) == len(PASTA.text) * OUTPUT_RATE / 10
    first = talk.kinds[: talk.kinds.index("ResponseEnded") + 1]
    assert first == ["ResponseStarted", "ResponseText", "ResponseAudio", "ResponseEnded"], "nobody waited: no timings"
    assert talk.llm.prompts == [
        [ChatMessage("system", "Be brief."), ChatMessage("assistant", PASTA.text), ChatMessage("user", "hello there")]
    ]


def test_it_lets_the_user_speak_and_be_answered_first() -> None:
    talk = Conversation()

    async def ring(talk: Conversation) -> None:
        await talk.say(0.5)
        await talk.ask(PASTA)
        await talk.say(0.5)
        await talk.hush(8.0)

    talk.hold(ring)
    assert said(talk) == ["It is noon.", PASTA.text]


def test_it_lets_a_reply_end() -> None:
    talk = Conversation(llm=LONG)

    async def ring(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.5)
        await talk.ask(PASTA)
        await talk.hush(12.0)

    talk.hold(ring)
    assert said(talk) == [LONG.answers[0], PASTA.text]
    starts = [stamped.at for stamped in talk.log if isinstance(stamped.event, events.ResponseStarted)]
    ends = [stamped.at for stamped in talk.log if isinstance(stamped.event, events.ResponseEnded)]
    assert starts[1] == pytest.approx(ends[0], abs=0.01)


def test_two_at_once_come_one_after_the_other() -> None:
    talk = Conversation()

    async def ring(talk: Conversation) -> None:
        await talk.session.put(PASTA)
        await talk.session.put(EGG)
        await asyncio.sleep(8.0)

    talk.hold(ring)
    assert said(talk) == [PASTA.text, EGG.text]
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["completed", "completed"]


def test_of_too_many_the_newest_are_said() -> None:
    talk = Conversation(settings=replace(taking(), output="text"))
    talk.settings = replace(talk.settings, output="text")

    async def ring(talk: Conversation) -> None:
        await talk.ask(events.Update(talk.settings))
        await talk.say(0.5)
        for number in range(20):
            await talk.session.put(events.Announce(f"Timer {number} is over."))
        await talk.say(0.5)
        await talk.hush(4.0)

    talk.hold(ring)
    assert said(talk)[1:] == [f"Timer {number} is over." for number in range(4, 20)]


def test_it_is_written_where_answers_are() -> None:
    talk = Conversation()

    async def ring(talk: Conversation) -> None:
        await talk.ask(events.Update(replace(talk.settings, output="text")))
        await talk.ask(PASTA)
        await asyncio.sleep(1.0)

    talk.hold(ring)
    assert ended(talk).item == Item(ended(talk).item.id, "assistant", (Text(PASTA.text),), "completed")
    assert talk.tts.spoken == []


def test_the_user_can_cut_it_short() -> None:
    talk = Conversation(stt=ScriptedStt(["stop it please", "what time is it"]))

    async def ring(talk: Conversation) -> None:
        await talk.ask(PASTA)
        await talk.hush(1.0)
        await talk.say(1.5)
        await talk.hush(4.0)

    talk.hold(ring)
    first, second = talk.of(events.ResponseEnded)
    assert (first.status, first.reason) == ("cancelled", "turn_detected")
    assert PASTA.text.startswith(first.item.text)
    assert first.item.text
    assert isinstance(first.item.parts[0], Spoken)
    assert second.status == "completed"


def test_a_sleeping_session_wakes_for_it_and_listens_for_a_while() -> None:
    talk = Conversation(settings=taking(wake=True, follow_up_s=8.0))

    async def ring(talk: Conversation) -> None:
        await talk.say(0.5)
        await talk.ask(PASTA)
        await talk.hush(4.0)
        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(ring)
    assert said(talk) == [PASTA.text, "It is noon."]
    assert len(talk.of(events.SpeechStarted)) == 1, "it slept before"


def test_a_client_that_has_left_hears_it_when_it_is_back() -> None:
    talk = Conversation()

    async def ring(talk: Conversation) -> None:
        await talk.ask(events.ClientLeft())
        await talk.ask(PASTA)
        await talk.ask(EGG)
        await asyncio.sleep(5.0)
        assert talk.of(events.ResponseAudio) == []
        await talk.ask(events.ClientReturned(0.0))
        await asyncio.sleep(8.0)

    talk.hold(ring)
    assert talk.at(events.ResponseAudio) == pytest.approx(5.0, abs=0.1)
    assert said(talk) == [PASTA.text, EGG.text]


def test_a_client_that_leaves_in_the_middle_of_it_hears_the_rest() -> None:
    talk = Conversation()

    async def ring(talk: Conversation) -> None:
        await talk.ask(PASTA)
        await asyncio.sleep(0.5)
        await talk.ask(events.ClientLeft())
        await asyncio.sleep(5.0)
        await talk.ask(events.ClientReturned(0.3))
        await asyncio.sleep(5.0)

    talk.hold(ring)
    assert said(talk) == [PASTA.text]
    assert sum(len(event.samples) for event in talk.of(events.ResponseAudio)) == len(PASTA.text) * OUTPUT_RATE / 10


def test_a_client_s_request_in_the_same_moment_is_answered_before_or_after_it() -> None:
    talk = Conversation()

    async def ring(talk: Conversation) -> None:
        await talk.session.put(events.CreateItem(HELLO))
        await talk.session.put(events.CreateResponse(output="text"))
        await talk.session.put(PASTA)
        await asyncio.sleep(6.0)

    talk.hold(ring)
    assert said(talk) == ["It is noon.", PASTA.text]
    assert talk.of(events.Rejected) == []


def test_it_waits_for_a_reply_though_the_user_s_words_were_taken_back() -> None:
    """A client asks for an answer while the user speaks, and forgets what the user said: the floor is the reply's."""
    talk = Conversation(llm=LONG)

    async def ring(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.say(0.5)
        await talk.ask(events.CreateResponse())
        await talk.ask(events.Clear())
        await talk.ask(PASTA)
        await asyncio.sleep(15.0)

    talk.hold(ring)
    assert said(talk) == [LONG.answers[0], PASTA.text]


@pytest.mark.parametrize(
    ("held_s", "after_s", "first"),
    [(2.0, None, "It is noon."), (2.0, 0.6, PASTA.text), (25.0, None, PASTA.text)],
)
def test_with_push_to_talk_it_waits_while_the_button_is_held(held_s: float, after_s: float | None, first: str) -> None:
    """It doesn't wait for a button that was let go without a question, nor for a client that always sends."""
    talk = Conversation(settings=taking(mode="manual"))

    async def ring(talk: Conversation) -> None:
        await talk.say(0.2)
        await talk.ask(PASTA)
        await talk.say(held_s)
        if after_s is not None:
            await asyncio.sleep(after_s)
        await talk.ask(events.Commit())
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(10.0)

    talk.hold(ring)
    assert said(talk)[0] == first
    assert PASTA.text in said(talk)


def test_a_voice_that_fails_fails_it_and_the_session_goes_on() -> None:
    talk = Conversation()
    talk.tts.error = RuntimeError("no voice")

    async def ring(talk: Conversation) -> None:
        await talk.ask(PASTA)
        await asyncio.sleep(1.0)
        await talk.ask(events.Update(replace(talk.settings, output="text")))
        await talk.ask(EGG)
        await asyncio.sleep(1.0)

    talk.hold(ring)
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["failed", "completed"]
