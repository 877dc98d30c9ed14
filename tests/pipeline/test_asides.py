"""Responses beside the conversation, in scripted conversations on virtual time."""

import asyncio

import numpy as np
import pytest

from audio.types import INPUT_RATE, OUTPUT_RATE
from pipeline import events
from pipeline.asides import MOST
from pipeline.engines import VAD_WINDOW, ChatMessage
from pipeline.history import Item, Spoken, Text
from pipeline.turn import Done
from tests.pipeline.doubles import WINDOW_S, Conversation, ScriptedLlm, ScriptedStt, ScriptedTts, noise, taking
from tests.pipeline.scripts import HELLO, ended, rejected

CLASSIFY = events.CreateResponse(instructions="Classify.", output="text", beside=True, metadata={"topic": "mood"})
SOUND = np.full(INPUT_RATE, 0.1, np.float32)


def starts(talk: Conversation) -> list[events.ResponseStarted]:
    return talk.of(events.ResponseStarted)


def test_it_answers_the_conversation_and_leaves_no_trace_in_it() -> None:
    talk = Conversation()

    async def classify(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(CLASSIFY)
        await asyncio.sleep(1.0)
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(4.0)

    talk.hold(classify)
    aside, reply = talk.of(events.ResponseEnded)
    assert talk.llm.prompts == [
        [ChatMessage("system", "Classify."), ChatMessage("user", "hello there")],
        [ChatMessage("system", "Be brief."), ChatMessage("user", "hello there")],
    ]
    assert (aside.status, aside.item.text, aside.usage.output_tokens) == ("completed", "It is noon.", 3)
    assert starts(talk)[0].asked == CLASSIFY
    assert reply.status == "completed"


def test_it_answers_what_the_client_gives_instead() -> None:
    talk = Conversation(stt=ScriptedStt(["turn left"]))
    given = (
        Item("own", "user", (Text("my words"), Spoken(None, SOUND))),
        events.ItemReference("hello"),
    )

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(output="text", beside=True, input=given))
        await talk.ask(events.CreateResponse(output="text", beside=True, input=()))
        await asyncio.sleep(2.0)
        await talk.ask(events.RetrieveItem("own", "r1"))

    talk.hold(ask)
    empty, full = talk.llm.prompts
    assert empty == [ChatMessage("system", "Be brief.")]
    assert full == [ChatMessage("system", "Be brief."), ChatMessage("user", "my words turn left\nhello there")]
    assert rejected(talk) == [("item_retrieve_invalid_item_id", "r1")]
    assert all(start.asked is not None and start.asked.input is None for start in starts(talk))


def test_a_reference_waits_for_the_words_of_its_message() -> None:
    talk = Conversation(settings=taking(mode="manual"))

    async def ask(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.ask(events.Commit())
        (committed,) = talk.of(events.AudioCommitted)
        given = (events.ItemReference(committed.item_id),)
        await talk.ask(events.CreateResponse(output="text", beside=True, input=given))
        await asyncio.sleep(2.0)

    talk.hold(ask)
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", "what time is it")


def test_a_reference_outlives_its_message() -> None:
    talk = Conversation()

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        given = (Item("own", "user", (Spoken(None, SOUND),)), events.ItemReference("hello"))
        await talk.ask(events.CreateResponse(output="text", beside=True, input=given))
        await talk.ask(events.DeleteItem("hello"))
        await asyncio.sleep(2.0)

    talk.hold(ask)
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", "what time is it\nhello there")


def test_a_reference_to_nothing_is_refused() -> None:
    talk = Conversation()

    async def ask(talk: Conversation) -> None:
        for beside in (True, False):
            given = (HELLO, events.ItemReference("gone"))
            await talk.ask(events.CreateResponse(beside=beside, input=given, request_id="r1"))

    talk.hold(ask)
    assert rejected(talk) == [("item_retrieve_invalid_item_id", "r1")] * 2
    assert talk.of(events.Rejected)[0].param == "response.input.1.id"


def test_a_reply_too_may_answer_other_messages_and_goes_into_the_history() -> None:
    talk = Conversation()

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse(input=(HELLO,), output="text", metadata={"a": "b"}))
        await asyncio.sleep(2.0)
        await talk.ask(events.RetrieveItem(ended(talk).item.id))

    talk.hold(ask)
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", "hello there")
    (retrieved,) = talk.of(events.ItemRetrieved)
    assert retrieved.item.text == "It is noon."
    (start,) = starts(talk)
    assert start.asked == events.CreateResponse(output="text", metadata={"a": "b"})


def test_it_runs_beside_a_reply_and_neither_stops_the_other() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon, and the sun is up. You should eat."]))

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(1.0)
        await talk.ask(events.CreateResponse(beside=True))
        await asyncio.sleep(0.5)
        await talk.ask(events.CancelResponse(starts(talk)[1].response_id))
        await asyncio.sleep(6.0)

    talk.hold(ask)
    aside, reply = talk.of(events.ResponseEnded)
    assert (aside.status, aside.reason) == ("cancelled", "client_cancelled")
    assert aside.item.text in aside.text != ""
    assert reply.status == "completed"
    assert talk.llm.running == 0


