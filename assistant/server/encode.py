"""What happened in the conversation, as the protocol's messages, in the protocol's order."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, assert_never, cast

from assistant.server.session_config import SessionConfig, Tree, format_object
from assistant.server.sound import SoundFormat, SoundOut
from assistant.server.transcripts import Transcripts
from assistant.server.wire import Message, encode_base64, error_message
from pipeline import events
from pipeline.engines import Picture
from pipeline.history import Item, Part, Spoken, Text
from pipeline.timings import Timings


@dataclass(slots=True)
class _Open:
    """A response that has been created and isn't done."""

    start: events.ResponseStarted
    sound: SoundOut


class Encoder:
    """Turns one session's events into messages; `config` is the session object that is in force."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._open: dict[str, _Open] = {}
        self._transcripts = Transcripts()

    def messages(self, event: events.Event) -> Iterator[Message]:  # noqa: PLR0912 - one branch an event
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
            case events.IdleTimeout(item_id, start_s, at_s):
                times = {"audio_start_ms": _ms(start_s), "audio_end_ms": _ms(at_s)}
                yield {"type": "input_audio_buffer.timeout_triggered", "item_id": item_id, **times}
            case events.ItemAdded(item, previous):
                shown = {"previous_item_id": previous, "item": _item(_unheard(item))}
                yield {"type": "conversation.item.added", **shown}
                if item.status != "in_progress":
                    yield {"type": "conversation.item.done", **shown}
            case events.ItemRetrieved(item):
                yield {"type": "conversation.item.retrieved", "item": _item(item)}
            case events.ItemDeleted(item_id):
                yield {"type": "conversation.item.deleted", "item_id": item_id}
            case events.ItemTruncated(item_id, end_s):
                end = {"item_id": item_id, "content_index": 0, "audio_end_ms": _ms(end_s)}
                yield {"type": "conversation.item.truncated", **end}
            case events.TranscriptDelta() | events.TranscriptCompleted() | events.TranscriptFailed():
                yield from self._transcripts.messages(event, self.config)
            case events.ResponseStarted():
                yield from self._started(event)
            case events.ResponseText():
                spoken = self._open[event.response_id].start.output == "audio"
                kind = "response.output_audio_transcript.delta" if spoken else "response.output_text.delta"
                yield {"type": kind, **_place(event.response_id, event.item_id), "delta": event.text}
            case events.ResponseAudio():
                data = self._open[event.response_id].sound.feed(event.samples)
                if data:
                    yield _audio_delta(event.response_id, event.item_id, data)
            case events.ResponseEnded():
                yield from self._ended(event)
            case events.TurnTimed(response_id, timings):
                if self.config.timings:
                    yield {"type": "parley.turn.timings", "response_id": response_id, **_timings(timings)}
            case events.Rejected(code, message, param, request_id, fault):
                yield error_message(code, message, param, request_id, fault=fault)
            case _:
                assert_never(event)

    def _started(self, start: events.ResponseStarted) -> Iterator[Message]:
        self._open[start.response_id] = _Open(start, SoundOut(self._format(start)))
        item = {**_message(start.item_id, "assistant", "in_progress"), "content": []}
        yield {"type": "response.created", "response": self._response(start, "in_progress")}
        yield {"type": "response.output_item.added", "response_id": start.response_id, "output_index": 0, "item": item}
        if not _beside(start):
            yield {"type": "conversation.item.added", "previous_item_id": start.previous_item_id, "item": item}
        part = _content_part(start.output, "")
        yield {"type": "response.content_part.added", **_place(start.response_id, start.item_id), "part": part}

    def _ended(self, end: events.ResponseEnded) -> Iterator[Message]:
        opened = self._open.pop(end.response_id)
        start = opened.start
        place = _place(start.response_id, start.item_id)
        if start.output == "audio":
            rest = opened.sound.flush()
            # What the filter holds back after an interruption would be heard after it.
            if rest and end.status == "completed":
                yield _audio_delta(start.response_id, start.item_id, rest)
            yield {"type": "response.output_audio.done", **place}
            yield {"type": "response.output_audio_transcript.done", **place, "transcript": end.text}
        else:
            yield {"type": "response.output_text.done", **place, "text": end.text}
        yield {"type": "response.content_part.done", **place, "part": _content_part(start.output, end.text)}
        status: Literal["completed", "incomplete"] = "completed" if end.status == "completed" else "incomplete"
        parts = end.item.parts or (Spoken("") if start.output == "audio" else Text(""),)
        item = _item(dataclasses.replace(end.item, id=start.item_id, parts=parts, status=status))
        yield {"type": "response.output_item.done", "response_id": start.response_id, "output_index": 0, "item": item}
        if not _beside(start):
            yield {"type": "conversation.item.done", "previous_item_id": start.previous_item_id, "item": item}
        response = self._response(start, end.status) | {
            "output": [item],
            "status_details": _status_details(end),
            "usage": _usage(end.usage),
        }
        yield {"type": "response.done", "response": response}

    def _format(self, start: events.ResponseStarted) -> SoundFormat:
        wanted = None if start.asked is None else start.asked.sound_format
        return self.config.output_format if wanted is None else cast(SoundFormat, wanted)

    def _response(self, start: events.ResponseStarted, status: str) -> Tree:
        asked = start.asked or events.CreateResponse()
        session = self.config.session
        spoken = session["audio"]["output"]
        form = spoken["format"] if asked.sound_format is None else format_object({"type": asked.sound_format})
        return {
            "object": "realtime.response",
            "id": start.response_id,
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": None if asked.beside else self.config.session_id.replace("sess_", "conv_"),
            "output_modalities": [start.output],
            "max_output_tokens": asked.max_output_tokens or session["max_output_tokens"],
            "audio": {"output": {"format": form, "voice": asked.voice or self.config.voice}},
            "usage": None,
            "metadata": None if asked.metadata is None else dict(asked.metadata),
        }


def _beside(start: events.ResponseStarted) -> bool:
    return start.asked is not None and start.asked.beside


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
        case Picture(url, detail):
            return {"type": "input_image", "image_url": url, "detail": detail}
        case _:
            assert_never(part)


def _content_part(output: Literal["audio", "text"], text: str) -> Tree:
    return {"type": "audio", "transcript": text} if output == "audio" else {"type": "text", "text": text}


def _audio_delta(response_id: str, item_id: str, data: bytes) -> Message:
    return {"type": "response.output_audio.delta", **_place(response_id, item_id), "delta": encode_base64(data)}


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
