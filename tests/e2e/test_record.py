"""`parley serve --record`, conversations over a real socket, and `parley replay`, each in a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from tempfile import NamedTemporaryFile

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.assistant.recording import noise
from tests.e2e.conftest import WAIT_S, Client
from tests.e2e.fakes import ANSWER, HEARD, silence, voice

pytestmark = pytest.mark.e2e

TOKEN = "open-sesame"


@contextmanager
def serving(*arguments):
    """Run `parley serve` until the block ends; gives the process and its address. The model answers everything."""
    environment = os.environ | {"PARLEY_TOKEN": TOKEN}
    with NamedTemporaryFile("w", suffix=".toml") as config:
        config.write("[reflexes]\nenabled = false\n")
        config.flush()
        command = [sys.executable, "-m", "tests.e2e.serving", "--config", config.name, *map(str, arguments)]
        yield from _serve(command, environment)


def _serve(command, environment):
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            line = ""
            while "Parley is ready: " not in line:
                line = server.stdout.readline()
                assert line, server.stderr.read()
            yield server, line.split()[-1]
        finally:
            server.kill()


def replay(folder, *arguments, seed="0"):
    command = [sys.executable, "-m", "assistant", "replay", str(folder), *arguments]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=WAIT_S, check=False)


@asynccontextmanager
async def client_of(url):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with connect(url.replace("http", "ws", 1) + "/v1/realtime", additional_headers=headers) as socket:
        client = Client(socket)
        session = await client.until("session.created")
        yield client, session["session"]["id"]


async def ask(client):
    await client.speak(silence(0.3), paced=True)
    await client.speak(voice(0.8), paced=True)
    await client.speak(silence(0.8), paced=True)


def test_a_spoken_turn_is_recorded_and_replayed(tmp_path):
    async def talk(url):
        async with client_of(url) as (client, session):
            await ask(client)
            await client.until("response.done")
            return session

    with serving("--record", tmp_path / "kept") as (server, url):
        session = asyncio.run(talk(url))
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=WAIT_S)
    assert err.count(f"is stored in\n    {tmp_path / 'kept'}\n") == 2
    (folder,) = (tmp_path / "kept").iterdir()
    assert folder.name.endswith(f"-{session}")
    assert not any(TOKEN.encode() in path.read_bytes() for path in folder.iterdir())

    done = replay(tmp_path / "kept")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert f"you: “{HEARD}”" in done.stdout
    assert "reply completed" in done.stdout
    assert done.stdout.endswith("The same as it was recorded.\n")

    one, other = (replay(folder, "--json", seed=seed) for seed in ("1", "2"))
    assert one.stdout == other.stdout
    (report,) = json.loads(one.stdout)["recordings"]
    assert report["whole"]
    said = [event["event"]["text"] for event in report["events"] if event["event"]["$"] == "ResponseText"]
    assert "".join(said) == ANSWER

    later = replay(folder, "--set", "turn.min_silence_s=0.6", "--set", "turn.max_silence_s=0.7")
    assert later.returncode == 1, later.stdout


def test_a_barge_in_is_recorded_and_replayed(tmp_path):
    async def talk(url):
        async with client_of(url) as (client, _):
            await ask(client)
            await client.until("response.output_audio.delta")
            # The reply is a tone, and so is the fakes' voice: this one must not be taken for the reply's echo.
            await client.speak(noise(1.4, seed=1) / 3, paced=True)
            await client.speak(silence(0.8), paced=True)
            return [(await client.until("response.done"))["response"]["status"] for _ in range(2)]

    with serving("--record", tmp_path) as (server, url):
        assert asyncio.run(talk(url)) == ["cancelled", "completed"]
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=WAIT_S)
    done = replay(tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "reply interrupted; heard of it: “It is" in done.stdout


def test_a_server_that_is_killed_leaves_what_was_said_until_then(tmp_path):
    async def talk(url, server):
        async with client_of(url) as (client, _):
            await ask(client)
            await client.until("response.output_audio.delta")
            server.kill()
            with suppress(ConnectionClosed):
                while True:
                    await client.next()

    with serving("--record", tmp_path) as (server, url):
        asyncio.run(talk(url, server))
    done = replay(tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "The recording was cut off" in done.stdout
    assert f"you: “{HEARD}”" in done.stdout
