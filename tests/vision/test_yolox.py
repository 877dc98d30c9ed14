"""The object detector on real photos and a real video."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.vision.files import photo_file
from tests.vision.pictures import IMAGES
from tests.vision.things import score
from vision.detect.detection import area, inside, overlap
from vision.detect.yolox import Yolox
from vision.frames import decode
from vision.tracking import Tracker
from vision.types import Box, Pixels

pytestmark = pytest.mark.models


def test_most_things_on_photos_are_found_and_few_are_wrong(yolox: Yolox) -> None:
    total = score(yolox.find)
    assert total.recall >= 0.7, total.rows
    assert total.precision >= 0.8, total.rows


def test_boxes_are_where_things_are(yolox: Yolox) -> None:
    found = {detection.label: detection.box for detection in yolox.find(decode(photo_file("dog_bicycle_truck.jpg")))}
    for label, (left, top, right, bottom) in {
        "dog": (0.17, 0.38, 0.41, 0.94),
        "bicycle": (0.16, 0.22, 0.74, 0.74),
        "car": (0.61, 0.13, 0.90, 0.30),
    }.items():
        assert overlap(found[label], Box(left, top, right, bottom)) > 0.75, label


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("side", [200, 416, 1280])
def test_the_size_and_shape_of_a_picture_do_not_move_boxes(yolox: Yolox, square: bool, side: int) -> None:
    picture = decode(photo_file("teddy_bear.jpg"))
    scale = side / max(picture.shape)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if square:  # on a canvas as high as the picture is wide
        canvas = np.full((small.shape[1], small.shape[1], 3), 255, np.uint8)
        canvas[: small.shape[0]] = small
        small = canvas
    bear = next(one for one in yolox.find(small) if one.label == "teddy bear")
    height = small.shape[0] / (picture.shape[0] * scale)
    box = Box(bear.box.left, bear.box.top * height, bear.box.right, bear.box.bottom * height)
    assert overlap(box, Box(0.57, 0.31, 0.94, 0.82)) > 0.7


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1280, 3), (1280, 2, 3), (480, 640, 3)])
def test_there_is_nothing_in_an_empty_picture(yolox: Yolox, shape: tuple[int, ...]) -> None:
    for level in (0, 114, 255):
        assert yolox.find(np.full(shape, level, np.uint8)) == ()


def test_bottles_that_are_taken_away_and_put_back(yolox: Yolox) -> None:
    """Three bottles on a shelf: one is taken at 7 s and comes back at 11 s (the real video, at 2 frames a second)."""
    tracker = Tracker()
    counts, news = [], []
    for picture in video("video_bottles.mp4", 2.0, 16.0):
        tracked = tracker.update(yolox.find(picture))
        counts.append(sum(thing.label == "bottle" for thing in tracked.things))
        news += [("came", thing.label) for thing in tracked.appeared if thing.label == "bottle"]
        news += [("left", thing.label) for thing in tracked.left if thing.label == "bottle"]
    assert news == [("left", "bottle"), ("came", "bottle")]
    assert counts == [3] * counts.index(2) + [2] * counts.count(2) + [3] * (
        len(counts) - counts.index(2) - counts.count(2)
    )


def video(name: str, rate: float, seconds: float) -> list[Pixels]:
    """Frames of a video."""
    capture = cv2.VideoCapture(str(IMAGES / name))
    step = round(capture.get(cv2.CAP_PROP_FPS) / rate)
    frames = []
    for index in range(int(seconds * rate) * step):
        done, picture = capture.read()
        assert done
        if index % step == 0:
            frames.append(picture.astype(np.uint8, copy=False))
    return frames


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.onnx file"):
        Yolox(tmp_path)


def test_shared_parts_of_boxes() -> None:
    whole, half, apart = Box(0, 0, 0.5, 0.5), Box(0, 0, 0.25, 0.5), Box(0.6, 0.6, 0.7, 0.7)
    assert area(whole) == 0.25
    assert overlap(whole, half) == 0.5
    assert inside(half, whole) == 1.0
    assert inside(whole, half) == 0.5
    assert overlap(whole, apart) == inside(apart, whole) == 0.0
    assert overlap(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == inside(Box(0, 0, 0, 0), whole) == 0.0
