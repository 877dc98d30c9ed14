"""Frames in, typed events out; and whatever is wrong has one error that names it."""

import base64
import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.config import load
from assistant.server import sound
from assistant.server.session_config import SessionConfig
from assistant.server.sound import SoundIn, SoundOut
from assistant.server.wire import FrameError, ResponseCreate, SessionUpdate, decode_base64, encode, parse
from pipeline.engines import NamedTool, Tool, Toolbox
from pipeline.errors import RequestError
from pipeline.settings import TurnTaking
from tests.e2e.schema import check_message

LIMIT = 2**20


def refusal(frame):
    with pytest.raises(FrameError) as caught:
        parse(frame if isinstance(frame, str) else json.dumps(frame), max_bytes=LIMIT)
    return caught.value


def test_every_client_event_has_a_class():
    frames = {
        "input_audio_buffer.append": {"audio": "AAA="},
        "input_audio_buffer.commit": {},
        "input_audio_buffer.clear": {},
        "conversation.item.create": {
            "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        },
        "conversation.item.retrieve": {"item_id": "a"},
        "conversation.item.truncate": {"item_id": "a", "content_index": 0, "audio_end_ms": 5},
        "conversation.item.delete": {"item_id": "a"},
        "response.create": {},
        "response.cancel": {},
        "output_audio_buffer.clear": {},
    }
    for kind, fields in frames.items():
        event = parse(json.dumps({"type": kind, "event_id": "e1", **fields}), max_bytes=LIMIT)
        assert event.event_id == "e1"
        assert isinstance(event, ResponseCreate) if kind == "response.create" else event.type == kind
    assert parse('{"type": "session.update", "session": {"tracing": null}}', max_bytes=LIMIT) == SessionUpdate(
        {"tracing": None}
    )


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("", "invalid_json", None),
        ('{"type": NaN}', "invalid_json", None),
        ('{"type": "\\ud800"}', "invalid_json", None),
        ("7", "invalid_event", None),
        ({"type": "nonsense"}, "invalid_event", "type"),
        ({"type": "session.update", "session": 5}, "invalid_value", "session"),
        ({"type": "response.create", "response": 5}, "invalid_value", "response"),
        ({"type": "response.create", "response": {"modalities": ["text"]}}, "unknown_parameter", "response.modalities"),
        ({"type": "conversation.item.delete", "item_id": []}, "invalid_value", "item_id"),
        ({"type": "conversation.item.create"}, "invalid_value", "item"),
        ({"type": "conversation.item.create", "item": {"type": "mcp_call"}}, "unsupported_item", "item.type"),
        ({"type": "conversation.item.create", "item": {"type": "message", "role": 1}}, "invalid_value", "item.role"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": 3}]},
            },
            "invalid_value",
            "item.content.0.text",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": "soon"},
            "invalid_value",
            "audio_end_ms",
        ),
        ({"type": "input_audio_buffer.append", "audio": "A" * LIMIT}, "message_too_large", None),
        ({"type": "x" + "é" * (LIMIT // 2)}, "message_too_large", None),
    ],
)
def test_what_is_wrong_is_named(frame, code, param):
    error = refusal(json.dumps(frame, ensure_ascii=False) if isinstance(frame, dict) else frame)
    assert (error.code, error.param) == (code, param)
    assert error.message


def test_an_unknown_event_is_named_and_the_known_ones_are_listed():
    error = refusal({"type": "session.upgrade", "event_id": "e7"})
    assert "session.upgrade" in error.message
    assert "session.update." in error.message
    assert error.event_id == "e7"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["type", "item", "content", "role", "text"]), inner)
        ),
        max_leaves=9,
    )
)
def test_any_json_is_an_event_or_a_typed_error(value):
    for kind in ("conversation.item.create", "response.create", "session.update"):
        body = {**(value if isinstance(value, dict) else {"item": value, "response": value}), "type": kind}
        with contextlib.suppress(FrameError):
            parse(json.dumps(body), max_bytes=LIMIT)


@pytest.mark.parametrize("text", ["A", "AAA", "AA==\n", "A A=", "****", "é"])
def test_base64_is_strict(text):
    with pytest.raises(RequestError, match="audio is not base64"):
        decode_base64(text, "audio")


def test_every_frame_out_has_a_fresh_id():
    one, other = (json.loads(encode({"type": "input_audio_buffer.cleared"})) for _ in range(2))
    assert one["event_id"] != other["event_id"]


# --- The session object ---


@pytest.fixture
def session():
    return SessionConfig.fresh(load(), "gpt-realtime")


