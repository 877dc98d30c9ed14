from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.vision.pictures import IMAGES, on, photo, turned
from vision.faces import FaceFinder, blur
from vision.types import Box, Face, Pixels

GREY = np.full((480, 640, 3), 100, np.uint8)


def portrait() -> Pixels:
    """Head and shoulders; the face takes a quarter of its height."""
    return photo("astronaut.jpg")[:300, 100:360]


def inside(face: Face, left: float, top: float, right: float, bottom: float) -> bool:
    x, y = (face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2
    return left < x < right and top < y < bottom


@pytest.mark.models
def test_somebody_who_looks_into_the_camera(faces: FaceFinder) -> None:
    (face,) = faces.find(photo("astronaut.jpg"))
    assert face.facing is True
    assert face.score > 0.8
    assert (face.box.left, face.box.top, face.box.right, face.box.bottom) == pytest.approx(
        (0.34, 0.13, 0.55, 0.34), abs=0.04
    )


@pytest.mark.models
@pytest.mark.parametrize("mirrored", [False, True])
def test_somebody_who_looks_aside(faces: FaceFinder, mirrored: bool) -> None:
    picture = photo("cameraman.jpg")
    (face,) = faces.find(np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture)
    assert face.facing is False


@pytest.mark.models
@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_head_may_be_inclined(faces: FaceFinder, degrees: int) -> None:
    (face,) = faces.find(turned(photo("astronaut.jpg"), degrees))
    assert face.facing is True


@pytest.mark.models
@pytest.mark.parametrize("height", [130, 200, 480])
def test_people_side_by_side_in_a_camera_of_640x480(faces: FaceFinder, height: int) -> None:
    """At 130, a face is 35 pixels wide."""
    person = portrait()
    width = round(person.shape[1] * height / person.shape[0])
    count = min(4, 640 // width)
    scene: Pixels = GREY
    for number in range(count):
        scene = on(scene, person, number * width, 480 - height, height)
    found = faces.find(scene)
    assert len(found) == count
    assert all(one.box.right < other.box.left for one, other in pairwise(found))
    assert all(face.facing for face in found)


@pytest.mark.models
def test_a_face_that_fills_the_picture(faces: FaceFinder) -> None:
    close = cv2.resize(photo("astronaut.jpg")[40:210, 130:330], (640, 480)).astype(np.uint8, copy=False)
    assert [face.facing for face in faces.find(close)] == [True]


@pytest.mark.models
def test_a_phone_held_upright(faces: FaceFinder) -> None:
    tall = on(np.full((1280, 720, 3), 100, np.uint8), portrait(), 300, 900, 200)
    (face,) = faces.find(tall)
    assert inside(face, 0.4, 0.7, 0.7, 0.85)


@pytest.mark.models
def test_of_a_tiny_face_nobody_can_tell_which_way_it_looks(faces: FaceFinder) -> None:
    small = on(np.full((240, 320, 3), 100, np.uint8), portrait(), 120, 100, 64)
    assert [face.facing for face in faces.find(small)] == [None]


@pytest.mark.models
def test_animals_and_things_have_no_face(faces: FaceFinder) -> None:
    others = [path.name for path in IMAGES.glob("*.[jp]*g") if path.stem not in ("astronaut", "cameraman")]
    assert len(others) > 5
    assert {name: found for name in others if (found := faces.find(photo(name)))} == {}


@pytest.mark.models
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (900, 2, 3), (480, 640, 3)])
def test_nobody_is_in_the_dark(faces: FaceFinder, shape: tuple[int, int, int]) -> None:
    assert faces.find(np.zeros(shape, np.uint8)) == ()


@pytest.mark.models
def test_a_blurred_face_is_a_face_no_more(faces: FaceFinder) -> None:
    both = on(on(GREY, portrait(), 20, 180, 300), portrait(), 340, 180, 300)
    mine, other = faces.find(both)
    hidden = blur(both, [mine, other], spare=[mine])
    (seen,) = faces.find(hidden)
    assert inside(seen, mine.box.left, mine.box.top, mine.box.right, mine.box.bottom)
    assert faces.find(blur(both, [mine, other])) == ()


def test_blurring_leaves_the_rest_and_the_original_alone() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    before = picture.copy()
    hidden = blur(picture, [Face(Box(0.4, 0.4, 0.5, 0.6), 1.0)])
    assert (picture == before).all()
    changed = (hidden != picture).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (rows[0], rows[-1]) == (33, 66)
    assert (columns[0], columns[-1]) == (73, 106)


def test_what_is_left_of_a_face_is_less_than_makes_it_out() -> None:
    """36 patches hold all that there is, whatever the face was like."""
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    hidden = blur(picture, [Face(Box(0.25, 0.25, 0.75, 0.75), 1.0)])
    inner = hidden[130:350, 180:460].astype(float)
    assert np.abs(np.diff(inner, axis=1)).max() <= 3
    assert inner.std() < 10 < picture.std()


@pytest.mark.parametrize("box", [Box(0.0, 0.0, 1.0, 1.0), Box(0.9, 0.9, 1.0, 1.0), Box(0.5, 0.5, 0.5, 0.5)])
def test_faces_at_the_edge_and_of_no_size(box: Box) -> None:
    assert blur(GREY, [Face(box, 1.0)]).shape == GREY.shape


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"face_detection_full_range.tflite is missing.*parley models pull"):
        FaceFinder(tmp_path)
