"""The server as a process: it starts, it stops when told to, and it says why when it can't start."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from websockets.asyncio.client import connect

pytestmark = pytest.mark.e2e


@contextmanager
def process(*arguments):
    command = [sys.executable, "-m", "tests.e2e.served", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_sessions_and_engines_in_order(stop):
    async def talk(server):
        url = server.stdout.readline().strip().replace("http", "ws", 1)
        async with connect(f"{url}/v1/realtime") as client:
            assert json.loads(await client.recv())["type"] == "session.created"
            server.send_signal(stop)
            began = time.monotonic()
            await client.wait_closed()
            out, err = await asyncio.to_thread(server.communicate)
            return client.close_code, time.monotonic() - began, out.split("\n"), err

    with process() as server:
        code, took_s, out, err = asyncio.run(talk(server))
    assert code == 1001
    assert out == ["engines closed", "over", ""]
    assert took_s < 2
    assert server.returncode == 0
    assert err == ""


def test_a_taken_port_is_found_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken, process(str(taken.getsockname()[1])) as server:
        out, err = server.communicate()
    assert out == ""
    assert "OSError" in err
    assert server.returncode == 1


def test_engines_that_cannot_be_had_end_the_server_with_their_own_error():
    with process("--broken") as server:
        out, err = server.communicate()
    assert out == ""
    assert "RuntimeError: The model file is damaged." in err
    assert "ExceptionGroup" not in err
