"""A client that loses its connection and comes back: nothing is lost, nothing comes twice, nobody else gets in."""

import asyncio
import base64
import contextlib
import json
import logging
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from audio.pcm import resample
from audio.types import INPUT_RATE
from clients import ask as ask_command
from clients.link import Lost, decode
from clients.resuming import connect_for_good
from tests.e2e.conftest import WAIT_S, Client
from tests.e2e.fakes import ANSWER, OneAnswerModel, fake_engines, silence, voice

pytestmark = pytest.mark.e2e

ANSWER_BYTES = 2 * 24_000 * 0.03 * len(ANSWER.replace(". ", "."))
"""The fakes speak 30 ms a character; the space between the two clauses isn't spoken."""


@asynccontextmanager
async def resumable(server, **extensions):
    """Connect and ask for resume; gives the client and its token."""
    async with server.client() as client:
        await client.send("session.update", session={"parley": {"resume": True, **extensions}})
        granted = await client.until("parley.resumable")
        client.numbered = True
        yield client, granted


@asynccontextmanager
async def resumed(server, token, received=None, *, header=False, **options):
    claim = token if received is None else f"{token}.{received}"
    if header:
        options["additional_headers"] = {"Parley-Resume": claim}
    else:
        options["subprotocols"] = ["realtime", f"parley-resume.{claim}"]
    async with connect(server.ws_url, max_size=None, **options) as socket:
        client = Client(socket)
        client.numbered = True
        yield client


async def cut(client):
    """Break the connection off, as a network does."""
    client.socket.transport.abort()
    await client.socket.wait_closed()


async def absent(server, count=1):
    """Wait until the server has noticed that so many clients are gone."""
    await eventually(lambda: sum(life.absent_since is not None for life in list(server.lives._tokens)) >= count)


