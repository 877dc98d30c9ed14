"""The official SDK, unmodified, as its users would use it: only the addresses are ours."""

import asyncio
import base64
from collections.abc import Callable

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from audio.pcm import resample, to_pcm16
from audio.types import INPUT_RATE, Samples
from tests.e2e.conftest import Running
from tests.e2e.fakes import ANSWER, HEARD, CallingModel, fake_engines, silence, voice

pytestmark = pytest.mark.e2e


def converse(server: Running, talk: Callable):
    """Run `talk(connection)` on a connection of the SDK's."""

    async def run():
        async with (
            AsyncOpenAI(
                api_key=server.token or "none",
                base_url=f"{server.url}/v1",
                websocket_base_url=f"{server.url.replace('http', 'ws', 1)}/v1",
            ) as client,
            asyncio.timeout(60),
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            assert (await connection.recv()).type == "session.created"
            return await talk(connection)

    return asyncio.run(run())


async def append(connection: AsyncRealtimeConnection, samples: Samples) -> None:
    """Send sound as a microphone would: 20 ms every 20 ms."""
    pcm = to_pcm16(resample(samples, INPUT_RATE, 24_000))
    loop = asyncio.get_running_loop()
    began = loop.time()
    for start in range(0, len(pcm), 960):
        await connection.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + 960]).decode())
        await asyncio.sleep(max(0.0, began + start / 48_000 - loop.time()))


async def until_done(connection: AsyncRealtimeConnection) -> list:
    seen = []
    async for event in connection:
        seen.append(event)
        if event.type == "response.done":
            return seen
    raise AssertionError("The connection ended before the response did.")


def only(seen: list, kind: str):
    (event,) = [event for event in seen if event.type == kind]
    return event


def sound(seen: list) -> bytes:
    return b"".join(base64.b64decode(event.delta) for event in seen if event.type == "response.output_audio.delta")


def test_a_spoken_turn(serve):
    async def talk(connection):
        await append(connection, voice(0.6))
        await append(connection, silence(0.6))
        return await until_done(connection)

    seen = converse(serve(), talk)
    assert only(seen, "conversation.item.input_audio_transcription.completed").transcript == HEARD
    assert only(seen, "response.output_audio_transcript.done").transcript == ANSWER
    assert len(sound(seen)) > 24_000
    assert seen[-1].response.status == "completed"


def test_a_text_turn_with_the_token(serve):
    async def talk(connection):
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        )
        await connection.response.create()
        return await until_done(connection)

    seen = converse(serve(token="open-sesame"), talk)
    assert only(seen, "response.output_text.done").text == ANSWER


def test_an_answer_is_cancelled_and_errors_name_their_event(serve):
    async def talk(connection):
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                break
        await connection.response.cancel()
        seen = await until_done(connection)
        await connection.conversation.item.retrieve(item_id="nothing", event_id="mine")
        async for event in connection:
            if event.type == "error":
                return seen, event
        return None

    seen, error = converse(serve(), talk)
    assert seen[-1].response.status_details.reason == "client_cancelled"
    assert error.error.event_id == "mine"
    assert error.error.code == "item_retrieve_invalid_item_id"


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city's name"}},
        "required": ["city"],
    },
}


async def answer_calls(connection: AsyncRealtimeConnection, output: str) -> tuple[list, list]:
    """Read until a response calls, run the function, and read its answer."""
    calling = await until_done(connection)
    (call,) = calling[-1].response.output
    await connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": call.call_id, "output": output}
    )
    await connection.response.create()
    return calling, await until_done(connection)


def test_a_spoken_question_calls_a_function_once_and_its_answer_uses_the_result(serve):
    async def talk(connection):
        await connection.session.update(session={"type": "realtime", "tools": [WEATHER]})
        await append(connection, voice(0.6))
        await append(connection, silence(0.6))
        return await answer_calls(connection, "sunshine")

    calling, answering = converse(serve(fake_engines(CallingModel())), talk)
    assert [event.type for event in calling[-7:]] == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    added, _, delta, done, finished = calling[-7:-2]
    assert (added.item.status, added.item.arguments, finished.item.status) == ("in_progress", "", "completed")
    assert (done.name, done.arguments) == ("get_weather", delta.delta) == ("get_weather", '{"city": "Rome"}')
    assert calling[-1].response.usage.output_tokens == 9
    assert not sound(calling)
    assert only(answering, "response.output_audio_transcript.done").transcript == "It returned sunshine."
