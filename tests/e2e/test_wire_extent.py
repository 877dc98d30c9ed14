"""Responses beside the conversation, transcription sessions and pictures, with the official SDK over real sockets."""

import asyncio
import base64

import pytest
from openai import AsyncOpenAI

from pipeline.blind import UNSEEN
from pipeline.engines import Picture
from tests.e2e.fakes import ANSWER, HEARD, OneAnswerModel, fake_engines, silence, voice
from tests.e2e.test_openai_sdk import append, converse, only, sound, until_done

pytestmark = pytest.mark.e2e

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5E"
    "rkJggg=="
)
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


class SeeingModel(OneAnswerModel):
    """Stands for a language model that takes pictures."""

    takes_pictures = True


async def until(connection, kind):
    seen = []
    async for event in connection:
        seen.append(event)
        if event.type == kind:
            return seen
    raise AssertionError(f"The connection ended before there was a {kind}.")


# --- Beside the conversation ---


def test_a_client_asks_beside_the_conversation(serve):
    model = OneAnswerModel()

    async def talk(connection):
        await connection.conversation.item.create(item=HELLO)
        item = (await until(connection, "conversation.item.done"))[-1].item
        await connection.response.create(
            response={
                "conversation": "none",
                "instructions": "What is it about?",
                "output_modalities": ["text"],
                "metadata": {"topic": "mood"},
                "input": [
                    {"type": "item_reference", "id": item.id},
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "In one word."}]},
                ],
            }
        )
        seen = await until_done(connection)
        await connection.conversation.item.retrieve(item_id=seen[-1].response.output[0].id)
        return seen, (await until(connection, "error"))[-1]

    seen, error = converse(serve(fake_engines(model)), talk)
    response = seen[-1].response
    assert (response.status, response.conversation_id, response.metadata) == ("completed", None, {"topic": "mood"})
    assert only(seen, "response.output_text.done").text == ANSWER
    assert not any(event.type.startswith("conversation.item") for event in seen)
    assert error.error.code == "item_retrieve_invalid_item_id"
    assert [(m.role, m.content) for m in model.prompts[-1]] == [
        ("system", "What is it about?"),
        ("user", "Hello\nIn one word."),
    ]


def test_several_at_once_beside_a_reply_and_one_of_them_is_cancelled(serve):
    async def talk(connection):
        await connection.response.create()
        for topic in ("a", "b"):
            await connection.response.create(response={"conversation": "none", "metadata": {"topic": topic}})
        created = []
        while len(created) < 3:
            created += [
                event.response for event in await until(connection, "response.created") if event.type[9:] == "created"
            ]
        await connection.response.cancel(response_id=created[1].id)
        done = []
        while len(done) < 3:
            done.append((await until_done(connection))[-1].response)
        return created, done

    created, done = converse(serve(), talk)
    assert len({response.id for response in created}) == 3
    ends = {response.id: (response.status, response.metadata) for response in done}
    assert [ends[response.id] for response in created] == [
        ("completed", None),
        ("cancelled", {"topic": "a"}),
        ("completed", {"topic": "b"}),
    ]


def test_its_speech_has_the_format_that_was_asked_for(serve):
    async def talk(connection):
        output = {"format": {"type": "audio/pcma"}, "voice": "alloy"}
        await connection.response.create(response={"conversation": "none", "audio": {"output": output}})
        return await until_done(connection)

    seen = converse(serve(), talk)
    assert len(sound(seen)) / 8000 == pytest.approx(0.03 * len(ANSWER), rel=0.1)
    assert seen[-1].response.audio.output.voice == "alloy"


# --- Transcription ---


def transcribe(server, talk):
    async def run():
        async with (
            AsyncOpenAI(
                api_key="none",
                base_url=f"{server.url}/v1",
                websocket_base_url=f"{server.url.replace('http', 'ws', 1)}/v1",
            ) as client,
            asyncio.timeout(60),
            client.realtime.connect(model="whisper-1", extra_query={"intent": "transcription"}) as connection,
        ):
            return await talk(connection)

    return asyncio.run(run())


