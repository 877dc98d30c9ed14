"""What a detector finds in one picture, before it is known which thing that is."""

from dataclasses import dataclass

from vision.types import Box


@dataclass(frozen=True, slots=True)
class Detection:
    """An object in one picture; the fields are those of `Thing`."""

    label: str
    box: Box
    score: float


def overlap(one: Box, other: Box) -> float:
    """Return how much of both boxes together is in both: 0..1."""
    shared = _shared(one, other)
    union = area(one) + area(other) - shared
    return shared / union if union > 0 else 0.0


def inside(inner: Box, outer: Box) -> float:
    """Return how much of the inner box lies in the outer one: 0..1."""
    size = area(inner)
    return _shared(inner, outer) / size if size > 0 else 0.0


def area(box: Box) -> float:
    """Return the part of the picture that it takes: 0..1."""
    return max(0.0, box.right - box.left) * max(0.0, box.bottom - box.top)


def _shared(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0.0, width) * max(0.0, height)
