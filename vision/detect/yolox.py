"""Object detection with YOLOX-nano (https://github.com/Megvii-BaseDetection/YOLOX, ONNX, 80 kinds of COCO)."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vision.detect.coco import LABELS
from vision.detect.detection import Detection, area, inside, overlap
from vision.types import Box, Pixels

_STRIDES: Final = (8, 16, 32)
_PADDING: Final = 114
_SURE: Final = 0.30
"""The score from which a detection counts: on photos of such things, 0.3 finds 7 of 10 and is wrong 1 time in 6."""
_SAME: Final = 0.5
"""Boxes that overlap by more are one thing, whatever they are taken for."""
_PART: Final = 0.85
"""A box that lies so far in another of its kind is a part of that thing."""
_MOST: Final = 40

_Numbers = NDArray[np.float32]


class Yolox:
    """Finds things of 80 kinds. About 20 ms a picture on one thread.

    It knows no others: what it never saw it may take for what resembles it, and be sure of it (coins for clocks).
    """

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load the one ONNX file in the folder `model`. Raises FileNotFoundError when there is none."""
        file = next(iter(sorted(model.glob("*.onnx"))), None)
        if file is None:
            raise FileNotFoundError(f"{model} holds no .onnx file. Fetch the object detector's model again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        (put,) = self._session.get_inputs()
        self._input = put.name
        self._side = int(put.shape[2])
        self._corners, self._strides = _grid(self._side)

    def find(self, picture: Pixels) -> tuple[Detection, ...]:
        """Return the things in the picture, the surest first; at most 40."""
        padded, scale = _letterbox(picture, self._side)
        (found,) = self._session.run(None, {self._input: padded.transpose(2, 0, 1)[None].astype(np.float32)})
        height, width = picture.shape[:2]
        return _kept(self._detections(found[0], scale, width, height))

    def close(self) -> None:
        """Nothing is open."""

    def _detections(self, found: _Numbers, scale: float, width: int, height: int) -> list[Detection]:
        scores = found[:, 4:5] * found[:, 5:]
        best = scores.max(axis=1)
        sure = best >= _SURE
        centres = (found[sure, :2] + self._corners[sure]) * self._strides[sure]
        halves = np.exp(found[sure, 2:4]) * self._strides[sure] / 2
        size = np.array([width, height], np.float32) * scale
        starts, ends = (np.clip((centres + side * halves) / size, 0, 1) for side in (-1, 1))
        labels = scores[sure].argmax(axis=1)
        return [
            Detection(LABELS[label], Box(*map(float, (*start, *end))), float(score))
            for label, start, end, score in zip(labels, starts, ends, best[sure], strict=True)
        ]


def _kept(detections: list[Detection]) -> tuple[Detection, ...]:
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda one: one.score, reverse=True):
        if len(kept) == _MOST:
            break
        if area(detection.box) > 0 and not any(_double(detection, other) for other in kept):
            kept.append(detection)
    return tuple(kept)


def _double(detection: Detection, other: Detection) -> bool:
    if overlap(detection.box, other.box) > _SAME:
        return True
    return detection.label == other.label and inside(detection.box, other.box) > _PART


def _letterbox(picture: Pixels, side: int) -> tuple[Pixels, float]:
    """Return the picture in the upper left of a grey square, and by how much it was made smaller or larger."""
    height, width = picture.shape[:2]
    scale = min(side / height, side / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    padded = np.full((side, side, 3), _PADDING, np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    padded[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=way)
    return padded, scale


def _grid(side: int) -> tuple[_Numbers, _Numbers]:
    """Return the cells that the model's rows stand for: their places [n, 2], in cells, and sizes [n, 1], in pixels."""
    corners, strides = [], []
    for stride in _STRIDES:
        cells = side // stride
        rows, columns = np.mgrid[:cells, :cells]
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((cells * cells, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
