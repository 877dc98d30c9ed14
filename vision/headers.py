"""What a picture file says of itself in its first bytes, and whether such a picture may be looked at at all.

A small file may hold a very large picture: nothing is decoded before its header was read here.
"""

import struct
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from vision.types import PictureError

MAX_BYTES: Final = 10 * 2**20
"""Of one picture's file."""
MAX_PIXELS: Final = 50_000_000
"""Of one picture, decoded."""

Kind: TypeAlias = Literal["jpeg", "png", "webp"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MAX_PASSES: Final = 1_000_000_000
"""Pixels times the passes over them that a progressive JPEG may take: a second's work."""
_START_OF_SCAN: Final = b"\xff\xda"
_WITH_OPACITY: Final = (b"\x04", b"\x06")
"""The colour types of PNG pictures that have it."""
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""The JPEG markers behind which a picture's size stands."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""The JPEG markers that have nothing behind them."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture is, as it says; width and height in pixels, as they are stored."""

    kind: Kind
    width: int
    height: int
    transparent: bool = False
    """Each pixel says how opaque it is."""


def read_header(data: bytes) -> Header:
    """Return the header of a JPEG, PNG or WebP file.

    Raises PictureError: `image_too_large`, or `invalid_image` for anything else and where it is damaged.
    """
    if len(data) > MAX_BYTES:
        raise PictureError("image_too_large", f"An image has at most {MAX_BYTES // 2**20} MiB.")
    kind, size = _look(data)
    if kind is None:
        raise PictureError("invalid_image", "This is no image that can be read: send a JPEG, PNG or WebP.")
    if size is None:
        raise _damaged(kind)
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        message = f"The image is {width} x {height} pixels; at least one and at most {limit} million can be had."
        raise PictureError("image_too_large" if width * height else "invalid_image", message)
    if kind == "png" and not _has_whole_chunks(data):
        raise _damaged(kind)
    if kind == "jpeg" and data.count(_START_OF_SCAN) * width * height > _MAX_PASSES:
        raise PictureError("image_too_large", "The JPEG image has too many passes: send one that isn't progressive.")
    return Header(kind, width, height, kind == "png" and data[25:26] in _WITH_OPACITY)


def _look(data: bytes) -> tuple[Kind | None, tuple[int, int] | None]:
    """Return what is in `data`, and its width and height in pixels, None where it is damaged."""
    if data.startswith(_PNG):
        whole = len(data) >= 24 and data[12:16] == b"IHDR"
        return "png", struct.unpack(">II", data[16:24]) if whole else None
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg", _jpeg_size(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp", _webp_size(data)
    return None, None


def _damaged(kind: Kind) -> PictureError:
    return PictureError("invalid_image", f"The {kind.upper()} image is damaged or cut short: send it again.")


def _has_whole_chunks(data: bytes) -> bool:
    """Tell whether a PNG has as much as it says. OpenCV would take the memory for a chunk before it looks for it."""
    at = len(_PNG)
    while data[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(data[at : at + 4])
        if at >= len(data):
            return False
    return True


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
