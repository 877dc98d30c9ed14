"""What the camera shows, as `parley.scene` events: only what is new, and not too often."""

from collections.abc import Iterator
from typing import Final, TypeAlias

from assistant.server.wire import Message
from pipeline.events import SceneSeen
from vision.types import Box, Scene, Thing

EVERY_S: Final = 0.5
"""Between two events, at least."""

_Told: TypeAlias = tuple[object, ...]


class Scenes:
    """Tells one client of the scenes of its camera."""

    def __init__(self) -> None:
        self._told: _Told | None = None
        self._told_at = float("-inf")
        self._appeared: list[Thing] = []
        self._left: list[Thing] = []

    def messages(self, seen: SceneSeen) -> Iterator[Message]:
        """Yield the event that tells of what was seen, if it is time, and something has changed since the last one."""
        scene = seen.scene
        # What happened between two events belongs to the second.
        self._appeared += scene.appeared
        self._left += scene.left
        what = (seen.period, *_what(scene))
        if scene.at - self._told_at < EVERY_S or (not scene.moved and what == self._told):
            return
        self._told, self._told_at = what, scene.at
        changes = {"appeared": [_named(each) for each in self._appeared], "left": [_named(each) for each in self._left]}
        self._appeared, self._left = [], []
        yield {"type": "parley.scene", **scene_object(scene), **changes, "dropped_frames": seen.dropped}


def scene_object(scene: Scene) -> Message:
    """Return a scene as the wire has it."""
    return {
        "width": scene.width,
        "height": scene.height,
        "light": scene.light,
        "summary": scene.summary,
        "things": [_named(each) | {"score": round(each.score, 3), "box": _box(each.box)} for each in scene.things],
        "faces": [
            {"facing": face.facing, "score": round(face.score, 3), "box": _box(face.box)} for face in scene.faces
        ],
        "colours": list(scene.colours),
        "held": scene.held,
        "gestures": list(scene.gestures),
        "text": None
        if scene.text is None
        else [{"text": line.text, "score": round(line.score, 3), "box": _box(line.box)} for line in scene.text],
        "codes": None
        if scene.codes is None
        else [{"kind": code.kind, "text": code.text, "box": _box(code.box)} for code in scene.codes],
        "moved": scene.moved,
    }


def _what(scene: Scene) -> _Told:
    """Return what makes a scene another one, however things tremble in it."""
    return (
        scene.light,
        scene.summary,
        tuple(each.track for each in scene.things),
        tuple(face.facing for face in scene.faces),
        scene.held,
        scene.gestures,
        None if scene.text is None else tuple(line.text for line in scene.text),
        None if scene.codes is None else tuple(code.text for code in scene.codes),
    )


def _named(thing: Thing) -> Message:
    return {"track": thing.track, "label": thing.label}


def _box(box: Box) -> list[float]:
    return [round(each, 4) for each in (box.left, box.top, box.right, box.bottom)]
