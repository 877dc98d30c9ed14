"""Pictures of this machine's camera, of one in the network (RTSP, MJPEG) or of a video file, through OpenCV."""

import asyncio
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVarTuple, assert_never

import cv2

from vision.types import Frame

_About = TypeVarTuple("_About")

_SCHEMES: Final = ("rtsp", "rtsps", "http", "https")
_PATIENCE_MS: Final = 5000
"""How long a camera in the network may be silent."""
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 15.0
_CLOSE_S: Final = 1.0
_QUALITY: Final = 85
_ADDRESS: Final = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@]+@")

# FFmpeg and OpenCV would write addresses, passwords included, to the terminal. FFmpeg reads this when it is first used.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class CameraError(Exception):
    """The camera can't be used; the message names the cause and the cure."""


class _Kind(Enum):
    DEVICE = auto()
    ADDRESS = auto()
    FILE = auto()


@dataclass(frozen=True, slots=True)
class _Source:
    kind: _Kind
    name: str
    """A device's number, an address, or a file's path."""

    @property
    def shown(self) -> str:
        """The name, without a password."""
        return _CREDENTIALS.sub("", self.name)


class Camera:
    """Frames as they are shown: `async with` opens it, `async for` gives them, JPEG, at most `rate` a second.

    Only the newest waits: one that comes before the last was taken replaces it, and is counted in `dropped`. A camera
    that is unplugged, or whose server goes, is opened again and again, at longer and longer intervals; meanwhile no
    frame comes and `connected` is false. A file is played at its own speed, times `speed`, and ends.
    """

    def __init__(self, source: str | int, *, rate: float = 2.0, max_side: int = 1280, speed: float = 1.0) -> None:
        """`source` is a device's number, an address (rtsp, http), or a file's path; larger pictures are scaled down.

        Raises CameraError where it can be none of these.
        """
        self._source = _understood(str(source))
        self._period = 1 / rate
        self._max_side = max_side
        self._speed = speed
        self._closed = threading.Event()
        self._newest: Frame | None = None
        self._failure: CameraError | None = None
        self._ended = False
        self._changed = asyncio.Event()
        self.dropped = 0
        self.connected = False

    async def __aenter__(self) -> Self:
        """Open it and wait for its first picture. Raises CameraError where there is none."""
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._loop = asyncio.get_running_loop()
        # Not an executor's: those are waited for when the program ends, and this one may hang in a read.
        self._thread = threading.Thread(target=self._work, name="camera", daemon=True)
        self._thread.start()
        try:
            await self._news()
        except asyncio.CancelledError:
            self._closed.set()
            raise
        if self._failure is not None:
            await self._close()
            raise self._failure
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. A read that hangs is left to end by itself."""
        await self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """Wait for a frame that is newer than the last. Raises CameraError where the camera broke."""
        await self._news()
        if self._newest is None:
            if self._failure is not None:
                raise self._failure
            raise StopAsyncIteration
        frame, self._newest = self._newest, None
        return frame

    async def _close(self) -> None:
        self._closed.set()
        await asyncio.to_thread(self._thread.join, _CLOSE_S)

    async def _news(self) -> None:
        while self._newest is None and not self._ended:
            self._changed.clear()
            await self._changed.wait()

    # In the camera's thread:

    def _work(self) -> None:
        failure = None
        try:
            self._watch()
        except CameraError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whoever waits for a frame must not wait for ever
            failure = CameraError(f"The camera {self._source.shown} broke ({error}). Open it again.")
            failure.__cause__ = error
        self._tell(self._end, failure)

    def _watch(self) -> None:
        """Read until the end, or until it is closed; a camera that goes is opened again."""
        wait, seen = _FIRST_WAIT_S, False
        while not self._closed.is_set():
            if self._read(_open(self._source)):
                wait, seen = _FIRST_WAIT_S, True
            if not seen:
                raise CameraError(_why(self._source))
            if self._source.kind is _Kind.FILE:
                return
            self._tell(self._lose)
            self._closed.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def _read(self, capture: cv2.VideoCapture) -> bool:
        """Read until there is nothing more; tell whether there was anything."""
        try:
            start = self._loop.time()
            frames_a_second = capture.get(cv2.CAP_PROP_FPS) or 25.0
            count, next_at = 0, start
            while not self._closed.is_set() and capture.grab():
                if self._source.kind is _Kind.FILE:
                    self._closed.wait(start + count / frames_a_second / self._speed - self._loop.time())
                count += 1
                now = self._loop.time()
                if now >= next_at:
                    whole, picture = capture.retrieve()
                    if whole:
                        self._tell(self._take, Frame(self._jpeg(picture), now))
                        next_at = max(next_at + self._period, now)
            return count > 0
        finally:
            capture.release()

    def _jpeg(self, picture: cv2.typing.MatLike) -> bytes:
        height, width = picture.shape[:2]
        scale = self._max_side / max(height, width)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])

    def _tell(self, what: Callable[[*_About], None], *about: *_About) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(what, *about)

    # In the loop's thread again:

    def _take(self, frame: Frame) -> None:
        self.dropped += self._newest is not None
        self._newest = frame
        self.connected = True
        self._changed.set()

    def _lose(self) -> None:
        self.connected = False

    def _end(self, failure: CameraError | None) -> None:
        self._failure = failure
        self._ended = True
        self.connected = False
        self._changed.set()


def _understood(source: str) -> _Source:
    if source.isdecimal():
        return _Source(_Kind.DEVICE, source)
    if device := re.fullmatch(r"/dev/video(\d+)", source):
        return _Source(_Kind.DEVICE, device[1])
    address = _ADDRESS.match(source)
    if address is None:
        return _Source(_Kind.FILE, source)
    if address[1].lower() not in _SCHEMES:
        raise CameraError(
            f"A camera can't be reached by {address[1]}://. Name a device's number, a file, or an address that begins "
            f"with one of {', '.join(_SCHEMES)}."
        )
    return _Source(_Kind.ADDRESS, source)


def _open(source: _Source) -> cv2.VideoCapture:
    """Return the source, opened or not."""
    match source.kind:
        case _Kind.DEVICE:
            # Another system than Linux has its own ways, which OpenCV finds.
            return cv2.VideoCapture(int(source.name), cv2.CAP_ANY, [cv2.CAP_PROP_BUFFERSIZE, 1])
        case _Kind.ADDRESS:
            patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE_MS]
            return cv2.VideoCapture(source.name, cv2.CAP_FFMPEG, [*patience, cv2.CAP_PROP_N_THREADS, 1])
        case _Kind.FILE:
            return cv2.VideoCapture(source.name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        case _ as never:
            assert_never(never)


def _why(source: _Source) -> str:
    """Say why a source gives no picture, and what helps."""
    match source.kind:
        case _Kind.DEVICE:
            devices = sorted(str(path) for path in Path("/dev").glob("video*"))
            if f"/dev/video{source.name}" in devices:
                return (
                    f"The camera {source.name} gives no picture. Close other programs that use it; on Linux, your user "
                    "must be in the group `video`."
                )
            there = f"this machine has {', '.join(devices)}" if devices else "this machine shows none"
            return f"There is no camera {source.name}: {there}. Plug it in, or name another."
        case _Kind.ADDRESS:
            return (
                f"The camera at {source.shown} can't be reached, or sends no video. Check that it is switched on and "
                "that address, user and password are right; a media player should show it."
            )
        case _Kind.FILE:
            if not Path(source.name).is_file():
                return f"There is no file {source.name}. Check the path."
            return f"{source.name} is no video that can be read. Use MP4, MKV, WebM or AVI."
        case _ as never:
            assert_never(never)
