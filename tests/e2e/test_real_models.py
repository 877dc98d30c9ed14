"""`parley serve` with the real models, and the official SDK: what a person says is heard, answered and spoken."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from audio.pcm import from_pcm16
from clients.showing import read_pictures
from tests.e2e.fakes import silence
from tests.e2e.test_openai_sdk import WEATHER, answer_calls, append, converse, only, sound, until_done
from tests.e2e.test_wire_extent import PNG
from tests.vision.pictures import IMAGES

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Served:
    url: str
    token: str | None = None


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    command = [sys.executable, "-m", "assistant", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = next(line for line in process.stdout if line.startswith("Parley is ready"))
            yield Served(re.search(r"http://\S+", ready)[0])
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
    assert process.returncode == 0


def heard(seen):
    text = only(seen, "conversation.item.input_audio_transcription.completed").transcript
    return re.sub(r"[^a-z ]", "", text.lower())


def check_answer(seen):
    assert seen[-1].response.status == "completed"
    assert only(seen, "response.output_audio_transcript.done").transcript
    spoken = from_pcm16(sound(seen))
    assert len(spoken) > 12_000
    assert np.abs(spoken).max() > 0.05


def test_a_spoken_turn(server, clip):
    async def talk(connection):
        await append(connection, np.concatenate([clip("en_v2j_what_time_is_it"), silence(1.5)]))
        return await until_done(connection)

    seen = converse(server, talk)
    assert heard(seen) == "what time is it"
    check_answer(seen)


def test_a_manual_turn(server, clip):
    async def talk(connection):
        await connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        await append(connection, clip("en_s2p_weather_new_york"))
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        return await until_done(connection)

    seen = converse(server, talk)
    assert "weather" in heard(seen)
    check_answer(seen)


def test_a_text_turn(server):
    async def talk(connection):
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "What is the capital of France?"}],
            }
        )
        await connection.response.create()
        return await until_done(connection)

    seen = converse(server, talk)
    assert "Paris" in only(seen, "response.output_text.done").text
    assert seen[-1].response.usage.output_tokens > 0


def test_a_barge_in(server, clip):
    async def talk(connection):
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Tell me a long story about a ship."}],
            }
        )
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                break
        await append(connection, np.concatenate([clip("en_v2j_what_time_is_it"), silence(1.5)]))
        return await until_done(connection), await until_done(connection)

    interrupted, answered = converse(server, talk)
    assert interrupted[-1].response.status_details.reason == "turn_detected"
    check_answer(answered)


def test_a_transcription_session_tells_how_sure_it_is(server, clip):
    async def talk(connection):
        include = ["item.input_audio_transcription.logprobs"]
        await connection.session.update(session={"type": "transcription", "include": include})
        await append(connection, np.concatenate([clip("en_v2j_what_time_is_it"), silence(1.5)]))
        seen = []
        async for event in connection:
            seen.append(event)
            if event.type == "conversation.item.input_audio_transcription.completed":
                return seen
        return None

    seen = converse(server, talk)
    done = seen[-1]
    assert heard(seen) == "what time is it"
    assert "".join(each.token for each in done.logprobs) == done.transcript
    assert all(-5 < each.logprob <= 0 for each in done.logprobs)
    said = [event.delta for event in seen if event.type.endswith("transcription.delta")]
    assert "".join(said) == done.transcript or len(said) == 1


(CAT,) = read_pictures([IMAGES / "cat_chelsea.jpg"])


@pytest.mark.parametrize(("picture", "says"), [(CAT, "a cat"), (PNG, "nothing that has a known name")])
def test_a_picture_is_looked_at_for_the_model(server, picture, says):
    content = [
        {"type": "input_image", "image_url": picture},
        {"type": "input_text", "text": "What is in this picture?"},
    ]

    async def talk(connection):
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await connection.response.create(response={"output_modalities": ["text"]})
        return await until_done(connection)

    assert says in only(converse(server, talk), "response.output_text.done").text


def test_a_classification_beside_the_conversation(server):
    async def talk(connection):
        await connection.response.create(
            response={
                "conversation": "none",
                "output_modalities": ["text"],
                "instructions": "Answer with one word: positive or negative.",
                "input": [
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "I love this!"}]}
                ],
            }
        )
        return await until_done(connection)

    assert "positive" in only(converse(server, talk), "response.output_text.done").text.lower()


def test_a_spoken_question_calls_a_function_and_its_answer_uses_the_result(server, clip):
    async def talk(connection):
        await connection.session.update(session={"type": "realtime", "tools": [WEATHER]})
        await append(connection, np.concatenate([clip("en_s2p_weather_new_york"), silence(1.5)]))
        return await answer_calls(connection, '{"celsius": 24, "sky": "sunny"}')

    calling, answering = converse(server, talk)
    assert "weather" in heard([*calling, *answering])  # the check of the words may take longer than the call
    called = only(calling, "response.function_call_arguments.done")
    assert called.name == "get_weather"
    assert "New York" in json.loads(called.arguments)["city"]
    assert not sound(calling)
    check_answer(answering)
    transcript = only(answering, "response.output_audio_transcript.done").transcript.lower()
    assert "24" in transcript or "sunny" in transcript
