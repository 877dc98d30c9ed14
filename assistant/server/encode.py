"""What happened in the conversation, as the protocol's messages, in the protocol's order."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never, cast

from assistant.server.frames import Frame, Kind
from assistant.server.items import item_object, message_object, unheard
from assistant.server.scenes import Scenes
from assistant.server.session_config import SessionConfig, Tree, format_object
from assistant.server.sound import SoundFormat, SoundOut, bytes_per_second
from assistant.server.transcripts import Transcripts
from assistant.server.wire import Message, encode_base64, error_message
from pipeline import events
from pipeline.engines import Routed
from pipeline.history import Item, Spoken, Text
from pipeline.timings import Timings

_PLACES: Final = {"device": "machine", "lan": "lan", "cloud": "cloud"}
"""Where answers are made, by the names of the wire."""


@dataclass(slots=True)
class _Open:
    """A response that has been created and isn't done."""

    start: events.ResponseStarted
    sound: SoundOut
    bytes_per_s: int
    sent_bytes: int = 0
    output: list[Tree] = field(default_factory=list)
    """Its items as they stand, in their order."""
    message: events.MessageStarted | None = None
    message_index: int = 0
    """Where in the output the message is."""


class Encoder:
    """Turns one session's events into messages; `config` is the session object that is in force."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._open: dict[str, _Open] = {}
        self._transcripts = Transcripts()
        self._scenes = Scenes()
        # Where items stand that aren't done: the id before each, and of calls the place within their responses.
        self._previous: dict[str, str | None] = {}
        self._indexes: dict[str, int] = {}

    def messages(self, event: events.Event) -> Iterator[Message | Frame]:  # noqa: PLR0912, PLR0915 - one branch an event
        """Yield the messages that tell the client of `event`."""
        match event:
            case events.SettingsUpdated(settings):
                self._speak_at(settings.speed)
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
                shown = {"previous_item_id": previous, "item": item_object(unheard(item))}
                yield {"type": "conversation.item.added", **shown}
                if item.status != "in_progress":
                    yield {"type": "conversation.item.done", **shown}
                else:
                    self._previous[item.id] = previous
            case events.ItemRetrieved(item):
                yield {"type": "conversation.item.retrieved", "item": item_object(item)}
            case events.ConversationRetrieved(items):
                yield {"type": "parley.conversation.retrieved", "items": [item_object(item) for item in items]}
            case events.ItemDeleted(item_id):
                yield {"type": "conversation.item.deleted", "item_id": item_id}
            case events.ItemTruncated(item_id, end_s):
                end = {"item_id": item_id, "content_index": 0, "audio_end_ms": _ms(end_s)}
                yield {"type": "conversation.item.truncated", **end}
            case events.TranscriptDelta() | events.TranscriptCompleted() | events.TranscriptFailed():
                yield from self._transcripts.messages(event, self.config)
            case events.ResponseStarted():
                yield from self._started(event)
            case events.MessageStarted():
                yield from self._message_started(event)
            case events.ResponseText():
                opened = self._open[event.response_id]
                spoken = opened.start.output == "audio"
                kind = "response.output_audio_transcript.delta" if spoken else "response.output_text.delta"
                yield {"type": kind, **_place(opened), "delta": event.text}
            case events.ResponseAudio():
                opened = self._open[event.response_id]
                data = opened.sound.feed(event.samples)
                if data:
                    yield self._speech(opened, data)
            case events.ReplyHeard(response_id, item_id, text, at_s):
                if self.config.extensions.heard:
                    place = {"response_id": response_id, "item_id": item_id, "content_index": 0}
                    yield {"type": "parley.heard", **place, "heard_ms": _ms(at_s), "text": text}
            case events.ToolCalled():
                yield from self._called(event)
            case events.ToolsAsked() | events.ToolsListed():
                yield from self._listed(event)
            case events.RemoteCalled() | events.ApprovalAsked() | events.RemoteRuns() | events.RemoteReturned():
                yield from self._remote(event)
            case events.ResponseEnded():
                yield from self._ended(event)
            case events.TurnTimed(response_id, timings, routes):
                if self.config.extensions.timings:
                    told = {**_timings(timings), **_provenance(routes)}
                    yield {"type": "parley.turn.timings", "response_id": response_id, **told}
            case events.ResponseRouted() | events.ResponseBridged() | events.SpeechAdjusted():
                yield from self._routing(event)
            case events.CameraSwitched(on):
                if self.config.extensions.binary or self.config.extensions.scene:
                    yield {"type": "parley.camera", "on": on, "by": "user"}
            case events.WatchFired(watch, text):
                if self.config.extensions.scene:
                    yield {"type": "parley.watch", "watch": watch, "text": text}
            case events.SceneSeen():
                if self.config.extensions.scene:
                    yield from self._scenes.messages(event)
            case events.Rejected(code, message, param, request_id, fault):
                yield error_message(code, message, param, request_id, fault=fault)
            case _:
                assert_never(event)

    def _routing(
        self, event: events.ResponseRouted | events.ResponseBridged | events.SpeechAdjusted
    ) -> Iterator[Message]:
        told: Message
        match event:
            case events.ResponseRouted(response_id, routed):
                told = {"type": "parley.route", "response_id": response_id, "backend": routed.backend}
                told |= {"place": _PLACES[routed.place], "to": routed.to or None}
                told |= {"reason": routed.reason, "kind": routed.kind or None}
            case events.ResponseBridged(response_id, item_id, text, at_s):
                told = {"type": "parley.bridge", "response_id": response_id, "item_id": item_id, "content_index": 0}
                told |= {"audio_start_ms": _ms(at_s), "text": text}
            case events.SpeechAdjusted(volume, speed):
                if speed is not None:
                    self._speak_at(speed)
                told = {"type": "parley.adjusted", "volume": volume, "speed": speed}
            case _:
                assert_never(event)
        if self.config.extensions.route:
            yield told

    def _speak_at(self, speed: float) -> None:
        if speed != self.config.session["audio"]["output"]["speed"]:
            self.config = self.config.speaking_at(speed)

    def _started(self, start: events.ResponseStarted) -> Iterator[Message]:
        form = self._format(start)
        self._open[start.response_id] = _Open(start, SoundOut(form), bytes_per_second(form))
        yield {"type": "response.created", "response": self._response(start, "in_progress")}
        # The protocol has one with each response; nothing here is rationed.
        yield {"type": "rate_limits.updated", "rate_limits": []}
        if start.item_id is not None:
            message = events.MessageStarted(start.response_id, start.item_id, start.previous_item_id)
            yield from self._message_started(message)

    def _message_started(self, message: events.MessageStarted) -> Iterator[Message]:
        opened = self._open[message.response_id]
        opened.message, opened.message_index = message, len(opened.output)
        item = {**message_object(message.item_id, "assistant", "in_progress"), "content": []}
        yield from _item_added(opened, message.previous_item_id, item)
        yield {"type": "response.content_part.added", **_place(opened), "part": _content_part(opened.start.output, "")}

    def _called(self, event: events.ToolCalled) -> Iterator[Message]:
        opened, call = self._open[event.response_id], event.item.call
        assert call is not None
        item = item_object(event.item)
        # Arguments that were there already, or a status that is final, would make clients run the function twice.
        yield from _item_added(opened, event.previous_item_id, {**item, "arguments": "", "status": "in_progress"})
        place = {
            "response_id": event.response_id,
            "item_id": event.item.id,
            "output_index": len(opened.output) - 1,
            "call_id": call.call_id,
        }
        yield {"type": "response.function_call_arguments.delta", **place, "delta": call.arguments}
        done = {"name": call.name, "arguments": call.arguments}
        yield {"type": "response.function_call_arguments.done", **place, **done}
        yield from _item_done(opened, len(opened.output) - 1, event.previous_item_id, item)

    def _listed(self, event: events.ToolsAsked | events.ToolsListed) -> Iterator[Message]:
        match event:
            case events.ToolsAsked(item_id):
                yield {"type": "mcp_list_tools.in_progress", "item_id": item_id}
            case events.ToolsListed(item, failure):
                previous = self._previous.pop(item.id, None)
                yield {"type": "conversation.item.done", "previous_item_id": previous, "item": item_object(item)}
                kind = "completed" if failure is None else "failed"
                yield {"type": f"mcp_list_tools.{kind}", "item_id": item.id}
                if failure is not None:
                    # That event has no room for the reason.
                    yield error_message("mcp_list_tools_failed", failure.message, fault="server")
            case _:
                assert_never(event)

    def _remote(
        self, event: events.RemoteCalled | events.ApprovalAsked | events.RemoteRuns | events.RemoteReturned
    ) -> Iterator[Message]:
        item = item_object(event.item)
        match event:
            case events.RemoteCalled(response_id, called, previous):
                opened = self._open[response_id]
                index = self._indexes[called.id] = len(opened.output)
                self._previous[called.id] = previous
                yield from _item_added(opened, previous, item | {"arguments": ""})
                place = {"response_id": response_id, "item_id": called.id, "output_index": index}
                arguments = item["arguments"]
                yield {"type": "response.mcp_call_arguments.delta", **place, "delta": arguments, "obfuscation": ""}
                yield {"type": "response.mcp_call_arguments.done", **place, "arguments": arguments}
                if called.remote is not None and called.remote.waits:
                    yield _output_done(opened, index, item)
                else:
                    yield self._call_event("in_progress", called)
            case events.ApprovalAsked(response_id, _, previous):
                opened = self._open[response_id]
                yield from _item_added(opened, previous, item)
                yield from _item_done(opened, len(opened.output) - 1, previous, item)
            case events.RemoteRuns(called):
                yield self._call_event("in_progress", called)
            case events.RemoteReturned(response_id, called, cancelled):
                yield self._call_event("failed" if item["error"] else "completed", called)
                index, previous = self._indexes.pop(called.id, 0), self._previous.pop(called.id, None)
                if response_id is not None:
                    yield _output_done(self._open[response_id], index, item)
                # Done is what a response may follow: @openai/agents asks for one each time.
                if not cancelled:
                    yield {"type": "conversation.item.done", "previous_item_id": previous, "item": item}
            case _:
                assert_never(event)

    def _call_event(self, what: str, item: Item) -> Message:
        return {"type": f"response.mcp_call.{what}", "item_id": item.id, "output_index": self._indexes.get(item.id, 0)}

    def _ended(self, end: events.ResponseEnded) -> Iterator[Message | Frame]:
        opened = self._open.pop(end.response_id)
        if opened.message is not None:
            yield from self._message_done(opened, opened.message, end)
        response = self._response(opened.start, end.status) | {
            "output": opened.output,
            "status_details": _status_details(end),
            "usage": _usage(end.usage),
        }
        yield {"type": "response.done", "response": response}

    def _message_done(
        self, opened: _Open, message: events.MessageStarted, end: events.ResponseEnded
    ) -> Iterator[Message | Frame]:
        output, place = opened.start.output, _place(opened)
        if output == "audio":
            rest = opened.sound.flush()
            # What the filter holds back after an interruption would be heard after it.
            if rest and end.status == "completed":
                yield self._speech(opened, rest)
            yield {"type": "response.output_audio.done", **place}
            yield {"type": "response.output_audio_transcript.done", **place, "transcript": end.text}
        else:
            yield {"type": "response.output_text.done", **place, "text": end.text}
        yield {"type": "response.content_part.done", **place, "part": _content_part(output, end.text)}
        status: Literal["completed", "incomplete"] = "completed" if end.status == "completed" else "incomplete"
        parts = end.item.parts or (Spoken("") if output == "audio" else Text(""),)
        item = item_object(dataclasses.replace(end.item, id=message.item_id, parts=parts, status=status))
        yield from _item_done(opened, opened.message_index, message.previous_item_id, item)

    def _format(self, start: events.ResponseStarted) -> SoundFormat:
        wanted = None if start.asked is None else start.asked.sound_format
        return self.config.output_format if wanted is None else cast(SoundFormat, wanted)

    def _speech(self, opened: _Open, data: bytes) -> Message | Frame:
        start = opened.start
        at_ms = 1000 * opened.sent_bytes // opened.bytes_per_s
        opened.sent_bytes += len(data)
        if self.config.extensions.binary:
            return Frame(Kind.SPEECH, data, start.response_id, time_ms=at_ms)
        return {"type": "response.output_audio.delta", **_place(opened), "delta": encode_base64(data)}

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


def _place(opened: _Open) -> Message:
    """Return where the words of a response's message stand."""
    assert opened.message is not None
    place = {"response_id": opened.start.response_id, "item_id": opened.message.item_id}
    return {**place, "output_index": opened.message_index, "content_index": 0}


