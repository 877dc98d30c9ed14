"""A scene: all that was found in one picture, put together, with what a person holds into the camera."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from vision.detect.detection import area, inside
from vision.tracking import Tracked
from vision.types import PERSON, Box, Code, Face, Gesture, Light, Scene, TextLine, Thing
from vision.wording import describe

TOO_BIG_TO_HOLD: Final = frozenset(
    {
        *("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light", "fire hydrant"),
        *(
            "stop sign",
            "parking meter",
            "bench",
            "horse",
            "sheep",
            "cow",
            "elephant",
            "bear",
            "zebra",
            "giraffe",
            "tie",
        ),
        *("chair", "couch", "bed", "dining table", "toilet", "tv", "microwave", "oven", "sink", "refrigerator"),
    }
)
"""And what is worn."""
_HELD_SIZE: Final = 0.015
"""The least part of the picture that is held into the camera."""
_HELD_INSIDE: Final = 0.5
"""The least part of it that is in front of the person."""
_ARMS: Final = 0.15
"""How far beyond the person's box, in its widths, a hand reaches: the box often ends at the wrist."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What there is to say of a picture before anything is looked for in it."""

    at: float
    width: int
    height: int
    light: Light
    colours: tuple[str, ...] = ()
    moved: bool = False


def compose(looks: Looks, tracked: Tracked, faces: Sequence[Face] = (), gestures: Sequence[Gesture] = ()) -> Scene:
    """Return the scene, with its summary."""
    held = held_thing(tracked.things, faces)
    scene = Scene(
        at=looks.at,
        width=looks.width,
        height=looks.height,
        light=looks.light,
        things=tracked.things,
        faces=tuple(faces),
        colours=looks.colours,
        held=None if held is None else held.track,
        gestures=tuple(gestures),
        appeared=tracked.appeared,
        left=tracked.left,
        moved=looks.moved,
    )
    return _summed_up(scene)


def with_reading(scene: Scene, text: tuple[TextLine, ...] | None, codes: tuple[Code, ...] | None) -> Scene:
    """Return the scene with what was read in its picture; None: that wasn't looked for."""
    return _summed_up(replace(scene, text=text, codes=codes))


def held_thing(things: Sequence[Thing], faces: Sequence[Face] = ()) -> Thing | None:
    """Return what a person holds into the camera: before a person, not small, the largest and most central of such."""
    people = [thing.box for thing in things if thing.label == PERSON] or [_body(face.box) for face in faces]
    candidates = [
        thing
        for thing in things
        if thing.label != PERSON
        and thing.label not in TOO_BIG_TO_HOLD
        and area(thing.box) >= _HELD_SIZE
        and any(inside(thing.box, _within_reach(person)) >= _HELD_INSIDE for person in people)
    ]
    return max(candidates, key=_prominence, default=None)


def _prominence(thing: Thing) -> float:
    aside = abs((thing.box.left + thing.box.right) / 2 - 0.5)
    return area(thing.box) * (1 - aside)


def _within_reach(person: Box) -> Box:
    reach = _ARMS * (person.right - person.left)
    return Box(
        max(0.0, person.left - reach), person.top, min(1.0, person.right + reach), min(1.0, person.bottom + reach)
    )


def _body(face: Box) -> Box:
    """Guess where somebody is of whom only the face was found."""
    width, height = face.right - face.left, face.bottom - face.top
    return Box(max(0.0, face.left - width), face.top, min(1.0, face.right + width), min(1.0, face.bottom + 4 * height))


def _summed_up(scene: Scene) -> Scene:
    return replace(scene, summary=describe(scene))
