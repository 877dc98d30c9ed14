"""Scripted conversations on virtual time."""

import asyncio
from dataclasses import replace

import pytest

from pipeline import events
from pipeline.engines import ChatMessage
from pipeline.settings import Settings, TurnTaking
from tests.pipeline.doubles import (
    WINDOW_S,
    Conversation,
    ScriptedLlm,
    ScriptedStt,
    ScriptedTurnDetector,
    taking,
)
from tests.pipeline.scripts import SPOKEN_TURN, ended, one_question, say_and_wait


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
        talk.turn.scores = [0.3]
        talk.hold(one_question)
    gain = slow.at(events.ResponseAudio) - quick.at(events.ResponseAudio)
    assert gain > 0.1
    assert quick.of(events.TurnTimed)[0].timings.transcript_s < quick.of(events.TurnTimed)[0].timings.commit_s


def test_timings_run_from_the_end_of_the_voice() -> None:
    talk = Conversation(llm=ScriptedLlm(finished=0.99))
    talk.hold(one_question)
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.commit_s == pytest.approx(0.064 + 0.15, abs=2 * WINDOW_S)
    assert timings.transcript_s == pytest.approx(0.064 + 0.15, abs=2 * WINDOW_S)
    assert timings.transcript_s < timings.first_token_s < timings.first_clause_s < timings.first_audio_s


def test_nothing_of_a_discarded_speculation_is_seen() -> None:
    talk = Conversation(
        turn=ScriptedTurnDetector([0.1]),
        stt=ScriptedStt(["turn on", "turn on the light"]),
        llm=ScriptedLlm(finished=0.0),
    )

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


def test_a_pause_that_seems_unfinished_waits_for_the_longest_silence() -> None:
    talk = Conversation(turn=ScriptedTurnDetector([0.01]), llm=ScriptedLlm(finished=0.001))
    talk.hold(one_question)
    assert talk.of(events.TurnTimed)[0].timings.commit_s == pytest.approx(TurnTaking().max_silence_s, abs=2 * WINDOW_S)


def test_a_failing_turn_detector_leaves_the_decision_to_words_and_silence() -> None:
    talk = Conversation(turn=ScriptedTurnDetector(error=RuntimeError("no")))
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN
    assert 0.224 < talk.of(events.TurnTimed)[0].timings.commit_s < 1.1


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
    talk.hold(lambda talk: say_and_wait(talk, 12.0))
    first = talk.at(events.ResponseAudio)
    sent = 0.0
    for stamped in talk.log:
        if isinstance(stamped.event, events.ResponseAudio):
            sent += len(stamped.event.samples) / 24_000
            assert sent <= stamped.at - first + 0.4 + 1e-6
    assert sent == pytest.approx(0.1 * len("One sentence is here.And the second one is here as well."))
    assert talk.at(events.ResponseEnded) - first == pytest.approx(sent, abs=0.05)


def test_captions_come_with_their_clause() -> None:
    talk = Conversation(llm=ScriptedLlm(["It is noon. The sun is up."]))
    talk.hold(lambda talk: say_and_wait(talk, 6.0))
    assert [event.text for event in talk.of(events.ResponseText)] == ["It is noon.", " The sun is up."]
    assert ended(talk).text == "It is noon. The sun is up."


