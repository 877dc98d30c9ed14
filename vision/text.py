"""Text in pictures, with RapidOCR (https://github.com/RapidAI/RapidOCR) and its PP-OCRv6 models, small (ONNX).

One look at a small copy of the picture finds the lines, and they are read from the picture itself. Where a larger
picture seems to have tiny letters, or none, it looks again, more closely: that takes four times as long.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import rapidocr
from numpy.typing import NDArray
from rapidocr.main import RapidOCRError

from vision.geometry import box_around
from vision.reading_order import reading_order
from vision.types import Pixels, TextLine

_GLANCE_PIXELS: Final = 512 * 384
_CLOSE_PIXELS: Final = 960 * 736
_MOST_ENLARGED: Final = 2.0
_TINY: Final = 14.0
"""A line's height in the small copy, in pixels, below which there may be others that were not seen."""
_MORE_DETAIL: Final = 1.3
"""How much larger the second look's copy must be to be worth it: a picture of 640x480 isn't."""

_MIN_SCORE: Final = 0.85
_SURE: Final = 0.9
_MIN_TURNED: Final = 3
"""Letters of what is believed upside down: shapes are easily taken for fewer."""
_MIN_FOUND: Final = 0.6
"""For a single letter, how sure the detector must be that it is one: lonely letters are mostly shapes."""
_MAX_LETTER: Final = 0.5
"""Of the picture's height."""
_MOST_LINES: Final = 100


@dataclass(frozen=True, slots=True)
class _Place:
    """A line that was found: its corners in the picture, clockwise from the upper left, shape [4, 2]."""

    corners: NDArray[np.float32]
    score: float

    @property
    def height(self) -> float:
        upper_left, upper_right, _, lower_left = self.corners
        return float(min(np.linalg.norm(upper_left - lower_left), np.linalg.norm(upper_left - upper_right)))


class TextReader:
    """Reads text, printed and written by hand, in Latin letters, Chinese and Japanese."""

    def __init__(self, *, threads: int = 1) -> None:
        """Load the models that come with RapidOCR. Raises FileNotFoundError when they are missing."""
        models = Path(rapidocr.__file__).parent / "models"
        found, read = models / "PP-OCRv6_det_small.onnx", models / "PP-OCRv6_rec_small.onnx"
        for file in (found, read):
            if not file.exists():
                raise FileNotFoundError(f"{file} is missing. Install the package again: pip install --force rapidocr.")
        self._engine = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                # With a path, it never tries to fetch a model.
                "Det.model_path": str(found),
                "Rec.model_path": str(read),
                # The copy that it gets has the right size already.
                "Det.limit_type": "max",
                "Det.limit_side_len": 1 << 14,
                "Det.thresh": 0.2,
                "Det.box_thresh": 0.3,
                "Det.unclip_ratio": 1.8,
            }
        )
        blank = np.full((64, 320, 3), 255, np.uint8)
        with suppress(RapidOCRError):  # there is nothing to find, but now the models are loaded
            self._engine.detect_and_crop(blank, {})
        self._engine.recognize_txt([blank])

    def read(self, picture: Pixels) -> tuple[TextLine, ...]:
        """Return the lines in reading order. About 200 ms at 640x480, and 20 ms for each line, on one thread."""
        scale = _scale(picture, _GLANCE_PIXELS)
        places = self._find(picture, scale)
        tiny = min((place.height for place in places), default=0.0) * scale < _TINY
        closer = min(_scale(picture, _CLOSE_PIXELS), 1.0)
        if tiny and closer > _MORE_DETAIL * scale:
            places = self._find(picture, closer)
        lines = [
            TextLine(text, box_around(place.corners, picture), score)
            for place, (text, score) in zip(places, self._read(picture, places), strict=True)
            if _credible(text, score, place, picture)
        ]
        return reading_order(lines, picture.shape[1] / picture.shape[0])

    def close(self) -> None:
        """Let the models go."""
        del self._engine

    def _find(self, picture: Pixels, scale: float) -> list[_Place]:
        """Return where lines are, looking at a copy of that scale."""
        height, width = picture.shape[:2]
        copy = cv2.resize(
            picture,
            (max(32, round(width * scale)), max(32, round(height * scale))),
            interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
        )
        found = self._engine.text_det(copy)
        if found.boxes is None:
            return []
        back = np.array([width / copy.shape[1], height / copy.shape[0]], np.float32)
        places = [
            _Place(corners.astype(np.float32) * back, float(score))
            for corners, score in zip(found.boxes, found.scores, strict=True)
        ]
        return sorted(places, key=lambda place: -place.score)[:_MOST_LINES]

    def _read(self, picture: Pixels, places: Sequence[_Place]) -> list[tuple[str, float]]:
        """Return each place's text and how sure it is; what can't be read is tried upside down."""
        if not places:
            return []
        crops = self._engine.crop_text_regions(picture, np.array([place.corners for place in places]))
        read = self._recognise(crops)
        doubtful = [number for number, (_, score) in enumerate(read) if score < _SURE]
        if doubtful:
            turned = self._recognise([cv2.rotate(crops[number], cv2.ROTATE_180) for number in doubtful])
            for number, other in zip(doubtful, turned, strict=True):
                if len(other[0]) >= _MIN_TURNED and other[1] > read[number][1]:
                    read[number] = other
        return read

    def _recognise(self, crops: list[Pixels]) -> list[tuple[str, float]]:
        read = self._engine.recognize_txt(crops)
        return [(text.strip(), float(score)) for text, score in zip(read.txts, read.scores, strict=True)]


def _scale(picture: Pixels, pixels: int) -> float:
    height, width = picture.shape[:2]
    return min(float(np.sqrt(pixels / (height * width))), _MOST_ENLARGED)


def _credible(text: str, score: float, place: _Place, picture: Pixels) -> bool:
    if not text or score < _MIN_SCORE:
        return False
    if len(set(text)) > 1:
        return True
    return score >= _SURE and place.score >= _MIN_FOUND and place.height <= _MAX_LETTER * picture.shape[0]