async def eventually(holds):
    """Wait until something holds in the server, whose loop is another thread's."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - no event crosses the threads
            await asyncio.sleep(0.01)


async def ask(client):
    await client.speak(voice(0.6))
    await client.speak(silence(1.5))


def numbers(*clients):
    return [message["parley_seq"] for client in clients for message in client.seen if "parley_seq" in message]


def sound(*clients):
    deltas = [m for client in clients for m in client.seen if m["type"] == "response.output_audio.delta"]
    return b"".join(base64.b64decode(m["delta"]) for m in deltas)


@pytest.mark.parametrize("header", [False, True])
def test_a_reply_that_was_cut_off_goes_on_where_it_broke_off(serve, header):
    async def talk():
        server = serve()
        async with resumable(server) as (first, granted):
            await ask(first)
            for _ in range(8):
                await first.until("response.output_audio.delta")
            received = first.seen[-1]["parley_seq"]
            await cut(first)
        await absent(server)
        await asyncio.sleep(1.0)  # the reply must not go on meanwhile
        async with resumed(server, granted["token"], received, header=header) as second:
            hello = await second.next()
            done = await second.until("response.done")
            return first, second, granted, received, hello, done

    first, second, granted, received, hello, done = asyncio.run(talk())
    assert second.socket.subprotocol == (None if header else "realtime")
    assert (hello["type"], hello["received"]) == ("parley.resumed", received)
    assert hello["session_id"] == granted["session_id"] == hello["session"]["id"] == first.seen[0]["session"]["id"]
    assert "parley_seq" not in hello
    got = numbers(first, second)
    assert got == list(range(got[0], got[0] + len(got)))
    assert first.seen[-1]["parley_seq"] == received
    assert done["response"]["status"] == "completed"
    assert done["response"]["output"][0]["content"][0]["transcript"] == ANSWER
    assert len(sound(first, second)) == pytest.approx(ANSWER_BYTES, rel=0.02)
    assert second.kinds().count("response.created") + first.kinds().count("response.created") == 1


def test_what_was_on_its_way_when_the_network_broke_comes_again(serve):
    async def talk():
        server = serve()
        async with resumable(server) as (first, granted):
            await ask(first)
            for _ in range(8):
                await first.until("response.output_audio.delta")
            await cut(first)
        await absent(server)
        # The client knows of five fewer than were sent.
        lost = [m for m in first.seen if "parley_seq" in m][-5:]
        first.seen = [m for m in first.seen if m not in lost]
        async with resumed(server, granted["token"], lost[0]["parley_seq"] - 1) as second:
            await second.until("response.done")
            return first, second, lost

    first, second, lost = asyncio.run(talk())
    assert second.seen[1:6] == lost  # to the letter: the same event ids, the same sound
    got = numbers(first, second)
    assert got == list(range(got[0], got[0] + len(got)))
    assert len(sound(first, second)) == pytest.approx(ANSWER_BYTES, rel=0.02)


def test_a_reply_can_be_cut_off_again_and_again(serve):
    async def talk():
        server = serve()
        clients = []
        async with resumable(server) as (client, granted):
            clients.append(client)
            await ask(client)
            for _ in range(3):
                await client.until("response.output_audio.delta")
            await cut(client)
        for _ in range(4):
            received = max(numbers(*clients))
            async with resumed(server, granted["token"], received) as client:
                clients.append(client)
                for _ in range(3):
                    await client.until("response.output_audio.delta")
                await cut(client)
        async with resumed(server, granted["token"], max(numbers(*clients))) as client:
            clients.append(client)
            await client.until("response.done")
        return clients

    clients = asyncio.run(talk())
    got = numbers(*clients)
    assert got == list(range(got[0], got[0] + len(got)))
    assert len(sound(*clients)) == pytest.approx(ANSWER_BYTES, rel=0.02)


def test_the_conversation_goes_on_with_its_history_and_settings(serve):
    model = OneAnswerModel()

    async def talk():
        server = serve(fake_engines(model))
        async with resumable(server) as (first, granted):
            await first.send("session.update", session={"instructions": "Be kind.", "output_modalities": ["text"]})
            await ask(first)
            await first.until("response.done")
            received = first.seen[-1]["parley_seq"]
            await cut(first)
        async with resumed(server, granted["token"], received) as second:
            hello = await second.next()
            await second.send("parley.conversation.retrieve")
            history = await second.until("parley.conversation.retrieved")
            await ask(second)
            await second.until("response.done")
            return hello, history["items"], second.seen

    hello, items, seen = asyncio.run(talk())
    assert hello["session"]["instructions"] == "Be kind."
    assert hello["session"]["parley"] == {"resume": True}
    assert [(item["role"], item["status"]) for item in items] == [("user", "completed"), ("assistant", "completed")]
    assert items[1]["content"] == [{"type": "output_text", "text": ANSWER}]
    assert not any(message["type"] == "error" for message in seen)
    assert [message.role for message in model.prompts[-1]] == ["system", "user", "assistant", "user"]


def test_a_client_without_a_number_goes_on_after_what_it_acknowledged(serve):
    async def talk():
        server = serve()
        async with resumable(server) as (first, granted):
            await ask(first)
            for _ in range(3):
                await first.until("response.output_audio.delta")
            acknowledged = first.seen[-1]["parley_seq"]
            await first.send("parley.ack", received=acknowledged)
            await first.send("parley.ack", received=10_000)
            refused = await first.until("error")
            await cut(first)
        async with resumed(server, granted["token"]) as second:
            hello = await second.next()
            await second.until("response.done")
            return acknowledged, hello, second, refused

    acknowledged, hello, second, refused = asyncio.run(talk())
    assert hello["received"] == acknowledged
    assert numbers(second)[0] == acknowledged + 1
    assert (refused["error"]["code"], refused["error"]["param"]) == ("invalid_value", "received")


def test_the_server_says_how_many_messages_it_has_taken(serve):
    async def talk():
        server = serve()
        async with resumable(server) as (first, granted):  # one message: the update
            await first.send("parley.conversation.retrieve")
            await first.socket.send("nonsense")
            await first.until("error")
            await cut(first)
        taken = []
        for _ in range(2):
            async with resumed(server, granted["token"]) as client:
                taken.append((await client.next())["taken"])
                await client.send("parley.conversation.retrieve")
                for _ in range(len(taken) + 1):
                    await client.until("parley.conversation.retrieved")
                await cut(client)
        return taken

    assert asyncio.run(talk()) == [3, 4]


def test_a_second_connection_takes_over(serve):
    async def talk():
        server = serve()
        async with resumable(server) as (first, granted):
            await ask(first)
            await first.until("response.output_audio.delta")
            received = first.seen[-1]["parley_seq"]
            async with resumed(server, granted["token"], received) as second:
                await second.until("response.done")
                with pytest.raises(ConnectionClosed) as closed:
                    await first.until("nothing that ever comes")
                return received, second, closed.value.rcvd

    received, second, closed = asyncio.run(talk())
    assert (closed.code, closed.reason) == (4001, "Another connection has taken over.")
    assert numbers(second) == list(range(received + 1, received + 1 + len(numbers(second))))


@pytest.mark.parametrize("claim", ["wrong", "wrong.17", "no token at all", ""])
def test_a_wrong_token_gets_a_fresh_session_and_is_told_why(serve, claim):
    async def talk():
        options = {"additional_headers": {"Parley-Resume": claim}}
        async with resumable(serve()) as (client, granted), connect(client_url(client), **options) as socket:
            other = Client(socket)
            return granted, await other.next(), await other.next(), await answered(client)

    granted, created, error, untouched = asyncio.run(talk())
    assert created["type"] == "session.created"
    assert created["session"]["id"] != granted["session_id"]
    assert error["error"]["code"] == "resume_failed"
    assert "fresh session" in error["error"]["message"]
    assert untouched


def client_url(client):
    host, port = client.socket.remote_address[:2]
    return f"ws://{host}:{port}/v1/realtime"


async def answered(client):
    await client.send("session.update", session={"tracing": None})
    return (await client.until("session.updated"))["type"] == "session.updated"


def test_a_number_that_was_never_sent_gets_a_fresh_session_and_the_old_one_still_waits(serve):
    async def talk():
        server = serve()
        async with resumable(server) as (first, granted):
            await cut(first)
        await absent(server)
        async with resumed(server, granted["token"], 999) as second:
            created, error = await second.next(), await second.next()
        async with resumed(server, granted["token"], granted["parley_seq"]) as third:
            return created, error, await third.next()

    created, error, hello = asyncio.run(talk())
    assert (created["type"], error["error"]["code"]) == ("session.created", "resume_failed")
    assert "999" in error["error"]["message"]
    assert hello["type"] == "parley.resumed"


def test_a_client_that_never_comes_back_frees_its_seat(serve):
    async def talk():
        server = serve(max_sessions=1, resume_s=0.3)
        async with resumable(server) as (first, granted):
            await ask(first)
            await first.until("response.output_audio.delta")
            await cut(first)
        await eventually(lambda: not server.seats.taken)
        async with resumed(server, granted["token"], granted["parley_seq"]) as late:
            return [(await late.next())["type"], (await late.next())["error"]["code"]]

    assert asyncio.run(talk()) == ["session.created", "resume_failed"]


def test_a_full_server_gives_up_who_has_waited_longest(serve):
    async def talk():
        server = serve(max_sessions=2)
        tokens = []
        for count in (1, 2):
            async with resumable(server) as (client, granted):
                tokens.append((granted["token"], granted["parley_seq"]))
                await cut(client)
            await absent(server, count)
        async with server.client(), resumed(server, *tokens[1]) as second:
            hello = await second.next()
            async with connect(server.ws_url) as socket:  # both have a client now: there is no room to be made
                refused = await Client(socket).next()
            return hello["type"], refused["error"]["code"], len(server.lives._tokens)

    assert asyncio.run(talk()) == ("parley.resumed", "too_many_sessions", 1)


@pytest.mark.parametrize("goodbye", [1000, 1001])
def test_a_proper_goodbye_ends_the_session_at_once(serve, goodbye):
    async def talk():
        server = serve()
        async with resumable(server) as (client, _):
            await client.socket.close(goodbye)
        await eventually(lambda: not server.lives._tokens or goodbye != 1000)
        if goodbye == 1001:  # a page that is reloaded says this, and wants its conversation back
            await absent(server)
        return len(server.lives._tokens)

    assert asyncio.run(talk()) == (0 if goodbye == 1000 else 1)


def test_who_did_not_ask_or_asks_no_more_keeps_nothing(serve):
    async def talk():
        server = serve()
        async with resumable(server) as (client, granted):
            await client.send("session.update", session={"parley": {"resume": False}})
            updated = await client.until("session.updated")
            await cut(client)
        async with server.client() as client:
            await cut(client)
        await eventually(lambda: not server.seats.taken)
        async with resumed(server, granted["token"]) as other:
            return updated, (await other.next())["type"]

    updated, created = asyncio.run(talk())
    assert "parley" not in updated["session"]
    assert "parley_seq" in updated  # it is the encoding of that moment; from the next one on there are none
    assert created == "session.created"


def test_a_server_may_keep_nothing_at_all(serve):
    async def talk():
        async with serve(resume_s=0).client() as client:
            await client.send("session.update", session={"parley": {"resume": True}}, event_id="mine")
            return (await client.until("error"))["error"]

    error = asyncio.run(talk())
    assert (error["code"], error["param"], error["event_id"]) == (
        "unsupported_extension",
        "session.parley.resume",
        "mine",
    )


def test_a_client_that_acknowledges_is_never_far_behind(serve):
    """The network stalls without breaking: the client acknowledges no more, and the reply waits for it."""
    long_answer = OneAnswerModel()

    async def talk():
        server = serve(fake_engines(long_answer))
        async with resumable(server) as (client, granted):
            await client.send("parley.ack", received=granted["parley_seq"])
            for _ in range(2):  # two replies of 1.5 s; what was said in the first stays unacknowledged
                await ask(client)
                await client.until("response.created")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(4.0):
                        await client.until("response.done")
            behind = len(sound(client)) / 48_000
            await client.send("parley.ack", received=client.seen[-1]["parley_seq"])
            await client.until("response.done")
            return behind, client

    behind, client = asyncio.run(talk())
    assert 1.9 < behind < 2.4
    assert len(sound(client)) == pytest.approx(2 * ANSWER_BYTES, rel=0.02)


def test_neither_token_nor_words_are_logged(serve, caplog):
    async def talk():
        server = serve()
        async with resumable(server) as (client, granted):
            await ask(client)
            await client.until("response.output_audio.delta")
            await cut(client)
        async with resumed(server, granted["token"]) as client:
            await client.until("response.done")
        return granted["token"]

    with caplog.at_level(logging.DEBUG):
        token = asyncio.run(talk())
    # Of the libraries, `serve` lets through warnings only (assistant.server.app._log).
    ours = [record for record in caplog.records if record.name.startswith(("assistant", "pipeline"))]
    assert not any(token in record.getMessage() for record in ours)


def test_a_server_that_stops_lets_go_of_who_is_absent(serve, caplog):
    async def talk():
        server = serve()
        async with resumable(server) as (client, _):
            await cut(client)
        await absent(server)
        server.listener.should_exit = True
        await eventually(lambda: not server.seats.taken)

    asyncio.run(talk())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- Binary messages and heard text ---


def test_binary_messages_carry_the_sound_both_ways(serve):
    async def talk():
        async with resumable(serve(), binary=True) as (client, _):
            pcm = (voice_24k() * 32767).astype("<i2").tobytes()
            for start in range(0, len(pcm), 1920):
                await client.socket.send(b"\1\1\0\0" + bytes(8) + pcm[start : start + 1920])
            frames, messages = [], []
            while not messages or messages[-1]["type"] != "response.done":
                async with asyncio.timeout(WAIT_S):
                    data = await client.socket.recv()
                if isinstance(data, bytes):
                    frames.append(data)
                else:
                    messages.append(json.loads(data))
            return frames, messages

    frames, messages = asyncio.run(talk())
    response_id = messages[-1]["response"]["id"]
    assert not any(message["type"] == "response.output_audio.delta" for message in messages)
    position, speech, seen = 0.0, b"", []
    for frame in frames:
        assert frame[:2] == b"\1\2"
        begin = 12 + -(-frame[2] // 4) * 4
        assert frame[12 : 12 + frame[2]].decode() == response_id
        assert int.from_bytes(frame[8:12], "little") == pytest.approx(position, abs=1)
        seen.append(int.from_bytes(frame[4:8], "little"))
        speech += frame[begin:]
        position += (len(frame) - begin) / 48
    assert len(speech) == pytest.approx(ANSWER_BYTES, rel=0.02)
    every = sorted(seen + [message["parley_seq"] for message in messages])
    assert every == list(range(every[0], every[0] + len(every)))


def voice_24k():
    return resample(np.concatenate((voice(0.6), silence(1.5))), INPUT_RATE, 24_000)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_frame"),
        (b"\2\1\0\0" + bytes(8), "invalid_frame"),
        (b"\1\7\0\0" + bytes(8), "invalid_frame"),
        (b"\1\2\0\0" + bytes(8), "invalid_frame"),
        (b"\1\1\0\0" + bytes(8) + b"odd", "invalid_value"),
        (b"\1\3\4\0" + bytes(8) + b"door\xff\xd8\xff", "unsupported_picture"),
    ],
)
def test_a_binary_message_that_cannot_be_served_is_refused_and_the_session_goes_on(serve, data, code):
    async def talk():
        async with serve().client() as client:
            await client.send("session.update", session={"parley": {"binary": True}})
            await client.socket.send(data)
            error = (await client.until("error"))["error"]
            return error, await answered(client)

    error, goes_on = asyncio.run(talk())
    assert error["code"] == code
    assert error["message"]
    assert goes_on


def test_heard_words_are_told_and_the_clients_position_counts(serve):
    async def talk():
        async with serve().client() as client:
            await client.send("session.update", session={"parley": {"heard": True}})
            await ask(client)
            item_id = (await client.until("response.output_item.added"))["item"]["id"]
            for _ in range(12):
                await client.until("response.output_audio.delta")
            await client.send("parley.played", item_id=item_id, played_ms=150)
            await client.send("response.cancel")
            await client.until("response.done")
            return [message for message in client.seen if message["type"] == "parley.heard"], client.seen[-1]

    heard, done = asyncio.run(talk())
    assert heard[-1]["text"] == "It is" == done["response"]["output"][0]["content"][0]["transcript"]
    assert heard[-1]["heard_ms"] == pytest.approx(150, abs=60)
    assert heard[0].keys() == {"event_id", "type", "response_id", "item_id", "content_index", "heard_ms", "text"}


# --- Our own client ---


def test_our_client_comes_back_by_itself_and_sends_again_what_was_lost(serve):
    async def talk():
        server = serve()
        async with connect_for_good(server.ws_url) as link:
            while (await link.receive())["type"] != "session.updated":
                pass
            await link.say("What time is it?")
            events, cuts = [], 0
            async for event in link:
                events.append(event)
                heard = sum(event["type"] == "response.output_audio.delta" for event in events)
                if heard in (5, 10, 15) and heard > 5 * cuts:
                    cuts += 1
                    link._websocket.transport.abort()
                    await link.append_audio(np.zeros(480, np.float32))
                    await link.update({"instructions": f"Cut {cuts}."})
                if event["type"] == "response.done":
                    break
            await link.update({"instructions": "The last."})
            while (event := await link.receive())["type"] != "session.updated" or "last" not in str(event):
                events.append(event)
            return events, cuts

    events, cuts = asyncio.run(talk())
    assert cuts == 3
    got = [event["parley_seq"] for event in events if "parley_seq" in event]
    assert got == list(range(got[0], got[0] + len(got)))
    pieces = [decode(event["delta"]) for event in events if event["type"] == "response.output_audio.delta"]
    assert 2 * sum(map(len, pieces)) == pytest.approx(ANSWER_BYTES, rel=0.02)
    updates = [event["session"]["instructions"] for event in events if event["type"] == "session.updated"]
    assert updates == ["Cut 1.", "Cut 2.", "Cut 3."]


def test_our_client_gives_up_with_a_sentence(serve):
    async def talk():
        server = serve(resume_s=0.2)
        async with connect_for_good(server.ws_url) as link:
            while (await link.receive())["type"] != "session.updated":
                pass
            await link.say("What time is it?")
            while (await link.receive())["type"] != "response.output_audio.delta":
                pass
            link._token = "wrong"
            link._websocket.transport.abort()
            try:
                async for _ in link:  # what had arrived already comes first
                    pass
            except Lost as lost:
                return str(lost)

    assert "doesn't know of this conversation any more" in asyncio.run(talk())


@pytest.fixture
def breaking(monkeypatch):
    """Let the connections of `parley ask` break: `breaking(when)`, with each event that comes in or goes out."""

    def break_it(when):
        @asynccontextmanager
        async def connect_and_break(*args):
            async with connect_for_good(*args) as link:
                receive, deliver = link.receive, link._deliver

                def look(event):
                    if not link.returns and when(event):
                        link._websocket.transport.abort()
                    return event

                async def receive_and_look():
                    return look(await receive())

                async def look_and_deliver(data, *, again):
                    look(json.loads(data))
                    await deliver(data, again=again)

                link.receive, link._deliver = receive_and_look, look_and_deliver
                yield link

        monkeypatch.setattr("clients.ask.connect_for_good", connect_and_break)

    return break_it


@pytest.mark.parametrize("question", [{"text": "What time is it?"}, {"samples": voice_24k()[:20_000]}])
def test_ask_brings_the_whole_answer_over_a_connection_that_breaks(serve, breaking, question):
    server = serve()
    pieces = iter(range(1000))
    breaking(lambda event: event["type"] == "response.output_audio.delta" and next(pieces) == 5)
    exchange = asyncio.run(ask_command.ask(server.ws_url, **question))
    assert (exchange.status, exchange.reply, exchange.error) == ("completed", ANSWER, None)
    assert 2 * exchange.samples.size == pytest.approx(ANSWER_BYTES, rel=0.02)
    assert exchange.timings["first_audio_s"] is not None


def test_ask_does_not_answer_half_a_question(serve, breaking):
    chunks = iter(range(1000))
    breaking(lambda event: event["type"] == "input_audio_buffer.append" and next(chunks) == 10)
    with pytest.raises(Lost, match=r"in the middle of the question.*Ask again"):
        asyncio.run(ask_command.ask(serve().ws_url, voice_24k()))
