"""Scripted conversations on virtual time."""

import asyncio
import itertools
from dataclasses import replace

import numpy as np
import pytest

from pipeline import events
from pipeline.engines import ChatMessage
from pipeline.history import Item, Spoken, Text
from pipeline.session import random_id
from pipeline.turn import APOLOGY
from tests.pipeline.doubles import (
    WINDOW_S,
    Conversation,
    ScriptedLlm,
    ScriptedStt,
    ScriptedTts,
    ScriptedTurnDetector,
    taking,
)

SPOKEN_TURN = [
    "SpeechStarted",
    "SpeechStopped",
    "AudioCommitted",
    "ItemAdded",
    "TranscriptCompleted",
    "ResponseStarted",
    "ResponseText",
    "ResponseAudio",
    "TurnTimed",
    "ResponseEnded",
]


async def one_question(talk: Conversation) -> None:
    await talk.hush(0.5)
    await talk.say(1.0)
    await talk.hush(4.0)


def ended(talk: Conversation) -> events.ResponseEnded:
    (end,) = talk.of(events.ResponseEnded)
    return end


def test_a_question_is_answered_in_the_order_of_the_protocol() -> None:
    talk = Conversation()
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN
    assert ended(talk).status == "completed"
    assert ended(talk).text == "It is noon."
    assert ended(talk).item.text == "It is noon."
    assert ended(talk).usage == events.Usage(20, 10, 3)
    assert talk.tts.spoken == ["It is noon."]


def test_speech_is_reported_with_its_times() -> None:
    talk = Conversation()
    talk.hold(one_question)
    (started,) = talk.of(events.SpeechStarted)
    (stopped,) = talk.of(events.SpeechStopped)
    assert started.at_s == pytest.approx(0.5 - 0.3, abs=2 * WINDOW_S)
    assert stopped.at_s == pytest.approx(1.5, abs=2 * WINDOW_S)
    assert started.item_id == stopped.item_id == talk.of(events.AudioCommitted)[0].item_id


def test_the_utterance_has_its_pre_roll() -> None:
    talk = Conversation()
    talk.hold(one_question)
    assert talk.stt.heard_s == [pytest.approx(0.3 + 1.0 + 0.096, abs=2 * WINDOW_S)]


def test_the_answer_is_prepared_during_the_pause() -> None:
    quick, slow = Conversation(), Conversation(settings=taking(speculate=False))
    for talk in (quick, slow):
        talk.turn.takes_s = 0.5
        talk.hold(one_question)
    gain = slow.at(events.ResponseAudio) - quick.at(events.ResponseAudio)
    assert gain > 0.25
    assert quick.of(events.TurnTimed)[0].timings.transcript_s < quick.of(events.TurnTimed)[0].timings.commit_s


def test_timings_run_from_the_end_of_the_voice() -> None:
    talk = Conversation()
    talk.hold(one_question)
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.commit_s == pytest.approx(0.224, abs=2 * WINDOW_S)
    assert timings.transcript_s == pytest.approx(0.096 + 0.15, abs=2 * WINDOW_S)
    assert timings.transcript_s < timings.first_token_s < timings.first_clause_s < timings.first_audio_s


def test_nothing_of_a_discarded_speculation_is_seen() -> None:
    talk = Conversation(turn=ScriptedTurnDetector([0.1, 1.0]), stt=ScriptedStt(["turn on", "turn on the light"]))

    async def hesitate(talk: Conversation) -> None:
        await talk.say(0.6)
        await talk.hush(0.5)
        await talk.say(0.6)
        await talk.hush(3.0)

    talk.hold(hesitate)
    assert talk.kinds == SPOKEN_TURN
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["turn on the light"]
    assert talk.llm.prompts[-1] == [ChatMessage("system", "Be brief."), ChatMessage("user", "turn on the light")]
    assert talk.llm.running == 0


