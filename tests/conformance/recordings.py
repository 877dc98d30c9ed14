"""What the drivers are given: recordings at the rate that every client sends, and a picture."""

import base64
import struct
import zlib
from pathlib import Path
from typing import Final

from audio.pcm import resample, to_pcm16
from audio.types import INPUT_RATE
from tests.conftest import read_clip

RATE: Final = 24_000
RECORDINGS: Final = {"question": "en_goog_brooklyn_bridge", "interruption": "en_s2p_weather_new_york"}


def prepare(folder: Path) -> None:
    """Write the recordings as raw PCM16 at RATE, and a picture of a red square as a data URL."""
    for name, clip in RECORDINGS.items():
        (folder / f"{name}.pcm").write_bytes(to_pcm16(resample(read_clip(clip), INPUT_RATE, RATE)))
    (folder / "picture.txt").write_text("data:image/png;base64," + base64.b64encode(red_square(64)).decode())


def red_square(side: int) -> bytes:
    """Return a PNG of `side` by `side` red pixels."""
    rows = b"".join(b"\0" + bytes((200, 30, 30)) * side for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
