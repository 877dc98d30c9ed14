"""MediaPipe's small detectors of faces and palms (https://github.com/google-ai-edge/mediapipe, TFLite)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from vision.types import Pixels

Floats: TypeAlias = NDArray[np.float32]

_SAME: Final = 0.5
"""Two places that share this part of the smaller one are the same thing."""


class Net:
    """A TFLite model with one picture as its input: [1, size, size, 3]. One call at a time."""

    def __init__(self, file: Path, *, threads: int) -> None:
        """Load the model. Raises FileNotFoundError, with the cure, when there is none."""
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing. Fetch the model again: parley models pull {file.parent.name}.")
        self._interpreter = Interpreter(str(file), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        # The order of the outputs differs from file to file; their widths don't.
        self._outputs: list[dict[str, Any]] = self._interpreter.get_output_details()
        self.size = int(self._interpreter.get_input_details()[0]["shape"][1])

    def run(self, picture: Floats) -> dict[str, Floats]:
        """Return the outputs by their names; `picture` has the shape [size, size, 3], red first."""
        self._interpreter.set_tensor(self._input, picture[None])
        self._interpreter.invoke()
        return {output["name"]: self._interpreter.get_tensor(output["index"]) for output in self._outputs}


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was detected; places are x and y in the picture's pixels."""

    score: float
    box: Floats
    """Left, top, right, bottom; shape [4]."""
    points: Floats
    """The key points of its kind; shape [n, 2]."""

    @property
    def width(self) -> float:
        """In pixels."""
        return float(self.box[2] - self.box[0])


class BlazeDetector:
    """Finds things of one kind that are neither too small nor too large for one look at the whole."""

    def __init__(self, net: Net, layers: tuple[tuple[int, int], ...], *, darkest: float) -> None:
        """`layers` are the net's: the stride, and the anchors at each step; its input goes from `darkest` to 1."""
        self._net = net
        self._darkest = darkest
        self._anchors = np.concatenate([_anchors(net.size // stride, count) for stride, count in layers])

    def find(self, picture: Pixels, parts: list[tuple[int, int, int, int]], min_score: float) -> list[Found]:
        """Look at parts of the picture (left, top, width, height) and return what is there, each once, surest first."""
        found = [each for part in parts for each in self._look(picture, part, min_score)]
        kept: list[Found] = []
        for each in sorted(found, key=lambda other: -other.score):
            if all(_shared(each.box, other.box) < _SAME for other in kept):
                kept.append(each)
        return kept

    def _look(self, picture: Pixels, part: tuple[int, int, int, int], min_score: float) -> list[Found]:
        left, top, width, height = part
        side, size = max(width, height), self._net.size
        seen = cv2.resize(
            picture[top : top + height, left : left + width],
            (max(1, round(width * size / side)), max(1, round(height * size / side))),
            interpolation=cv2.INTER_AREA,
        )
        square = np.full((size, size, 3), self._darkest, np.float32)
        square[: seen.shape[0], : seen.shape[1]] = scaled(seen, self._darkest)
        scores, places = sorted((put[0] for put in self._net.run(square).values()), key=lambda put: put.shape[-1])
        # Sigmoid of what may be hundreds.
        sure = 1 / (1 + np.exp(-np.clip(scores[:, 0], -80.0, 80.0)))
        chosen = np.flatnonzero(sure >= min_score)
        corner = np.array([left, top], np.float32)
        pairs = places[chosen].reshape(len(chosen), places.shape[-1] // 2, 2) / size
        found = []
        for score, anchor, (middle, extent, *points) in zip(sure[chosen], self._anchors[chosen], pairs, strict=True):
            centre = (middle + anchor) * side + corner
            half = extent * side / 2
            box = np.concatenate([centre - half, centre + half])
            found.append(Found(float(score), box, (np.array(points) + anchor) * side + corner))
        return found


def whole(picture: Pixels) -> tuple[int, int, int, int]:
    """Return the picture as one part."""
    return 0, 0, picture.shape[1], picture.shape[0]


def squares(picture: Pixels) -> list[tuple[int, int, int, int]]:
    """Return square parts as large as the picture's shorter side, which overlap by a third or more; at most five."""
    height, width = picture.shape[:2]
    side = min(height, width)
    longer = max(height, width)
    count = min(5, 1 + int(np.ceil((longer - side) / (side * 0.67))))
    starts = [round(start) for start in np.linspace(0, longer - side, count)]
    return [(start, 0, side, side) if width > height else (0, start, side, side) for start in starts]


def cut(picture: Pixels, centre: Floats, side: float, upwards: Floats, size: int) -> tuple[Pixels, Floats]:
    """Cut a square out and turn it upright: `upwards` is the direction that is up in it.

    Returns it in size x size pixels, and the matrix [2, 3] that leads from its pixels to the picture's.
    """
    up = upwards / max(float(np.linalg.norm(upwards)), 1e-6) * side / 2
    right = np.array([-up[1], up[0]], np.float32)
    corners = np.array([centre + up - right, centre + up + right, centre - up - right], np.float32)
    flat = np.array([[0, 0], [size, 0], [0, size]], np.float32)
    square = cv2.warpAffine(picture, cv2.getAffineTransform(corners, flat), (size, size))
    return square.astype(np.uint8, copy=False), cv2.getAffineTransform(flat, corners).astype(np.float32)


def scaled(picture: NDArray[Any], darkest: float) -> Floats:
    """Return a picture as nets take it: red first, from `darkest` to 1."""
    return (picture[..., ::-1] * np.float32((1 - darkest) / 255) + np.float32(darkest)).astype(np.float32)


def _anchors(steps: int, count: int) -> Floats:
    middles = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    x, y = np.meshgrid(middles, middles)
    return np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0)


def _shared(one: Floats, other: Floats) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    smaller = min(float(np.prod(box[2:] - box[:2])) for box in (one, other))
    return float(np.prod(np.clip(high - low, 0, None))) / max(smaller, 1e-6)
