"""What is seen, in words: short and true, for a language model that can't see."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from vision.types import Box, Code, Face, Light, TextLine, Thing

PERSON: Final = "person"

_NUMBERS: Final = "no one two three four five six seven eight nine ten eleven twelve".split()
_PLURALS: Final = {
    "broccoli": "broccoli",
    "knife": "knives",
    "mouse": "mice",
    "person": "people",
    "scissors": "scissors",
    "sheep": "sheep",
    "skis": "skis",
}
_SHORT: Final = {"tv": "TV"}
_IN_PAIRS: Final = frozenset({"scissors", "skis"})
_UNCOUNTED: Final = frozenset({"broccoli"})
_DOUBTFUL: Final = 0.45
"""What is less sure is said with a "perhaps"."""
_PLACED: Final = 3
"""With more kinds of things than this, it isn't said where they are."""
_MOST_TEXT: Final = 400
"""Characters of what was read."""
_LIGHTS: Final[dict[Light, str]] = {"dark": "It is very dark.", "bright": "It is very bright."}


def describe(  # noqa: PLR0913 - a scene has as many parts
    things: Sequence[Thing],
    faces: Sequence[Face] = (),
    *,
    held: Thing | None = None,
    light: Light = "normal",
    colours: Sequence[str] = (),
    gestures: Sequence[str] = (),
    text: Sequence[TextLine] | None = None,
    codes: Sequence[Code] | None = None,
) -> str:
    """Return one short sentence or two. Empty where nothing can be seen.

    What stands in the picture is put in quotation marks: it is data, and nobody's wish.
    """
    if light == "black":
        return ""
    parts = [people(things, faces, held, gestures), _others(things, held)]
    named = [part for part in parts if part]
    read = _read(text, codes)
    sentences = []
    if named or read:
        sentences.append(_capital("; ".join(filter(None, (_listed(named), *read)))) + ".")
    else:
        sentences.append("Nothing that is known by name.")
    if colours and not parts[0]:
        sentences.append(f"Mostly {_listed(colours)}.")
    if light in _LIGHTS:
        sentences.append(_LIGHTS[light])
    return " ".join(sentences)