def at(tree, path):
    for step in path.split("."):
        tree = tree[step]
    return tree


def nested(path, value):
    for step in reversed(path.split(".")):
        value = {step: value}
    return value


def test_a_fresh_session_is_as_configured_and_complete(session):
    shown = session.wire()
    assert (shown["model"], shown["object"], shown["type"]) == ("gpt-realtime", "realtime.session", "realtime")
    assert at(shown, "audio.input.format") == {"type": "audio/pcm", "rate": 24_000}
    assert at(shown, "audio.input.turn_detection") == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    assert session.settings() == load().settings()


def test_only_the_keys_that_are_present_change(session):
    updated = session.updated({"audio": {"output": {"speed": 1.2}}, "instructions": "Be brief."})
    assert updated.wire() == session.wire() | {
        "instructions": "Be brief.",
        "audio": session.wire()["audio"] | {"output": at(session.wire(), "audio.output") | {"speed": 1.2}},
    }
    assert (updated.settings().speed, updated.settings().instructions) == (1.2, "Be brief.")


def test_an_update_that_holds_only_tracing_succeeds(session):
    assert session.updated({"tracing": "auto"}).wire()["tracing"] == "auto"


def test_null_clears(session):
    updated = session.updated(
        {"instructions": None, "audio": {"input": {"turn_detection": None, "transcription": None}}}
    )
    settings = updated.settings()
    assert (settings.instructions, settings.turn_taking.mode, settings.show_transcript) == ("", "manual", False)
    again = updated.updated({"audio": {"input": {"turn_detection": {"type": "server_vad"}, "transcription": {}}}})
    assert at(again.wire(), "audio.input.turn_detection.silence_duration_ms") == 500
    assert again.settings().show_transcript


@pytest.mark.parametrize(("eagerness", "patience"), [("low", 2.0), ("medium", 1.0), ("auto", 1.0), ("high", 0.5)])
def test_eagerness_is_patience(session, eagerness, patience):
    updated = session.updated(nested("audio.input.turn_detection.eagerness", eagerness))
    assert updated.settings().turn_taking.max_silence_s == patience * TurnTaking().max_silence_s


def test_server_vad_is_silence_alone(session):
    detection = {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 800, "idle_timeout_ms": 6000}
    turn = session.updated(nested("audio.input.turn_detection", detection)).settings().turn_taking
    assert (turn.mode, turn.vad_threshold, turn.max_silence_s, turn.idle_timeout_s) == ("silence", 0.7, 0.8, 6.0)
    assert turn.prefix_s == 0.3
    merged = session.updated(nested("audio.input.turn_detection", detection)).updated(
        nested("audio.input.turn_detection.create_response", False)
    )
    assert merged.settings().turn_taking.max_silence_s == 0.8
    assert not merged.settings().turn_taking.create_response


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("audio.output.speed", 2, "invalid_value"),
        ("audio.output.speed", "fast", "invalid_value"),
        ("audio", 5, "invalid_value"),
        ("audio.input", [], "invalid_value"),
        ("audio.input.format.rate", 16_000, "invalid_value"),
        ("audio.input.format.type", "audio/mp3", "invalid_value"),
        ("audio.input.turn_detection.type", "psychic", "invalid_value"),
        ("audio.input.turn_detection.eagerness", "very", "invalid_value"),
        ("audio.input.transcription.language", "English, please", "invalid_value"),
        ("max_output_tokens", 0, "invalid_value"),
        ("max_output_tokens", "lots", "invalid_value"),
        ("output_modalities", ["text", "audio"], "invalid_value"),
        ("output_modalities", ["smell"], "invalid_value"),
        ("instructions", 7, "invalid_value"),
        ("type", "translation", "invalid_value"),
        ("prompt", {"id": "pmpt_1"}, "unsupported_parameter"),
        ("truncation", "sometimes", "invalid_value"),
        ("truncation", {"type": "retention_ratio", "retention_ratio": 1.5}, "invalid_value"),
        ("audio.input.noise_reduction.strength", 2, "invalid_value"),
        ("audio.input.noise_reduction.type", "quiet", "invalid_value"),
        ("reasoning.effort", "enormous", "invalid_value"),
        ("include", ["everything"], "invalid_value"),
        ("modalities", ["text"], "unknown_parameter"),
        ("audio.input.turn_detection.patience", 5, "unknown_parameter"),
        ("parley.colour", "red", "unknown_parameter"),
        ("parley", True, "invalid_value"),
        ("tools", [{"type": "function"}], "missing_required_parameter"),
        ("tools", [{"type": "function", "name": "what is it"}], "invalid_value"),
        ("tools", [{"type": "function", "name": "f"}, {"type": "function", "name": "f"}], "invalid_value"),
        ("tools", [{"type": "function", "name": "f", "parameters": 5}], "invalid_value"),
        ("tools", [{"type": "function", "name": "f", "parameters": {"type": "array"}}], "invalid_value"),
        (
            "tools",
            [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": 1}}],
            "invalid_value",
        ),
        (
            "tools",
            [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": 1}}}],
            "invalid_value",
        ),
        (
            "tools",
            [{"type": "function", "name": "f", "parameters": {"type": "object", "required": "a"}}],
            "invalid_value",
        ),
        (
            "tools",
            [{"type": "function", "name": "f", "parameters": {"type": "object", "required": ["a"]}}],
            "invalid_value",
        ),
        ("tools", [{"type": "mcp", "server_label": "x", "server_url": "https://x"}], "mcp_server_not_allowed"),
        ("tool_choice", "required", "invalid_value"),
        ("tool_choice", {"type": "function", "name": "f"}, "invalid_value"),
        ("tool_choice", {"type": "mcp", "server_label": "x"}, "invalid_value"),
        ("tool_choice", "perhaps", "invalid_value"),
    ],
)
def test_a_wrong_update_names_its_field(session, path, value, code):
    with pytest.raises(RequestError) as caught:
        session.updated(nested(path, value))
    assert caught.value.code == code
    assert caught.value.param.startswith(f"session.{path}")


