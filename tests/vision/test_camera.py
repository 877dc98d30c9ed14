import asyncio
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np
import pytest

import vision.camera
from tests.vision.mjpeg import MjpegServer, mjpeg, silent
from tests.vision.pictures import IMAGES
from vision.camera import Camera, CameraError
from vision.types import Frame, Pixels

VIDEO = IMAGES / "video_googlework_tiny.mp4"
BLUE, RED = (200, 20, 20), (20, 20, 200)


def picture(frame: Frame) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(frame.data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8, copy=False)


def colour(frame: Frame) -> str:
    blue, _, red = picture(frame).mean(axis=(0, 1))
    return "blue" if blue > red else "red"


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    yield
    assert working() == []


def working() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "camera"]


def at_end() -> None:
    """Wait until the camera has nothing more to show."""
    for thread in working():
        thread.join(10)


async def all_of(camera: Camera) -> list[Frame]:
    async with camera:
        return [frame async for frame in camera]


def test_a_video_is_played_to_its_end() -> None:
    frames = asyncio.run(all_of(Camera(str(VIDEO), rate=1000, speed=4)))
    assert picture(frames[0]).shape == (180, 320, 3)
    assert all(later.at > earlier.at for earlier, later in pairwise(frames))
    assert np.abs(picture(frames[0]).astype(int) - picture(frames[-1])).mean() > 10
    assert frames[-1].at - frames[0].at == pytest.approx(57 / 15 / 4, abs=0.5)


def test_frames_come_at_the_wished_rate() -> None:
    camera = Camera(str(VIDEO), rate=5, speed=2)
    frames = asyncio.run(all_of(camera))
    assert 8 <= len(frames) + camera.dropped <= 11  # in 1.93 s


def test_only_the_newest_waits() -> None:
    async def main() -> tuple[list[Frame], int]:
        async with Camera(str(VIDEO), rate=1000, speed=30) as camera:
            await asyncio.to_thread(at_end)
            frames = [frame async for frame in camera]
            assert not camera.connected
            return frames, camera.dropped

    (last,), dropped = asyncio.run(main())
    assert dropped > 20
    reader = cv2.VideoCapture(str(VIDEO))
    shown = None
    while (read := reader.read())[0]:
        shown = read[1]
    reader.release()
    assert shown is not None
    assert np.abs(picture(last).astype(int) - shown).mean() < 5


def test_large_pictures_are_scaled_down() -> None:
    frames = asyncio.run(all_of(Camera(str(VIDEO), speed=30, max_side=160)))
    assert picture(frames[0]).shape == (90, 160, 3)


def test_a_camera_in_the_network_that_goes_and_comes_back() -> None:
    async def main(server: MjpegServer) -> list[str]:
        seen = []
        async with asyncio.timeout(30), Camera(f"http://127.0.0.1:{server.port}/video", rate=20) as camera:
            async for frame in camera:
                seen.append(colour(frame))
                if len(seen) == 3:
                    server.stop()
                    server = MjpegServer(RED, server.port)
                if seen[-1] == "red":
                    server.stop()
                    return seen
        return []

    seen = asyncio.run(main(MjpegServer(BLUE)))
    assert seen[:3] == ["blue"] * 3
    assert seen[-1] == "red"


def test_black_frames_are_frames() -> None:
    async def main(port: int) -> Frame:
        async with asyncio.timeout(10), Camera(f"http://127.0.0.1:{port}/") as camera:
            return await anext(camera)

    with mjpeg((0, 0, 0)) as server:
        assert picture(asyncio.run(main(server.port))).max() <= 2


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.mp4", "There is no file nowhere.mp4"),
        (str(IMAGES / "README.md"), "no video that can be read. Use MP4"),
        (str(IMAGES), "There is no file"),
        ("", "There is no file"),
        ("99", "There is no camera 99: this machine .*Plug it in"),
        ("/dev/video99", "There is no camera 99"),
        ("http://127.0.0.1:9/video", "can't be reached.*Check that it is switched on"),
        ("rtsp://127.0.0.1:9/stream", "can't be reached"),
        ("gopher://127.0.0.1", "can't be reached by gopher://.*rtsp, rtsps, http, https"),
        ("pipe://0", "can't be reached by pipe://"),
    ],
)
def test_what_can_not_be_opened_says_why(source: str, words: str) -> None:
    with pytest.raises(CameraError, match=words):
        asyncio.run(all_of(Camera(source)))


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(vision.camera, "_PATIENCE_MS", 300)
    with silent() as port, pytest.raises(CameraError, match="sends no video"):
        asyncio.run(all_of(Camera(f"{scheme}://127.0.0.1:{port}/")))


def test_a_password_is_shown_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CameraError, match=r"at http://127\.0\.0\.1:9/video can't") as caught:
        asyncio.run(all_of(Camera("http://anna:hush@127.0.0.1:9/video")))
    with pytest.raises(CameraError):
        asyncio.run(all_of(Camera("rtsp://anna:hush@127.0.0.1:9/video")))
    shown = capfd.readouterr()
    assert "hush" not in str(caught.value) + shown.out + shown.err


def test_closing_does_not_wait_for_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision.camera, "_PATIENCE_MS", 1500)

    async def main(port: int) -> None:
        async with asyncio.timeout(0.2), Camera(f"http://127.0.0.1:{port}/"):
            pass

    with silent() as port:
        with pytest.raises(TimeoutError):
            asyncio.run(main(port))
        assert working() != []
        at_end()


class Plug:
    """Stands for OpenCV's capture of a device: it shows two pictures, is pulled out, and is there again later."""

    opened: ClassVar[list[bool]] = []

    def __init__(self, *_: object) -> None:
        self.opened.append(len(self.opened) in (0, 3))
        self._left = 2 if self.opened[-1] else 0

    def get(self, _: int) -> float:
        return 0.0

    def grab(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def retrieve(self) -> tuple[bool, Pixels]:
        return True, np.full((120, 160, 3), 50 * len(self.opened), np.uint8)

    def release(self) -> None: ...


def test_a_device_that_is_unplugged_in_mid_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Now(threading.Event):
        """Doesn't wait, and notes how long it should have."""

        def wait(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                waits.append(timeout)
            return super().wait(0)

    async def main() -> float:
        camera = Camera(0, rate=1000)
        monkeypatch.setattr(camera, "_closed", Now())
        async with asyncio.timeout(10), camera:
            async for frame in camera:
                if (light := picture(frame).mean()) > 150:
                    return float(light)
        raise AssertionError

    monkeypatch.setattr(Plug, "opened", [])
    monkeypatch.setattr(cv2, "VideoCapture", Plug)
    assert asyncio.run(main()) == pytest.approx(200, abs=2)
    assert Plug.opened[:4] == [True, False, False, True]
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert max(waits) <= 15


def test_a_camera_that_breaks_is_an_error_and_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Plug):
        def retrieve(self) -> tuple[bool, Pixels]:
            raise cv2.error("out of memory")

    monkeypatch.setattr(Broken, "opened", [])
    monkeypatch.setattr(cv2, "VideoCapture", Broken)
    with pytest.raises(CameraError, match=r"The camera 0 broke \(out of memory\)"):
        asyncio.run(all_of(Camera("0")))
