"""Timers over real sockets, in a real process with a real database: they speak up, and survive a restart."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect

pytestmark = pytest.mark.e2e

WAIT_S = 30.0


@contextmanager
def server(folder) -> Iterator[tuple[subprocess.Popen, str]]:
    config = folder / "my.toml"
    config.write_text(f'[store]\nurl = "sqlite:///{folder / "parley.db"}"\n')
    command = [sys.executable, "-m", "tests.e2e.serving", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running, next(line for line in running.stdout if "Parley is ready: " in line).split()[-1]
        finally:
            running.kill()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[ClientConnection]:
    async with connect(url.replace("http", "ws", 1) + "/v1/realtime") as socket:
        await until(socket, "session.created")
        await socket.send(
            json.dumps({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}})
        )
        await until(socket, "session.updated")
        yield socket


async def until(socket: ClientConnection, kind: str) -> dict:
    async with asyncio.timeout(WAIT_S):
        while (message := json.loads(await socket.recv()))["type"] != kind:
            assert message["type"] != "error", message
    return message


async def answer(socket: ClientConnection) -> str:
    done = await until(socket, "response.done")
    assert done["response"]["status"] == "completed", done
    return " ".join(
        part.get("text") or part["transcript"] for item in done["response"]["output"] for part in item["content"]
    )


async def ask(socket: ClientConnection, text: str) -> str:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))
    return await answer(socket)


def test_a_timer_speaks_up_by_itself_in_the_session_that_set_it(tmp_path) -> None:
    async def talk(url: str) -> None:
        async with client(url) as kitchen, client(url) as bedroom:
            assert await ask(kitchen, "Set a tea timer for two seconds.") == "2 seconds for tea, starting now."
            began = time.monotonic()
            assert await answer(kitchen) == "Your tea timer is done."
            assert 1.5 < time.monotonic() - began < 3.5
            assert (await ask(kitchen, "What did you say?")).endswith("Your tea timer is done.")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await until(bedroom, "response.done")

    with server(tmp_path) as (_, url):
        asyncio.run(talk(url))


def test_a_timer_survives_the_death_of_the_server(tmp_path) -> None:
    async def set_them(url: str) -> None:
        async with client(url) as socket:
            assert await ask(socket, "Set a pasta timer for three seconds.") == "3 seconds for pasta, starting now."
            assert await ask(socket, "Set an egg timer for ten minutes.") == "10 minutes for egg, starting now."

    async def hear_of_them(url: str) -> None:
        async with client(url) as socket:
            assert (await answer(socket)).startswith("Your pasta timer ")  # "is done", or "ended … ago"
            assert (await ask(socket, "List my timers.")).endswith("left on the egg timer.")

    with server(tmp_path) as (running, url):
        asyncio.run(set_them(url))
        running.kill()
        running.wait()
    with server(tmp_path) as (_, url):
        asyncio.run(hear_of_them(url))
