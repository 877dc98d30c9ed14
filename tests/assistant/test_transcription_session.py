"""Sessions that only write down what they hear, as the wire shows them."""

import pytest

from assistant.config import load
from assistant.server.session_config import LOGPROBS, SessionConfig
from assistant.server.transcripts import Transcripts
from audio.types import Token
from pipeline import events
from pipeline.errors import RequestError
from tests.assistant.test_realtime import kinds, with_socket
from tests.assistant.test_wire import nested

TOKENS = (Token("What", -0.25), Token(" timé", -0.5))


@pytest.fixture
def session():
    return SessionConfig.fresh(load(), "whisper-1", transcribes=True)


def told(session, *heard):
    transcripts = Transcripts()
    return [message for each in heard for message in transcripts.messages(each, session)]


def test_the_query_makes_one():
    async def test(socket):
        return socket.created["session"], socket.script.settings

    shown, settings = with_socket(test, query=b"intent=transcription")
    assert (shown["type"], shown["object"]) == ("transcription", "realtime.transcription_session")
    assert shown.keys() == {"type", "object", "id", "expires_at", "include", "audio"}
    assert shown["audio"].keys() == {"input"}
    taking = settings.turn_taking
    assert (taking.create_response, taking.interrupt_response, taking.speculate) == (False, False, False)
    assert settings.instructions == ""


def test_an_update_makes_one_and_back():
    async def test(socket):
        request = await socket.ask("session.update", session={"type": "transcription"})
        updated = await socket.next()
        refused = await socket.fault("response.create", event_id="e1")
        back = await socket.ask("session.update", session={"type": "realtime"})
        return request, updated, refused, back, (await socket.next())["session"]

    request, updated, refused, back, shown = with_socket(test)
    assert updated["session"]["type"] == "transcription"
    assert not request.settings.turn_taking.create_response
    assert (refused["code"], refused["event_id"]) == ("unsupported_response", "e1")
    assert back.settings == load().settings()
    assert shown["object"] == "realtime.session"


def test_what_it_hears_is_set_as_in_any_session(session):
    updated = session.updated(
        {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "turn_detection": None,
                    "transcription": {"model": "gpt-4o-transcribe", "language": "de-AT", "prompt": "Wien"},
                }
            },
        }
    )
    settings = updated.settings()
    assert (settings.language, settings.transcription_prompt, settings.turn_taking.mode) == ("de", "Wien", "manual")
    assert updated.input_format == "audio/pcmu"
    assert updated.updated(updated.wire()) == updated


@pytest.mark.parametrize(("languages", "language"), [(["fr"], "fr"), (["fr", "de"], None), ([], None)])
def test_of_several_languages_none_is_taken_for_granted(session, languages, language):
    updated = session.updated(nested("audio.input.transcription.languages", languages))
    assert updated.settings().language == language


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("instructions", "Be brief.", "unknown_parameter"),
        ("audio.output.voice", "alloy", "unknown_parameter"),
        ("tools", [], "unknown_parameter"),
        ("include", ["everything"], "invalid_value"),
        ("audio.input.transcription.languages", ["German, please"], "invalid_value"),
        ("type", "translation", "invalid_value"),
    ],
)
def test_what_it_does_not_have_is_refused(session, path, value, code):
    with pytest.raises(RequestError) as caught:
        session.updated(nested(path, value))
    assert caught.value.code == code


def test_its_deltas_spell_the_transcript(session):
    messages = told(
        session,
        events.TranscriptDelta("a", "What "),
        events.TranscriptCompleted("a", "What time", 1.5),
        events.TranscriptDelta("b", "Where"),
        events.TranscriptCompleted("b", "What time", 1.5),
        events.TranscriptDelta("c", "What time"),
        events.TranscriptCompleted("c", "What time", 1.5),
        events.TranscriptCompleted("d", "", 1.5),
    )
    assert [message.get("delta") for message in messages] == [
        "What ",
        "time",
        None,
        "Where",
        None,
        "What time",
        None,
        None,
    ]
    assert messages[2]["usage"] == {"type": "duration", "seconds": 1.5}


def test_in_a_conversation_they_are_a_foretaste():
    session = SessionConfig.fresh(load(), "gpt-realtime")
    assert len(told(session, events.TranscriptCompleted("a", "What time", 1.5))) == 1


@pytest.mark.parametrize("transcribes", [True, False])
def test_logprobs_are_for_who_asks(transcribes):
    asked = SessionConfig.fresh(load(), "m", transcribes=transcribes).updated({"include": [LOGPROBS]})
    done = events.TranscriptCompleted("a", "What timé", 1.5, TOKENS)
    expected = [
        {"token": "What", "bytes": [87, 104, 97, 116], "logprob": -0.25},
        {"token": " timé", "bytes": [32, 116, 105, 109, 195, 169], "logprob": -0.5},
    ]
    messages = told(asked, done)
    assert all(message["logprobs"] == expected for message in messages)
    assert len(messages) == 1 + transcribes
    silent = asked.updated({"include": None})
    assert not any("logprobs" in message for message in told(silent, done))
    assert not any("logprobs" in message for message in told(asked, events.TranscriptCompleted("a", "x", 1.0)))
    partly = told(asked, events.TranscriptDelta("a", "What"), done)
    assert [message.get("logprobs") for message in partly[:-1]] == [None] * (1 + transcribes)


def test_utterances_that_come_to_nothing_take_no_memory(session):
    transcripts = Transcripts()
    for number in range(1000):
        list(transcripts.messages(events.TranscriptDelta(f"item_{number}", "um"), session))
    assert len(transcripts._told) == 8
    (done,) = transcripts.messages(events.TranscriptCompleted("item_999", "um", 1.0), session)
    assert done["transcript"] == "um"


def test_what_failed_is_forgotten(session):
    messages = told(
        session,
        events.TranscriptDelta("a", "What"),
        events.TranscriptFailed("a", "transcribe_failed", "No."),
        events.TranscriptCompleted("a", "What", 1.0),
    )
    assert kinds(messages) == [
        f"conversation.item.input_audio_transcription.{kind}" for kind in ("delta", "failed", "delta", "completed")
    ]
