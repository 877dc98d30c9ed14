"""A picture's main colours, by their plain English names."""

from collections import Counter
from typing import Final

import cv2
import numpy as np

from vision.types import Pixels

_SIDE: Final = 48
_AT_LEAST: Final = 0.12
"""The part of the picture that a main colour takes."""
_MOST: Final = 3

_HUES: Final = (
    (8, "red"), (21, "orange"), (34, "yellow"), (78, "green"), (97, "turquoise"), (128, "blue"), (156, "purple"),
    (169, "pink"), (181, "red"),
)  # fmt: skip
"""Hues in OpenCV's half degrees, each up to the number."""


def main_colours(picture: Pixels) -> tuple[str, ...]:
    """Return at most three colours that make up the picture, most of it first; at least one."""
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    counted = Counter(_names(small.reshape(1, -1, 3).astype(np.uint8))).most_common(_MOST)
    (first, _), *others = counted
    return (first, *(name for name, count in others if count >= _AT_LEAST * _SIDE**2))


def _names(pixels: Pixels) -> list[str]:
    hue, saturation, value = cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV)[0].astype(np.int16).T
    names = np.array([name for _, name in _HUES])[np.searchsorted([end for end, _ in _HUES], hue, side="right")]
    # Dark orange, and orange that is pale or dull, is what people call brown; pale red is pink.
    reddish = (hue < 6) | (hue >= 172)
    names[(hue >= 4) & (hue < 23) & ((value < 165) | (saturation < 130))] = "brown"
    names[((hue < 23) | reddish) & (value < 110) & (saturation < 180)] = "brown"
    names[reddish & (value > 200) & (saturation < 120)] = "pink"
    colourless = (saturation < 38) | ((value < 70) & (saturation < 90))
    names[colourless] = "grey"
    names[colourless & (value > 190)] = "white"
    names[value < 45] = "black"
    return [str(name) for name in names]
