"""What the user shows: pictures in files, and a camera's or a video's frames.

OpenCV is loaded when there is something to show.
"""

import base64
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from vision.headers import MAX_BYTES, read_header
from vision.types import Frame, PictureError

_FRAMES_A_SECOND: Final = 5.0


class ShowError(Exception):
    """It can't be shown; the message names what, the cause and the cure."""


def read_pictures(paths: Sequence[Path]) -> list[str]:
    """Return the pictures in these files (JPEG, PNG or WebP) as data URLs.

    Together they may be as large as one: they travel in one message. Raises ShowError.
    """
    files = [(path, _read(path)) for path in paths]
    if sum(len(data) for _, data in files) > MAX_BYTES:
        raise ShowError(
            f"The pictures have more than {MAX_BYTES // 2**20} MiB together: make them smaller, or show fewer at once."
        )
    return [_url(path, data) for path, data in files]


@asynccontextmanager
async def filming(source: str, *, rate: float = _FRAMES_A_SECOND) -> AsyncIterator[AsyncIterable[Frame]]:
    """Open a device (a number), an address (rtsp, http) or a video file; its frames are JPEG. Raises ShowError."""
    from vision.camera import Camera, CameraError  # noqa: PLC0415 - OpenCV takes a while to load

    try:
        async with Camera(source, rate=rate) as camera:

            async def frames() -> AsyncIterator[Frame]:
                try:
                    async for frame in camera:
                        yield frame
                except CameraError as error:
                    raise ShowError(str(error)) from error

            yield frames()
    except CameraError as error:
        raise ShowError(str(error)) from error


def video_file(path: Path) -> str:
    """Return the file as a source of frames: never a device, whatever its name. Raises ShowError."""
    if not path.is_file():
        raise ShowError(f"There is no file {path}. Check the path.")
    return str(path.absolute())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ShowError(f"There is no file {path}. Check the path.") from None
    except OSError as error:
        raise ShowError(f"{path} can't be read: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise ShowError(f"{path} has more than {MAX_BYTES // 2**20} MiB: make the picture smaller.")
    return data


def _url(path: Path, data: bytes) -> str:
    from vision.frames import decode  # noqa: PLC0415 - OpenCV takes a while to load

    try:
        kind = read_header(data).kind
        decode(data)  # cut short or damaged, it would be refused only after the question
    except PictureError as error:
        raise ShowError(f"{path}: {error.message}") from error
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
