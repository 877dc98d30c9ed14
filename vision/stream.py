"""One stream of pictures that belong together: each is looked at as closely as it must be, and no closer.

A frame first passes the change gate, for a millisecond. In a still scene that is all: what was seen holds. Pixels are
gone when a look ends; a stream keeps cells of grey, tracks, and its last scene.
"""

from dataclasses import replace
from hashlib import blake2b
from typing import Final

from vision.change import Change, ChangeGate, light
from vision.colours import main_colours
from vision.finders import Finders
from vision.frames import decode, decode_small
from vision.scene import Looks, compose, with_reading
from vision.tracking import Tracked, Tracker
from vision.types import Frame, Light, Scene

_READING_SIDE: Final = 1600
"""The longest side of what is read, in pixels: small print needs more of them than things do."""


class Stream:
    """What one session's camera showed. For one thread."""

    def __init__(self, finders: Finders) -> None:
        self._finders = finders
        self._gate = ChangeGate()
        self._tracker = Tracker()
        self._scene: Scene | None = None
        self._mark = b""

    def look(self, frame: Frame, *, closely: bool = False) -> Scene:
        """Return what `frame` shows; `closely` also reads text and codes. Raises PictureError, and stays as it was."""
        mark = blake2b(frame.data, digest_size=16).digest()
        last = self._scene
        if last is not None and mark == self._mark:
            scene = _later(last, frame.at, moved=False)
        else:
            scene = self._next(frame, last)
        if closely and scene.text is None and scene.codes is None and scene.light != "black":
            scene = self._read(frame, scene)
        self._scene, self._mark = scene, mark
        return scene

    def _next(self, frame: Frame, last: Scene | None) -> Scene:
        grey = decode_small(frame.data)
        change = self._gate.compare(grey)
        if last is None or change.news or not self._tracker.settled:
            scene = self._seen(frame, change, light(grey))
        else:
            scene = _later(last, frame.at, moved=change.moved)
        if last is None or change.detail:
            return with_reading(scene, None, None)
        return with_reading(scene, last.text, last.codes)

    def _seen(self, frame: Frame, change: Change, lit: Light) -> Scene:
        picture = decode(frame.data)
        height, width = picture.shape[:2]
        looks = Looks(frame.at, width, height, lit, moved=change.moved)
        if lit == "black":  # a covered lens: what was there hasn't left, it just can't be seen
            scene = compose(looks, Tracked(()))
        else:
            find = self._finders
            tracked = self._tracker.update(find.objects().find(picture), cut=change.cut)
            faces = find.faces().find(picture) if find.faces else ()
            gestures = find.hands().gestures(picture) if find.hands else ()
            scene = compose(replace(looks, colours=main_colours(picture)), tracked, faces, gestures)
        self._gate.looked()
        return scene

    def _read(self, frame: Frame, scene: Scene) -> Scene:
        find = self._finders
        if find.text is None and find.codes is None:
            return scene
        picture = decode(frame.data, side=_READING_SIDE)
        text = find.text().read(picture) if find.text else None
        codes = find.codes(picture) if find.codes else None
        self._gate.read()
        find.tidy()
        return with_reading(scene, text, codes)


def _later(scene: Scene, at: float, *, moved: bool) -> Scene:
    return replace(scene, at=at, appeared=(), left=(), moved=moved)