def test_a_transcription_session(serve):
    async def talk(connection):
        created = await connection.recv()
        await connection.session.update(
            session={
                "type": "transcription",
                "include": ["item.input_audio_transcription.logprobs"],
                "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe", "language": "en"}}},
            }
        )
        await until(connection, "session.updated")
        seen = []
        for _ in range(2):
            await append(connection, voice(0.6))
            await append(connection, silence(0.6))
            seen.append(await until(connection, "conversation.item.input_audio_transcription.completed"))
        return created, seen

    created, turns = transcribe(serve(), talk)
    assert (created.session.type, created.session.audio.input.format.type) == ("transcription", "audio/pcm")
    for seen in turns:
        assert [event.type for event in seen] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
        ]
        delta, done = seen[-2:]
        assert delta.delta == done.transcript == HEARD
        assert "".join(each.token for each in done.logprobs) == HEARD
        assert [each.logprob for each in done.logprobs] == [-0.5, -0.25, -0.125]
        assert bytes(done.logprobs[1].bytes) == b" time"


def test_a_transcription_session_with_manual_commits(serve):
    async def talk(connection):
        await connection.recv()
        audio = {"input": {"turn_detection": None, "format": {"type": "audio/pcmu"}}}
        await connection.session.update(session={"type": "transcription", "audio": audio})
        await until(connection, "session.updated")
        await connection.input_audio_buffer.append(audio=base64.b64encode(b"\xff" * 8000).decode())
        await connection.input_audio_buffer.commit()
        seen = await until(connection, "conversation.item.input_audio_transcription.completed")
        await connection.response.create(event_id="mine")
        return seen, (await until(connection, "error"))[-1]

    seen, error = transcribe(serve(), talk)
    assert seen[-1].transcript == HEARD
    assert seen[-1].usage.seconds == 1.0
    assert (error.error.code, error.error.event_id) == ("unsupported_response", "mine")


# --- Pictures ---


@pytest.mark.parametrize(("model", "sees"), [(SeeingModel(), True), (OneAnswerModel(), False)])
def test_a_picture_reaches_a_model_that_takes_it(serve, model, sees):
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": PNG}]

    async def talk(connection):
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        item = (await until(connection, "conversation.item.done"))[-1].item
        await connection.response.create(response={"output_modalities": ["text"]})
        await until_done(connection)
        await connection.conversation.item.retrieve(item_id=item.id)
        return (await until(connection, "conversation.item.retrieved"))[-1].item

    item = converse(serve(fake_engines(model)), talk)
    assert item.content[1].image_url == PNG
    asked = model.prompts[-1][-1]
    assert asked.pictures == ((Picture(PNG),) if sees else ())
    assert asked.content == ("What is this?" if sees else f"What is this? {UNSEEN}")


def test_an_address_of_a_picture_is_refused(serve):
    async def talk(connection):
        content = [{"type": "input_image", "image_url": "http://127.0.0.1:1/cat.png"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}, event_id="mine"
        )
        return (await until(connection, "error"))[-1].error

    error = converse(serve(), talk)
    assert (error.event_id, error.param) == ("mine", "item.content.0.image_url")
    assert "data:image/jpeg;base64" in error.message


# --- Silence ---


def test_silence_after_a_reply_is_broken(serve):
    async def talk(connection):
        detection = {"type": "server_vad", "idle_timeout_ms": 1000}
        await connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
        await connection.response.create()
        await until_done(connection)
        triggered = (await until(connection, "input_audio_buffer.timeout_triggered"))[-1]
        return triggered, await until_done(connection)

    triggered, seen = converse(serve(), talk)
    assert seen[0].type == "input_audio_buffer.committed"
    assert seen[0].item_id == triggered.item_id
    assert seen[-1].response.status == "completed"