def test_a_pause_that_does_not_sound_final_waits_for_the_longest_silence() -> None:
    talk = Conversation(turn=ScriptedTurnDetector([0.1]))
    talk.hold(one_question)
    assert talk.of(events.TurnTimed)[0].timings.commit_s == pytest.approx(1.0, abs=2 * WINDOW_S)


def test_a_failing_turn_detector_leaves_the_decision_to_silence() -> None:
    talk = Conversation(turn=ScriptedTurnDetector(error=RuntimeError("no")))
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN
    assert talk.of(events.TurnTimed)[0].timings.commit_s == pytest.approx(1.0, abs=2 * WINDOW_S)


def test_silence_mode_does_not_ask_the_turn_detector() -> None:
    talk = Conversation(settings=taking(mode="silence", max_silence_s=0.5))
    talk.hold(one_question)
    assert talk.turn.asked == 0
    assert talk.of(events.TurnTimed)[0].timings.commit_s == pytest.approx(0.5, abs=2 * WINDOW_S)


def test_a_noise_without_words_is_no_turn() -> None:
    talk = Conversation(stt=ScriptedStt(["", "hello"]))

    async def cough_then_speak(talk: Conversation) -> None:
        await talk.say(0.3)
        await talk.hush(3.0)
        await one_question(talk)

    talk.hold(cough_then_speak)
    assert talk.kinds == ["SpeechStarted", "SpeechStopped", "AudioCleared", *SPOKEN_TURN]
    assert len(talk.llm.prompts) == 1


def test_the_conversation_so_far_is_in_the_prompt() -> None:
    talk = Conversation(stt=ScriptedStt(["hello", "and you"]), llm=ScriptedLlm(["Hi, I am well.", "Fine."]))

    async def two_questions(talk: Conversation) -> None:
        await one_question(talk)
        await one_question(talk)

    talk.hold(two_questions)
    assert [(message.role, message.content) for message in talk.llm.prompts[-1]] == [
        ("system", "Be brief."),
        ("user", "hello"),
        ("assistant", "Hi, I am well."),
        ("user", "and you"),
    ]


def test_speech_is_paced_and_ends_when_it_has_been_played() -> None:
    talk = Conversation(llm=ScriptedLlm(["One sentence is here. And the second one is here as well."]))
    talk.hold(lambda talk: _say_and_wait(talk, 12.0))
    first = talk.at(events.ResponseAudio)
    sent = 0.0
    for stamped in talk.log:
        if isinstance(stamped.event, events.ResponseAudio):
            sent += len(stamped.event.samples) / 24_000
            assert sent <= stamped.at - first + 0.4 + 1e-6
    assert sent == pytest.approx(0.1 * len("One sentence is here.And the second one is here as well."))
    assert talk.at(events.ResponseEnded) - first == pytest.approx(sent, abs=0.05)


async def _say_and_wait(talk: Conversation, seconds: float) -> None:
    await talk.say(1.0)
    await talk.hush(seconds)


def test_captions_come_with_their_clause() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon. The sun is up."]))
    talk.hold(lambda talk: _say_and_wait(talk, 6.0))
    assert [event.text for event in talk.of(events.ResponseText)] == ["It is noon.", " The sun is up."]
    assert ended(talk).text == "It is noon. The sun is up."


