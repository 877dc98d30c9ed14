"""Sight as a whole, with the real models: photos and a video, from files to sentences."""

import asyncio
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from assistant.config import load
from assistant.factory import build_eyes
from pipeline.engines import Eyes
from tests.vision.files import jpeg, photo_file, written
from tests.vision.pictures import photo
from tests.vision.test_yolox import video
from vision.frames import decode
from vision.types import Frame, Pixels, Scene

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def eyes(model_path: Callable[[str], Path]) -> Iterator[Eyes]:
    config = load()
    with ExitStack() as closing:
        built = build_eyes(config, {name: model_path(name) for name in config.vision.models()}, closing)
        assert built is not None
        yield built


def watch(eyes: Eyes, files: Sequence[bytes], *, closely: bool = False, rate: float = 2.0) -> list[Scene]:
    """Show one session these pictures, one after the other."""

    async def session() -> list[Scene]:
        sight = eyes.open()
        return [await sight.look(Frame(data, index / rate), closely=closely) for index, data in enumerate(files)]

    return asyncio.run(session())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("astronaut.jpg", "One person facing you; no text that can be read."),
        ("bear_river.jpg", "A bear in the middle; no text that can be read. Mostly brown, grey and yellow."),
        ("teddy_bear.jpg", "A teddy bear on the right; no text that can be read. Mostly black and brown."),
        ("pelican.jpg", "A bird; no text that can be read. Mostly white, blue and grey."),
    ],
)
def test_photos_in_a_sentence(eyes: Eyes, name: str, said: str) -> None:
    (scene,) = watch(eyes, [photo_file(name)], closely=True)
    assert scene.summary == said


def test_text_and_codes_are_part_of_it(eyes: Eyes) -> None:
    meme, book = watch(eyes, [photo_file("cat_meme.jpg"), photo_file("book_isbn.jpg")], closely=True)
    assert "a cat in the middle" in meme.summary.lower()
    assert "text: 'Wake up human!'" in meme.summary
    assert "bar code (EAN-13): '9788430532674'" in book.summary
    assert "Wake up" not in book.summary
    assert [thing.label for thing in meme.things if thing.label == "cat"] == ["cat"]


def test_a_hand_takes_a_bottle(eyes: Eyes) -> None:
    """The video: three bottles; a hand takes the left one at 6 s."""
    scenes = watch(eyes, [jpeg(picture) for picture in video("video_bottles.mp4", 2.0, 9.0)])
    assert scenes[0].summary.startswith("Three bottles.")
    assert any(scene.summary == "One person, holding a bottle; also two bottles." for scene in scenes)
    assert scenes[-1].summary.startswith("Two bottles.")
    assert [thing.label for scene in scenes for thing in scene.left] == ["bottle", "person"]
    before = [scene for scene in scenes if scene.at < 5]
    assert all([thing.track for thing in scene.things] == [1, 2, 3] for scene in before)
    assert all(scene.appeared == scene.left == () for scene in before)


def test_somebody_comes_into_the_room(eyes: Eyes) -> None:
    room = cv2.resize(photo("dog_bicycle_truck.jpg"), (640, 480)).astype(np.uint8)
    visitor: Pixels = room.copy()
    visitor[180:480, 340:640] = cv2.resize(photo("astronaut.jpg"), (300, 300))
    before, _, came, after = watch(eyes, [jpeg(picture) for picture in (room, room, visitor, visitor)])
    assert [thing.label for thing in came.appeared] == ["person"]
    assert came.moved
    assert "one person facing you" in came.summary.lower()
    assert {thing.track for thing in before.things} < {thing.track for thing in came.things}
    assert after.appeared == ()


def test_a_raised_palm(eyes: Eyes) -> None:
    (scene,) = watch(eyes, [photo_file("raised_palm.jpg")])
    assert scene.gestures == ("raised palm",)
    assert "a raised palm" in scene.summary.lower()


def test_a_picture_for_elsewhere_shows_no_face_and_says_nothing_of_itself(eyes: Eyes) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    exif[0x8298] = "somebody's name"
    turned = Image.open(io.BytesIO(photo_file("astronaut.jpg"))).transpose(Image.Transpose.ROTATE_90)
    frame = Frame(written(turned, "JPEG", exif=exif), 0.0)

    async def pictures() -> list[bytes]:
        sight = eyes.open()
        return [await sight.picture(frame, longest=300, blur_faces=blur_faces) for blur_faces in (False, True)]

    plain, blurred = asyncio.run(pictures())
    for data in (plain, blurred):
        assert max(decode(data).shape) == 300
        assert b"Exif" not in data
        assert b"somebody" not in data
    (before,), (after,) = (watch(eyes, [data]) for data in (plain, blurred))
    assert [face.facing for face in before.faces] == [True]
    assert after.faces == ()
    box = before.faces[0].box
    rows, columns = slice(int(box.top * 300), int(box.bottom * 300)), slice(int(box.left * 300), int(box.right * 300))
    difference = np.abs(decode(plain).astype(int) - decode(blurred)).mean(axis=2)
    assert difference[rows, columns].mean() > 10
    assert difference[-60:].mean() < 2


def test_in_the_dark(eyes: Eyes) -> None:
    dark, black = watch(eyes, [jpeg((photo("astronaut.jpg") * share).astype(np.uint8)) for share in (0.25, 0.03)])
    assert dark.light == "dark"
    assert dark.summary.endswith("It is very dark.")
    assert (black.light, black.summary) == ("black", "")
