"""The traps that official clients set, each read in a client's source. The numbers are those of the protocol's notes.

What is about function tools (4) and TLS (12) has its tests where these are.
"""

import asyncio
import json

import pytest

from assistant.server.wire import encode_base64
from tests.e2e.fakes import ANSWER, HEARD, BrokenModel, OneAnswerModel, fake_engines, silence, voice
from tests.e2e.schema import EXTENSIONS, check_message

pytestmark = pytest.mark.e2e

HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


class DeafRecogniser:
    """Stands for a recogniser that fails."""

    async def transcribe(self, audio, *, language=None, prompt=""):
        raise RuntimeError("out of memory")


def deaf_engines():
    engines = fake_engines()
    return type(engines)(engines.vad, engines.turn, DeafRecogniser(), None, engines.llm, engines.tts, engines.lanes)


def talk_to(server, talk):
    async def run():
        async with server.client() as client:
            return await talk(client)

    return asyncio.run(run())


async def spoken_turn(client):
    await client.speak(voice(0.8))
    await client.speak(silence(1.2))
    return await client.until("response.done")


def test_trap_01_an_update_that_holds_only_tracing_succeeds(serve):
    async def talk(client):
        await client.send("session.update", session={"tracing": "auto"})
        return await client.until("session.updated")

    assert talk_to(serve(), talk)["session"]["tracing"] == "auto"


def test_trap_02_messages_can_be_retrieved_after_their_transcript_and_after_a_truncation(serve):
    async def talk(client):
        await spoken_turn(client)
        heard = next(m for m in client.seen if m["type"].endswith("transcription.completed"))
        await client.send("conversation.item.retrieve", item_id=heard["item_id"])
        user = await client.until("conversation.item.retrieved")
        reply = next(m for m in client.seen if m["type"] == "response.output_item.done")["item"]["id"]
        await client.send("conversation.item.truncate", item_id=reply, content_index=0, audio_end_ms=800)
        await client.until("conversation.item.truncated")
        await client.send("conversation.item.retrieve", item_id=reply)
        return user["item"], (await client.until("conversation.item.retrieved"))["item"]

    user, reply = talk_to(serve(), talk)
    assert user["content"] == [{"type": "input_audio", "transcript": HEARD}]
    said = reply["content"][0]["transcript"]
    assert said
    assert ANSWER.startswith(said)
    assert said != ANSWER


def test_trap_03_the_sound_of_a_user_has_the_key_transcript(serve):
    async def talk(client):
        await spoken_turn(client)
        sound = encode_base64(b"\0\0" * 4800)
        content = [{"type": "input_audio", "audio": sound}]
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await client.until("conversation.item.done")
        return [m["item"] for m in client.seen if m["type"] in {"conversation.item.added", "conversation.item.done"}]

    users = [item for item in talk_to(serve(), talk) if item["role"] == "user"]
    assert len(users) == 4
    assert all(item["content"] == [{"type": "input_audio", "transcript": None}] for item in users)


@pytest.mark.parametrize("detection", [{"type": "server_vad"}, {"type": "semantic_vad", "eagerness": "high"}])
@pytest.mark.parametrize("interrupts", [None, False])
def test_trap_05_an_update_echoes_whether_a_voice_interrupts(serve, detection, interrupts):
    wanted = detection | ({} if interrupts is None else {"interrupt_response": interrupts})

    async def talk(client):
        await client.send("session.update", session={"audio": {"input": {"turn_detection": wanted}}})
        return (await client.until("session.updated"))["session"]["audio"]["input"]["turn_detection"]

    shown = talk_to(serve(), talk)
    assert shown["interrupt_response"] is (interrupts is None)
    assert shown["create_response"] is True


def test_trap_06_the_sound_is_done_when_it_has_been_played(serve):
    async def talk(client):
        loop = asyncio.get_running_loop()
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        began = loop.time()
        await client.until("response.output_audio.done")
        return loop.time() - began

    played_s = 0.03 * len(ANSWER)
    assert talk_to(serve(), talk) > played_s - 0.2