def _item_added(opened: _Open, previous: str | None, item: Tree) -> Iterator[Message]:
    place = {"response_id": opened.start.response_id, "output_index": len(opened.output)}
    opened.output.append(item)
    yield {"type": "response.output_item.added", **place, "item": item}
    if not _beside(opened.start):
        yield {"type": "conversation.item.added", "previous_item_id": previous, "item": item}


def _output_done(opened: _Open, index: int, item: Tree) -> Message:
    opened.output[index] = item
    place = {"response_id": opened.start.response_id, "output_index": index}
    return {"type": "response.output_item.done", **place, "item": item}


def _item_done(opened: _Open, index: int, previous: str | None, item: Tree) -> Iterator[Message]:
    yield _output_done(opened, index, item)
    if not _beside(opened.start):
        yield {"type": "conversation.item.done", "previous_item_id": previous, "item": item}


def _content_part(output: Literal["audio", "text"], text: str) -> Tree:
    return {"type": "audio", "transcript": text} if output == "audio" else {"type": "text", "text": text}


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


def _provenance(routes: Sequence[Routed]) -> Tree:
    """Return where an answer was made in the end, by whom and why, and what left the machine for it.

    Without a router it was made here.
    """
    last = routes[-1] if routes else Routed("", "device", "")
    went = [("text", routed.to) for routed in routes if routed.to]
    went += [("picture", routed.to) for routed in routes if routed.pictures]
    made = {"made_on": _PLACES[last.place], "made_by": last.backend or None, "reason": last.reason or None}
    return {**made, "left_machine": [{"what": what, "to": host} for what, host in dict.fromkeys(went)]}


def _timings(timings: Timings) -> Tree:
    """Return the moments in milliseconds ("commit_s" becomes "commit_ms"), and the counts as they are."""
    known = dataclasses.asdict(timings)
    moments = {f"{name[:-2]}_ms": None if at is None else _ms(at) for name, at in known.items() if name.endswith("_s")}
    return moments | {name: count for name, count in known.items() if not name.endswith("_s")}
