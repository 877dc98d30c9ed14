"""What happened in the conversation, as the protocol's messages, in the protocol's order."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from assistant.server.frames import Frame, Kind
from assistant.server.session_config import SessionConfig, Tree
from assistant.server.sound import SoundOut, bytes_per_second
from assistant.server.wire import Message, encode_base64, error_message
from pipeline import events
from pipeline.history import Item, Part, Spoken, Text
from pipeline.ids import random_id
from pipeline.timings import Timings

_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
_PROVENANCE: Final[Message] = {"made_on": "machine", "left_machine": []}
"""Where an answer was made, and what left the machine for it: every engine of this version runs in this process."""


@dataclass(slots=True)
class _Open:
    """A response that has been created and isn't done."""

    start: events.ResponseStarted
    sound: SoundOut
    bytes_per_s: int
    sent_bytes: int = 0


class Encoder:
    """Turns one session's events into messages; `config` is the session object that is in force."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._open: dict[str, _Open] = {}

    def messages(self, event: events.Event) -> Iterator[Message | Frame]:  # noqa: PLR0912, PLR0915 - one branch an event
        """Yield the messages that tell the client of `event`."""
        match event:
            case events.SettingsUpdated():
                yield {"type": "session.updated", "session": self.config.wire()}
            case events.SpeechStarted(item_id, at_s):
                start = {"item_id": item_id, "audio_start_ms": _ms(at_s)}
                yield {"type": "input_audio_buffer.speech_started", **start}
            case events.SpeechStopped(item_id, at_s):
                yield {"type": "input_audio_buffer.speech_stopped", "item_id": item_id, "audio_end_ms": _ms(at_s)}
            case events.AudioCommitted(item_id, previous):
                yield {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous}
            case events.AudioCleared():
                yield {"type": "input_audio_buffer.cleared"}
            case events.IdleTimeout(at_s):
                yield self._idle(at_s)
            case events.ItemAdded(item, previous):
                shown = {"previous_item_id": previous, "item": _item(_unheard(item))}
                yield {"type": "conversation.item.added", **shown}
                if item.status != "in_progress":
                    yield {"type": "conversation.item.done", **shown}
            case events.ItemRetrieved(item):
                yield {"type": "conversation.item.retrieved", "item": _item(item)}
            case events.ConversationRetrieved(items):
                yield {"type": "parley.conversation.retrieved", "items": [_item(item) for item in items]}
            case events.ItemDeleted(item_id):
                yield {"type": "conversation.item.deleted", "item_id": item_id}
            case events.ItemTruncated(item_id, end_s):
                end = {"item_id": item_id, "content_index": 0, "audio_end_ms": _ms(end_s)}
                yield {"type": "conversation.item.truncated", **end}
            case events.TranscriptDelta() | events.TranscriptCompleted() | events.TranscriptFailed():
                yield _transcription(event)
            case events.ResponseStarted():
                yield from self._started(event)
            case events.ResponseText():
                spoken = self._open[event.response_id].start.output == "audio"
                kind = "response.output_audio_transcript.delta" if spoken else "response.output_text.delta"
                yield {"type": kind, **_place(event.response_id, event.item_id), "delta": event.text}
            case events.ResponseAudio():
                opened = self._open[event.response_id]
                data = opened.sound.feed(event.samples)
                if data:
                    yield self._speech(opened, data)
            case events.ReplyHeard(response_id, item_id, text, at_s):
                if self.config.extensions.heard:
                    place = {"response_id": response_id, "item_id": item_id, "content_index": 0}
                    yield {"type": "parley.heard", **place, "heard_ms": _ms(at_s), "text": text}
            case events.ResponseEnded():
                yield from self._ended(event)
            case events.TurnTimed(response_id, timings):
                if self.config.extensions.timings:
                    yield {
                        "type": "parley.turn.timings",
                        "response_id": response_id,
                        **_timings(timings),
                        **_PROVENANCE,
                    }
            case events.Rejected(code, message, param, request_id, fault):
                yield error_message(code, message, param, request_id, fault=fault)
            case _:
                assert_never(event)

    def _idle(self, at_s: float) -> Message:
        detection: Tree = self.config.session["audio"]["input"]["turn_detection"] or {}
        silence_ms = detection.get("idle_timeout_ms") or 0
        # The protocol names the message that this silence would become; ours becomes none, so the id is a fresh one.
        return {
            "type": "input_audio_buffer.timeout_triggered",
            "item_id": random_id("item"),
            "audio_start_ms": max(0, _ms(at_s) - silence_ms),
            "audio_end_ms": _ms(at_s),
        }

    def _started(self, start: events.ResponseStarted) -> Iterator[Message]:
        self._open[start.response_id] = _Open(
            start, SoundOut(self.config.output_format), bytes_per_second(self.config.output_format)
        )
        item = {**_message(start.item_id, "assistant", "in_progress"), "content": []}
        yield {"type": "response.created", "response": self._response(start, "in_progress")}
        yield {"type": "response.output_item.added", "response_id": start.response_id, "output_index": 0, "item": item}
        yield {"type": "conversation.item.added", "previous_item_id": start.previous_item_id, "item": item}
        part = _content_part(start.output, "")
        yield {"type": "response.content_part.added", **_place(start.response_id, start.item_id), "part": part}

    def _ended(self, end: events.ResponseEnded) -> Iterator[Message | Frame]:
        opened = self._open.pop(end.response_id)
        start = opened.start
        place = _place(start.response_id, start.item_id)
        if start.output == "audio":
            rest = opened.sound.flush()
            # What the filter holds back after an interruption would be heard after it.
            if rest and end.status == "completed":
                yield self._speech(opened, rest)
            yield {"type": "response.output_audio.done", **place}
            yield {"type": "response.output_audio_transcript.done", **place, "transcript": end.text}
        else:
            yield {"type": "response.output_text.done", **place, "text": end.text}
        yield {"type": "response.content_part.done", **place, "part": _content_part(start.output, end.text)}
        status: Literal["completed", "incomplete"] = "completed" if end.status == "completed" else "incomplete"
        parts = end.item.parts or (Spoken("") if start.output == "audio" else Text(""),)
        item = _item(dataclasses.replace(end.item, id=start.item_id, parts=parts, status=status))
        yield {"type": "response.output_item.done", "response_id": start.response_id, "output_index": 0, "item": item}
        yield {"type": "conversation.item.done", "previous_item_id": start.previous_item_id, "item": item}
        response = self._response(start, end.status) | {
            "output": [item],
            "status_details": _status_details(end),
            "usage": _usage(end.usage),
        }
        yield {"type": "response.done", "response": response}

    def _speech(self, opened: _Open, data: bytes) -> Message | Frame:
        start = opened.start
        at_ms = 1000 * opened.sent_bytes // opened.bytes_per_s
        opened.sent_bytes += len(data)
        if self.config.extensions.binary:
            return Frame(Kind.SPEECH, data, start.response_id, time_ms=at_ms)
        place = _place(start.response_id, start.item_id)
        return {"type": "response.output_audio.delta", **place, "delta": encode_base64(data)}

    def _response(self, start: events.ResponseStarted, status: str) -> Tree:
        return {
            "object": "realtime.response",
            "id": start.response_id,
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": self.config.session_id.replace("sess_", "conv_"),
            "output_modalities": [start.output],
            "max_output_tokens": self.config.session["max_output_tokens"],
            "audio": {"output": {key: self.config.session["audio"]["output"][key] for key in ("format", "voice")}},
            "usage": None,
            "metadata": None,
        }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _place(response_id: str, item_id: str) -> Message:
    return {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}


def _message(item_id: str, role: str, status: str) -> Tree:
    return {"id": item_id, "object": "realtime.item", "type": "message", "role": role, "status": status}


def _item(item: Item) -> Tree:
    return {**_message(item.id, item.role, item.status), "content": [_content(item.role, part) for part in item.parts]}


def _unheard(item: Item) -> Item:
    """Return a user's message as the protocol adds it: the words of its sound have events of their own."""
    if item.role != "user":
        return item
    return dataclasses.replace(
        item, parts=tuple(Spoken(None) if isinstance(part, Spoken) else part for part in item.parts)
    )


