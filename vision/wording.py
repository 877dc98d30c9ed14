"""What is seen, in words: short and true, for a language model that can't see."""

from collections.abc import Sequence
from typing import Final

from vision.detect.detection import area
from vision.types import PERSON, Box, Light, Scene, Thing

_NUMBERS: Final = "no one two three four five six seven eight nine ten eleven twelve".split()
PLURALS: Final = {
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
_WIDE: Final = 0.6
NO_TEXT: Final = "no text that can be read"
"""Keeps a model from making some up; a person who didn't ask for any needs no word of it."""
_MOST_TEXT: Final = 400
"""Characters of what was read."""
_LIGHTS: Final[dict[Light, str]] = {"dark": "It is very dark.", "bright": "It is very bright."}


def describe(scene: Scene) -> str:
    """Return one short sentence or two. Empty where nothing can be seen.

    What stands in the picture is put in quotation marks: it is data, and nobody's wish.
    """
    if scene.light == "black":
        return ""
    held = next((thing for thing in scene.things if thing.track == scene.held), None)
    people = _people(scene, held)
    others = _others(scene.things, held)
    seen = [people, f"also {others}" if people and others else others]
    if not (people or others or scene.text or scene.codes):
        seen = ["nothing that has a known name"]
    known = "; ".join(filter(None, [*seen, *_read(scene)]))
    sentences = [f"{known[0].upper()}{known[1:]}."]
    if scene.colours and not people:
        sentences.append(f"Mostly {listed(scene.colours)}.")
    if scene.light in _LIGHTS:
        sentences.append(_LIGHTS[scene.light])
    return " ".join(sentences)


def counted(count: int, label: str) -> str:
    """Say how many there are of a thing: "a cup", "two knives", "13 people"."""
    shown = _SHORT.get(label, label)
    if label in _UNCOUNTED:
        return shown
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    if label in _IN_PAIRS:
        return f"a pair of {shown}" if count == 1 else f"{number} pairs of {shown}"
    if count == 1:
        return f"{'an' if shown[0] in 'aeiou' else 'a'} {shown}"
    return f"{number} {_plural(label)}"


def people(count: int) -> str:
    """Say how many people there are: "one person", "two people"."""
    return "one person" if count == 1 else counted(count, PERSON)


def perhaps(score: float) -> str:
    """Return what is said before a thing of which the detector isn't sure; empty where it is."""
    return "perhaps " if score < _DOUBTFUL else ""


def listed(words: Sequence[str]) -> str:
    """Say one after the other: "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def place(box: Box) -> str:
    """Say where in the picture something is, as the viewer sees it; empty for what takes most of the width."""
    if box.right - box.left > _WIDE:
        return ""
    middle = (box.left + box.right) / 2
    return "on the left" if middle < 1 / 3 else "on the right" if middle > 2 / 3 else "in the middle"


def _plural(label: str) -> str:
    if label in PLURALS:
        return PLURALS[label]
    return _SHORT.get(label, label) + ("es" if label.endswith(("s", "ch", "sh")) else "s")


def _people(scene: Scene, held: Thing | None) -> str:
    bodies = [thing.score for thing in scene.things if thing.label == PERSON]
    count = scene.people
    if count == 0:
        return listed([f"a {gesture}" for gesture in scene.gestures]) if scene.gestures else ""
    facing = sum(1 for face in scene.faces if face.facing)
    away = sum(1 for face in scene.faces if face.facing is False)
    one = count == 1
    said = people(count)
    if not scene.faces:
        said = f"{perhaps(max(bodies))}{said}"
    if count in (facing, away):
        said += " facing you" if facing else " looking away"
    elif facing:
        said += f", {_NUMBERS[facing] if facing < len(_NUMBERS) else facing} of them facing you"
    if held is not None:
        said += f", {'' if one else 'one '}holding {perhaps(held.score)}{counted(1, held.label)}"
    for gesture in scene.gestures:
        said += f", with a {gesture}"
    return said


def _others(things: Sequence[Thing], held: Thing | None) -> str:
    groups: dict[str, list[Thing]] = {}
    for thing in sorted(things, key=lambda thing: area(thing.box), reverse=True):
        if thing.label != PERSON and (held is None or thing.track != held.track):
            groups.setdefault(thing.label, []).append(thing)
    if not groups:
        return ""
    sure: list[str] = []
    doubtful: list[str] = []
    for label, group in groups.items():
        places = {place(thing.box) for thing in group}
        where = f" {places.pop()}" if len(groups) <= _PLACED and len(places) == 1 and places != {""} else ""
        doubt = perhaps(max(thing.score for thing in group))
        (doubtful if doubt else sure).append(f"{doubt}{counted(len(group), label)}{where}")
    return listed(sure + doubtful)


def _read(scene: Scene) -> list[str]:
    said = [f"{_code_name(code.kind)}: '{_quoted(code.text)}'" for code in scene.codes or ()]
    if scene.text:
        said.insert(0, f"text: '{_quoted(' '.join(line.text for line in scene.text))}'")
    elif scene.text is not None and not scene.codes:
        said.append(NO_TEXT)
    return said


def _code_name(kind: str) -> str:
    return "QR code" if kind == "qr" else f"bar code ({kind.upper()})"


def _quoted(text: str) -> str:
    printable = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split()).replace("'", "’")
    return printable if len(printable) <= _MOST_TEXT else f"{printable[:_MOST_TEXT]}…"
