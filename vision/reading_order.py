"""The order in which a person reads lines of text: from top to bottom, columns one after the other.

Words side by side are a row, such as a dish and its price, unless both sides have lines that are long enough to be read
on their own.
"""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from vision.types import TextLine

_COLUMN_LINES: Final = 2
_COLUMN_WIDTH: Final = 5.0
"""Heights of a line, in the median: what is narrower is a list of numbers or prices."""
_SAME_ROW: Final = 0.5
"""Of the lower line's height."""


def reading_order(lines: Sequence[TextLine], aspect: float) -> tuple[TextLine, ...]:
    """Sort lines as they are read; `aspect` is the picture's width divided by its height."""
    bands = _bands(sorted(lines, key=lambda line: line.box.top))
    ordered: list[TextLine] = []
    first = 0
    while first < len(bands):
        # As many bands as possible that have columns in common: a headline is a band of its own.
        for last in range(len(bands), first, -1):
            together = [line for band in bands[first:last] for line in band]
            columns = _columns(together, aspect)
            if columns is not None:
                for column in columns:
                    ordered += reading_order(column, aspect)
                break
        else:
            last = first + 1
            ordered += _rows(bands[first])
        first = last
    return tuple(ordered)


def _bands(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Split lines, sorted by their top, where nothing crosses from above to below."""
    bands: list[list[TextLine]] = []
    bottom = 0.0
    for line in lines:
        if not bands or line.box.top >= bottom:
            bands.append([])
        bands[-1].append(line)
        bottom = max(bottom, line.box.bottom)
    return bands


def _columns(lines: Sequence[TextLine], aspect: float) -> tuple[list[TextLine], list[TextLine]] | None:
    """Split lines at the first gap between columns from the left; None where there is none."""
    by_left = sorted(lines, key=lambda line: line.box.left)
    gap = median(_height(line) for line in lines) / aspect
    right = by_left[0].box.right
    for number, line in enumerate(by_left):
        if line.box.left >= right + gap:
            sides = by_left[:number], by_left[number:]
            if all(_is_column(side, aspect) for side in sides):
                return sides
        right = max(right, line.box.right)
    return None


def _is_column(lines: Sequence[TextLine], aspect: float) -> bool:
    if len(lines) < _COLUMN_LINES:
        return False
    widths = [(line.box.right - line.box.left) * aspect / max(_height(line), 1e-6) for line in lines]
    return median(widths) >= _COLUMN_WIDTH


def _rows(lines: Sequence[TextLine]) -> Iterator[TextLine]:
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=_middle):
        if rows and all(_beside(line, other) for other in rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    for row in rows:
        yield from sorted(row, key=lambda line: line.box.left)


def _beside(line: TextLine, other: TextLine) -> bool:
    apart = line.box.left >= other.box.right or line.box.right <= other.box.left
    return apart and abs(_middle(line) - _middle(other)) < _SAME_ROW * min(_height(line), _height(other))


def _middle(line: TextLine) -> float:
    return (line.box.top + line.box.bottom) / 2


def _height(line: TextLine) -> float:
    return line.box.bottom - line.box.top