def _content(role: str, part: Part) -> Tree:
    direction = "output" if role == "assistant" else "input"
    match part:
        case Text(text):
            return {"type": f"{direction}_text", "text": text}
        case Spoken(transcript):
            return {"type": f"{direction}_audio", "transcript": transcript}
        case _:
            assert_never(part)


def _content_part(output: Literal["audio", "text"], text: str) -> Tree:
    return {"type": "audio", "transcript": text} if output == "audio" else {"type": "text", "text": text}


def _transcription(
    event: events.TranscriptDelta | events.TranscriptCompleted | events.TranscriptFailed,
) -> Message:
    place = {"item_id": event.item_id, "content_index": 0}
    match event:
        case events.TranscriptDelta(_, text):
            return {"type": f"{_TRANSCRIPTION}.delta", **place, "delta": text}
        case events.TranscriptCompleted(_, text, audio_s):
            usage = {"type": "duration", "seconds": round(audio_s, 3)}
            return {"type": f"{_TRANSCRIPTION}.completed", **place, "transcript": text, "usage": usage}
        case events.TranscriptFailed(_, code, message):
            error = {"type": "transcription_error", "code": code, "message": message, "param": ""}
            return {"type": f"{_TRANSCRIPTION}.failed", **place, "error": error}


def _status_details(end: events.ResponseEnded) -> Tree | None:
    if end.status == "completed":
        return {"type": "completed"}
    details: Tree = {"type": end.status}
    if end.reason is not None:
        details["reason"] = end.reason
    if end.status == "failed":
        code = end.error_code or "server_error"
        details["error"] = {"type": "server_error", "code": code, "message": end.error_message or ""}
    return details


def _usage(usage: events.Usage) -> Tree:
    return {
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "input_token_details": {
            "text_tokens": usage.input_tokens,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": usage.cached_tokens,
            "cached_tokens_details": {"text_tokens": usage.cached_tokens, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": usage.output_tokens, "audio_tokens": 0},
    }


def _timings(timings: Timings) -> Tree:
    """Return the moments in milliseconds ("commit_s" becomes "commit_ms"), and the counts as they are."""
    known = dataclasses.asdict(timings)
    moments = {f"{name[:-2]}_ms": None if at is None else _ms(at) for name, at in known.items() if name.endswith("_s")}
    return moments | {name: count for name, count in known.items() if not name.endswith("_s")}
