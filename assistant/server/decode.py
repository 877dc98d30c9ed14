"""What a client's event asks of the conversation."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, assert_never

import numpy as np
from openai.types.realtime import (
    ConversationItem,
    ConversationItemCreateEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    OutputAudioBufferClearEvent,
    RealtimeConversationItemAssistantMessage,
    RealtimeConversationItemFunctionCall,
    RealtimeConversationItemFunctionCallOutput,
    RealtimeConversationItemSystemMessage,
    RealtimeConversationItemUserMessage,
    RealtimeMcpApprovalResponse,
    RealtimeResponseCreateParams,
    ResponseCancelEvent,
)
from openai.types.realtime.realtime_conversation_item_user_message import Content as UserContent
from openai.types.realtime.response_item_reference import ResponseItemReference

from assistant.server.extensions import AcknowledgeEvent, CameraEvent, ConversationRetrieveEvent, PlayedEvent
from assistant.server.frames import Kind, unpack
from assistant.server.pictures import check_frame, picture
from assistant.server.response_check import check_response
from assistant.server.session_config import MOST_TOKENS, SessionConfig
from assistant.server.sound import SoundFormat, SoundIn
from assistant.server.wire import ClientEvent, ClientItem, FrameError, ResponseCreate, SessionUpdate, decode_base64
from assistant.tools.spec import McpServer
from audio.types import INPUT_RATE, Samples
from pipeline import events
from pipeline.engines import ToolCall
from pipeline.errors import RequestError
from pipeline.history import Approval, Item, Part, Spoken, Text, ToolResult
from pipeline.ids import random_id

_PIECE: Final = INPUT_RATE // 2
"""Samples handed over at once: a long `append` must not starve the other sessions, nor be dropped as a whole."""


class Decoder:
    """Turns one connection's events into requests; it keeps the session object and the stream of sound."""

    def __init__(
        self, config: SessionConfig, learn: Callable[[Iterable[McpServer]], None], *, sees: bool = False
    ) -> None:
        """Begin with this session object; `learn` is told of the MCP servers that clients name.

        `sees`: the server has eyes.
        """
        self.config = config
        self._learn = learn
        self._sees = sees
        learn(config.mcp_servers())
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
                yield events.CreateItem(self._item(event.item, "item"), event.previous_item_id, event.event_id)
            case ConversationItemRetrieveEvent():
                yield events.RetrieveItem(event.item_id, event.event_id)
            case ConversationItemDeleteEvent():
                yield events.DeleteItem(event.item_id, event.event_id)
            case ConversationItemTruncateEvent():
                yield events.TruncateItem(event.item_id, max(0, event.audio_end_ms) / 1000, event.event_id)
            case ResponseCreate():
                yield self._equipped(self._response(event), event.response)
            case ResponseCancelEvent():
                yield events.CancelResponse(event.response_id, event.event_id)
            case OutputAudioBufferClearEvent():
                yield events.CancelResponse(None, event.event_id)
            case PlayedEvent():
                yield events.Played(event.item_id, event.played_ms / 1000, event.event_id)
            case CameraEvent():
                yield events.Camera(event.on, request_id=event.event_id)
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
            case Kind.PICTURE if not self._sees:
                raise FrameError("unsupported_picture", "This server has no eyes: it takes no pictures.")
            case Kind.PICTURE:
                check_frame(frame.payload)
                yield events.CameraFrame(frame.payload)
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
        self._learn(updated.mcp_servers())
        return events.Update(updated.settings(), sets_speed=_names_speed(event.session))

    def _equipped(self, asked: events.CreateResponse, wanted: RealtimeResponseCreateParams) -> events.CreateResponse:
        """Return the request with what the response may call, where it isn't what the session may."""
        if wanted.tools is None and wanted.tool_choice is None and wanted.parallel_tool_calls is None:
            return asked
        given = wanted.model_dump(exclude_unset=True, include={"tools", "tool_choice", "parallel_tool_calls"})
        session = self.config.session
        if given.get("tools") is not None:
            session = session | {"tool_choice": "auto"}  # the session's may name one that isn't there
        resolved = session | {key: value for key, value in given.items() if value is not None}
        own = self.config.toolbox(resolved, "response.")
        if wanted.tools is None:
            return replace(asked, toolbox=own)
        servers = self.config.mcp_servers(resolved["tools"], "response.")
        self._learn(servers)
        return replace(asked, toolbox=own, tool_servers=tuple(server.as_server for server in servers))

    def _item(self, item: ConversationItem, at: str) -> Item:
        """Return a client's item, which stands at the path `at` of its event."""
        match item:
            case RealtimeConversationItemFunctionCall():
                call = ToolCall(item.call_id or random_id("call"), item.name, item.arguments)
                return Item(item.id or random_id("item"), "assistant", (call,))
            case RealtimeConversationItemFunctionCallOutput():
                return Item(item.id or random_id("item"), "tool", (ToolResult(item.call_id, item.output),))
            case RealtimeMcpApprovalResponse():
                return Item(item.id, "user", (Approval(item.approval_request_id, item.approve, item.reason),))
            case RealtimeConversationItemSystemMessage():
                parts = [_text(part.type, part.text, "input_text", where) for where, part in _parts(item.content, at)]
            case RealtimeConversationItemAssistantMessage():
                parts = [
                    _assistant_part(part.type, part.text, part.transcript, where)
                    for where, part in _parts(item.content, at)
                ]
            case RealtimeConversationItemUserMessage():
                form = self.config.input_format
                parts = [_user_part(part, form, where) for where, part in _parts(item.content, at)]
            case _:
                raise RequestError("unsupported_item", f"Items of type {item.type} aren't supported yet.", f"{at}.type")
        if not parts:
            raise RequestError("invalid_value", f"{at}.content needs at least one part.", f"{at}.content")
        return Item(item.id or random_id("item"), item.role, tuple(parts))

    def _response(self, event: ResponseCreate) -> events.CreateResponse:
        wanted = event.response
        check_response(wanted, self.config)
        spoken = wanted.audio.output if wanted.audio is not None else None
        voice = None if spoken is None else spoken.voice
        tokens = MOST_TOKENS if wanted.max_output_tokens == "inf" else wanted.max_output_tokens
        given = event.input
        return events.CreateResponse(
            instructions=wanted.instructions,
            output=wanted.output_modalities[0] if wanted.output_modalities else None,
            voice=voice if voice is None or isinstance(voice, str) else voice.id,
            max_output_tokens=tokens,
            request_id=event.event_id,
            beside=wanted.conversation == "none",
            input=None if given is None else tuple(self._input(each, at) for at, each in enumerate(given)),
            metadata=wanted.metadata,
            sound_format=None if spoken is None or spoken.format is None else spoken.format.type,
        )

    def _input(self, item: ClientItem | ResponseItemReference, at: int) -> Item | events.ItemReference:
        if isinstance(item, ResponseItemReference):
            return events.ItemReference(item.id)
        if isinstance(item, RealtimeMcpApprovalResponse):
            message = "An answer to an approval request belongs into the conversation: send conversation.item.create."
            raise RequestError("unsupported_item", message, f"response.input.{at}.type")
        return self._item(item, f"response.input.{at}")


