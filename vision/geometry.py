"""Places in pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.types import Box, Pixels


def box_around(points: NDArray[Any], picture: Pixels) -> Box:
    """Return the smallest upright box around points, shape [n, 2], x and y in pixels; it ends at the picture's edge."""
    height, width = picture.shape[:2]
    parts = np.clip(points / (width, height), 0.0, 1.0)
    (left, top), (right, bottom) = parts.min(axis=0), parts.max(axis=0)
    return Box(float(left), float(top), float(right), float(bottom))
