"""The strict reading of what the server sends: official classes, required fields, and no field of our own."""

from typing import Any, get_args

from openai.types.realtime import (
    RealtimeResponse,
    RealtimeServerEvent,
    RealtimeTranscriptionSessionCreateRequest,
    realtime_session_create_response,
)
from pydantic import BaseModel

from assistant.server.wire import refuse_unknown

EXTENSIONS = {
    "parley.turn.timings",
    "parley.heard",
    "parley.route",
    "parley.bridge",
    "parley.adjusted",
    "parley.camera",
    "parley.scene",
    "parley.watch",
    "parley.resumable",
    "parley.resumed",
    "parley.conversation.retrieved",
}
_CLASSES: dict[str, type[BaseModel]] = {
    get_args(event.model_fields["type"].annotation)[0]: event
    for event in get_args(get_args(RealtimeServerEvent)[0])
    if "type" in event.model_fields
}
_SESSION = realtime_session_create_response.RealtimeSessionCreateResponse


def check_message(message: dict[str, Any], *, numbered: bool = False) -> dict[str, Any]:
    """Return the message, if the strictest client would take it; `numbered` is for one that asked for resume."""
    assert message["event_id"].startswith("event_")
    kind = message["type"]
    if kind in EXTENSIONS:
        return message
    schema = _CLASSES[kind]
    value = {key: field for key, field in message.items() if key != "parley_seq" or not numbered}
    if value.get("session", {}).get("type") == "transcription":
        _check_transcription_session(value["session"])
        return message
    if "session" in value:  # the class for sessions as created has more fields than the one the event names
        session = _SESSION.model_validate({k: v for k, v in value["session"].items() if k != "parley"})
        refuse_unknown(session, "session")
        value["session"] = {
            k: v for k, v in value["session"].items() if k not in {"id", "object", "expires_at", "parley"}
        }
    if "response" in value:
        assert RealtimeResponse.model_validate(value["response"]).id
    event = schema.model_validate(value)
    refuse_unknown(event, kind)
    for item in [value.get("item"), *value.get("response", {}).get("output", [])]:
        for part in (item or {}).get("content", ()):
            if part["type"] in {"input_audio", "output_audio"}:
                assert "transcript" in part
    return message


def _check_transcription_session(session: dict[str, Any]) -> None:
    """Read it as the class for requests: the one for answers knows no semantic_vad, which the protocol has."""
    assert session["object"] == "realtime.transcription_session"
    assert session["id"].startswith("sess_")
    assert isinstance(session["expires_at"], int)
    rest = {k: v for k, v in session.items() if k not in {"id", "object", "expires_at", "parley"}}
    refuse_unknown(RealtimeTranscriptionSessionCreateRequest.model_validate(rest), "session")
