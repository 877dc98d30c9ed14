"""Binary messages of the wire (an extension): a small header, then sound or a picture. See docs/extensions.md.

```
0  version (1)      4  sequence, u32       12  id, ASCII, then zeros up to a multiple of 4
1  kind             8  time in ms, u32      …  payload
2  length of the id
3  0
```
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from assistant.server.wire import FrameError

VERSION: Final = 1
MOST_ID_BYTES: Final = 64

_HEADER: Final = struct.Struct("<BBBxII")
_WRAP: Final = 2**32


class Kind(IntEnum):
    """What the payload is."""

    MICROPHONE = 1
    SPEECH = 2
    PICTURE = 3


_KINDS: Final = frozenset(kind.value for kind in Kind)


@dataclass(frozen=True, slots=True)
class Frame:
    """One binary message. `id` names what the payload belongs to, in at most 64 ASCII characters without a NUL."""

    kind: Kind
    payload: bytes
    id: str = ""
    sequence: int = 0
    time_ms: int = 0


def pack(frame: Frame) -> bytes:
    """Return the message; `sequence` and `time_ms` go on from 0 after 2^32 - 1."""
    name = frame.id.encode("ascii")
    header = _HEADER.pack(VERSION, frame.kind, len(name), frame.sequence % _WRAP, frame.time_ms % _WRAP)
    return header + name + bytes(-len(name) % 4) + frame.payload


def unpack(data: bytes) -> Frame:
    """Read one message. Raises FrameError."""
    if len(data) < _HEADER.size:
        raise _broken(f"it has {len(data)} bytes, and the header alone has {_HEADER.size}")
    version, kind, length, sequence, time_ms = _HEADER.unpack_from(data)
    if version != VERSION:
        raise _broken(f"its version is {version}, and this server knows {VERSION}")
    if kind not in _KINDS:
        raise _broken(f"there is no kind {kind}: 1 is the microphone's sound, 2 speech, 3 a picture")
    if data[3] != 0:
        raise _broken("its fourth byte isn't 0")
    if length > MOST_ID_BYTES:
        raise _broken(f"its id has {length} bytes, and may have {MOST_ID_BYTES}")
    end = _HEADER.size + length
    begin = end + -length % 4
    if begin > len(data):
        raise _broken("it ends within its id")
    name = data[_HEADER.size : end]
    if not name.isascii() or 0 in name or any(data[end:begin]):
        raise _broken("its id isn't ASCII, followed by zeros up to a multiple of 4")
    return Frame(Kind(kind), data[begin:], name.decode("ascii"), sequence, time_ms)


def _broken(what: str) -> FrameError:
    return FrameError("invalid_frame", f"The binary message can't be read: {what}. See docs/extensions.md.")
