"""WAV files that grow, of 32-bit float sound: what is read is bit for bit what was written.

As long as a file grows, its header says that the length is unknown, so that a file which was never finished can be
played and read.
"""

import struct
from pathlib import Path
from typing import Final

import numpy as np

from assistant.record.format import FormatError
from audio.types import Samples

HEADER_BYTES: Final = 44
_ENDLESS: Final = 0xFFFF_FFFF
_LAYOUT: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_FLOAT: Final = 3


def header(rate: int, data_bytes: int | None = None) -> bytes:
    """Return the header of mono sound; None, or more than a WAV file can tell, is an unknown length."""
    size = _ENDLESS if data_bytes is None or data_bytes > _ENDLESS - HEADER_BYTES else data_bytes
    total = size if size == _ENDLESS else size + HEADER_BYTES - 8
    return _LAYOUT.pack(b"RIFF", total, b"WAVE", b"fmt ", 16, _FLOAT, 1, rate, 4 * rate, 4, 32, b"data", size)


def read(path: Path, rate: int) -> Samples:
    """Return the sound of a file that begins with `header`, as far as it goes, whatever length the header tells.

    Raises FormatError when it isn't such a file, and OSError when it can't be read.
    """
    content = path.read_bytes()
    if len(content) < HEADER_BYTES or content[8:40] != header(rate)[8:40]:
        raise FormatError(f"{path.name} is not mono 32-bit float sound at {rate} Hz")
    whole = (len(content) - HEADER_BYTES) // 4
    return np.frombuffer(content, "<f4", whole, HEADER_BYTES).astype(np.float32, copy=False)
