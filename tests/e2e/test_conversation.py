"""Conversations with the whole server over real sockets; only the models are doubles."""

import asyncio
import base64

import pytest

from tests.e2e.fakes import ANSWER, HEARD, BrokenModel, fake_engines, silence, voice

pytestmark = pytest.mark.e2e

SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
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
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


def test_a_spoken_turn_comes_in_the_order_of_the_protocol(serve):
    async def talk():
        async with serve().client() as client:
            await client.speak(voice(0.8), paced=True)
            await client.speak(silence(1.2), paced=True)
            done = await client.until("response.done")
            return client, done["response"]

    client, response = asyncio.run(talk())
    assert client.kinds()[1:] == SPOKEN_TURN
    assert response["status"] == "completed"
    assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": ANSWER}]
    assert response["usage"]["output_tokens"] > 0
    heard = next(m for m in client.seen if m["type"].endswith("transcription.completed"))
    assert heard["transcript"] == HEARD
    said = [m for m in client.seen if m["type"] == "response.output_audio_transcript.delta"]
    assert "".join(m["delta"] for m in said) == ANSWER
    sound = b"".join(base64.b64decode(m["delta"]) for m in client.seen if m["type"] == "response.output_audio.delta")
    assert len(sound) / 48_000 == pytest.approx(0.03 * len(ANSWER), rel=0.1)


def test_a_text_turn(serve):
    async def talk():
        async with serve().client() as client:
            content = [{"type": "input_text", "text": "Hello"}]
            await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            await client.send("response.create", response={"output_modalities": ["text"]})
            done = await client.until("response.done")
            return client, done["response"]

    client, response = asyncio.run(talk())
    assert response["output"][0]["content"] == [{"type": "output_text", "text": ANSWER}]
    assert "response.output_text.done" in client.kinds()
    assert not any("audio" in kind for kind in client.kinds(deltas=True))


def test_a_manual_turn(serve):
    async def talk():
        async with serve().client() as client:
            await client.send(
                "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}
            )
            await client.until("session.updated")
            await client.speak(voice(0.5))
            await client.send("input_audio_buffer.commit")
            committed = await client.until("input_audio_buffer.committed")
            await client.send("response.create")
            await client.until("response.done")
            await client.send("conversation.item.retrieve", item_id=committed["item_id"])
            retrieved = await client.until("conversation.item.retrieved")
            return client, retrieved["item"]

    client, item = asyncio.run(talk())
    assert not any("speech_started" in kind for kind in client.kinds())
    assert item["content"] == [{"type": "input_audio", "transcript": HEARD}]


@pytest.mark.parametrize("by", ["voice", "cancel"])
def test_an_answer_is_interrupted(serve, by):
    async def talk():
        async with serve().client() as client:
            await client.send("conversation.item.create", item=user_text("Tell me"))
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            if by == "voice":
                await client.speak(voice(0.8))
            else:
                await client.send("response.cancel")
            done = await client.until("response.done")
            content = user_text("Go on")
            await client.send("conversation.item.create", item=content)
            await client.until("conversation.item.done")
            return client, done["response"]

    client, response = asyncio.run(talk())
    reason = {"voice": "turn_detected", "cancel": "client_cancelled"}[by]
    assert (response["status"], response["status_details"]["reason"]) == ("cancelled", reason)
    at = client.kinds(deltas=True).index("response.done")
    assert not any(m.get("response_id") == response["id"] for m in client.seen[at + 1 :])
    assert len(response["output"][0]["content"][0]["transcript"]) < len(ANSWER)


def test_a_failed_answer_says_so_and_the_session_goes_on(serve):
    async def talk():
        async with serve(fake_engines(BrokenModel())).client() as client:
            await client.send("response.create")
            done = await client.until("response.done")
            await client.send("session.update", session={"tracing": "auto"})
            updated = await client.until("session.updated")
            return done["response"], updated

    response, updated = asyncio.run(talk())
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"]
    assert updated["session"]["tracing"] == "auto"


@pytest.mark.parametrize("form", ["audio/pcmu", "audio/pcma"])
def test_telephone_sound(serve, form):
    async def talk():
        async with serve().client() as client:
            audio = {"input": {"format": {"type": form}, "turn_detection": None}, "output": {"format": {"type": form}}}
            await client.send("session.update", session={"type": "realtime", "audio": audio})
            await client.until("session.updated")
            silent = b"\xff" if form == "audio/pcmu" else b"\xd5"
            await client.send("input_audio_buffer.append", audio=base64.b64encode(silent * 4000).decode())
            await client.send("input_audio_buffer.commit")
            await client.until("input_audio_buffer.committed")
            await client.send("response.create")
            await client.until("response.done")
            return client

    client = asyncio.run(talk())
    sound = b"".join(base64.b64decode(m["delta"]) for m in client.seen if m["type"] == "response.output_audio.delta")
    assert len(sound) / 8000 == pytest.approx(0.03 * len(ANSWER), rel=0.1)


def test_timings_are_only_for_who_asks(serve):
    async def talk(parley):
        async with serve().client() as client:
            await client.send("session.update", session={"type": "realtime", **parley})
            await client.speak(voice(0.5))
            await client.speak(silence(1.2))
            await client.until("response.done")
            return client.kinds()

    assert "parley.turn.timings" in asyncio.run(talk({"parley": {"timings": True}}))
    assert "parley.turn.timings" not in asyncio.run(talk({}))


def user_text(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
