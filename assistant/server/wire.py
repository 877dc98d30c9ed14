"""The wire's codec: text frames to typed client events, server events to text frames. It knows no conversation.

The schemas are those of `openai.types.realtime`. Everything wrong with a frame becomes one RequestError whose message
names the fault and the cure, and whose `param` is the path of the field, such as "item.content.0.text".
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar, get_args

import pydantic_core
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
    RealtimeConversationItemFunctionCall,
    RealtimeConversationItemFunctionCallOutput,
    RealtimeConversationItemSystemMessage,
    RealtimeConversationItemUserMessage,
    RealtimeMcpApprovalResponse,
    RealtimeResponseCreateParams,
    ResponseCancelEvent,
    ResponseCreateEvent,
)
from openai.types.realtime.response_item_reference import ResponseItemReference
from pydantic import BaseModel, ValidationError

from assistant.server.extensions import AcknowledgeEvent, CameraEvent, ConversationRetrieveEvent, PlayedEvent
from pipeline.errors import RequestError
from pipeline.ids import random_id


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """A `session.update`. What is absent from `session` stays as it is, so its keys are kept as they came."""

    session: dict[str, Any]
    event_id: str | None = None


ClientItem: TypeAlias = (
    RealtimeConversationItemUserMessage
    | RealtimeConversationItemAssistantMessage
    | RealtimeConversationItemSystemMessage
    | RealtimeConversationItemFunctionCall
    | RealtimeConversationItemFunctionCallOutput
    | RealtimeMcpApprovalResponse
)
"""An item as a client gives it."""


@dataclass(frozen=True, slots=True)
class ResponseCreate:
    """A `response.create`. What it is to answer stands apart: the schema of `response` knows no references."""

    response: RealtimeResponseCreateParams
    input: tuple[ClientItem | ResponseItemReference, ...] | None = None
    event_id: str | None = None


ClientEvent: TypeAlias = (
    SessionUpdate
    | ResponseCreate
    | InputAudioBufferAppendEvent
    | InputAudioBufferCommitEvent
    | InputAudioBufferClearEvent
    | ConversationItemCreateEvent
    | ConversationItemRetrieveEvent
    | ConversationItemTruncateEvent
    | ConversationItemDeleteEvent
    | ResponseCancelEvent
    | OutputAudioBufferClearEvent
    | PlayedEvent
    | AcknowledgeEvent
    | CameraEvent
    | ConversationRetrieveEvent
)

Message: TypeAlias = dict[str, Any]
"""A server event on its way out, without its `event_id`."""

_UPDATE: Final = "session.update"
_SCHEMAS: Final = (ResponseCreateEvent, *(event for event in get_args(ClientEvent) if issubclass(event, BaseModel)))
_EVENTS: Final[Mapping[str, type[BaseModel]]] = {
    get_args(event.model_fields["type"].annotation)[0]: event for event in _SCHEMAS
}
_MESSAGES: Final[Mapping[str, type[ClientItem]]] = {
    "user": RealtimeConversationItemUserMessage,
    "assistant": RealtimeConversationItemAssistantMessage,
    "system": RealtimeConversationItemSystemMessage,
}
_TOOL_ITEMS: Final[Mapping[str, type[ClientItem]]] = {
    "function_call": RealtimeConversationItemFunctionCall,
    "function_call_output": RealtimeConversationItemFunctionCallOutput,
    "mcp_approval_response": RealtimeMcpApprovalResponse,
}
_Model = TypeVar("_Model", bound=BaseModel)


class FrameError(RequestError):
    """A frame that can't be read; `event_id` is the client's own, where it could be made out."""

    def __init__(self, code: str, message: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(code, message, param)
        self.event_id = event_id


def parse(frame: str, *, max_bytes: int) -> ClientEvent:
    """Read one text frame. Raises FrameError."""
    if len(frame) > max_bytes or (not frame.isascii() and len(frame.encode("utf-8", "replace")) > max_bytes):
        limit = max_bytes / 2**20
        raise FrameError("message_too_large", f"A message has at most {limit:g} MiB. Send the audio in smaller pieces.")
    try:
        event = pydantic_core.from_json(frame, allow_inf_nan=False)
    except ValueError as error:
        raise FrameError("invalid_json", f"The message is not valid JSON: {error}.") from None
    if not isinstance(event, dict):
        raise FrameError("invalid_event", 'A message is a JSON object with a "type".')
    given = event.get("event_id")
    event_id = given if isinstance(given, str) else None
    try:
        return _typed(event, event_id)
    except RequestError as error:
        raise FrameError(error.code, error.message, error.param, event_id) from None


def _typed(event: dict[str, Any], event_id: str | None) -> ClientEvent:
    name = event.get("type")
    if name == _UPDATE:
        session = event.get("session")
        if not isinstance(session, dict):
            raise RequestError("invalid_value", "session.update needs an object with what is to change.", "session")
        return SessionUpdate(session, event_id)
    schema = _EVENTS.get(name) if isinstance(name, str) else None
    if schema is None:
        known = ", ".join(sorted({_UPDATE, *_EVENTS}))
        shown = json.dumps(name)[:80] if "type" in event else "missing"
        raise RequestError("invalid_event", f"There is no client event of this type: {shown}. Known: {known}.", "type")
    if schema is ResponseCreateEvent:
        return _response_create(event, event_id)
    if schema is ConversationItemCreateEvent:
        _item(event.get("item"), "item")
    typed: Any = check(schema, event)
    event_typed: ClientEvent = typed
    return event_typed


def _response_create(event: dict[str, Any], event_id: str | None) -> ResponseCreate:
    response = {} if event.get("response") is None else event["response"]
    if not isinstance(response, dict):
        raise RequestError("invalid_value", "response is an object.", "response")
    given = response.get("input")
    if not isinstance(given, list | None):
        raise RequestError("invalid_value", "response.input is an array of items.", "response.input")
    params = check(RealtimeResponseCreateParams, {**response, "input": None}, "response")
    refuse_unknown(params, "response")
    if given is None:
        return ResponseCreate(params, None, event_id)
    return ResponseCreate(
        params, tuple(_input(item, f"response.input.{at}") for at, item in enumerate(given)), event_id
    )


def _input(item: Any, at: str) -> ClientItem | ResponseItemReference:
    if isinstance(item, dict) and item.get("type") == "item_reference":
        return check(ResponseItemReference, item, at)
    return _item(item, at)


def _item(item: Any, at: str) -> ClientItem:
    if not isinstance(item, dict):
        raise RequestError("invalid_value", f"{at} is needed, as an object.", at)
    kind = item.get("type")
    if kind == "mcp_approval_response" and item.get("id") is None:
        item["id"] = random_id("item")  # the schema wants one, and clients send none
    if isinstance(kind, str) and kind in _TOOL_ITEMS:
        return check(_TOOL_ITEMS[kind], item, at)
    if kind != "message":
        known = ", ".join(("message", *_TOOL_ITEMS))
        shown = json.dumps(kind)[:80]
        message = f"Items of type {shown} aren't supported yet; use one of {known}."
        raise RequestError("unsupported_item", message, f"{at}.type")
    role = item.get("role")
    if not isinstance(role, str) or role not in _MESSAGES:
        raise RequestError("invalid_value", 'role is "user", "assistant" or "system".', f"{at}.role")
    if role == "assistant":
        _rename_texts(item.get("content"))
    return check(_MESSAGES[role], item, at)


def _rename_texts(content: Any) -> None:
    """Give an assistant's texts the protocol's name: some clients take the user's, or the old one."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") in {"input_text", "text"}:
            part["type"] = "output_text"


