"""Answers that are made elsewhere, and a session that speaks up by itself, over real sockets."""

import asyncio
import base64

import pytest

from pipeline.engines import Adjusted, Bridge, Finish, Routed, TakenBack, TextDelta
from tests.e2e.fakes import ANSWER, OneAnswerModel, fake_engines, silence, voice
from tests.e2e.test_resume import absent, cut, resumable, resumed

pytestmark = pytest.mark.e2e

LOOK = "Let me look that up."
TIMER = "Your pasta timer is over."
HI = [{"role": "user", "content": "Hi"}]


class RoutingModel(OneAnswerModel):
    """Stands for a router: the first model answers half a clause and fails, after a wait; the second one answers."""

    async def stream(self, request):
        self.prompts.append(request.messages)
        yield Routed("big", "cloud", "It needs thought.", "reasoning", "api.example.com")
        await request.committed()
        if request.spoken:
            yield Bridge(LOOK)
            yield TextDelta("It might")
            await asyncio.sleep(0.3)
            yield TakenBack("It might")
        yield Routed("den", "lan", "The cloud is down.", "reasoning", "den.local")
        yield Adjusted(volume=0.5, speed=1.25)
        yield TextDelta(ANSWER)
        yield Finish("stop", input_tokens=20, cached_tokens=5, output_tokens=9)


def sound_s(client):
    deltas = [m["delta"] for m in client.seen if m["type"] == "response.output_audio.delta"]
    return sum(len(base64.b64decode(delta)) for delta in deltas) / 48_000


def of(client, kind):
    return [message for message in client.seen if message["type"] == kind]


async def ask(client):
    await client.speak(voice(0.6))
    await client.speak(silence(1.5))
    return await client.until("response.done")


def test_a_client_that_asked_for_it_sees_where_its_answer_was_made(serve):
    async def talk():
        async with serve(engines=fake_engines(RoutingModel())).client() as client:
            await client.send("session.update", session={"parley": {"route": "best", "timings": True, "heard": True}})
            await client.until("session.updated")
            done = await ask(client)
            await client.send("session.update", session={"instructions": "Rhyme."})
            return client, done, await client.until("session.updated")

    client, done, updated = asyncio.run(talk())
    cloud, lan = of(client, "parley.route")
    assert (cloud["backend"], cloud["place"], cloud["to"]) == ("big", "cloud", "api.example.com")
    assert (lan["backend"], lan["reason"], lan["kind"]) == ("den", "The cloud is down.", "reasoning")
    assert cloud["response_id"] == lan["response_id"] == done["response"]["id"]
    (bridge,) = of(client, "parley.bridge")
    (item,) = done["response"]["output"]
    assert (bridge["text"], bridge["item_id"], bridge["audio_start_ms"]) == (LOOK, item["id"], 0)
    assert item["content"][0]["transcript"] == ANSWER
    assert of(client, "parley.heard")[-1]["text"] == ANSWER
    (timings,) = of(client, "parley.turn.timings")
    assert timings["bridge_ms"] < timings["first_audio_ms"]
    assert (timings["made_on"], timings["made_by"], timings["reason"]) == ("lan", "den", "The cloud is down.")
    assert [left["to"] for left in timings["left_machine"]] == ["api.example.com", "den.local"]
    (adjusted,) = of(client, "parley.adjusted")
    assert (adjusted["volume"], adjusted["speed"]) == (0.5, 1.25)
    assert updated["session"]["audio"]["output"]["speed"] == 1.25
    assert updated["session"]["parley"]["route"] == "best"


def test_a_stock_client_hears_all_and_sees_nothing_of_it(serve):
    async def talk():
        async with serve(engines=fake_engines(RoutingModel())).client() as client:
            await ask(client)
            return client

    client = asyncio.run(talk())
    assert not any(kind.startswith("parley.") for kind in client.kinds())
    words = "".join(message["delta"] for message in of(client, "response.output_audio_transcript.delta"))
    assert words == ANSWER
    answer_s = 0.03 * len(ANSWER.replace(". ", ".")) / 1.25
    assert sound_s(client) == pytest.approx(0.03 * len(LOOK) + answer_s, rel=0.05)


def test_a_program_gets_the_routed_answer_alone(serve):
    from openai import OpenAI  # noqa: PLC0415 - slow to import

    server = serve(engines=fake_engines(RoutingModel()))
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        whole = client.chat.completions.create(model="parley", messages=HI)
        stream = client.chat.completions.create(
            model="parley", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert whole.choices[0].message.content == "".join(pieces) == ANSWER


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_a_session_speaks_up_by_itself(serve, modality):
    async def talk():
        server = serve()
        async with server.client() as client:
            session_id = client.seen[0]["session"]["id"]
            await client.send("session.update", session={"output_modalities": [modality]})
            await client.until("session.updated")
            assert server.present.connected("owner") == (session_id,)
            assert await in_server(server, session_id)
            done = await client.until("response.done")
        assert not await in_server(server, "sess_of_yesterday")
        return client, done

    client, done = asyncio.run(talk())
    (content,) = done["response"]["output"][0]["content"]
    assert content.get("transcript", content.get("text")) == TIMER
    assert done["response"]["status"] == "completed"
    assert "conversation.item.done" in client.kinds()
    assert sound_s(client) == pytest.approx(0.03 * len(TIMER) if modality == "audio" else 0, rel=0.05)


def test_who_is_away_is_not_spoken_to_until_they_are_back(serve):
    async def talk():
        server = serve()
        async with resumable(server) as (first, granted):
            received = first.seen[-1]["parley_seq"]
            await cut(first)
        await absent(server)
        assert not await in_server(server, granted["session_id"])
        async with resumed(server, granted["token"], received) as second:
            assert await in_server(server, granted["session_id"])
            return second, await second.until("response.done")

    second, done = asyncio.run(talk())
    assert done["response"]["output"][0]["content"][0]["transcript"] == TIMER
    assert sound_s(second) == pytest.approx(0.03 * len(TIMER), rel=0.05)


async def in_server(server, session_id):
    """Announce, as a timer in the server does."""
    announcing = asyncio.run_coroutine_threadsafe(server.present.announce(session_id, TIMER), server.loop)
    return await asyncio.wrap_future(announcing)
