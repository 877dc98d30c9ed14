"""Faces: how many, where, and whether they are turned to the camera. Nobody is recognised.

MediaPipe's full-range detector finds them, its face mesh tells how they are turned and that they are no animal's or
toy's (https://github.com/google-ai-edge/mediapipe, TFLite).
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vision.blaze import BlazeDetector, Found, Net, cut, scaled, squares, whole
from vision.geometry import box_around
from vision.types import Face, Pixels

_MIN_SCORE: Final = 0.6
_SURE: Final = 0.7
"""A face in profile has no mesh: then the detector alone must be as sure as this."""
_MIN_MESH: Final = 0.5
_MIN_WIDTH: Final = 24.0
"""Of a face in the picture, in pixels, below which nobody can tell which way it looks."""
_MESH_SIDE: Final = 1.5
"""Widths of a face that its mesh is looked for in."""
_MOST_FACES: Final = 20

# Degrees. The mesh of a face that looks straight ahead is tilted by about -12.
_MAX_TURN: Final = 32.0
_LOWERED: Final = -30.0
_RAISED: Final = 20.0

_RIGHT_EYE, _LEFT_EYE = 0, 1
_OUTER_RIGHT, _OUTER_LEFT, _FOREHEAD, _CHIN = 33, 263, 10, 152
"""Points of the mesh."""

_BLUR_GROWS: Final = 0.35
"""Of a face's size, on each side: hair and chin tell as much as eyes."""
_BLUR_BLOCKS: Final = 6


class FaceFinder:
    """Finds faces from about 35 pixels in 640x480 up to the whole picture.

    Of 22 faces in six photos it found all where they were 72 pixels wide, 20 at 36 and 15 at 30. About 15 ms, and 3 ms
    for each face. One call at a time.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Load both models from the folder. Raises FileNotFoundError, with the cure, when one isn't there."""
        detector = Net(folder / "face_detection_full_range.tflite", threads=threads)
        self._detector = BlazeDetector(detector, ((4, 1),), darkest=-1.0)
        self._mesh = Net(folder / "face_landmark.tflite", threads=threads)

    def find(self, picture: Pixels) -> tuple[Face, ...]:
        """Return the faces, from left to right."""
        found = self._detector.find(picture, [whole(picture), *squares(picture)], _MIN_SCORE)
        faces = [face for each in found[:_MOST_FACES] if (face := self._face(each, picture)) is not None]
        return tuple(sorted(faces, key=lambda face: face.box.left))

    def close(self) -> None:
        """Let the models go."""
        del self._detector, self._mesh

    def _face(self, found: Found, picture: Pixels) -> Face | None:
        certainty, turn, tilt = self._turn(found, picture)
        if certainty < _MIN_MESH and found.score < _SURE:
            return None
        facing = None
        if found.width >= _MIN_WIDTH:
            facing = certainty >= _MIN_MESH and abs(turn) <= _MAX_TURN and _LOWERED <= tilt <= _RAISED
        return Face(box_around(found.box.reshape(2, 2), picture), found.score, facing)

    def _turn(self, found: Found, picture: Pixels) -> tuple[float, float, float]:
        """Return how sure it is that this is a face (0..1), and how far it is turned left and tilted up, in degrees."""
        eyes = found.points[_LEFT_EYE] - found.points[_RIGHT_EYE]
        middle = found.box.reshape(2, 2).mean(axis=0)
        upwards = np.array([eyes[1], -eyes[0]], np.float32)
        square, _ = cut(picture, middle, found.width * _MESH_SIDE, upwards, self._mesh.size)
        sure, mesh = sorted(self._mesh.run(scaled(square, 0.0)).values(), key=np.size)
        points = mesh.reshape(-1, 3).astype(np.float64)
        across = points[_OUTER_LEFT] - points[_OUTER_RIGHT]
        down = points[_CHIN] - points[_FOREHEAD]
        ahead = np.cross(across, down)
        ahead /= max(float(np.linalg.norm(ahead)), 1e-6)
        certainty = 1 / (1 + np.exp(-float(sure.ravel()[0])))
        return certainty, float(np.degrees(np.arctan2(ahead[0], ahead[2]))), float(np.degrees(np.arcsin(ahead[1])))


def blur(picture: Pixels, faces: Sequence[Face], *, spare: Collection[Face] = ()) -> Pixels:
    """Return a copy in which nobody can be recognised by the face; those in `spare` stay as they are.

    What is left of a face is a few patches of colour, so that nothing can bring it back.
    """
    height, width = picture.shape[:2]
    blurred = picture.copy()
    for face in faces:
        if face in spare:
            continue
        box = face.box
        wider, higher = (box.right - box.left) * _BLUR_GROWS, (box.bottom - box.top) * _BLUR_GROWS
        left, right = int(max(box.left - wider, 0.0) * width), int(np.ceil(min(box.right + wider, 1.0) * width))
        top, bottom = int(max(box.top - higher, 0.0) * height), int(np.ceil(min(box.bottom + higher, 1.0) * height))
        if left < right and top < bottom:
            part = blurred[top:bottom, left:right]
            patches = cv2.resize(part, (_BLUR_BLOCKS, _BLUR_BLOCKS), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(patches, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    return blurred
