"""The photos that the tests look at, and what a camera may do to them."""

from pathlib import Path

import cv2
import numpy as np

from vision.types import Pixels

IMAGES = Path(__file__).resolve().parent.parent / "data" / "images"


def photo(name: str) -> Pixels:
    picture = cv2.imread(str(IMAGES / name))
    assert picture is not None, name
    return picture.astype(np.uint8, copy=False)


def turned(picture: Pixels, degrees: float) -> Pixels:
    """The whole picture, turned, on white."""
    height, width = picture.shape[:2]
    side = int(np.hypot(height, width)) + 2
    move = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    move[:, 2] += (side - width) / 2, (side - height) / 2
    return cv2.warpAffine(picture, move, (side, side), borderValue=(255, 255, 255)).astype(np.uint8, copy=False)


def blurred(picture: Pixels, size: int) -> Pixels:
    return cv2.GaussianBlur(picture, (size, size), 0).astype(np.uint8, copy=False)


def on(canvas: Pixels, picture: Pixels, left: int, top: int, height: int) -> Pixels:
    """A copy of `canvas` with `picture` on it, as high as that."""
    width = round(picture.shape[1] * height / picture.shape[0])
    copy = canvas.copy()
    copy[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return copy
