"""The change gate: tells a still scene from one in which something happened, before anything is looked for in it."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.types import Light

_WIDTH: Final = 64
_HEIGHT: Final = 48
_BLOCK: Final = 4
"""Cells a side. A block is 40 pixels wide in a picture of 640: the mean over it is free of a webcam's noise."""
_DIFFERS: Final = 8.0
"""Grey levels by which a block differs when something happened in it; noise and compression stay below 4."""
_CELL_DIFFERS: Final = 12.0
"""The same of a single cell, about 10 pixels wide: finer than a thing, as fine as a line of text."""
_BRIGHTER: Final = 12.0
"""Grey levels by which the whole picture differs when a lamp was switched; a camera's own control stays below."""
_CUT: Final = 0.5
"""The part of the blocks that differ when the camera shows something else altogether."""
_GAINS: Final = (0.8, 1.25)

_Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """How a frame differs from those before it."""

    news: bool = False
    """Something is other than in the frame that was looked at last, so that this one has to be looked at."""
    detail: bool = False
    """As `news`, or a detail is other: what was read may not hold any more."""
    moved: bool = False
    """It differs from the frame before."""
    cut: bool = False
    """Most of it differs from the frame before."""


class ChangeGate:
    """Remembers how the last frames of one stream looked, in 64 by 48 cells of grey. Under a millisecond a frame."""

    def __init__(self) -> None:
        self._looked_at: _Grid | None = None
        self._read: _Grid | None = None
        self._before: _Grid | None = None

    def compare(self, grey: NDArray[np.uint8]) -> Change:
        """Take the next frame, in grey and any size; tell what is new. The first one is news, and hasn't moved.

        A camera's noise, and light that changes slowly and everywhere, are no news.
        """
        size = (_WIDTH, _HEIGHT)
        grid: _Grid = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._before = self._before, grid
        blocks = _blocks(_difference(grid, before)) if before is not None else np.zeros(1, np.float32)
        news = self._looked_at is None or _happened(grid, self._looked_at)
        detail = news or self._read is None or float(_difference(grid, self._read).max()) > _CELL_DIFFERS
        differing = blocks > _DIFFERS
        return Change(news, detail, bool(differing.any()), float(differing.mean()) > _CUT)

    def looked(self) -> None:
        """Note that the frame taken last was looked at: from now on news are what differs from it."""
        self._looked_at = self._before

    def read(self) -> None:
        """Note that the frame taken last was read."""
        self._read = self._before


def light(grey: NDArray[np.uint8]) -> Light:
    """Tell how light a picture in grey is."""
    dark, middle, bright = np.percentile(grey, (20, 50, 98))
    if bright < 30:
        return "black"
    if bright < 90 or (middle < 30 and bright < 160):
        return "dark"
    return "bright" if dark > 240 else "normal"


def _happened(grid: _Grid, other: _Grid) -> bool:
    if abs(float(grid.mean() - other.mean())) > _BRIGHTER:
        return True
    return bool((_blocks(_difference(grid, other)) > _DIFFERS).any())


def _difference(grid: _Grid, other: _Grid) -> _Grid:
    """Return by how much each cell differs, when both pictures are made equally bright and rich in contrast."""
    here, there = grid - grid.mean(), other - other.mean()
    gain = np.clip((here.std() + 1) / (there.std() + 1), *_GAINS)
    difference: _Grid = np.abs(here - there * gain)
    return difference


def _blocks(difference: _Grid) -> _Grid:
    rows, columns = _HEIGHT // _BLOCK, _WIDTH // _BLOCK
    means: _Grid = difference.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3))
    return means
