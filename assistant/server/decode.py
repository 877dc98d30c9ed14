"""What a client's event asks of the conversation."""

from collections.abc import Iterator
from typing import Final, assert_never

import numpy as np
from openai.types.realtime import (
    ConversationItemCreateEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    OutputAudioBufferClearEvent,
    RealtimeConversationItemAssistantMessage,
    RealtimeConversationItemSystemMessage,
    RealtimeConversationItemUserMessage,
    RealtimeResponseCreateParams,
    ResponseCancelEvent,
    ResponseCreateEvent,
)

from assistant.server.extensions import AcknowledgeEvent, ConversationRetrieveEvent, PlayedEvent
from assistant.server.frames import Kind, unpack
from assistant.server.session_config import MOST_TOKENS, SessionConfig
from assistant.server.sound import SoundFormat, SoundIn
from assistant.server.wire import ClientEvent, FrameError, SessionUpdate, decode_base64
from audio.types import INPUT_RATE, Samples
from pipeline import events
from pipeline.errors import RequestError
from pipeline.history import Item, Part, Spoken, Text
from pipeline.ids import random_id

_PIECE: Final = INPUT_RATE // 2
"""Samples handed over at once: a long `append` must not starve the other sessions, nor be dropped as a whole."""


class Decoder:
    """Turns one connection's events into requests; it keeps the session object and the stream of sound."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._sound = SoundIn(config.input_format)

    def requests(self, event: ClientEvent) -> Iterator[events.Request]:  # noqa: PLR0912 - one branch an event
        """Yield what `event` asks for. Raises RequestError before anything was yielded."""
        match event:
            case SessionUpdate():
                yield self._update(event)
            case InputAudioBufferAppendEvent():
                yield from _pieces(self._sound.feed(decode_base64(event.audio, "audio"), "audio"))
            case InputAudioBufferCommitEvent():
                yield from _pieces(self._sound.flush())
                yield events.Commit(event.event_id)
            case InputAudioBufferClearEvent():
                self._sound.flush()
                yield events.Clear(event.event_id)
            case ConversationItemCreateEvent():
                yield events.CreateItem(self._item(event), event.previous_item_id, event.event_id)
            case ConversationItemRetrieveEvent():
                yield events.RetrieveItem(event.item_id, event.event_id)
            case ConversationItemDeleteEvent():
                yield events.DeleteItem(event.item_id, event.event_id)
            case ConversationItemTruncateEvent():
                yield events.TruncateItem(event.item_id, max(0, event.audio_end_ms) / 1000, event.event_id)
            case ResponseCreateEvent():
                yield _response(event.response or RealtimeResponseCreateParams(), event.event_id)
            case ResponseCancelEvent():
                yield events.CancelResponse(event.response_id, event.event_id)
            case OutputAudioBufferClearEvent():
                yield events.CancelResponse(None, event.event_id)
            case PlayedEvent():
                yield events.Played(event.item_id, event.played_ms / 1000, event.event_id)
            case ConversationRetrieveEvent():
                yield events.RetrieveConversation(event.event_id)
            case AcknowledgeEvent():
                pass  # concerns the connection, not the conversation
            case _:
                assert_never(event)

    def binary(self, data: bytes) -> Iterator[events.Request]:
        """Yield what a binary message asks for. Raises FrameError before anything was yielded."""
        if not self.config.extensions.binary:
            raise FrameError(
                "invalid_event",
                'Binary messages have to be asked for, with session.update and "parley": {"binary": true}; or send '
                "JSON text, with the audio as base64.",
            )
        frame = unpack(data)
        match frame.kind:
            case Kind.MICROPHONE:
                yield from _pieces(self._sound.feed(frame.payload, "payload"))
            case Kind.PICTURE:
                raise FrameError("unsupported_picture", "This version of Parley has no eyes: it takes no pictures.")
            case Kind.SPEECH:
                raise FrameError(
                    "invalid_frame", "Speech (kind 2) goes to the client only; the microphone's is kind 1."
                )
            case _:
                assert_never(frame.kind)

    def _update(self, event: SessionUpdate) -> events.Update:
        updated = self.config.updated(event.session)
        if updated.input_format != self.config.input_format:
            self._sound = SoundIn(updated.input_format)
        self.config = updated
        return events.Update(updated.settings())

    def _item(self, event: ConversationItemCreateEvent) -> Item:
        item = event.item
        match item:
            case RealtimeConversationItemSystemMessage():
                parts = [_text(part.type, part.text, "input_text", at) for at, part in enumerate(item.content)]
            case RealtimeConversationItemAssistantMessage():
                parts = [
                    _assistant_part(part.type, part.text, part.transcript, at) for at, part in enumerate(item.content)
                ]
            case RealtimeConversationItemUserMessage():
                form = self.config.input_format
                parts = [
                    _sound_part(part.audio, part.transcript, form, at)
                    if part.type == "input_audio"
                    else _text(part.type, part.text, "input_text", at)
                    for at, part in enumerate(item.content)
                ]
            case _:
                raise RequestError("unsupported_item", f"Items of type {item.type} aren't supported yet.", "item.type")
        if not parts:
            raise RequestError("invalid_value", "item.content needs at least one part.", "item.content")
        return Item(item.id or random_id("item"), item.role, tuple(parts))


def _text(kind: str | None, text: str | None, wanted: str, at: int) -> Part:
    if kind not in (wanted, None):
        param = f"item.content.{at}.type"
        raise RequestError("unsupported_content", f"{param}: {kind} isn't supported yet; use {wanted}.", param)
    if text is None:
        param = f"item.content.{at}.text"
        raise RequestError("missing_required_parameter", f"{param} is required.", param)
    return Text(text)


def _assistant_part(kind: str | None, text: str | None, transcript: str | None, at: int) -> Part:
    if kind == "output_audio" and transcript is not None:
        return Spoken(transcript)
    return _text(kind, text, "output_text", at)


def _sound_part(audio: str | None, transcript: str | None, form: SoundFormat, at: int) -> Part:
    param = f"item.content.{at}.audio"
    if audio is None:
        if transcript is not None:
            return Spoken(transcript)
        raise RequestError("missing_required_parameter", f"{param} is required.", param)
    sound = SoundIn(form)
    return Spoken(transcript, np.concatenate((sound.feed(decode_base64(audio, param), param), sound.flush())))


def _pieces(samples: Samples) -> Iterator[events.Audio]:
    for start in range(0, len(samples), _PIECE):
        yield events.Audio(samples[start : start + _PIECE])


def _response(wanted: RealtimeResponseCreateParams, event_id: str | None) -> events.CreateResponse:
    if wanted.conversation == "none" or wanted.input is not None:
        param = "response.input" if wanted.input is not None else "response.conversation"
        raise RequestError("unsupported_response", f"{param}: out-of-band responses aren't supported yet.", param)
    modalities = wanted.output_modalities
    if modalities is not None and len(modalities) != 1:
        param = "response.output_modalities"
        raise RequestError("invalid_value", f'{param} is ["audio"] or ["text"], not both.', param)
    tokens = MOST_TOKENS if wanted.max_output_tokens == "inf" else wanted.max_output_tokens
    if isinstance(tokens, int) and not 1 <= tokens <= MOST_TOKENS:
        param = "response.max_output_tokens"
        raise RequestError("invalid_value", f"{param} is 1 to {MOST_TOKENS}, not {tokens}.", param)
    spoken = wanted.audio.output if wanted.audio is not None else None
    voice = None if spoken is None else spoken.voice
    return events.CreateResponse(
        instructions=wanted.instructions,
        output=modalities[0] if modalities else None,
        voice=voice if voice is None or isinstance(voice, str) else voice.id,
        max_output_tokens=tokens if isinstance(tokens, int) else None,
        request_id=event_id,
    )