def test_barge_in_stops_the_reply_and_history_keeps_what_was_heard() -> None:
    answer = "It is noon now. The sun stands high above the houses."
    talk = Conversation(stt=ScriptedStt(["what time is it", "stop"]), llm=ScriptedLlm([answer, "Done."]))

    async def barge_in(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(2.6)
        await talk.say(0.8)
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
    talk = Conversation(settings=taking(reopen_s=0.0), stt=ScriptedStt(["first", "second"], takes_s=2.5))

    async def hurry(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(TurnTaking().max_silence_s + 0.2)
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
    talk = Conversation(live=live, stt=ScriptedStt([" ".join(said)]), llm=ScriptedLlm(finished=0.0))

    async def long_question(talk: Conversation) -> None:
        await talk.say(3.5)
        await talk.hush(4.0)

    talk.hold(long_question)
    read = [messages[-1].content for messages in talk.llm.prefilled[1:]]
    assert len(read) == len(set(read)) >= 5
    assert all(" ".join(said).startswith(words) for words in read)


def test_no_english_captions_for_another_language() -> None:
    live = ScriptedStt(["what time is it"], takes_s=0.05)
    talk = Conversation(live=live)

    async def script(talk: Conversation) -> None:
        await talk.ask(events.Update(replace(talk.settings, language="de")))
        await talk.say(1.5)
        await talk.hush(4.0)

    talk.hold(script)
    assert not live.heard_s
    assert ended(talk).status == "completed"
    assert talk.of(events.TranscriptCompleted)


def test_a_client_that_wants_no_transcript_gets_none() -> None:
    talk = Conversation(live=ScriptedStt(["what time is it now"], takes_s=0.05))

    async def script(talk: Conversation) -> None:
        await talk.ask(events.Update(replace(talk.settings, show_transcript=False)))
        await talk.say(1.5)
        await talk.hush(4.0)

    talk.hold(script)
    assert ended(talk).status == "completed"
    assert not talk.of(events.TranscriptDelta)
    assert not talk.of(events.TranscriptCompleted)


def test_the_recognised_language_decides_on_captions_from_then_on() -> None:
    live = ScriptedStt(["x"], takes_s=0.05)
    talk = Conversation(live=live, stt=ScriptedStt(["wie spät ist es"], language="de"))

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        asked = len(live.heard_s)
        await one_question(talk)
        assert len(live.heard_s) == asked + 1, "only in the pause, in case they were English"

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
    talk = Conversation(settings=taking(idle_timeout_s=5.0, create_response=False))

    async def script(talk: Conversation) -> None:
        await one_question(talk)
        await talk.ask(events.CreateResponse())
        await talk.hush(15.0)

    talk.hold(script)
    assert talk.kinds[-5:] == ["ResponseEnded", "IdleTimeout", "AudioCommitted", "ItemAdded", "TranscriptCompleted"]
    (idle,) = talk.of(events.IdleTimeout)
    assert idle.at_s - idle.start_s == 5.0
    assert talk.of(events.AudioCommitted)[-1].item_id == idle.item_id


def test_the_assistant_breaks_the_silence() -> None:
    talk = Conversation(settings=taking(idle_timeout_s=5.0), llm=ScriptedLlm(["It is noon.", "Still there?"]))

    async def script(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(6.0)

    talk.hold(script)
    assert talk.kinds[len(SPOKEN_TURN) :] == [
        "IdleTimeout",
        "AudioCommitted",
        "ItemAdded",
        "TranscriptCompleted",
        "ResponseStarted",
        "ResponseText",
        "ResponseAudio",
        "TurnTimed",
        "ResponseEnded",
    ]
    assert "nothing" in talk.llm.prompts[-1][-1].content
    assert talk.of(events.ItemAdded)[-1].item.text == ""


def test_there_is_no_silence_while_a_reply_goes_on() -> None:
    settings = Settings(
        instructions="Be brief.",
        show_transcript=False,
        turn_taking=TurnTaking(idle_timeout_s=0.5, interrupt_response=False),
    )
    talk = Conversation(settings=settings, llm=ScriptedLlm(["It is noon, and the sun is up. You should eat now."]))

    async def script(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse())
        await talk.hush(1.0)
        await talk.say(0.5)
        await talk.ask(events.Clear())
        await talk.hush(2.0)
        assert talk.of(events.IdleTimeout) == []
        await talk.hush(6.0)
        await talk.say(0.5)
        await talk.hush(8.0)

    talk.hold(script)
    assert talk.of(events.IdleTimeout) != []
    assert talk.of(events.TranscriptCompleted) == []


def test_without_instructions_there_is_nothing_to_read_before_the_first_question() -> None:
    talk = Conversation()

    async def script(talk: Conversation) -> None:
        await talk.hush(0.5)
        await talk.ask(events.Update(Settings()))
        await talk.hush(1.0)

    talk.hold(script)
    assert talk.llm.prefilled == [[ChatMessage("system", "Be brief.")]]
