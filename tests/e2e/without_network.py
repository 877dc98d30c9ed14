"""`python -m tests.e2e.without_network FOLDER ARGUMENT…`: a conversation on a machine that has no network but loopback.

Run inside a network namespace of its own. Starts `parley serve ARGUMENT…` with the real models, types and speaks to it,
and prints what came back, as JSON.
"""

import asyncio
import fcntl
import json
import re
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from tests.conftest import read_clip
from tests.e2e.conftest import Client
from tests.e2e.fakes import silence

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def loopback_up() -> None:
    """A fresh namespace has a loopback that is down, and nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(one, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0)))
        fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def way_out() -> str:
    """Return what comes of sending something to the world: the name of the error, or "sent"."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"", ("192.0.2.1", 9))
    except OSError as error:
        return error.strerror or ""
    return "sent"


async def talk(url: str) -> dict[str, Any]:
    async with connect(f"{url.replace('http', 'ws', 1)}/v1/realtime", max_size=None) as socket_:
        client = Client(socket_)
        await client.until("session.created")
        content = [{"type": "input_text", "text": "What is the capital of France?"}]
        item = {"type": "message", "role": "user", "content": content}
        await client.send("conversation.item.create", item=item)
        await client.send("response.create", response={"output_modalities": ["text"]})
        typed = await client.until("response.done")
        await client.speak(np.concatenate([read_clip("en_v2j_what_time_is_it"), silence(1.5)]), paced=True)
        spoken = await client.until("response.done")
        heard = [m["transcript"] for m in client.seen if m["type"].endswith("input_audio_transcription.completed")]
        sound = sum(len(m["delta"]) for m in client.seen if m["type"] == "response.output_audio.delta")
        return {
            "typed": typed["response"]["output"][0]["content"][0]["text"],
            "heard": heard,
            "spoken": spoken["response"]["output"][0]["content"][0]["transcript"],
            "sound": sound,
        }


def main(folder: Path, arguments: list[str]) -> None:
    loopback_up()
    command = [sys.executable, "-m", "tests.e2e.watched", str(folder / "ways-out"), "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            ready = next(line for line in server.stdout if line.startswith("Parley is ready"))
            found = re.search(r"http://\S+", ready)
            assert found is not None
            report = asyncio.run(talk(found[0]))
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=20)
    print(json.dumps({**report, "way_out": way_out(), "interfaces": [name for _, name in socket.if_nameindex()]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
