from typing import Any

import numpy as np
import pytest

from audio.types import OUTPUT_RATE
from clients.link import encode
from tests.bench.account import Account, words_of


def sound(seconds: float) -> str:
    return encode(np.full(round(seconds * OUTPUT_RATE), 0.1, np.float32))


def account(*events: tuple[float, str, dict[str, Any]]) -> Account:
    kept = Account()
    for now, kind, fields in events:
        kept.take({"type": kind, **fields}, now)
    return kept


def created(now: float, name: str = "r") -> tuple[float, str, dict[str, Any]]:
    return (now, "response.created", {"response": {"id": name}})


def heard(now: float, seconds: float, name: str = "r") -> tuple[float, str, dict[str, Any]]:
    return (now, "response.output_audio.delta", {"response_id": name, "delta": sound(seconds)})


def done(now: float, status: str, name: str = "r") -> tuple[float, str, dict[str, Any]]:
    return (now, "response.done", {"response": {"id": name, "status": status}})


def started(now: float) -> tuple[float, str, dict[str, Any]]:
    return (now, "input_audio_buffer.speech_started", {})


def committed(now: float, item: str) -> tuple[float, str, dict[str, Any]]:
    return (now, "input_audio_buffer.committed", {"item_id": item})


def transcribed(now: float, item: str, words: str) -> tuple[float, str, dict[str, Any]]:
    kind = "conversation.item.input_audio_transcription.completed"
    return (now, kind, {"item_id": item, "transcript": words})


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_reply_that_is_said_to_its_end_is_complete(status: str) -> None:
    reply = account(created(1.0), heard(1.1, 0.5), done(1.6, status)).replies["r"]
    assert reply.completed
    assert reply.last_sound_at == 1.1


def test_a_cancelled_reply_is_not_complete_and_is_heard_no_more() -> None:
    kept = account(created(1.0), heard(1.1, 0.5), done(1.3, "cancelled"))
    assert not kept.replies["r"].completed
    playback = kept.playback(kept.last_reply)
    assert playback is not None
    assert playback.audible_s == pytest.approx(0.2)


def test_a_client_that_is_told_that_the_user_speaks_plays_nothing_more() -> None:
    kept = account(created(1.0), heard(1.1, 0.5), started(1.2), heard(1.3, 0.5), done(2.0, "completed"))
    reply = kept.replies["r"]
    assert not reply.completed, "the server went on, but the client had been told to stop"
    assert reply.stopped_at == 1.2
    assert reply.last_sound_at == 1.3
    assert kept.loudspeaker.replies["r"].audible_s == pytest.approx(0.1)


def test_a_voice_between_two_sounds_of_a_reply_stops_it() -> None:
    assert account(created(1.0), heard(1.1, 0.1), started(1.5)).replies["r"].stopped_at == 1.5


def test_a_voice_after_the_end_stops_nothing() -> None:
    assert account(created(1.0), heard(1.1, 0.1), done(1.2, "completed"), started(1.5)).replies["r"].completed


def test_a_reply_that_is_done_but_still_played_can_be_stopped() -> None:
    kept = account(created(1.0), heard(1.1, 1.0), done(1.2, "completed"), started(1.5))
    assert kept.replies["r"].stopped_at == 1.5
    assert kept.loudspeaker.replies["r"].audible_s == pytest.approx(0.4)


def test_the_server_is_busy_until_all_is_answered() -> None:
    steps = [
        (started(1.0), True),
        (committed(2.0, "u"), True),
        (transcribed(2.1, "u", "hello"), True),
        (created(2.2), True),
        (heard(2.3, 0.2), True),
        (done(2.5, "completed"), False),
    ]
    kept = Account()
    assert not kept.busy
    for (now, kind, fields), busy in steps:
        kept.take({"type": kind, **fields}, now)
        assert kept.busy is busy, kind


def test_an_utterance_without_words_is_not_waited_for() -> None:
    assert not account(started(1.0), (1.5, "input_audio_buffer.cleared", {})).busy
    assert not account(started(1.0), committed(1.5, "u"), transcribed(1.6, "u", " ")).busy


def test_what_the_server_deletes_was_not_said() -> None:
    kept = account(committed(1.0, "a"), transcribed(1.1, "a", "set a timer"), committed(2.0, "b"))
    assert kept.said == ["set a timer"]
    kept.take({"type": "conversation.item.deleted", "item_id": "a"}, 2.1)
    kept.take(
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "b", "transcript": "all"}, 2.2
    )
    assert kept.said == ["all"]


def test_only_numbers_of_the_servers_account_are_kept() -> None:
    fields = {"response_id": "r", "commit_ms": 200, "first_audio_ms": None, "discarded": 1, "sure": True, "why": "x"}
    kept = account(created(1.0), (2.0, "parley.turn.timings", fields))
    assert kept.timings["r"] == {"commit_ms": 200, "discarded": 1}


def test_words_and_errors_are_gathered() -> None:
    item = {"id": "i", "content": [{"type": "output_audio", "transcript": "Once upon"}, {"transcript": None}]}
    kept = account(
        created(1.0),
        (1.1, "response.output_item.added", {"response_id": "r", "item": {"id": "i"}}),
        (1.2, "response.output_audio_transcript.delta", {"response_id": "r", "delta": "Once "}),
        (1.3, "response.output_audio_transcript.delta", {"response_id": "r", "delta": "upon"}),
        (1.4, "conversation.item.retrieved", {"item": item}),
        (1.5, "error", {"error": {"message": "No such item."}}),
        (1.6, "rate_limits.updated", {}),
    )
    reply = kept.replies["r"]
    assert (reply.item_id, reply.text, reply.first_text_at) == ("i", "Once upon", 1.2)
    assert kept.retrieved == {"i": "Once upon"} == {"i": words_of(item)}
    assert kept.errors == ["No such item."]
