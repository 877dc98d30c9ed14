from pathlib import Path

import numpy as np
import pytest

from tests.vision.pictures import IMAGES, on, photo, turned
from vision.hands import HandFinder
from vision.types import Pixels


def mirrored(picture: Pixels) -> Pixels:
    return np.ascontiguousarray(picture[:, ::-1])


@pytest.mark.models
def test_a_raised_palm_of_either_hand(hands: HandFinder) -> None:
    assert hands.gestures(photo("raised_palm.jpg")) == ("raised palm",)
    assert hands.gestures(mirrored(photo("raised_palm.jpg"))) == ("raised palm",)


@pytest.mark.models
@pytest.mark.parametrize("degrees", [-20, 20])
def test_it_may_lean(hands: HandFinder, degrees: int) -> None:
    assert hands.gestures(turned(photo("raised_palm.jpg"), degrees)) == ("raised palm",)


@pytest.mark.models
@pytest.mark.parametrize("degrees", [-90, 90, 180])
def test_a_hand_that_lies_or_hangs_means_nothing(hands: HandFinder, degrees: int) -> None:
    assert hands.gestures(turned(photo("raised_palm.jpg"), degrees)) == ()


@pytest.mark.models
def test_a_hand_far_away_means_nothing(hands: HandFinder) -> None:
    wall = np.full((960, 1280, 3), 150, np.uint8)
    assert hands.gestures(on(wall, photo("raised_palm.jpg"), 400, 400, 200)) == ()


@pytest.mark.models
def test_everything_else_means_nothing(hands: HandFinder) -> None:
    others = [path.name for path in IMAGES.glob("*.[jp]*g") if path.stem not in ("painted_hand", "raised_palm")]
    assert len(others) > 5
    assert [name for name in others if hands.gestures(photo(name)) or hands.gestures(mirrored(photo(name)))] == []


@pytest.mark.models
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (900, 2, 3), (480, 640, 3)])
def test_nothing_is_meant_in_the_dark(hands: HandFinder, shape: tuple[int, int, int]) -> None:
    assert hands.gestures(np.zeros(shape, np.uint8)) == ()


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"palm_detection_full.tflite is missing.*parley models pull"):
        HandFinder(tmp_path)