LOOK = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}


def test_functions_and_their_choice(session):
    offered = session.updated({"tools": [LOOK], "tool_choice": {"type": "function", "name": "look"}})
    assert offered.settings().toolbox == Toolbox((Tool("look", "Look."),), NamedTool("look"))
    assert (offered.wire()["tools"], offered.wire()["tool_choice"]["name"]) == ([LOOK], "look")
    single = offered.updated({"tool_choice": None, "parallel_tool_calls": False})
    assert single.settings().toolbox == Toolbox((Tool("look", "Look."),), "auto", parallel=False)
    assert single.updated({"tools": None}).settings().toolbox.tools == ()


def test_who_offers_functions_and_says_nothing_gets_instructions_that_allow_them(session):
    offered = session.updated({"tools": [LOOK]})
    assert "cannot" not in offered.settings().instructions
    assert offered.updated({"instructions": "Rhyme."}).settings().instructions == "Rhyme."
    assert offered.updated({"tools": []}).settings().instructions == session.settings().instructions


def test_a_client_may_send_back_the_object_it_was_shown(session):
    shown = session.updated({"parley": {"timings": True}})
    assert shown.updated(shown.wire()) == shown


@pytest.mark.parametrize(
    ("truncation", "chars", "retention"),
    [
        ("auto", 6000, 0.5),
        ({"type": "retention_ratio", "retention_ratio": 0.8}, 6000, 0.8),
        (
            {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 500}},
            2000,
            0.8,
        ),
        (
            {"type": "retention_ratio", "retention_ratio": 0.0, "token_limits": {"post_instructions": 50_000}},
            6000,
            0.0,
        ),
        ("disabled", 10**9, 1.0),
    ],
)
def test_truncation_is_how_much_the_model_is_shown(session, truncation, chars, retention):
    updated = session.updated({"truncation": truncation})
    settings = updated.settings()
    assert (settings.max_history_chars, settings.history_retention) == (chars, retention)
    assert updated.wire()["truncation"] == truncation
    assert updated.updated({"truncation": None}).settings().max_history_chars == 6000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tracing", {"workflow_name": "kitchen", "group_id": "g", "metadata": {"a": 1}}),
        ("reasoning", {"effort": "low"}),
        ("include", ["item.input_audio_transcription.logprobs"]),
        ("max_output_tokens", "inf"),
        ("prompt", None),
    ],
)
def test_what_changes_nothing_here_is_accepted_and_shown(session, key, value):
    assert session.updated({key: value}).wire()[key] == value
    assert session.updated({key: value}).updated({key: None}).wire().get(key) == session.wire().get(key)