def check(schema: type[_Model], value: Mapping[str, Any], at: str = "") -> _Model:
    """Return `value` as a `schema`. Raises RequestError, with `param` under the path `at`."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise _refusal(error, value, at) from None


def _refusal(error: ValidationError, value: Mapping[str, Any], at: str) -> RequestError:
    """Explain the fault that lies deepest: the others are of a union's branches that were never meant."""
    faults = [(_path(fault["loc"], value, fault["type"] == "missing"), fault) for fault in error.errors()]
    path, deepest = max(faults, key=lambda found: (len(found[0]), found[0][-1:] != ("type",)))
    param = _joined(at, path)
    if deepest["type"] == "missing":
        return RequestError("missing_required_parameter", f"{param} is required.", param)
    said = dict.fromkeys(fault["msg"] for where, fault in faults if where == path)
    return RequestError("invalid_value", f"{param}: {' or '.join(said)}.", param)


def _path(loc: tuple[int | str, ...], value: Any, missing: bool) -> tuple[str, ...]:
    """Return the steps of `loc` that exist in the value: pydantic's names of union branches don't."""
    path: list[str] = []
    for step in loc:
        inside = (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int))
        if inside:
            value = value[step]
            path.append(str(step))
    return (*path, str(loc[-1])) if missing else tuple(path)


def refuse_unknown(value: Any, at: str) -> None:
    """Raise RequestError when a validated model, or one inside it, holds a key that its schema doesn't have."""
    if isinstance(value, BaseModel):
        for key in value.model_extra or {}:
            known = ", ".join(sorted(type(value).model_fields))
            param = _joined(at, (key,))
            raise RequestError("unknown_parameter", f"There is no parameter {param}. Known there: {known}.", param)
        for name in value.model_fields_set:
            refuse_unknown(getattr(value, name), _joined(at, (name,)))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            refuse_unknown(element, _joined(at, (str(index),)))


def _joined(at: str, path: Iterable[str]) -> str:
    return ".".join(filter(None, (at, *path)))


def decode_base64(text: str, param: str) -> bytes:
    """Return the bytes of strict base64. Raises RequestError naming `param`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("invalid_value", f"{param} is not base64: {error}.", param) from None


def encode_base64(data: bytes) -> str:
    """Return the base64 of `data`."""
    return base64.b64encode(data).decode("ascii")


def encode(message: Message) -> str:
    """Return a server event's text frame, with a fresh `event_id`."""
    return json.dumps({"event_id": random_id("event"), **message}, ensure_ascii=False, separators=(",", ":"))


def error_message(
    code: str, message: str, param: str | None = None, event_id: str | None = None, *, fault: str = "client"
) -> Message:
    """Return an `error` event; `event_id` is that of the client's event at fault, `fault` "client" or "server"."""
    kind = "invalid_request_error" if fault == "client" else "server_error"
    error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
    return {"type": "error", "error": error}
