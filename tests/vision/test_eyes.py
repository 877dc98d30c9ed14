"""The eyes: shared by all sessions, on a thread of their own."""

import asyncio
import subprocess
import sys
import threading

import pytest

from pipeline.engines import Eyes
from tests.vision.files import halves, written
from tests.vision.test_stream import Scripted
from vision.eyes import LocalEyes
from vision.finders import Finders, Lazy
from vision.types import Frame, PictureError, Pixels

FRAME = Frame(written(halves(), "PNG"), 1.0)


def test_every_session_has_its_own_scene_and_all_share_one_thread() -> None:
    threads = set()

    class Noting(Scripted):
        def find(self, picture: Pixels):  # type: ignore[no-untyped-def]
            threads.add(threading.current_thread().name)
            return super().find(picture)

    noting = Noting()
    loaded: list[Scripted] = []

    def load() -> Scripted:
        loaded.append(noting)
        return noting

    async def use() -> None:
        eyes: Eyes = (local := LocalEyes(Finders(Lazy(load))))
        one, other = eyes.open(), eyes.open()
        assert loaded == []
        scenes = await asyncio.gather(*(sight.look(FRAME) for sight in (one, other, one, other)))
        assert [scene.things[0].track for scene in scenes] == [1, 1, 1, 1]
        local.close()
        assert noting.closed == 1

    asyncio.run(use())
    assert noting.looks == 2
    assert len(loaded) == 1
    assert len(threads) == 1
    assert threading.main_thread().name not in threads


def test_errors_come_through_and_the_next_frame_is_seen() -> None:
    async def use() -> str:
        eyes = LocalEyes(Finders(Lazy(Scripted)))
        sight = eyes.open()
        with pytest.raises(PictureError, match="JPEG, PNG or WebP"):
            await sight.look(Frame(b"hello", 0.5))
        scene = await sight.look(FRAME)
        eyes.close()
        return scene.summary

    assert asyncio.run(use()).startswith("A cup")


def test_what_can_not_be_loaded_is_tried_again() -> None:
    tries: list[int] = []

    def load() -> Scripted:
        tries.append(1)
        if len(tries) == 1:
            raise FileNotFoundError("gone")
        return Scripted()

    async def use() -> None:
        eyes = LocalEyes(Finders(Lazy(load)))
        sight = eyes.open()
        with pytest.raises(FileNotFoundError):
            await sight.look(FRAME)
        assert (await sight.look(FRAME)).things
        eyes.close()

    asyncio.run(use())


def test_closed_eyes_see_nothing() -> None:
    async def use() -> None:
        eyes = LocalEyes(Finders(Lazy(Scripted)))
        eyes.close()
        with pytest.raises(RuntimeError, match="after shutdown"):
            await eyes.open().look(FRAME)

    asyncio.run(use())


def test_nothing_heavy_is_imported_before_the_first_picture() -> None:
    code = "import sys, vision.eyes, vision.finders; print({'cv2', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
