"""What clients ask of a session, in scripted conversations on virtual time."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from pipeline import events
from pipeline.engines import ChatMessage
from pipeline.history import Item, Spoken, Text
from pipeline.ids import random_id
from pipeline.settings import TurnTaking
from pipeline.turn import APOLOGY
from tests.pipeline.doubles import (
    Conversation,
    ScriptedLlm,
    ScriptedStt,
    ScriptedTts,
    ScriptedTurnDetector,
    taking,
)
from tests.pipeline.scripts import HELLO, SPOKEN_TURN, ended, one_question, rejected, say_and_wait


def test_a_typed_question_is_answered() -> None:
    talk = Conversation()

    async def type_it(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(4.0)

    talk.hold(type_it)
    assert talk.kinds == ["ItemAdded", *SPOKEN_TURN[5:]]
    assert talk.llm.prompts[-1] == [ChatMessage("system", "Be brief."), ChatMessage("user", "hello there")]


def test_a_written_answer_comes_as_it_is_generated() -> None:
    talk = Conversation(llm=ScriptedLlm(["**It** is noon."]))

    async def type_it(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(output="text", instructions="Rhyme.", max_output_tokens=9))
        await asyncio.sleep(2.0)

    talk.hold(type_it)
    assert [event.text for event in talk.of(events.ResponseText)] == ["**It**", " is", " noon."]
    assert ended(talk).item.parts == (Text("**It** is noon."),)
    assert talk.tts.spoken == []
    assert talk.llm.prompts[-1][0] == ChatMessage("system", "Rhyme.")


def test_a_written_answer_that_fails_says_so() -> None:
    talk = Conversation(llm=ScriptedLlm(error=RuntimeError("no")))

    async def type_it(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(2.0)

    talk.hold(type_it)
    assert ended(talk).status == "failed"
    assert ended(talk).text == APOLOGY


def test_push_to_talk() -> None:
    talk = Conversation(settings=taking(mode="manual"))

    async def push(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(2.0)
        await talk.ask(events.Commit())
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(4.0)

    talk.hold(push)
    assert talk.kinds == [
        "AudioCommitted",
        "ItemAdded",
        "ResponseStarted",
        "TranscriptCompleted",
        *SPOKEN_TURN[6:],
    ]
    assert talk.stt.heard_s == [pytest.approx(3.0, abs=0.1)]
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", "what time is it")


def test_a_failed_transcription_of_a_pushed_question_is_reported() -> None:
    talk = Conversation(settings=taking(mode="manual"), stt=ScriptedStt(error=RuntimeError("no")))

    async def push(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.ask(events.Commit())
        await asyncio.sleep(1.0)

    talk.hold(push)
    assert talk.kinds == ["AudioCommitted", "ItemAdded", "TranscriptFailed"]


def test_voice_does_not_interrupt_in_manual_mode() -> None:
    talk = Conversation(settings=taking(mode="manual"), llm=ScriptedLlm(["It is noon, and the sun is up."]))

    async def speak_over(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await talk.say(6.0)

    talk.hold(speak_over)
    assert ended(talk).status == "completed"


def test_an_empty_commit_is_refused() -> None:
    talk = Conversation(settings=taking(mode="manual"))

    async def push(talk: Conversation) -> None:
        await talk.say(0.064)
        await talk.ask(events.Commit("r1"))

    talk.hold(push)
    assert rejected(talk) == [("input_audio_buffer_commit_empty", "r1")]


def test_a_commit_without_speech_is_refused_and_one_in_mid_speech_ends_it() -> None:
    talk = Conversation()

    async def commit(talk: Conversation) -> None:
        await talk.ask(events.Commit("r1"))
        await talk.say(1.0)
        await talk.ask(events.Commit("r2"))
        await asyncio.sleep(4.0)

    talk.hold(commit)
    assert talk.kinds[1:] == SPOKEN_TURN
    assert rejected(talk) == [("input_audio_buffer_commit_empty", "r1")]


def test_clear_takes_back_what_was_heard() -> None:
    talk = Conversation()

    async def clear(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.ask(events.Clear())
        await talk.hush(3.0)

    talk.hold(clear)
    assert talk.kinds == ["SpeechStarted", "AudioCleared"]


def test_a_manual_client_that_never_commits_does_not_fill_the_memory() -> None:
    talk = Conversation(settings=taking(mode="manual"))
    talk.hold(lambda talk: talk.hush(310.0))
    assert rejected(talk) == [("input_audio_buffer_full", None)]


def test_sound_that_comes_too_fast_is_dropped_and_said_so() -> None:
    talk = Conversation()

    async def burst(talk: Conversation) -> None:
        for _ in range(40):
            await talk.session.put(events.Audio(np.zeros(16_000, dtype=np.float32)))
        await asyncio.sleep(1.0)

    talk.hold(burst)
    assert ("input_audio_dropped", None) in rejected(talk)


def test_items_are_added_retrieved_and_deleted() -> None:
    talk = Conversation()

    async def edit(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateItem(replace(HELLO, id="first"), "root"))
        await talk.ask(events.CreateItem(replace(HELLO, id="second"), "first"))
        await talk.ask(events.RetrieveItem("second"))
        await talk.ask(events.DeleteItem("first"))
        await talk.ask(events.RetrieveItem("first", "r1"))
        await talk.ask(events.DeleteItem("first", "r2"))
        await talk.ask(events.CreateItem(HELLO, request_id="r3"))
        await talk.ask(events.CreateItem(replace(HELLO, id="x"), "nowhere", request_id="r4"))

    talk.hold(edit)
    assert [event.previous_item_id for event in talk.of(events.ItemAdded)] == [None, None, "first"]
    assert [event.item.id for event in talk.of(events.ItemRetrieved)] == ["second"]
    assert rejected(talk) == [
        ("item_retrieve_invalid_item_id", "r1"),
        ("item_retrieve_invalid_item_id", "r2"),
        ("item_create_duplicate_item_id", "r3"),
        ("invalid_value", "r4"),
    ]


def test_a_message_sent_as_sound_is_transcribed() -> None:
    talk = Conversation()
    spoken = Item("spoken", "user", (Spoken(None, np.zeros(16_000, dtype=np.float32)),))

    async def send(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(spoken))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(3.0)

    talk.hold(send)
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", "what time is it")


def test_a_message_deleted_while_it_is_transcribed_stays_deleted() -> None:
    talk = Conversation()
    spoken = Item("spoken", "user", (Spoken(None, np.zeros(16_000, dtype=np.float32)),))

    async def send(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(spoken))
        await talk.ask(events.DeleteItem("spoken"))
        await asyncio.sleep(1.0)
        await talk.ask(events.RetrieveItem("spoken", "r1"))

    talk.hold(send)
    assert rejected(talk) == [("item_retrieve_invalid_item_id", "r1")]


def test_a_client_cancels_the_response() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon now. The sun stands high above the houses."]))

    async def cancel(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(2.0)
        await talk.ask(events.CancelResponse("another", "r1"))
        await talk.ask(events.CancelResponse())
        await talk.ask(events.CancelResponse(request_id="r2"))
        await talk.hush(1.0)

    talk.hold(cancel)
    assert (ended(talk).status, ended(talk).reason) == ("cancelled", "client_cancelled")
    assert rejected(talk) == [("response_cancel_not_active", "r1"), ("response_cancel_not_active", "r2")]


def test_a_second_response_is_refused_while_one_is_active_or_due() -> None:
    talk = Conversation(stt=ScriptedStt(takes_s=1.4))

    async def ask_twice(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(TurnTaking().max_silence_s + 0.05)
        await talk.ask(events.CreateResponse(request_id="r1"))
        await talk.hush(0.5)
        await talk.ask(events.CreateResponse(request_id="r2"))
        await talk.hush(3.0)

    talk.hold(ask_twice)
    code = "conversation_already_has_active_response"
    assert rejected(talk) == [(code, "r1"), (code, "r2")]
    assert ended(talk).status == "completed"


def test_an_utterance_takes_the_floor_from_a_response_that_the_client_asked_for() -> None:
    talk = Conversation(llm=ScriptedLlm(["A long answer to something that was typed while speaking.", "Noon."]))

    async def type_while_speaking(talk: Conversation) -> None:
        await talk.say(0.5)
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await talk.say(0.5)
        await talk.hush(4.0)

    talk.hold(type_while_speaking)
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["cancelled", "completed"]


def test_truncating_keeps_what_was_heard_and_clamps() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon now, my friend."]))

    async def truncate(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(6.0)
        item_id = ended(talk).item.id
        await talk.ask(events.TruncateItem(item_id, 99.0))
        await talk.ask(events.RetrieveItem(item_id))
        await talk.ask(events.TruncateItem(item_id, 0.95))
        await talk.ask(events.RetrieveItem(item_id))
        await talk.ask(events.TruncateItem("hello", 1.0, "r1"))

    talk.hold(truncate)
    assert [round(event.audio_end_s, 2) for event in talk.of(events.ItemTruncated)] == [2.5, 0.95]
    assert [event.item.text for event in talk.of(events.ItemRetrieved)] == ["It is noon now, my friend.", "It is noon"]
    assert rejected(talk) == [("invalid_value", "r1")]


def test_truncating_the_reply_under_way_ends_it() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon now. The sun stands high above the houses."]))

    async def truncate(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(1.5)
        await talk.ask(events.TruncateItem(talk.of(events.ResponseStarted)[0].item_id, 0.5))
        await asyncio.sleep(3.0)

    talk.hold(truncate)
    assert (ended(talk).status, ended(talk).reason) == ("cancelled", "client_cancelled")
    assert talk.events[-1] == events.ItemTruncated(ended(talk).item.id, 0.5)


def test_cancelling_what_a_truncation_has_just_ended_is_no_error() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon now. The sun stands high above the houses."]))

    async def interrupt(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(1.5)
        await talk.ask(events.TruncateItem(talk.of(events.ResponseStarted)[0].item_id, 0.5))
        await talk.ask(events.CancelResponse(request_id="the same interruption"))
        await talk.ask(events.CancelResponse(request_id="one too many"))

    talk.hold(interrupt)
    assert len(talk.of(events.ResponseEnded)) == 1
    assert rejected(talk) == [("response_cancel_not_active", "one too many")]
    assert talk.of(events.Rejected)[0].message.startswith("Cancellation failed")


def test_without_create_response_an_utterance_is_only_written_down() -> None:
    talk = Conversation(settings=taking(create_response=False))
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN[:5]
    assert talk.llm.prompts == []


def test_new_instructions_are_prepared_and_used() -> None:
    talk = Conversation()

    async def script(talk: Conversation) -> None:
        await talk.hush(0.1)
        await talk.ask(events.Update(replace(talk.settings, instructions="Sing.")))
        await talk.ask(events.Update(replace(talk.settings, instructions="Sing.", voice="bass")))
        await one_question(talk)

    talk.hold(script)
    assert talk.llm.prefilled[:2] == [[ChatMessage("system", "Be brief.")], [ChatMessage("system", "Sing.")]]
    assert talk.llm.prompts[-1][0].content == "Sing."


def test_settings_that_change_in_a_pause_void_what_was_prepared() -> None:
    talk = Conversation(turn=ScriptedTurnDetector([0.0]))

    async def script(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.5)
        await talk.ask(events.Update(replace(talk.settings, instructions="Sing.")))
        await talk.hush(4.0)

    talk.hold(script)
    assert talk.llm.prompts[-1][0].content == "Sing."
    assert ended(talk).status == "completed"


def test_switching_to_push_to_talk_in_mid_speech_forgets_it() -> None:
    talk = Conversation()

    async def script(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.ask(events.Update(taking(mode="manual")))
        await talk.hush(3.0)

    talk.hold(script)
    assert talk.kinds == ["SpeechStarted", "SettingsUpdated"]


def test_with_a_wake_word_the_session_sleeps_until_it_comes() -> None:
    talk = Conversation(settings=taking(wake=True))
    talk.hold(one_question)
    assert talk.events == []


def test_a_session_whose_events_are_not_read_waits() -> None:
    talk = Conversation(llm=ScriptedLlm(["A very long answer that goes on for more than the outbox can hold. " * 3]))
    talk.hold(lambda talk: say_and_wait(talk, 20.0), read=False)
    assert talk.session._outbox.full()


def test_ids_are_random() -> None:
    assert random_id("item") != random_id("item")
    assert random_id("resp").startswith("resp_")


def test_a_reply_that_is_deleted_while_it_is_spoken_stays_deleted() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon now. The sun stands high above the houses."]))

    async def delete(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(1.5)
        await talk.ask(events.DeleteItem(talk.of(events.ResponseStarted)[0].item_id))
        await asyncio.sleep(6.0)
        await talk.ask(events.RetrieveItem(ended(talk).item.id, "r1"))

    talk.hold(delete)
    assert rejected(talk) == [("item_retrieve_invalid_item_id", "r1")]


def test_going_on_with_an_utterance_whose_message_was_deleted() -> None:
    talk = Conversation(llm=ScriptedLlm(first_s=1.5))

    async def go_on(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.3)
        await talk.ask(events.DeleteItem(talk.of(events.AudioCommitted)[0].item_id))
        await talk.hush(0.2)
        await talk.say(0.6)
        await talk.hush(6.0)

    talk.hold(go_on)
    assert len(talk.of(events.ItemDeleted)) == 2
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["cancelled", "completed"]


def test_a_noise_over_a_reply_that_is_heard_out_does_not_end_it() -> None:
    answer = "A very long answer that goes on and on and on and on and on and on."
    talk = Conversation(
        settings=taking(interrupt_response=False), stt=ScriptedStt(["one", "", "two"]), llm=ScriptedLlm([answer, "Ok."])
    )

    async def cough_and_go_on(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.5)
        await talk.say(0.4)
        await talk.hush(0.4)
        await talk.say(0.6)
        await talk.hush(12.0)

    talk.hold(cough_and_go_on)
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["completed", "completed"]
    assert talk.of(events.ResponseEnded)[0].item.text == answer


def test_a_response_waits_for_every_message_that_came_as_sound() -> None:
    talk = Conversation(stt=ScriptedStt(["one", "two"]))
    sound = np.zeros(16_000, dtype=np.float32)

    async def send(talk: Conversation) -> None:
        for name in ("a", "b"):
            await talk.ask(events.CreateItem(Item(name, "user", (Text("see:"), Spoken(None, sound)))))
            await asyncio.sleep(0.05)
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(3.0)

    talk.hold(send)
    assert talk.llm.prompts[-1][-1].content == "see: one\nsee: two"


def test_a_clause_without_sound_is_passed_over() -> None:
    talk = Conversation(llm=ScriptedLlm(["Well now then. It is noon."]), tts=ScriptedTts(mute="Well now then."))
    talk.hold(one_question)
    assert ended(talk).item.text == "It is noon."


def test_the_session_falls_asleep_when_it_is_told_to_wait_for_a_wake_word() -> None:
    talk = Conversation()

    async def then_sleep(talk: Conversation) -> None:
        await talk.ask(events.Update(taking(wake=True, follow_up_s=5.0)))
        await one_question(talk)
        await talk.hush(6.0)
        await talk.say(2.0)

    talk.hold(then_sleep)
    assert talk.kinds == ["SettingsUpdated", *SPOKEN_TURN]
