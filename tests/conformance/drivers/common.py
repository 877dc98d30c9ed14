"""What the Python drivers share: the standard library only, since it runs in each client's own environment.

A driver is `python DRIVER.py URL RECORDINGS CONVERSATION…`. It holds each conversation with the unmodified client,
through the client's public interface, and prints a line of JSON for each: `{"conversation", "facts"}` with what the
client saw, or `{"conversation", "failed"}`. It judges nothing; `rows.py` does.
"""

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RATE = 24_000
FRAME_S = 0.02
LIMIT_S = 60.0
STORY = "Tell me a long story about a ship and its captain."
MANNER = (
    "You are a voice assistant. Answer a question in one short sentence. "
    "When you are asked for a story, tell a long one with many sentences."
)
CAPITAL = "What is the capital of France?"

Facts = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the server is (http://host:port), and where the recordings are (PCM16, RATE, one channel)."""

    url: str
    recordings: Path

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/v1"

    def recording(self, name: str) -> bytes:
        return (self.recordings / f"{name}.pcm").read_bytes()

    def image_url(self) -> str:
        return (self.recordings / "picture.txt").read_text()


Conversation = Callable[[Place], Awaitable[Facts]]


async def speak(send: Callable[[bytes], Awaitable[Any]], pcm: bytes, *, then_s: float = 0.0) -> None:
    """Send a recording as a microphone would, 20 ms every 20 ms, and `then_s` of silence after it."""
    step = int(RATE * FRAME_S) * 2
    pcm += bytes(int(RATE * then_s) * 2)
    began = time.monotonic()
    for at in range(0, len(pcm), step):
        await send(pcm[at : at + step])
        await asyncio.sleep(max(0.0, began + (at + step) / (2 * RATE) - time.monotonic()))


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until `condition()` holds, as a program does that watches a client's state. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - clients have state to be looked at, and no event for it
            await asyncio.sleep(0.02)


def run(conversations: Mapping[str, Conversation]) -> None:
    """Hold the conversations that were asked for, one after the other."""
    url, folder, *names = sys.argv[1:]
    place = Place(url, Path(folder))
    for name in names:
        began = time.monotonic()
        line: Facts = {"conversation": name}
        try:
            line["facts"] = asyncio.run(asyncio.wait_for(conversations[name](place), LIMIT_S))
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the finding
            traceback.print_exc()
            line["failed"] = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")[:200]
        line["seconds"] = round(time.monotonic() - began, 1)
        print(json.dumps(line), flush=True)
