"""One connection: the conversation is a script, so every event can be shown, and the messages are read strictly."""

import asyncio
import base64
import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from assistant.config import load
from assistant.server import session_config
from assistant.server.app import build_app
from assistant.server.frames import Frame, Kind, pack
from audio.types import INPUT_RATE, OUTPUT_RATE
from pipeline import events
from pipeline.engines import NamedTool, Picture, Routed, Tool, Toolbox, ToolCall
from pipeline.history import Item, Spoken, Text, ToolResult
from pipeline.timings import Timings
from tests.e2e.fakes import fake_engines
from tests.e2e.schema import check_message
from tests.pipeline.doubles import ScriptedEyes
from vision.types import Scene

TONE = np.full(OUTPUT_RATE // 10, 0.25, np.float32)
USER = Item("item_u", "user", (Spoken("Hello"),))
SPOKEN = Item("item_a", "assistant", (Spoken("Good day."),))
WRITTEN = Item("item_a", "assistant", (Text("Good day."),))
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5E"
    "rkJggg=="
)
STARTED = events.ResponseStarted("resp_1", "item_a", "item_u", "audio")


class Script:
    """Stands for the session: it does what the test says, and remembers what it was asked."""

    def __init__(self):
        self.happenings = asyncio.Queue()
        self.asked = asyncio.Queue()
        self.requests = []
        self.settings = None

    def __call__(self, engines, settings, *, new_id, asker):
        self.settings = settings
        return self

    async def run(self):
        await asyncio.Event().wait()

    async def put(self, request):
        self.requests.append(request)
        self.asked.put_nowait(request)
        if isinstance(request, events.Update):
            self.happenings.put_nowait(events.SettingsUpdated(request.settings))

    async def next_event(self):
        happening = await self.happenings.get()
        if isinstance(happening, Exception):
            raise happening
        return happening


class Socket:
    """An ASGI client without a network."""

    def __init__(self, script, *, subprotocols=(), query=b"model=gpt-realtime", eyes=None):
        self.script = script
        self._in, self._out = asyncio.Queue(), asyncio.Queue()
        app = build_app(load(), dataclasses.replace(fake_engines(), eyes=eyes), begin=script)
        scope = {
            "type": "websocket",
            "path": "/v1/realtime",
            "raw_path": b"/v1/realtime",
            "query_string": query,
            "headers": [(b"host", b"localhost")],
            "subprotocols": list(subprotocols),
        }
        self._in.put_nowait({"type": "websocket.connect"})
        self.running = asyncio.ensure_future(app(scope, self._in.get, self._take))

    async def _take(self, message):
        self._out.put_nowait(message)

    async def raw(self):
        async with asyncio.timeout(5):
            return await self._out.get()

    async def next(self):
        return check_message(json.loads((await self.raw())["text"]))

    async def ask(self, kind, **fields):
        """Send an event, and return the request that it became."""
        self._in.put_nowait({"type": "websocket.receive", "text": json.dumps({"type": kind, **fields})})
        async with asyncio.timeout(5):
            return await self.script.asked.get()

    async def send_bytes(self, data):
        self._in.put_nowait({"type": "websocket.receive", "bytes": data})

    async def fault(self, kind, **fields):
        """Send an event, and return the error that it gets."""
        self._in.put_nowait({"type": "websocket.receive", "text": json.dumps({"type": kind, **fields})})
        message = await self.next()
        assert message["type"] == "error"
        return message["error"]

    async def shown(self, *happenings):
        """Let things happen, and return the messages that tell of them."""
        for happening in (*happenings, events.AudioCleared()):
            self.script.happenings.put_nowait(happening)
        messages = []
        while (message := await self.next())["type"] != "input_audio_buffer.cleared":
            messages.append(message)
        return messages

    async def leave(self):
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.running


def with_socket(test, **options):
    async def run():
        socket = Socket(Script(), **options)
        socket.accepted = await socket.raw()
        socket.created = await socket.next()
        result = await test(socket)
        await socket.leave()
        return result

    return asyncio.run(run())


def shown(*happenings, session=None):
    async def test(socket):
        if session is not None:
            await socket.ask("session.update", session=session)
            await socket.next()
        return await socket.shown(*happenings)

    return with_socket(test)


def kinds(messages):
    return [message["type"] for message in messages]


