"""Which things are on the photos, of the kinds that the detector knows, and how many of them it finds."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.vision.files import photo_file
from vision.detect.detection import Detection
from vision.frames import decode
from vision.types import Pixels

LISTED: Final[dict[str, dict[str, int]]] = {
    "astronaut.jpg": {"person": 1},
    "bear_river.jpg": {"bear": 1},
    "cameraman.jpg": {"person": 1},
    "cat_chelsea.jpg": {"cat": 1},
    "cat_meme.jpg": {"cat": 1},
    "coffee_cup.jpg": {"cup": 1, "spoon": 1},
    "dog_bicycle_truck.jpg": {"dog": 1, "bicycle": 1, "truck": 1},
    "elephant_silhouette.jpg": {"elephant": 1, "bird": 1},
    "football.jpg": {"sports ball": 1},
    "peacock.jpg": {"bird": 1},
    "pelican.jpg": {"bird": 1},
    "puppies_three.jpg": {"dog": 3},
    "surfer.jpg": {"person": 1, "surfboard": 1},
    "teddy_bear.jpg": {"teddy bear": 1},
    "tv_update_screen.jpg": {"tv": 1},
}
ALSO_THERE: Final = {"coffee_cup.jpg": {"dining table"}, "elephant_silhouette.jpg": {"bird"}}
"""Nobody counted these: a wooden table, and a flock."""


@dataclass(slots=True)
class Score:
    """How well things were found."""

    listed: int = 0
    found: int = 0
    wrong: int = 0
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """Photo, what is there, what was found."""

    @property
    def recall(self) -> float:
        """The part of what is there that was found."""
        return self.found / self.listed

    @property
    def precision(self) -> float:
        """The part of what was found that is there."""
        return self.found / (self.found + self.wrong)


def score(find: Callable[[Pixels], Iterable[Detection]]) -> Score:
    """Look for the things on all photos."""
    total = Score()
    for name, listed in LISTED.items():
        found = Counter(detection.label for detection in find(decode(photo_file(name))))
        there = Counter(listed)
        also = ALSO_THERE.get(name, set())
        total.listed += there.total()
        total.found += (there & found).total()
        total.wrong += sum(count for label, count in (found - there).items() if label not in also)
        total.rows.append((name, _said(there), _said(found)))
    return total


def _said(things: Counter[str]) -> str:
    return ", ".join(f"{label}: {count}" for label, count in sorted(things.items()))
