"""Gestures: a palm that is held up into the camera (MediaPipe's hands, TFLite)."""

from pathlib import Path
from typing import Final

import numpy as np

from vision.blaze import BlazeDetector, Floats, Found, Net, cut, scaled, whole
from vision.types import Gesture, Pixels

_MIN_PALM: Final = 0.5
_MIN_HAND: Final = 0.8
_MOST_HANDS: Final = 4

_PALM_WRIST, _PALM_MIDDLE = 0, 2
"""Key points of a palm."""
_WRIST, _INDEX, _MIDDLE, _PINKY = 0, 5, 9, 17
"""Points of a hand: the wrist, and where these fingers begin. A finger has four points, up to its tip."""
_FINGERS: Final = (5, 9, 13, 17)

# The landmarks are trained on a square that is turned along the hand, moved towards the fingers, and this much larger.
_LOOK_SIDE: Final = 2.6
_LOOK_UP: Final = 0.5

_UPRIGHT: Final = 0.8
"""Cosine of how far it may lean."""
_STRAIGHT: Final = 0.75
"""Cosine of how far a finger may be bent."""
_NEAR: Final = 0.15
"""Of the picture's height, from wrist to fingertip: smaller hands are somebody else's business."""


class HandFinder:
    """Finds raised palms. About 10 ms, and 5 ms for each hand. One call at a time."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Load both models from the folder. Raises FileNotFoundError, with the cure, when one isn't there."""
        palms = Net(folder / "palm_detection_full.tflite", threads=threads)
        self._palms = BlazeDetector(palms, ((8, 2), (16, 6)), darkest=0.0)
        self._hand = Net(folder / "hand_landmark_lite.tflite", threads=threads)

    def gestures(self, picture: Pixels) -> tuple[Gesture, ...]:
        """Return each gesture that is made, once."""
        found = self._palms.find(picture, [whole(picture)], _MIN_PALM)
        return ("raised palm",) if any(self._is_raised(each, picture) for each in found[:_MOST_HANDS]) else ()

    def close(self) -> None:
        """Let the models go."""
        del self._palms, self._hand

    def _is_raised(self, palm: Found, picture: Pixels) -> bool:
        upwards = palm.points[_PALM_MIDDLE] - palm.points[_PALM_WRIST]
        upwards /= max(float(np.linalg.norm(upwards)), 1e-6)
        centre = palm.box.reshape(2, 2).mean(axis=0) + upwards * palm.width * _LOOK_UP
        square, back = cut(picture, centre, palm.width * _LOOK_SIDE, upwards, self._hand.size)
        seen = self._hand.run(scaled(square, 0.0))
        if float(seen["Identity_1"].ravel()[0]) < _MIN_HAND:
            return False
        points = seen["Identity"].reshape(21, 3)[:, :2] @ back[:, :2].T + back[:, 2]
        left = float(seen["Identity_2"].ravel()[0]) < 0.5
        return _is_open(points) and _is_inside(points, left=left) and _reach(points) >= _NEAR * picture.shape[0]


def _is_open(points: Floats) -> bool:
    """Whether the hand points upwards, all fingers stretched."""
    if _direction(points[_WRIST], points[_MIDDLE])[1] > -_UPRIGHT:
        return False
    return all(
        float(_direction(points[first], points[first + 1]) @ _direction(points[first + 1], points[first + 3]))
        > _STRAIGHT
        for first in _FINGERS
    )


def _is_inside(points: Floats, *, left: bool) -> bool:
    """Whether the inside of an upright hand is seen: the little finger of a left hand is on the right then."""
    return bool(points[_PINKY][0] > points[_INDEX][0]) == left


def _reach(points: Floats) -> float:
    return float(np.linalg.norm(points[_MIDDLE + 3] - points[_WRIST]))


def _direction(start: Floats, end: Floats) -> Floats:
    way = end - start
    return way / max(float(np.linalg.norm(way)), 1e-6)
