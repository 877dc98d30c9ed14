"""Tracking: the same number for the same thing from one frame to the next, and what came and went.

A detector flickers. So a thing is believed at once when the detector is sure, else when it is seen a second time; and
it has left when it was missed twice running, or once where the camera shows something else altogether.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import dist
from typing import Final

from vision.detect.detection import Detection, overlap
from vision.types import Box, Thing

_SURE: Final = 0.5
_TWICE: Final = 2
_TOUCHES: Final = 0.1
_SAME_PLACE: Final = 0.6
"""What overlaps so much is the same thing, even where it is taken for another kind now."""
_NEAR: Final = 0.2
"""Parts of the picture that a thing may be away from where it was, if it is the nearest of its kind."""
_FORGETS: Final = 0.7
"""What a label's earlier scores weigh from one frame to the next."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """The things that are there now, and the news."""

    things: tuple[Thing, ...]
    appeared: tuple[Thing, ...] = ()
    left: tuple[Thing, ...] = ()


class Tracker:
    """The things of one stream."""

    def __init__(self) -> None:
        self._tracks: list[_Track] | None = None
        self._last = 0

    @property
    def settled(self) -> bool:
        """Nothing is in doubt: the same picture again would tell nothing new."""
        return all(track.believed and not track.missed for track in self._tracks or ())

    def update(self, detections: Iterable[Detection], *, cut: bool = False) -> Tracked:
        """Take what was found in the next frame; `cut`: the camera shows something else altogether.

        What the first frame shows hasn't appeared: it was there already.
        """
        found = list(detections)
        if self._tracks is None:
            self._tracks = [self._begin(detection, believed=True) for detection in found]
            return Tracked(_things(self._tracks))
        pairs = _matched(self._tracks, found, same_view=not cut)
        appeared = [track for index, track in enumerate(self._tracks) if index in pairs and not track.believed]
        left = []
        stay = []
        for index, track in enumerate(self._tracks):
            if index in pairs:
                track.go_on(found[pairs[index]])
            else:
                track.missed += 1
            if track.missed < (_TWICE if track.believed and not cut else 1):
                stay.append(track)
            elif track.believed and track.certain:
                left.append(track)
        fresh = set(range(len(found))) - set(pairs.values())
        new = [self._begin(found[index], believed=cut or found[index].score >= _SURE) for index in sorted(fresh)]
        self._tracks = stay + new
        return Tracked(_things(self._tracks), _things(appeared + new), _things(left))

    def _begin(self, detection: Detection, *, believed: bool) -> "_Track":
        self._last += 1
        thing = Thing(detection.label, detection.box, detection.score, self._last)
        return _Track(thing, {detection.label: detection.score}, believed, detection.score >= _SURE)


@dataclass(slots=True)
class _Track:
    thing: Thing
    votes: dict[str, float]
    """For each label that it was given: its scores, the latest counting most."""
    believed: bool
    certain: bool
    """It was seen twice, or the detector was sure: when it goes, that is news."""
    missed: int = 0
    """Times running."""

    def go_on(self, detection: Detection) -> None:
        self.votes = {label: score * _FORGETS for label, score in self.votes.items()}
        self.votes[detection.label] = self.votes.get(detection.label, 0.0) + detection.score
        label = max(self.votes, key=self.votes.__getitem__)
        self.thing = replace(self.thing, label=label, box=detection.box, score=detection.score)
        self.believed = self.certain = True
        self.missed = 0


def _things(tracks: Iterable[_Track]) -> tuple[Thing, ...]:
    return tuple(track.thing for track in tracks if track.believed)


def _matched(tracks: Sequence[_Track], found: Sequence[Detection], *, same_view: bool) -> dict[int, int]:
    """Return which track goes on as which detection, the likeliest pairs first."""
    both = product(range(len(tracks)), range(len(found)))
    pairs = ((_likeness(tracks[i].thing, found[j], same_view=same_view), i, j) for i, j in both)
    matched: dict[int, int] = {}
    taken: set[int] = set()
    for likeness, i, j in sorted(pairs, key=lambda pair: pair[0], reverse=True):
        if likeness > 0 and i not in matched and j not in taken:
            matched[i] = j
            taken.add(j)
    return matched


def _likeness(thing: Thing, detection: Detection, *, same_view: bool) -> float:
    """Return how likely both are one thing, 0..3: of its kind where it was; in its very place; of its kind nearby."""
    shared = overlap(thing.box, detection.box)
    if thing.label == detection.label and shared > _TOUCHES:
        return 2 + shared
    if not same_view:
        return 0.0
    if shared > _SAME_PLACE:
        return 1 + shared
    away = dist(_middle(thing.box), _middle(detection.box))
    return 1 - away if thing.label == detection.label and away < _NEAR else 0.0


def _middle(box: Box) -> tuple[float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2
