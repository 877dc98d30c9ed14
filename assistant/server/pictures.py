"""Pictures that a client shows: data URLs, checked by what is in them and not by what they claim to be.

Only a picture's first bytes are read here. Nothing is fetched: an address would make this machine a way into its own
network for whoever may talk to it.
"""

import re
import struct
from typing import Final

from assistant.server.wire import decode_base64
from pipeline.engines import Picture
from pipeline.errors import RequestError

MAX_BYTES: Final = 10 * 2**20
"""Of one picture, decoded."""
MAX_PIXELS: Final = 50_000_000
"""Of one picture: a small file may hold a very large one."""

_DATA_URL: Final = re.compile(r"data:image/(jpeg|jpg|png|webp);base64,")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""The JPEG markers behind which a picture's size stands."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""The JPEG markers that have nothing behind them."""


def picture(url: str | None, detail: str | None, param: str) -> Picture:
    """Return the picture of an `input_image` part. Raises RequestError, naming `param`, for anything else."""
    if url is None:
        raise RequestError("missing_required_parameter", f"{param} is required: a data URL.", param)
    head = _DATA_URL.match(url)
    if head is None:
        raise RequestError("invalid_value", f"{param}: {_no_data_url(url)}", param)
    encoded = url[head.end() :]
    if len(encoded) > MAX_BYTES * 4 / 3 + 4:
        raise RequestError("image_too_large", f"{param}: an image has at most {MAX_BYTES // 2**20} MiB.", param)
    data = decode_base64(encoded, param)
    claimed = head[1].replace("jpg", "jpeg")
    kind, size = _look(data)
    if kind != claimed:
        found = f"it is {kind.upper()}" if kind else "it has no such image in it"
        raise RequestError("invalid_image", f"{param} claims to be {claimed.upper()}, but {found}.", param)
    _check_size(kind, size, param)
    return Picture(url, "low" if detail == "low" else "high" if detail == "high" else "auto")


def check_frame(data: bytes) -> None:
    """Raise RequestError where a camera's frame isn't a JPEG, PNG or WebP image of a size that can be looked at."""
    if len(data) > MAX_BYTES:
        raise RequestError("image_too_large", f"payload: an image has at most {MAX_BYTES // 2**20} MiB.", "payload")
    kind, size = _look(data)
    if not kind:
        message = "payload: a picture (kind 3) is a JPEG, PNG or WebP file, and this is none of them."
        raise RequestError("invalid_image", message, "payload")
    _check_size(kind, size, "payload")


def _check_size(kind: str, size: tuple[int, int] | None, param: str) -> None:
    if size is None:
        raise RequestError("invalid_image", f"{param}: the {kind.upper()} image is damaged or cut short.", param)
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        message = f"{param}: the image is {width} x {height} pixels; at most {limit} million can be had."
        raise RequestError("image_too_large", message, param)


def _no_data_url(url: str) -> str:
    if url.startswith(("http://", "https://")):
        return (
            "an address isn't fetched, since this server reaches nothing outside for a client. Send the image itself, "
            'as "data:image/jpeg;base64,…".'
        )
    return 'an image is a data URL such as "data:image/jpeg;base64,…" with a JPEG, PNG or WebP in it.'


def _look(data: bytes) -> tuple[str, tuple[int, int] | None]:
    """Return what is in `data` ("" for nothing known), and its width and height in pixels, None where it is damaged."""
    if data.startswith(_PNG):
        whole = len(data) >= 24 and data[12:16] == b"IHDR"
        return "png", struct.unpack(">II", data[16:24]) if whole else None
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg", _jpeg_size(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp", _webp_size(data)
    return "", None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case _:
            return None