def test_the_first_message_is_the_whole_session():
    async def test(socket):
        return socket.accepted, socket.created

    accepted, created = with_socket(test, subprotocols=["realtime", "openai-insecure-api-key.k"])
    assert accepted["subprotocol"] == "realtime"
    assert created["type"] == "session.created"
    assert created["session"]["model"] == "gpt-realtime"
    assert created["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert created["session"]["expires_at"] > 0


def test_an_update_is_echoed_whole():
    async def test(socket):
        request = await socket.ask("session.update", session={"audio": {"output": {"voice": "alloy"}}})
        return request, await socket.next(), socket.created["session"]

    request, updated, before = with_socket(test)
    assert request.settings.voice == "alloy"
    assert updated["session"]["audio"]["output"]["voice"] == "alloy"
    assert updated["session"].keys() == before.keys()


def test_each_update_is_echoed_as_it_was_then():
    async def test(socket):
        for speed in (0.5, 1.5):
            await socket.ask("session.update", session={"audio": {"output": {"speed": speed}}})
        return [(await socket.next())["session"]["audio"]["output"]["speed"] for _ in range(2)]

    assert with_socket(test) == [0.5, 1.5]


def test_the_protocol_order_of_a_spoken_turn():
    messages = shown(
        events.SpeechStarted("item_u", 0.5),
        events.TranscriptDelta("item_u", "Hel"),
        events.SpeechStopped("item_u", 1.25),
        events.AudioCommitted("item_u", None),
        events.ItemAdded(USER, None),
        events.TranscriptCompleted("item_u", "Hello", 0.75),
        STARTED,
        events.ResponseText("resp_1", "item_a", "Good day."),
        events.ResponseAudio("resp_1", "item_a", TONE),
        events.ResponseEnded("resp_1", SPOKEN, "Good day.", "completed", usage=events.Usage(10, 4, 3)),
    )
    assert kinds(messages) == [
        "input_audio_buffer.speech_started",
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert messages[0]["audio_start_ms"] == 500
    assert messages[4]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert messages[6]["usage"] == {"type": "duration", "seconds": 0.75}
    assert messages[8]["rate_limits"] == [], "nothing is rationed, and no number is made up"
    assert messages[9]["item"]["status"] == "in_progress"
    assert messages[11]["part"]["type"] == "audio"
    response = messages[-1]["response"]
    assert (response["status"], response["usage"]["total_tokens"]) == ("completed", 13)
    assert response["usage"]["input_token_details"]["cached_tokens"] == 4


def test_a_written_answer():
    messages = shown(
        events.ResponseStarted("resp_1", "item_a", None, "text"),
        events.ResponseText("resp_1", "item_a", "Good day."),
        events.ResponseEnded("resp_1", WRITTEN, "Good day.", "incomplete", "max_output_tokens"),
    )
    assert kinds(messages)[5:] == [
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert messages[-1]["response"]["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert messages[-1]["response"]["output"][0]["status"] == "incomplete"


def test_an_interrupted_and_a_failed_answer():
    nothing = Item("item_a", "assistant", ())
    cancelled = shown(STARTED, events.ResponseEnded("resp_1", nothing, "Good", "cancelled", "turn_detected"))
    failed = shown(
        STARTED,
        events.ResponseEnded(
            "resp_1", nothing, "", "failed", error_code="think_failed", error_message="The model failed."
        ),
    )
    assert cancelled[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert cancelled[-1]["response"]["output"][0]["content"] == [{"type": "output_audio", "transcript": ""}]
    assert failed[-1]["response"]["status_details"]["error"] == {
        "type": "server_error",
        "code": "think_failed",
        "message": "The model failed.",
    }
    for messages in (cancelled, failed):
        count = Counter(kinds(messages))
        assert count["response.created"] == count["response.done"] == 1


CALL = Item("item_c", "assistant", (ToolCall("call_1", "get_weather", '{"city": "Rome"}'),))


def test_trap_4_a_call_is_in_progress_until_it_is_done():
    messages = shown(
        events.ResponseStarted("resp_1", None, None, "audio"),
        events.MessageStarted("resp_1", "item_a", "item_u"),
        events.ResponseText("resp_1", "item_a", "Let me look."),
        events.ToolCalled("resp_1", CALL, "item_a"),
        events.ResponseEnded("resp_1", WRITTEN, "Let me look.", "completed"),
    )
    assert kinds(messages) == [
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    added, done, finished = messages[6], messages[9], messages[10]
    assert (added["output_index"], added["item"]["status"], added["item"]["arguments"]) == (1, "in_progress", "")
    assert (done["name"], done["arguments"], done["call_id"]) == ("get_weather", '{"city": "Rome"}', "call_1")
    assert finished["item"]["status"] == "completed"
    assert [item["type"] for item in messages[-1]["response"]["output"]] == ["message", "function_call"]


def test_an_answer_that_only_calls_has_no_message():
    messages = shown(
        events.ResponseStarted("resp_1", None, None, "audio"),
        events.ToolCalled("resp_1", CALL, "item_u"),
        events.ResponseEnded("resp_1", Item("item_a", "assistant", ()), "", "completed"),
    )
    (item,) = messages[-1]["response"]["output"]
    assert item["type"] == "function_call"


def test_a_result_is_shown_as_it_came():
    (added, done) = shown(events.ItemAdded(Item("r", "tool", (ToolResult("call_1", "sunny"),)), "item_c"))
    assert added["item"] == done["item"]
    assert (added["item"]["type"], added["item"]["output"]) == ("function_call_output", "sunny")


def test_everything_else_that_can_happen():
    messages = shown(
        events.IdleTimeout("item_s", 15.0, 20.0),
        events.ItemRetrieved(USER),
        events.ItemDeleted("item_u"),
        events.ItemTruncated("item_a", 1.5),
        events.TranscriptFailed("item_u", "transcribe_failed", "No words."),
        events.Rejected("item_not_found", "There is no such item.", "item_id", "e5"),
        events.Rejected("input_audio_dropped", "Sound was dropped.", fault="server"),
    )
    timeout, retrieved, deleted, truncated, failed, mine, theirs = messages
    assert (timeout["audio_start_ms"], timeout["audio_end_ms"]) == (15_000, 20_000)
    assert retrieved["item"]["content"] == [{"type": "input_audio", "transcript": "Hello"}]
    assert deleted["item_id"] == "item_u"
    assert truncated["audio_end_ms"] == 1500
    assert all(isinstance(text, str) for text in failed["error"].values())
    assert mine["error"] == {
        "type": "invalid_request_error",
        "code": "item_not_found",
        "message": "There is no such item.",
        "param": "item_id",
        "event_id": "e5",
    }
    assert theirs["error"]["type"] == "server_error"


def test_timings_go_to_who_asked_for_them():
    timed = events.TurnTimed("resp_1", Timings(commit_s=0.25, first_audio_s=0.4))
    assert shown(timed) == []
    (message,) = shown(timed, session={"parley": {"timings": True}})
    assert (message["commit_ms"], message["first_token_ms"], message["first_audio_ms"]) == (250, None, 400)
    assert (message["made_on"], message["made_by"], message["reason"]) == ("machine", None, None)
    assert (message["bridge_ms"], message["left_machine"]) == (None, [])


CLOUD = Routed("big", "cloud", "You asked for it.", "fact", "api.example.com")
REFLEX = Routed("reflex", "device", "It is a command.")


def test_timings_say_where_the_answer_was_made_and_what_left():
    again = dataclasses.replace(CLOUD, backend="bigger")
    timed = events.TurnTimed("resp_1", Timings(bridge_s=0.9), (CLOUD, again, REFLEX))
    (message,) = shown(timed, session={"parley": {"timings": True}})
    assert (message["made_on"], message["made_by"], message["reason"]) == ("machine", "reflex", "It is a command.")
    assert message["left_machine"] == [{"what": "text", "to": "api.example.com"}]
    assert message["bridge_ms"] == 900
    shows = dataclasses.replace(CLOUD, pictures=True)
    (message,) = shown(events.TurnTimed("resp_1", Timings(), (shows,)), session={"parley": {"timings": True}})
    assert [left["what"] for left in message["left_machine"]] == ["text", "picture"]
    (message,) = shown(events.TurnTimed("resp_1", Timings(), (CLOUD,)), session={"parley": {"timings": True}})
    assert (message["made_on"], message["made_by"]) == ("cloud", "big")


def test_routes_and_bridges_are_told_to_who_asked_for_them():
    happened = (
        events.ResponseRouted("resp_1", CLOUD),
        events.ResponseRouted("resp_1", REFLEX),
        events.ResponseBridged("resp_1", "item_a", "Let me look.", 0.5),
        events.SpeechAdjusted(0.5, None),
    )
    assert shown(*happened) == []
    cloud, reflex, bridge, adjusted = shown(*happened, session={"parley": {"route": True}})
    for message in (cloud, reflex, bridge, adjusted):
        del message["event_id"]
    assert cloud == {
        "type": "parley.route",
        "response_id": "resp_1",
        "backend": "big",
        "place": "cloud",
        "to": "api.example.com",
        "reason": "You asked for it.",
        "kind": "fact",
    }
    assert (reflex["place"], reflex["to"], reflex["kind"]) == ("machine", None, None)
    place = {"response_id": "resp_1", "item_id": "item_a", "content_index": 0}
    assert bridge == {"type": "parley.bridge", **place, "audio_start_ms": 500, "text": "Let me look."}
    assert adjusted == {"type": "parley.adjusted", "volume": 0.5, "speed": None}


def test_the_session_shows_the_speed_that_is_in_force():
    async def test(socket):
        assert await socket.shown(events.SpeechAdjusted(None, 0.8)) == []
        update = await socket.ask("session.update", session={"instructions": "Rhyme."})
        # The conversation knows of its own speed; what it says is in force is what is shown.
        first = await socket.next()
        socket.script.happenings.put_nowait(events.SettingsUpdated(dataclasses.replace(update.settings, speed=0.8)))
        second = await socket.next()
        return update, first, second

    update, first, second = with_socket(test)
    assert not update.sets_speed
    assert first["session"]["audio"]["output"]["speed"] == update.settings.speed == 1.0
    assert second["session"]["audio"]["output"]["speed"] == 0.8


@pytest.mark.parametrize(
    ("session", "sets"),
    [
        ({"audio": {"output": {"speed": 1.0}}}, True),
        ({"audio": {"output": {"speed": None}}}, True),
        ({"audio": {"output": None}}, True),
        ({"audio": None}, True),
        ({"audio": {"output": {"voice": "alloy"}}}, False),
        ({"audio": {"input": {"noise_reduction": None}}}, False),
    ],
)
def test_an_update_says_whether_the_client_chose_the_speed(session, sets):
    async def test(socket):
        return await socket.ask("session.update", session=session)

    assert with_socket(test).sets_speed is sets


@pytest.mark.parametrize(
    ("kind", "fields", "request_"),
    [
        ("input_audio_buffer.commit", {}, events.Commit("e1")),
        ("input_audio_buffer.clear", {}, events.Clear("e1")),
        ("conversation.item.retrieve", {"item_id": "a"}, events.RetrieveItem("a", "e1")),
        ("conversation.item.delete", {"item_id": "a"}, events.DeleteItem("a", "e1")),
        (
            "conversation.item.truncate",
            {"item_id": "a", "content_index": 0, "audio_end_ms": 1500},
            events.TruncateItem("a", 1.5, "e1"),
        ),
        ("response.cancel", {"response_id": "r"}, events.CancelResponse("r", "e1")),
        ("output_audio_buffer.clear", {}, events.CancelResponse(None, "e1")),
        ("response.create", {}, events.CreateResponse(request_id="e1")),
        (
            "response.create",
            {
                "response": {
                    "instructions": "Sing.",
                    "output_modalities": ["text"],
                    "max_output_tokens": 20,
                    "audio": {"output": {"voice": {"id": "joe"}}},
                    "metadata": {"a": "b"},
                }
            },
            events.CreateResponse("Sing.", "text", "joe", 20, "e1", metadata={"a": "b"}),
        ),
        (
            "conversation.item.create",
            {
                "previous_item_id": "root",
                "item": {
                    "id": "mine",
                    "type": "message",
                    "role": "system",
                    "content": [{"type": "input_text", "text": "Be kind."}],
                },
            },
            events.CreateItem(Item("mine", "system", (Text("Be kind."),)), "root", "e1"),
        ),
        (
            "conversation.item.create",
            {
                "item": {
                    "id": "mine",
                    "type": "message",
                    "role": "assistant",
                    "content": [
                        {"type": "output_text", "text": "I am."},
                        {"type": "output_audio", "transcript": "Always."},
                    ],
                }
            },
            events.CreateItem(Item("mine", "assistant", (Text("I am."), Spoken("Always."))), None, "e1"),
        ),
        (
            "conversation.item.create",
            {"item": {"id": "mine", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}},
            events.CreateItem(Item("mine", "assistant", (ToolCall("c", "f", "{}"),)), None, "e1"),
        ),
        (
            "conversation.item.create",
            {"item": {"id": "mine", "type": "function_call_output", "call_id": "c", "output": "5"}},
            events.CreateItem(Item("mine", "tool", (ToolResult("c", "5"),)), None, "e1"),
        ),
        (
            "response.create",
            {
                "response": {
                    "tools": [{"type": "function", "name": "f"}],
                    "tool_choice": {"type": "function", "name": "f"},
                }
            },
            events.CreateResponse(request_id="e1", toolbox=Toolbox((Tool("f"),), NamedTool("f")), tool_servers=()),
        ),
        (
            "response.create",
            {"response": {"tool_choice": "none", "parallel_tool_calls": False}},
            events.CreateResponse(request_id="e1", toolbox=Toolbox((), "none", parallel=False)),
        ),
    ],
)
def test_what_a_client_asks_for(kind, fields, request_):
    assert with_socket(lambda socket: socket.ask(kind, event_id="e1", **fields)) == request_


def test_a_response_beside_the_conversation_is_asked_for_with_all_it_needs():
    response = {
        "conversation": "none",
        "metadata": {"topic": "mood"},
        "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "alloy"}},
        "max_output_tokens": "inf",
        "input": [
            {"type": "item_reference", "id": "item_u"},
            {"id": "mine", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        ],
    }
    request = with_socket(lambda socket: socket.ask("response.create", event_id="e1", response=response))
    assert request == events.CreateResponse(
        voice="alloy",
        max_output_tokens=4096,
        request_id="e1",
        beside=True,
        input=(events.ItemReference("item_u"), Item("mine", "user", (Text("Hi"),))),
        metadata={"topic": "mood"},
        sound_format="audio/pcmu",
    )


def test_a_response_beside_the_conversation_adds_no_message():
    asked = events.CreateResponse(
        voice="alloy", max_output_tokens=9, beside=True, metadata={"topic": "mood"}, sound_format="audio/pcmu"
    )
    messages = shown(
        events.ResponseStarted("resp_1", "item_a", None, "audio", asked),
        events.ResponseText("resp_1", "item_a", "Good day."),
        events.ResponseAudio("resp_1", "item_a", TONE),
        events.ResponseEnded("resp_1", SPOKEN, "Good day.", "completed"),
    )
    assert not any(kind.startswith("conversation.") for kind in kinds(messages))
    created, done = messages[0]["response"], messages[-1]["response"]
    for response in (created, done):
        assert response["conversation_id"] is None
        assert response["metadata"] == {"topic": "mood"}
        assert response["max_output_tokens"] == 9
        assert response["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "alloy"}
    sound = b"".join(base64.b64decode(m["delta"]) for m in messages if m["type"] == "response.output_audio.delta")
    assert len(sound) == len(TONE) // 3


def test_a_custom_voice_is_shown_by_its_name():
    messages = shown(STARTED, session={"audio": {"output": {"voice": {"id": "voice_1"}}}})
    assert messages[0]["response"]["audio"]["output"]["voice"] == "voice_1"


def test_a_picture_is_shown_as_it_came():
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": PNG, "detail": "low"},
    ]

    async def test(socket):
        item = {"id": "mine", "type": "message", "role": "user", "content": content}
        request = await socket.ask("conversation.item.create", item=item)
        return request.item, await socket.shown(
            events.ItemAdded(request.item, None), events.ItemRetrieved(request.item)
        )

    item, messages = with_socket(test)
    assert item.parts == (Text("What is this?"), Picture(PNG, "low"))
    assert [message["item"]["content"] for message in messages] == [content] * 3


def test_sound_arrives_at_the_recognisers_rate():
    async def test(socket):
        await socket.ask("input_audio_buffer.append", audio="AQAB" * 16_000)  # 1 s
        await socket.ask("input_audio_buffer.commit")
        while not isinstance(socket.script.requests[-1], events.Commit):
            await socket.script.asked.get()
        return socket.script.requests[:-1]

    sound = with_socket(test)
    assert abs(sum(len(request.samples) for request in sound) - INPUT_RATE) <= 2
    assert max(len(request.samples) for request in sound) <= INPUT_RATE // 2


def test_a_message_of_sound():
    content = [{"type": "input_audio", "audio": "AAAA" * 1600}]
    item = {"type": "message", "role": "user", "content": content}
    request = with_socket(lambda socket: socket.ask("conversation.item.create", item=item))
    (part,) = request.item.parts
    assert part.transcript is None
    assert abs(len(part.audio) - 1600) <= 1
    assert request.item.id.startswith("item_")


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param"),
    [
        ("response.create", {"response": 5}, "invalid_value", "response"),
        ("response.create", {"response": {"conversation": "mine"}}, "invalid_value", "response.conversation"),
        ("response.create", {"response": {"input": 5}}, "invalid_value", "response.input"),
        ("response.create", {"response": {"input": [5]}}, "invalid_value", "response.input.0"),
        (
            "response.create",
            {"response": {"input": [{"type": "item_reference"}]}},
            "missing_required_parameter",
            "response.input.0.id",
        ),
        (
            "response.create",
            {"response": {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text"}]}]}},
            "missing_required_parameter",
            "response.input.0.content.0.text",
        ),
        ("response.create", {"response": {"prompt": {"id": "p"}}}, "unsupported_parameter", "response.prompt"),
        (
            "response.create",
            {"response": {"audio": {"output": {"format": {"type": "audio/mp3"}}}}},
            "invalid_value",
            "response.audio.output.format.type",
        ),
        (
            "response.create",
            {"response": {"metadata": {str(n): "x" for n in range(17)}}},
            "invalid_value",
            "response.metadata",
        ),
        ("response.create", {"response": {"metadata": {"k" * 65: "x"}}}, "invalid_value", "response.metadata"),
        ("response.create", {"response": {"metadata": {"k": "x" * 513}}}, "invalid_value", "response.metadata"),
        (
            "response.create",
            {"response": {"output_modalities": ["audio", "text"]}},
            "invalid_value",
            "response.output_modalities",
        ),
        (
            "response.create",
            {"response": {"max_output_tokens": 5000}},
            "invalid_value",
            "response.max_output_tokens",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "x"}]}},
            "invalid_value",
            "item.content.0.image_url",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAA"}]}},
            "invalid_value",
            "item.content.0.audio",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]}},
            "invalid_value",
            "item.content.0.audio",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "user", "content": []}},
            "invalid_value",
            "item.content",
        ),
        ("conversation.item.create", {"item": {"type": "mcp_call"}}, "unsupported_item", "item.type"),
        (
            "conversation.item.create",
            {"item": {"type": "function_call_output", "output": "5"}},
            "missing_required_parameter",
            "item.call_id",
        ),
        ("response.create", {"response": {"tool_choice": "required"}}, "invalid_value", "response.tool_choice"),
        (
            "response.create",
            {"response": {"tools": [{"type": "function"}]}},
            "missing_required_parameter",
            "response.tools.0.name",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(kind, fields, code, param):
    error = with_socket(lambda socket: socket.fault(kind, event_id="e1", **fields))
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "e1")


def test_a_session_that_breaks_ends_with_a_typed_error(caplog):
    async def test(socket):
        socket.script.happenings.put_nowait(RuntimeError("the secret words"))
        return await socket.next(), await socket.raw()

    error, close = with_socket(test)
    assert (error["error"]["type"], close["code"]) == ("server_error", 1011)
    assert "secret" not in caplog.text


def test_a_session_that_has_reached_its_greatest_length_ends(monkeypatch):
    monkeypatch.setattr(session_config, "SESSION_S", 0)

    async def test(socket):
        return await socket.next(), await socket.raw()

    error, close = with_socket(test)
    assert (error["error"]["code"], close["code"]) == ("session_expired", 1001)


# --- The other routes ---


def get(path, *, engines=None, method="GET"):
    async def run():
        app = build_app(load(), engines)
        sent = []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost:8765")],
            "root_path": "",
            "asgi": {"spec_version": "2.4"},
        }

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        await app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent)

    return asyncio.run(run())