_P = TypeVar("_P")


def _parts(content: Sequence[_P], at: str) -> Iterator[tuple[str, _P]]:
    return ((f"{at}.content.{number}", part) for number, part in enumerate(content))


def _text(kind: str | None, text: str | None, wanted: str, at: str) -> Part:
    if kind not in (wanted, None):
        raise RequestError(
            "unsupported_content", f"{at}.type: {kind} isn't possible there; use {wanted}.", f"{at}.type"
        )
    if text is None:
        raise RequestError("missing_required_parameter", f"{at}.text is required.", f"{at}.text")
    return Text(text)


def _assistant_part(kind: str | None, text: str | None, transcript: str | None, at: str) -> Part:
    if kind == "output_audio" and transcript is not None:
        return Spoken(transcript)
    return _text(kind, text, "output_text", at)


def _user_part(part: UserContent, form: SoundFormat, at: str) -> Part:
    match part.type:
        case "input_audio":
            return _sound_part(part.audio, part.transcript, form, f"{at}.audio")
        case "input_image":
            return picture(part.image_url, part.detail, f"{at}.image_url")
        case _:
            return _text(part.type, part.text, "input_text", at)


def _sound_part(audio: str | None, transcript: str | None, form: SoundFormat, param: str) -> Part:
    if audio is None:
        if transcript is not None:
            return Spoken(transcript)
        raise RequestError("missing_required_parameter", f"{param} is required.", param)
    sound = SoundIn(form)
    return Spoken(transcript, np.concatenate((sound.feed(decode_base64(audio, param), param), sound.flush())))


def _names_speed(patch: Mapping[str, Any]) -> bool:
    """Tell whether a valid update says how fast to speak: a number, or null for as fast as usual."""
    value: Any = patch
    for step in ("audio", "output", "speed"):
        if value is None:
            return True
        if step not in value:
            return False
        value = value[step]
    return True


def _pieces(samples: Samples) -> Iterator[events.Audio]:
    for start in range(0, len(samples), _PIECE):
        yield events.Audio(samples[start : start + _PIECE])
