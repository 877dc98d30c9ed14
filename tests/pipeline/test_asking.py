"""What a language model is told of who asks, and of whether it is sure that it is asked."""

import asyncio
from dataclasses import replace

import pytest

from pipeline import events
from pipeline.engines import Asker, ChatRequest, Finish, TextDelta
from tests.pipeline.doubles import WAIT, Conversation, RoutedLlm, ScriptedStt, taking
from tests.pipeline.scripts import HELLO, ended, one_question

END = Finish("stop", 9, 0, 3)


def waiting() -> RoutedLlm:
    return RoutedLlm(scripts=[[WAIT, TextDelta("It is noon."), END]])


def test_an_answer_is_prepared_but_not_asked_for_before_the_commit() -> None:
    llm = waiting()
    talk = Conversation(llm=llm)
    talk.hold(one_question)
    (committed,) = llm.committed_at
    assert committed == talk.at(events.ResponseStarted)
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.first_token_s >= timings.commit_s
    assert ended(talk).text == "It is noon."


def test_words_that_are_never_committed_are_never_asked() -> None:
    llm = waiting()
    talk = Conversation(llm=llm, stt=ScriptedStt(growing={0.0: "turn on", 1.5: "turn on the light"}))
    talk.turn.scores = [0.1, 0.1, 1.0]

    async def pause_in_between(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.4)
        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(pause_in_between)
    assert [messages[-1].content for messages in talk.llm.prompts] == ["turn on", "turn on the light"]
    assert len(llm.committed_at) == 1
    assert talk.llm.running == 0


def test_a_turn_that_is_held_stays_committed() -> None:
    """A voice during the wait for another machine shuts the gate; what is sure stays sure."""
    llm = RoutedLlm(scripts=[[1.0, WAIT, TextDelta("It is noon."), END]])
    talk = Conversation(llm=llm, settings=taking(reopen_s=0.1))

    async def cough(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.9)
        await talk.session.put(events.ClientLeft())
        await talk.hush(2.0)
        await talk.session.put(events.ClientReturned(0.0))
        await talk.hush(3.0)

    talk.hold(cough)
    assert len(llm.committed_at) == 1
    assert llm.committed_at[0] < talk.at(events.ResponseAudio) - 1.0
    assert ended(talk).status == "completed"


@pytest.mark.parametrize("beside", [False, True])
def test_what_a_client_asks_for_is_sure(beside: bool) -> None:
    llm = waiting()
    talk = Conversation(llm=llm)

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await asyncio.sleep(1.0)
        await talk.ask(events.CreateResponse(output="text", beside=beside))
        await asyncio.sleep(1.0)

    talk.hold(ask)
    assert llm.committed_at == [pytest.approx(1.0, abs=0.1)]
    assert ended(talk).text == "It is noon."


def test_words_that_are_corrected_after_the_commit_are_sure() -> None:
    llm = RoutedLlm(scripts=[[WAIT, 3.0, TextDelta("Tides."), END], [WAIT, TextDelta("It is noon."), END]])
    live = ScriptedStt(["what tide is it"], takes_s=0.05)
    talk = Conversation(live=live, stt=ScriptedStt(["what time is it"], takes_s=0.6), llm=llm)
    talk.hold(one_question)
    assert len(llm.committed_at) == 2
    assert ended(talk).text == "It is noon."
    first, second = llm.requests
    assert first.asker == second.asker == Asker("sess_1", "resp_1", "ann", language="en")


def test_who_asks() -> None:
    talk = Conversation(stt=ScriptedStt(["wie sp\u00e4t ist es"], language="de"))

    async def ask(talk: Conversation) -> None:
        await one_question(talk)
        await talk.ask(events.Update(replace(talk.settings, route="private")))
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    talk.hold(ask)
    spoken, written = talk.llm.requests
    starts = talk.of(events.ResponseStarted)
    assert spoken.asker == Asker("sess_1", starts[0].response_id, "ann", "", "de")
    assert written.asker == Asker("sess_1", starts[1].response_id, "ann", "private", "de")
    assert (spoken.spoken, written.spoken) == (True, False)
    assert all(request.asker.session == "sess_1" and request.asker.turn == "" for request in talk.llm.read)


def test_a_request_that_doesn_t_say_otherwise_is_sure() -> None:
    asyncio.run(ChatRequest(()).committed())