def test_health_and_readiness():
    assert get("/healthz")[0] == 200
    assert get("/readyz")[0] == 503
    status, _, body = get("/readyz", engines=fake_engines())
    ready = json.loads(body)
    assert (status, ready["status"], ready["sessions"]) == (200, "ready", 0)
    assert ready["models"] == list(load().models())


def test_the_page_and_its_headers():
    status, headers, body = get("/")
    assert status == 200
    assert b"<html" in body
    assert headers["content-type"].startswith("text/html")
    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert get("/speaker-worklet.js")[1]["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/nothing.js", "/../../pyproject.toml", "/..%2f..%2fpyproject.toml", "//etc/passwd"])
def test_nothing_else_is_served(path):
    assert get(path)[0] == 404


def test_until_the_models_are_loaded_clients_are_told_to_wait():
    async def run():
        app = build_app(load())
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "websocket", "path": "/v1/realtime", "query_string": b"", "subprotocols": []}
        await app(scope | {"headers": [(b"host", b"localhost")]}, receive, send)
        return sent

    accepted, error, close = asyncio.run(run())
    assert accepted["type"] == "websocket.accept"
    assert json.loads(error["text"])["error"]["code"] == "not_ready"
    assert close["code"] == 1013


# --- What the camera shows ---

SCENE = events.SceneSeen(Scene(1.0, 640, 480, "normal", summary="A cup."), dropped=2)
OFF = events.CameraSwitched(on=False)
BINARY_ON = {"parley": {"binary": True}}


