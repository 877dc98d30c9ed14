"""Clients that send nonsense, never read, or vanish: they get a typed error or the door, and nobody else notices."""

import asyncio
import base64
import contextlib
import json
import socket
import time
import urllib.request

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from assistant.cpu import give_back_memory
from audio.types import OUTPUT_RATE
from pipeline.events import ResponseAudio, ResponseStarted
from tests.e2e.fakes import silence, voice

pytestmark = pytest.mark.e2e


def append(data):
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ("[]", "invalid_event", None),
        ("{}", "invalid_event", "type"),
        ('{"type": ["session.update"]}', "invalid_event", "type"),
        ('{"type": "session.upset", "event_id": "mine"}', "invalid_event", "type"),
        ('{"type": "input_audio_buffer.append", "audio": 5, "event_id": "mine"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "event_id": "mine"}', "missing_required_parameter", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "?", "event_id": "mine"}', "invalid_value", "audio"),
        (json.dumps(append(b"\0\0\0") | {"event_id": "mine"}), "invalid_value", "audio"),
        (
            '{"type": "session.update", "event_id": "mine", "session": {"audio": {"output": {"speed": 9}}}}',
            "invalid_value",
            "session.audio.output.speed",
        ),
        ('{"type": "conversation.item.delete", "item_id": "x", "event_id": "mine"}', None, None),
        ('{"type": "response.cancel", "event_id": "mine"}', "response_cancel_not_active", None),
        (b"\0\1", "invalid_event", None),
    ],
)
def test_nonsense_is_answered_with_a_typed_error_and_the_session_goes_on(serve, frame, code, param):
    async def talk():
        async with serve().client() as client:
            await client.socket.send(frame)
            error = (await client.until("error"))["error"]
            await client.send("session.update", session={"tracing": None})
            await client.until("session.updated")
            return error

    error = asyncio.run(talk())
    assert code in (None, error["code"])
    assert param in (None, error["param"])
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error["event_id"] == ("mine" if b"mine" in (frame if isinstance(frame, bytes) else frame.encode()) else None)


def test_messages_of_50_mb_are_refused_and_their_memory_comes_back(serve):
    async def talk():
        async with serve().client() as client:

            async def send_one():
                frame = json.dumps(append(b"\0" * 37_500_000))
                assert len(frame) >= 50_000_000
                await client.socket.send(frame)
                del frame
                error = (await client.until("error"))["error"]
                await client.send("session.update", session={"tracing": None})
                await client.until("session.updated")
                give_back_memory()
                return error

            await send_one()  # the heap of the process becomes as large as one needs, and stays so
            before = resident_mb()
            errors = [await send_one() for _ in range(4)]
            return errors, resident_mb() - before

    errors, grown_mb = asyncio.run(talk())
    assert {error["code"] for error in errors} == {"message_too_large"}
    assert "16 MiB" in errors[0]["message"]
    assert grown_mb < 50  # not one of the four is left


def test_a_message_beyond_every_limit_closes_the_connection(serve):
    async def talk():
        async with serve().client() as client:
            with contextlib.suppress(ConnectionClosed):  # the server need not wait for the end of it
                await client.socket.send("x" * (65 * 2**20))
            await client.socket.wait_closed()
            return client.socket.close_code

    assert asyncio.run(talk()) == 1009


class Chatterbox:
    """A conversation that speaks without end and without pause."""

    def __init__(self, engines, settings, *, new_id, asker):
        self.spoken = 0

    async def run(self):
        await asyncio.Event().wait()

    async def put(self, request):
        pass

    async def next_event(self):
        self.spoken += 1
        if self.spoken == 1:
            return ResponseStarted("resp_1", "item_1", None, "audio")
        return ResponseAudio("resp_1", "item_1", np.zeros(OUTPUT_RATE, np.float32))