def test_nothing_of_it_follows_its_end() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon, and the sun is up. You should eat."]))

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse(beside=True))
        await asyncio.sleep(0.5)
        await talk.ask(events.CancelResponse(starts(talk)[0].response_id))
        await talk.session._asides.take(Done(-1))  # what it had posted by then
        await asyncio.sleep(6.0)

    talk.hold(ask)
    assert talk.kinds[-1] == "ResponseEnded"
    assert len(talk.of(events.ResponseEnded)) == 1


def test_a_cancel_without_an_id_means_the_reply() -> None:
    talk = Conversation()

    async def ask(talk: Conversation) -> None:
        await talk.ask(CLASSIFY)
        await talk.ask(events.CancelResponse(request_id="r1"))
        await asyncio.sleep(2.0)

    talk.hold(ask)
    assert rejected(talk) == [("response_cancel_not_active", "r1")]
    assert ended(talk).status == "completed"


def test_there_is_a_bound() -> None:
    talk = Conversation()

    async def ask(talk: Conversation) -> None:
        for number in range(MOST + 1):
            await talk.ask(events.CreateResponse(output="text", beside=True, request_id=f"r{number}"))
        await asyncio.sleep(2.0)
        await talk.ask(CLASSIFY)
        await asyncio.sleep(2.0)

    talk.hold(ask)
    assert rejected(talk) == [("too_many_responses", f"r{MOST}")]
    assert [end.status for end in talk.of(events.ResponseEnded)] == ["completed"] * (MOST + 1)


def test_it_does_not_hold_the_floor() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon, and the sun is up. You should really eat.", "It is one."]))

    async def speak_over(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse(beside=True))
        await talk.hush(0.5)
        await talk.say(1.0)
        await talk.hush(8.0)

    talk.hold(speak_over)
    assert {end.status for end in talk.of(events.ResponseEnded)} == {"completed"}
    aside, reply = starts(talk)
    ends = {end.response_id: at for at, end in enumerate(talk.events) if isinstance(end, events.ResponseEnded)}
    assert talk.events.index(reply) < ends[aside.response_id], "the user is answered while it speaks"


@pytest.mark.parametrize("delay_s", [0.1, None])
def test_its_echo_is_no_user(delay_s: float | None) -> None:
    """`delay_s` None: what is heard isn't the echo, and is a user."""
    talk = Conversation(llm=ScriptedLlm(["It is noon, and the sun is up. You should really eat something now."]))

    async def listen(talk: Conversation) -> None:
        loop = asyncio.get_running_loop()
        await talk.ask(events.CreateResponse(beside=True))
        while not talk.of(events.ResponseAudio):
            await talk.hush(WINDOW_S)
        began = talk.at(events.ResponseAudio)
        for number in range(round(6.0 / WINDOW_S)):
            sent = np.concatenate([event.samples for event in talk.of(events.ResponseAudio)])
            at = (loop.time() - began - (delay_s or 0.0)) * OUTPUT_RATE
            moments = at + np.arange(VAD_WINDOW) * OUTPUT_RATE / INPUT_RATE
            echo = np.interp(moments, np.arange(len(sent)), sent, left=0.0, right=0.0).astype(np.float32)
            heard = noise(VAD_WINDOW, 0.3, seed=number) if delay_s is None else echo
            await talk.session.put(events.Audio(heard))
            await asyncio.sleep(WINDOW_S)
        await talk.hush(8.0)

    talk.hold(listen)
    assert talk.of(events.ResponseEnded)[0].status == "completed"
    assert len(talk.of(events.SpeechStarted)) == (delay_s is None)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"llm": ScriptedLlm(error=RuntimeError("no"))}, "think_failed"),
        ({"stt": ScriptedStt(error=RuntimeError("no"))}, "transcribe_failed"),
        ({"tts": ScriptedTts(error=RuntimeError("no"))}, "speak_failed"),
    ],
)
def test_one_that_fails_says_so_and_nothing_else(broken: dict[str, object], code: str) -> None:
    talk = Conversation(**broken)  # type: ignore[arg-type]
    given = (Item("own", "user", (Spoken(None, SOUND),)),)

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse(beside=True, input=given))
        await asyncio.sleep(3.0)

    talk.hold(ask)
    assert (ended(talk).status, ended(talk).error_code) == ("failed", code)
    assert talk.of(events.ResponseText) == []


def test_one_that_gets_too_long_is_incomplete() -> None:
    talk = Conversation(llm=ScriptedLlm(reason="length"))

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse(beside=True, output="text", max_output_tokens=2))
        await asyncio.sleep(3.0)

    talk.hold(ask)
    assert (ended(talk).status, ended(talk).reason) == ("incomplete", "max_output_tokens")
