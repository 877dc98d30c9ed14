"""Engines that fail, at every stage, in scripted conversations on virtual time."""

from pipeline import events
from pipeline.turn import APOLOGY
from tests.pipeline.doubles import (
    Conversation,
    ScriptedLlm,
    ScriptedStt,
    ScriptedTts,
    ScriptedTurnDetector,
)
from tests.pipeline.scripts import SPOKEN_TURN, ended, one_question, say_and_wait


def test_a_failing_transcription_is_said_and_shown() -> None:
    talk = Conversation(stt=ScriptedStt(error=RuntimeError("model fell over")))
    talk.hold(lambda talk: say_and_wait(talk, 9.0))
    (failed,) = talk.of(events.TranscriptFailed)
    assert failed.code == "transcribe_failed"
    assert "model fell over" in failed.message
    assert ended(talk).status == "failed"
    assert ended(talk).error_code == "transcribe_failed"
    assert " ".join(talk.tts.spoken) == APOLOGY


def test_a_failing_model_apologises() -> None:
    talk = Conversation(llm=ScriptedLlm(error=RuntimeError("no memory")))
    talk.hold(lambda talk: say_and_wait(talk, 9.0))
    assert (ended(talk).status, ended(talk).error_code) == ("failed", "think_failed")
    assert " ".join(talk.tts.spoken) == APOLOGY


def test_a_model_that_fails_in_mid_answer_keeps_what_was_said() -> None:
    llm = ScriptedLlm(["It is noon. The sun is up."], error=RuntimeError("no"), error_after=4, word_s=0.5)
    talk = Conversation(llm=llm)
    talk.hold(lambda talk: say_and_wait(talk, 9.0))
    assert ended(talk).status == "failed"
    assert "It is noon.".startswith(ended(talk).item.text)
    assert not any("Sorry" in clause for clause in talk.tts.spoken)


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
