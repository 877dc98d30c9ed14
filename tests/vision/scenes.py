"""Scenes and their parts, for the tests."""

from typing import Any

from vision.types import Box, Face, Scene, TextLine, Thing

LEFT, MIDDLE, RIGHT = Box(0.0, 0.4, 0.2, 0.6), Box(0.4, 0.4, 0.6, 0.6), Box(0.8, 0.4, 1.0, 0.6)
BODY = Box(0.2, 0.1, 0.8, 1.0)


def thing(label: str, box: Box = MIDDLE, track: int = 1, score: float = 0.9) -> Thing:
    return Thing(label, box, score, track)


def face(facing: bool | None = True, left: float = 0.4) -> Face:
    return Face(Box(left, 0.1, left + 0.1, 0.25), 0.9, facing)


def line(text: str) -> TextLine:
    return TextLine(text, MIDDLE, 0.9)


def scene(*things: Thing, **parts: Any) -> Scene:
    return Scene(**({"at": 0.0, "width": 640, "height": 480, "light": "normal", "things": things} | parts))