def test_barge_in_stops_the_reply_and_history_keeps_what_was_heard() -> None:
    answer = "It is noon now. The sun stands high above the houses."
    talk = Conversation(stt=ScriptedStt(["what time is it", "stop"]), llm=ScriptedLlm([answer, "Done."]))

    async def barge_in(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(2.6)
        await talk.say(0.6)
        await talk.hush(3.0)

    talk.hold(barge_in)
    first, second = talk.of(events.ResponseEnded)
    assert (first.status, first.reason) == ("cancelled", "turn_detected")
    assert answer.startswith(first.item.text)
    assert "It is noon now." in first.item.text
    assert first.item.text != answer
    assert first.item.status == "incomplete"
    assert second.status == "completed"
    assert ("assistant", first.item.text) in [(m.role, m.content) for m in talk.llm.prompts[-1]]
    position = talk.events.index(first)
    later = talk.events[position + 1 :]
    assert not [e for e in later if getattr(e, "response_id", None) == first.response_id]
    assert talk.llm.running == 0


def test_without_interruption_the_next_question_waits_for_the_reply() -> None:
    answer = "It is noon now, and the sun stands high."
    settings = taking(interrupt_response=False)
    talk = Conversation(settings=settings, stt=ScriptedStt(["one", "two"]), llm=ScriptedLlm([answer, "Done."]))

    async def talk_over(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.5)
        await talk.say(0.6)
        await talk.hush(8.0)

    talk.hold(talk_over)
    first, second = talk.of(events.ResponseEnded)
    assert (first.status, first.item.text) == ("completed", answer)
    assert second.status == "completed"
    assert talk.events.index(first) < talk.events.index(talk.of(events.ResponseStarted)[1])


def test_a_third_question_leaves_the_waiting_one_unanswered() -> None:
    settings = taking(interrupt_response=False, reopen_s=0.0)
    talk = Conversation(
        settings=settings,
        stt=ScriptedStt(["one", "two", "three"]),
        llm=ScriptedLlm(["A very long answer that goes on and on and on and on and on and on.", "Done."]),
    )

    async def ask_thrice(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.5)
        await talk.say(0.6)
        await talk.hush(1.0)
        await talk.say(0.6)
        await talk.hush(14.0)

    talk.hold(ask_thrice)
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["one", "two", "three"]
    assert len(talk.of(events.ResponseEnded)) == 2
    assert talk.llm.prompts[-1][-1].content.endswith("three")


def test_an_unanswered_noise_is_forgotten() -> None:
    settings = taking(interrupt_response=False, reopen_s=0.0)
    talk = Conversation(
        settings=settings,
        stt=ScriptedStt(["one", "", "three"]),
        llm=ScriptedLlm(["A very long answer that goes on and on and on and on and on and on.", "Done."]),
    )

    async def noise_between(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.5)
        await talk.say(0.6)
        await talk.hush(1.0)
        await talk.say(0.6)
        await talk.hush(14.0)

    talk.hold(noise_between)
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["one", "three"]


def test_a_question_taken_over_before_its_words_are_known_stays_in_the_conversation() -> None:
    talk = Conversation(settings=taking(reopen_s=0.0), stt=ScriptedStt(["first", "second"], takes_s=2.0))

    async def hurry(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.4)
        await talk.say(1.0)
        await talk.hush(6.0)

    talk.hold(hurry)
    assert len(talk.of(events.AudioCommitted)) == 2
    assert len(talk.of(events.ResponseEnded)) == 1
    assert len(talk.of(events.TranscriptCompleted)) == 2


def test_going_on_before_the_words_are_known_makes_one_question() -> None:
    talk = Conversation(stt=ScriptedStt(["what time is it in London"], takes_s=0.6))

    async def go_on(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.35)
        await talk.say(0.6)
        await talk.hush(5.0)

    talk.hold(go_on)
    assert [e.text for e in talk.of(events.TranscriptCompleted)] == ["what time is it in London"]
    assert talk.stt.heard_s[-1] == pytest.approx(1.0 + 0.35 + 0.6 + 0.096, abs=4 * WINDOW_S)
    assert len(talk.of(events.ResponseEnded)) == 1


def test_going_on_before_the_answer_is_heard_makes_one_question() -> None:
    talk = Conversation(stt=ScriptedStt(["what time", "what time is it in London"]), llm=ScriptedLlm(first_s=1.0))

    async def go_on(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.6)
        await talk.say(0.6)
        await talk.hush(6.0)

    talk.hold(go_on)
    first, second = talk.of(events.ResponseEnded)
    assert (first.status, first.item.text) == ("cancelled", "")
    assert second.status == "completed"
    deleted = {event.item_id for event in talk.of(events.ItemDeleted)}
    assert deleted == {talk.of(events.AudioCommitted)[0].item_id, first.item.id}
    assert talk.llm.prompts[-1][1:] == [ChatMessage("user", "what time is it in London")]


def test_words_appear_while_the_user_speaks() -> None:
    live = ScriptedStt(["what", "what time", "what time is", "what time is it now"], takes_s=0.05)
    talk = Conversation(live=live, stt=ScriptedStt(["what time is it now"]))

    async def long_question(talk: Conversation) -> None:
        await talk.say(2.0)
        await talk.hush(4.0)

    talk.hold(long_question)
    deltas = talk.of(events.TranscriptDelta)
    assert "".join(event.text for event in deltas) == "what time is it"
    assert {event.item_id for event in deltas} == {talk.of(events.AudioCommitted)[0].item_id}


def test_the_model_reads_a_long_question_while_it_is_asked() -> None:
    said = ["can", "you", "tell", "me", "what", "the", "weather", "will", "be", "like", "tomorrow", "in", "New", "York"]
    live = ScriptedStt([" ".join(said[: 2 * count]) for count in range(1, 8)], takes_s=0.05)
    talk = Conversation(live=live, stt=ScriptedStt([" ".join(said)]))

    async def long_question(talk: Conversation) -> None:
        await talk.say(3.5)
        await talk.hush(4.0)

    talk.hold(long_question)
    read = [messages[-1].content for messages in talk.llm.prefilled[1:]]
    assert 1 <= len(read) <= 3
    assert all(" ".join(said).startswith(words) for words in read)
    assert all(len(later.split()) >= len(words.split()) + 4 for words, later in itertools.pairwise(read))


@pytest.mark.parametrize("changes", [{"language": "de"}, {"show_transcript": False}])
def test_no_english_captions_for_another_language_or_a_client_that_wants_none(changes: dict[str, object]) -> None:
    live = ScriptedStt(["what time is it"], takes_s=0.05)
    talk = Conversation(live=live)

    async def script(talk: Conversation) -> None:
        await talk.ask(events.Update(replace(talk.settings, **changes)))  # type: ignore[arg-type]
        await talk.say(1.5)
        await talk.hush(4.0)

    talk.hold(script)
    assert not live.heard_s
    assert ended(talk).status == "completed"
    assert bool(talk.of(events.TranscriptCompleted)) == (changes.get("show_transcript") is not False)


def test_the_recognised_language_decides_on_captions_from_then_on() -> None:
    live = ScriptedStt(["x"], takes_s=0.05)
    talk = Conversation(live=live, stt=ScriptedStt(["wie spät ist es"], language="de"))

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        asked = len(live.heard_s)
        await one_question(talk)
        assert asked == len(live.heard_s)

    talk.hold(twice)


def test_failing_captions_do_not_hurt_the_turn() -> None:
    talk = Conversation(live=ScriptedStt(error=RuntimeError("no"), takes_s=0.01))
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN


def test_a_client_that_goes_silent_in_mid_utterance_is_answered() -> None:
    talk = Conversation()

    async def cut_off(talk: Conversation) -> None:
        await talk.say(1.0)
        await asyncio.sleep(6.0)

    talk.hold(cut_off)
    assert talk.kinds == SPOKEN_TURN


def test_voice_for_ever_is_answered_in_between() -> None:
    talk = Conversation(settings=taking(max_utterance_s=5.0))
    talk.hold(lambda talk: talk.say(14.0))
    assert len(talk.of(events.AudioCommitted)) >= 2


def test_silence_for_ever_is_nothing() -> None:
    talk = Conversation()
    talk.hold(lambda talk: talk.hush(300.0))
    assert talk.events == []


def test_idle_time_is_reported_once_after_a_reply() -> None:
    talk = Conversation(settings=taking(idle_timeout_s=5.0))

    async def script(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(15.0)

    talk.hold(script)
    assert talk.kinds == [*SPOKEN_TURN, "IdleTimeout"]


# --- Failures ---


def test_a_failing_transcription_is_said_and_shown() -> None:
    talk = Conversation(stt=ScriptedStt(error=RuntimeError("model fell over")))
    talk.hold(lambda talk: _say_and_wait(talk, 9.0))
    (failed,) = talk.of(events.TranscriptFailed)
    assert failed.code == "transcribe_failed"
    assert "model fell over" in failed.message
    assert ended(talk).status == "failed"
    assert ended(talk).error_code == "transcribe_failed"
    assert talk.tts.spoken == [APOLOGY]


def test_a_failing_model_apologises() -> None:
    talk = Conversation(llm=ScriptedLlm(error=RuntimeError("no memory")))
    talk.hold(lambda talk: _say_and_wait(talk, 9.0))
    assert (ended(talk).status, ended(talk).error_code) == ("failed", "think_failed")
    assert talk.tts.spoken == [APOLOGY]


def test_a_model_that_fails_in_mid_answer_keeps_what_was_said() -> None:
    llm = ScriptedLlm(["It is noon. The sun is up."], error=RuntimeError("no"), error_after=4, word_s=0.5)
    talk = Conversation(llm=llm)
    talk.hold(lambda talk: _say_and_wait(talk, 9.0))
    assert ended(talk).status == "failed"
    assert "It is noon.".startswith(ended(talk).item.text)
    assert APOLOGY not in talk.tts.spoken


def test_a_failing_voice_ends_the_response_as_failed() -> None:
    talk = Conversation(tts=ScriptedTts(error=RuntimeError("no voice")))
    talk.hold(one_question)
    assert (ended(talk).status, ended(talk).error_code) == ("failed", "speak_failed")
    assert not talk.of(events.ResponseAudio)


def test_a_voice_that_fails_while_nobody_knows_whether_the_user_is_done() -> None:
    talk = Conversation(turn=ScriptedTurnDetector([0.0]), tts=ScriptedTts(error=RuntimeError("no voice")))
    talk.hold(one_question)
    assert (ended(talk).status, ended(talk).error_code) == ("failed", "speak_failed")


def test_a_failing_preparation_does_not_matter() -> None:
    talk = Conversation(llm=ScriptedLlm(prefill_error=RuntimeError("no")))
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN


def test_the_session_goes_on_after_a_failure() -> None:
    talk = Conversation(tts=ScriptedTts(error=RuntimeError("no voice")))

    async def fail_then_work(talk: Conversation) -> None:
        await one_question(talk)
        talk.tts.error = None
        await one_question(talk)

    talk.hold(fail_then_work)
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["failed", "completed"]


def test_an_answer_that_is_cut_by_its_limit_is_incomplete() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is"], reason="length"))
    talk.hold(one_question)
    assert (ended(talk).status, ended(talk).reason) == ("incomplete", "max_output_tokens")
    assert ended(talk).item.text == "It is"


# --- Requests ---

HELLO = Item("hello", "user", (Text("hello there"),))


def rejected(talk: Conversation) -> list[tuple[str, str | None]]:
    return [(event.code, event.request_id) for event in talk.of(events.Rejected)]


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
        ("item_id_taken", "r3"),
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
    talk = Conversation(stt=ScriptedStt(takes_s=1.0))

    async def ask_twice(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.5)
        await talk.ask(events.CreateResponse(request_id="r1"))
        await talk.hush(1.5)
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
    assert talk.llm.prefilled == [[ChatMessage("system", "Be brief.")], [ChatMessage("system", "Sing.")]]
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
    talk.hold(lambda talk: _say_and_wait(talk, 20.0), read=False)
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
