"""Decoding: a camera's or a person's picture file becomes pixels, or one clear error.

OpenCV reads JPEG (CMYK too), PNG and WebP, turns them as their EXIF says, takes the first picture of an animation, and
refuses what is cut short. Only a file whose header allows it (headers.py) is decoded: a small one may unfold into much.
"""

from typing import Final, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.headers import Header, read_header
from vision.types import PictureError, Pixels

SIDE: Final = 1280
"""The longest side of what is looked at, in pixels: it bounds all work, and detectors see less than that."""

_REDUCED: Final = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)

_AnyDepth: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

cv2.setNumThreads(1)  # the other cores are the conversation's
# Of a damaged picture its sender is told; OpenCV would also tell the log, each time.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(data: bytes, *, side: int = SIDE) -> Pixels:
    """Return the picture in a JPEG, PNG or WebP file, upright, its longest side at most `side` pixels.

    What is transparent becomes white. Raises PictureError (`invalid_image`, `image_too_large`).
    """
    header = read_header(data)
    if header.transparent:
        return _on_white(_fitted(_decoded(data, cv2.IMREAD_UNCHANGED), side))
    return _fitted(_decoded(data, _flag(header, side)), side).astype(np.uint8, copy=False)


def decode_small(data: bytes) -> NDArray[np.uint8]:
    """Return the picture in grey, [height, width], an eighth as high and wide: a JPEG's takes half a millisecond.

    Raises PictureError as `decode` does.
    """
    header = read_header(data)
    narrow = min(header.width, header.height) < 8
    flag = cv2.IMREAD_GRAYSCALE if narrow else cv2.IMREAD_REDUCED_GRAYSCALE_8
    return _decoded(data, flag).astype(np.uint8, copy=False)


def _flag(header: Header, side: int) -> int:
    """Let libjpeg make a large picture smaller, which saves most of its time and memory; no other decoder can."""
    if header.kind != "jpeg":
        return cv2.IMREAD_COLOR
    longest = max(header.width, header.height)
    return next((flag for factor, flag in _REDUCED if longest // factor >= side), cv2.IMREAD_COLOR)


def _decoded(data: bytes, flag: int) -> _AnyDepth:
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise PictureError("invalid_image", f"The image can't be read ({error.err}): send it again.") from error
    if picture is None:
        raise PictureError(
            "invalid_image", "The image is damaged, cut short or of a rare kind: send it again, as JPEG."
        )
    return cast(_AnyDepth, picture)


def _fitted(picture: _AnyDepth, side: int) -> _AnyDepth:
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast(_AnyDepth, cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _on_white(picture: _AnyDepth) -> Pixels:
    most = np.iinfo(picture.dtype).max
    opacity = picture[:, :, 3:].astype(np.float32) / most
    return ((picture[:, :, :3].astype(np.float32) / most * opacity + 1 - opacity) * 255).round().astype(np.uint8)