def test_a_client_that_never_reads_is_disconnected_and_its_memory_comes_back(serve, tmp_path):
    file = tmp_path / "impatient.toml"
    file.write_text("[server]\nsend_timeout_s = 0.5\n")
    server = serve(begin=Chatterbox, file=file)

    async def talk():
        before = resident_mb()
        deaf = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(
            b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with deaf:
            await settled(lambda: sessions(server) == 1)
            await settled(lambda: sessions(server) == 0)
            await settled(lambda: not server.listener.server_state.connections)
            return resident_mb() - before

    assert asyncio.run(talk()) < 30


def test_a_client_that_reads_too_late_finds_out_why_it_was_disconnected(serve, tmp_path):
    file = tmp_path / "impatient.toml"
    file.write_text("[server]\nsend_timeout_s = 0.5\n")
    server = serve(begin=Chatterbox, file=file)

    async def talk():
        async with connect(server.ws_url, max_queue=1, max_size=None) as late:
            await settled(lambda: sessions(server) == 1)
            await settled(lambda: sessions(server) == 0)
            with contextlib.suppress(ConnectionClosed):
                async for _ in late:
                    pass
            return late.close_code

    assert asyncio.run(talk()) == 1008


def test_a_client_that_vanishes_leaves_nothing_behind_and_others_go_on(serve, caplog):
    server = serve()

    async def talk():
        async with server.client() as other:
            await other.speak(voice(0.4))
            gone = await connect(server.ws_url).__aenter__()
            await gone.send(json.dumps(append(b"\1\1" * 12_000)))
            await settled(lambda: sessions(server) == 2)
            gone.transport.abort()
            await settled(lambda: sessions(server) == 1)
            await other.speak(silence(1.2))
            done = await other.until("response.done")
            return done["response"]["status"]

    assert asyncio.run(talk()) == "completed"
    asyncio.run(settled(lambda: sessions(server) == 0))
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


def test_one_client_too_many_is_told_so(serve):
    server = serve(max_sessions=1)

    async def talk():
        async with server.client(), connect(server.ws_url) as second:
            error = json.loads(await second.recv())["error"]
            with pytest.raises(ConnectionClosed) as closed:
                await second.recv()
            return error, closed.value.rcvd.code

    error, close = asyncio.run(talk())
    assert (error["code"], close) == ("too_many_sessions", 1013)
    asyncio.run(settled(lambda: sessions(server) == 0))


class Fragile(Chatterbox):
    """A conversation that breaks."""

    async def run(self):
        raise RuntimeError("the secret words")

    async def next_event(self):
        return await asyncio.Event().wait()


def test_a_session_that_breaks_says_so_and_its_words_stay_out_of_the_log(serve, caplog):
    server = serve(begin=Fragile)

    async def talk():
        async with server.client() as client:
            error = (await client.until("error"))["error"]
            with pytest.raises(ConnectionClosed) as closed:
                await client.next()
            return error, closed.value.rcvd.code

    error, close = asyncio.run(talk())
    assert (error["type"], error["code"], close) == ("server_error", "session_failed", 1011)
    assert "secret" not in caplog.text
    assert "RuntimeError" in caplog.text


def test_a_stopping_server_says_goodbye_and_is_gone_within_two_seconds(serve):
    server = serve()

    async def talk():
        async with server.client() as client:
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            began = time.monotonic()
            server.listener.should_exit = True
            async for _ in client.socket:
                pass
            await settled(lambda: not server.listener.server_state.tasks)
            return client.socket.close_code, time.monotonic() - began

    code, took_s = asyncio.run(talk())
    assert code == 1001
    assert took_s < 2


def sessions(server):
    with urllib.request.urlopen(server.url + "/readyz", timeout=5) as answer:
        return json.load(answer)["sessions"]


async def settled(so):
    """Wait until something holds that the server gets to by itself."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(so):  # noqa: ASYNC110 - it is in another thread's loop
            await asyncio.sleep(0.05)


def resident_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