def test_scenes_are_for_those_who_ask_and_a_closed_camera_for_whoever_may_have_one():
    assert shown(SCENE, OFF) == []
    assert (
        shown(SCENE, OFF, session=BINARY_ON)[0].items() >= {"type": "parley.camera", "on": False, "by": "user"}.items()
    )
    (scene, camera) = shown(SCENE, OFF, session={"parley": {"scene": True}})
    assert (scene["type"], scene["summary"], scene["dropped_frames"]) == ("parley.scene", "A cup.", 2)
    assert camera["type"] == "parley.camera"


def test_a_client_says_whether_its_camera_is_on():
    async def test(socket):
        off = await socket.ask("parley.camera", on=False, event_id="mine")
        on = await socket.ask("parley.camera", on=True)
        fault = await socket.fault("parley.camera", on="perhaps", event_id="odd")
        return off, on, fault

    off, on, fault = with_socket(test)
    assert off == events.Camera(on=False, request_id="mine")
    assert on == events.Camera(on=True)
    assert (fault["code"], fault["param"], fault["event_id"]) == ("invalid_value", "on", "odd")


PICTURE = base64.b64decode(PNG.partition(",")[2])


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"GIF89a" + bytes(20), "invalid_image", "JPEG, PNG or WebP"),
        (b"", "invalid_image", "JPEG, PNG or WebP"),
        (PICTURE[:20], "invalid_image", "cut short"),
        (PICTURE[:16] + b"\0\0\0\0\0\0\0\5", "invalid_image", "0 x 5"),
        (PICTURE[:16] + b"\0\0\xea\x60\0\0\xea\x60", "image_too_large", "60000 x 60000"),
        (PICTURE + bytes(10 * 2**20), "image_too_large", "10 MiB"),
    ],
)
def test_a_frame_that_is_no_picture_is_refused_before_anybody_looks_at_it(data, code, says):
    async def test(socket):
        await socket.ask("session.update", session=BINARY_ON)
        await socket.next()
        await socket.send_bytes(pack(Frame(Kind.PICTURE, data)))
        return (await socket.next())["error"]

    error = with_socket(test, eyes=ScriptedEyes())
    assert (error["code"], error["param"]) == (code, "payload")
    assert says in error["message"]


@pytest.mark.parametrize("eyes", [None, ScriptedEyes()])
def test_frames_reach_eyes_where_there_are_some(eyes):
    async def test(socket):
        await socket.ask("session.update", session=BINARY_ON)
        await socket.next()
        await socket.send_bytes(pack(Frame(Kind.PICTURE, PICTURE, id="front")))
        if eyes is None:
            return (await socket.next())["error"]["code"]
        return await socket.script.asked.get()

    assert with_socket(test, eyes=eyes) == ("unsupported_picture" if eyes is None else events.CameraFrame(PICTURE))
