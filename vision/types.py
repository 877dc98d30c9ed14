"""The shapes that pictures, and what is seen in them, have everywhere in Parley."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""A picture, upright, shape [height, width, 3], blue, green and red in 0..255, as OpenCV has them."""


class PictureError(Exception):
    """A picture that can't be looked at; the message names the cause and the cure."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Frame:
    """A camera's picture as it came: a JPEG, PNG or WebP file, not yet decoded."""

    data: bytes
    at: float
    """When it was taken, in seconds of the session's clock."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where something is: parts of the picture's width and height, 0..1, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


PERSON: Final = "person"
"""The label of people."""


@dataclass(frozen=True, slots=True)
class Thing:
    """An object."""

    label: str
    """In English, singular: "cup"."""
    box: Box
    score: float
    """How sure the detector is, 0..1."""
    track: int
    """The same number, the same object, from one frame to the next; unique in its stream, from 1."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face. Nobody is recognised."""

    box: Box
    score: float
    facing: bool | None = None
    """It is turned to the camera; None where it is too small to tell."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text, as it was read."""

    text: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Code:
    """A QR or bar code, and what it holds."""

    kind: str
    """`qr`, or the bar code's symbology in small letters: `ean-13`."""
    text: str
    box: Box


Gesture: TypeAlias = Literal["raised palm"]
"""What a hand says. A raised palm means: stop."""

Light: TypeAlias = Literal["black", "dark", "bright", "normal"]
"""`black`: nothing can be seen, the lens may be covered."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What was seen in one frame. What was not looked for is None; what was looked for and not found is empty."""

    at: float
    """When the frame was taken, in seconds of the session's clock."""
    width: int
    height: int
    """Of the picture as it was looked at: in pixels, upright, at most 1280 a side."""
    light: Light
    things: tuple[Thing, ...] = ()
    faces: tuple[Face, ...] = ()
    colours: tuple[str, ...] = ()
    """The picture's main colours, in English, most of it first."""
    held: int | None = None
    """The track of the thing that a person holds into the camera."""
    gestures: tuple[Gesture, ...] = ()
    text: tuple[TextLine, ...] | None = None
    """In reading order. Only after a close look."""
    codes: tuple[Code, ...] | None = None
    """Only after a close look."""
    appeared: tuple[Thing, ...] = ()
    left: tuple[Thing, ...] = ()
    """What came and what went since this stream's scene before."""
    moved: bool = False
    """The picture differs from the one before: something moves, or the camera does."""
    summary: str = ""
    """All of it in one short sentence or two, for a language model: "One person facing you, holding a book; text:
    'THE HOBBIT'." Empty where nothing can be seen."""

    @property
    def people(self) -> int:
        """How many there are: of some only the body was found, of some only the face."""
        return max(sum(thing.label == PERSON for thing in self.things), len(self.faces))