_KEYS = st.sampled_from(
    (
        "type audio input output format rate voice id speed transcription language languages prompt keywords model "
        "turn_detection threshold silence_duration_ms idle_timeout_ms eagerness noise_reduction strength include "
        "instructions output_modalities max_output_tokens truncation retention_ratio token_limits post_instructions "
        "tracing reasoning parley timings"
    ).split()
)
_VALUES = st.sampled_from(
    (
        "realtime transcription audio/pcm audio/pcmu audio/mp3 server_vad semantic_vad near_field retention_ratio auto "
        "disabled inf en text audio low item.input_audio_transcription.logprobs"
    ).split()
)
_PATCHES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 90_000) | st.floats(allow_nan=False) | _VALUES | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400)
@given(st.lists(st.dictionaries(_KEYS, _PATCHES, min_size=1, max_size=3), max_size=3), st.booleans())
def test_any_update_is_in_force_whole_or_refused_by_name(patches, transcribes):
    session = SessionConfig.fresh(load(), "gpt-realtime", transcribes=transcribes)
    for patch in patches:
        with contextlib.suppress(RequestError):
            session = session.updated(patch)
        check_message({"type": "session.updated", "event_id": "event_1", "session": session.wire()})
        assert session.settings().turn_taking.create_response in {True, False}


def test_noise_reduction_merges(session):
    updated = session.updated(nested("audio.input.noise_reduction", {"type": "near_field", "strength": 0.5}))
    merged = updated.updated(nested("audio.input.noise_reduction.type", "far_field")).wire()
    assert at(merged, "audio.input.noise_reduction") == {"type": "far_field", "strength": 0.5}
    assert (
        at(updated.updated(nested("audio.input.noise_reduction", None)).wire(), "audio.input.noise_reduction") is None
    )


@pytest.mark.parametrize(("voice", "name"), [("alloy", "alloy"), ({"id": "voice_1"}, "voice_1"), ("piper-joe", None)])
def test_a_voice_is_a_wish(session, voice, name):
    assert session.updated(nested("audio.output.voice", voice)).settings().voice == name


# --- Sound ---


@pytest.mark.parametrize(
    ("form", "codes", "levels"),
    [
        ("audio/pcmu", [0x00, 0x80, 0xFF, 0x7F], [-32124, 32124, 0, 0]),
        ("audio/pcma", [0xD5, 0x55, 0x2A, 0xAA], [8, -8, -32256, 32256]),
    ],
)
def test_g711_levels_are_those_of_the_standard(form, codes, levels):
    assert sound._LEVELS[form][codes].tolist() == levels
    nearest = sound._NEAREST[form][np.array(levels) + 32768]
    assert sound._LEVELS[form][nearest].tolist() == levels


@pytest.mark.parametrize("form", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_sound_survives_the_wire(form):
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype(np.float32)
    out, back = SoundOut(form), SoundIn(form)
    data = b"".join([out.feed(piece) for piece in np.split(tone, 10)]) + out.flush()
    heard = np.concatenate([back.feed(data, "audio"), back.flush()])
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert abs(len(heard) - 16_000) <= 2
    middle = slice(1000, 15_000)
    assert np.sqrt(np.mean((heard[middle] - expected[middle]) ** 2)) < 0.02


@given(st.sampled_from(["audio/pcmu", "audio/pcma"]), st.binary(min_size=1, max_size=200))
def test_what_was_coded_once_is_coded_alike_again(form, data):
    levels = sound._LEVELS[form][np.frombuffer(data, np.uint8)].astype(np.int32)
    again = sound._NEAREST[form][levels + 32768]
    assert sound._LEVELS[form][again].tolist() == levels.tolist()


@given(st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma"]), st.lists(st.integers(0, 400), max_size=6), st.data())
def test_how_a_stream_is_cut_changes_nothing(form, sizes, data):
    width = 2 if form == "audio/pcm" else 1
    whole = data.draw(st.binary(min_size=width * sum(sizes), max_size=width * sum(sizes)))
    one, other = SoundIn(form), SoundIn(form)
    pieces = []
    at = 0
    for size in sizes:
        pieces.append(one.feed(whole[at : at + width * size], "audio"))
        at += width * size
    cut = np.concatenate([*pieces, one.flush()])
    assert np.allclose(cut, np.concatenate([other.feed(whole, "audio"), other.flush()]), atol=1e-4)


def test_half_a_sample_is_refused():
    with pytest.raises(RequestError, match="odd number of bytes"):
        SoundIn("audio/pcm").feed(base64.b64decode("AAAA"), "audio")


@pytest.mark.parametrize("kind", ["output_text", "input_text", "text"])
def test_an_assistants_text_may_have_a_users_name(kind):
    item = {"type": "message", "role": "assistant", "content": [{"type": kind, "text": "Hello."}]}
    frame = json.dumps({"type": "conversation.item.create", "item": item})
    event = parse(frame, max_bytes=2**20)
    assert [(part.type, part.text) for part in event.item.content] == [("output_text", "Hello.")]