@pytest.mark.parametrize("end_ms", [10**9, 2_000, 0, -5])
def test_trap_07_the_end_of_a_truncation_is_clamped(serve, end_ms):
    async def talk(client):
        done = await spoken_turn(client)
        item_id = done["response"]["output"][0]["id"]
        await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms)
        return await client.until("conversation.item.truncated")

    sound_ms = 30 * len(ANSWER)
    truncated = talk_to(serve(), talk)["audio_end_ms"]
    assert truncated == pytest.approx(min(max(0, end_ms), sound_ms), abs=50)


def test_trap_08_each_response_has_one_end(serve):
    async def answered(client):
        await spoken_turn(client)

    async def cancelled(client):
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        await client.until("response.done")

    async def interrupted(client):
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.speak(voice(1.0))
        await client.speak(silence(1.2))
        for _ in range(2):
            await client.until("response.done")

    async def beside(client):
        await client.send("response.create", response={"conversation": "none"})
        await client.send("response.create")
        for _ in range(2):
            await client.until("response.done")

    async def failed(client):
        await client.send("response.create")
        await client.until("response.done")

    async def run(talk, model):
        async with serve(fake_engines(model)).client() as client:
            await talk(client)
            await client.send("session.update", session={"tracing": None})
            await client.until("session.updated")  # nothing is on its way any more
            return [
                [m["response"]["id"] for m in client.seen if m["type"] == f"response.{kind}"]
                for kind in ("created", "done")
            ]

    for talk, model in [
        (answered, OneAnswerModel()),
        (cancelled, OneAnswerModel()),
        (interrupted, OneAnswerModel()),
        (beside, OneAnswerModel()),
        (failed, BrokenModel()),
    ]:
        created, done = asyncio.run(run(talk, model))
        assert created
        assert sorted(created) == sorted(done)


def test_trap_09_parts_have_the_old_names_and_a_failed_transcription_its_strings(serve):
    async def talk(client):
        await client.speak(voice(0.8))
        await client.speak(silence(1.2))
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        await client.until("response.done")
        await client.send("response.create", response={"output_modalities": ["text"]})
        await client.until("response.done")
        return failed, [m["part"]["type"] for m in client.seen if m["type"].startswith("response.content_part.")]

    failed, parts = talk_to(serve(deaf_engines()), talk)
    assert parts == ["audio", "audio", "text", "text"]
    assert failed["error"].keys() == {"type", "code", "message", "param"}
    assert all(isinstance(text, str) for text in failed["error"].values())


def test_trap_10_a_transcript_says_what_it_took(serve):
    async def talk(client):
        await spoken_turn(client)
        return next(m for m in client.seen if m["type"].endswith("transcription.completed"))["usage"]

    usage = talk_to(serve(), talk)
    assert usage["type"] == "duration"
    assert usage["seconds"] == pytest.approx(1.3, abs=0.5)


def test_trap_11_nothing_of_our_own_is_sent_unasked(serve):
    async def everything(client):
        await spoken_turn(client)
        await client.send("conversation.item.create", item=HELLO)
        item = await client.until("conversation.item.done")
        await client.send("conversation.item.retrieve", item_id=item["item"]["id"])
        await client.send("conversation.item.delete", item_id=item["item"]["id"])
        await client.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        await client.until("response.done")
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        return {m["type"] for m in client.seen}

    async def asked(client):
        await client.send("session.update", session={"parley": {"timings": True}})
        return await everything(client)

    # Every other type is one of the SDK's classes: the client of these tests reads as strictly as that.
    assert not EXTENSIONS & talk_to(serve(), everything)
    assert EXTENSIONS & talk_to(serve(), asked)
    beta = {"conversation.item.created", "conversation.created", "response.audio.delta", "response.text.delta"}
    assert not beta & talk_to(serve(), everything)


def test_the_strict_reading_would_notice(serve):
    """The check of trap 11 can fail: an event that no client knows is refused by it."""

    async def talk(client):
        return json.loads(json.dumps(client.seen[0]))

    message = talk_to(serve(), talk)

    with pytest.raises(KeyError):
        check_message(message | {"type": "session.pleased"})
