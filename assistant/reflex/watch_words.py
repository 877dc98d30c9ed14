"""What a user says that they wait to see."""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from assistant.reflex.watch import Kind

_SAME: Final = {
    "mug": "cup",
    "teacup": "cup",
    "coffee cup": "cup",
    "sofa": "couch",
    "settee": "couch",
    "television": "tv",
    "phone": "cell phone",
    "mobile": "cell phone",
    "mobile phone": "cell phone",
    "smartphone": "cell phone",
    "iphone": "cell phone",
    "table": "dining table",
    "plant": "potted plant",
    "flower pot": "potted plant",
    "bike": "bicycle",
    "motorbike": "motorcycle",
    "plane": "airplane",
    "aeroplane": "airplane",
    "lorry": "truck",
    "van": "truck",
    "kitten": "cat",
    "puppy": "dog",
    "fridge": "refrigerator",
    "ball": "sports ball",
    "glass": "wine glass",
    "bag": "handbag",
    "rucksack": "backpack",
    "remote control": "remote",
    "computer": "laptop",
    "notebook": "laptop",
    "teddy": "teddy bear",
    "doughnut": "donut",
}
"""Other words for the detector's."""
_PEOPLE: Final = frozenset(
    "someone somebody anyone anybody person people man woman child kid boy girl visitor guest mailman postman".split()
)
_ANYTHING: Final = frozenset({"something", "anything", "it", "there", "this", "that"})
_TEXT: Final = frozenset({"text", "writing", "words", "letters"})

_COMES: Final = (
    r"(?:appears?|comes?(?: in| back| into view| by| here| to the \w+)?|shows? up|turns? up|arrives?"
    r"|enters?(?: the room)?|walks? in|gets? here|is here|is there|are here|are there"
    r"|is in (?:view|sight)|is back|sits? down"
    r"|(?:jumps?|gets?|climbs?|sits?|is|lies) (?:up )?(?:on|onto|at|in|into) (?:the|my) \w+)"
)
_GOES: Final = (
    r"(?:is gone|are gone|has gone|goes away|goes|leaves?|left|disappears?|vanish(?:es)?|is taken(?: away)?"
    r"|is (?:not|no longer) there(?: any ?more)?|isn't there(?: any ?more)?)"
)
_MOVES: Final = r"(?:moves?|is moving|starts? (?:to move|moving)|stirs?|changes?)"
_EVENT: Final = re.compile(
    rf"(?:there(?:'s| is) (?P<found>.+?)|(?:you (?:can )?see|you (?:spot|notice)) (?P<spotted>.+?)"
    rf"|(?P<comes>.+?) {_COMES}|(?P<goes>.+?) {_GOES}|(?P<moves>.+?) {_MOVES})"
    r"(?: on the \w+| in the \w+| here| there)?",
    re.IGNORECASE,
)
_DETERMINER: Final = re.compile(r"(?:(?:a|an|the|any|some|another|my|your|our|his|her|this|that) )+", re.IGNORECASE)
_MOVEMENT: Final = frozenset({"movement", "motion", "any movement", "some movement"})


class Wanted(NamedTuple):
    """What is to be watched for."""

    kind: Kind
    what: str = ""
    label: str = ""


def read_event(said: str, labels: Collection[str]) -> Wanted | None:
    """Return what is waited for in "a cat jumps on the sofa"; None where it isn't anything that could be seen."""
    found = _EVENT.fullmatch(said.strip(" .!?").replace("’", "'"))
    if found is None:
        return None
    way, what = next((name, text) for name, text in found.groupdict().items() if text)
    noun = _noun(what)
    if way == "moves":
        return Wanted("moves") if noun in _ANYTHING | _PEOPLE or _label(noun, labels) else None
    if way == "goes":
        label = "person" if noun in _PEOPLE else _label(noun, labels)
        return Wanted("leaves", what, label) if label else None
    return read_thing(what, labels) if noun not in _ANYTHING else None


def read_thing(said: str, labels: Collection[str]) -> Wanted | None:
    """Return what is waited for in "a cat"; None where that is no thing at all."""
    what = said.strip(" .!?").replace("’", "'")
    noun = _noun(what)
    if noun in _MOVEMENT:
        return Wanted("moves")
    if noun in _PEOPLE:
        return Wanted("person")
    if noun in _TEXT or noun.startswith(("text ", "writing ", "something written", "something to read")):
        return Wanted("text")
    label = _label(noun, labels)
    return Wanted("appears", what, label) if label else None


def _noun(what: str) -> str:
    return _DETERMINER.sub("", what.strip().casefold()).strip()


def _label(noun: str, labels: Collection[str]) -> str | None:
    """Return what the detector calls it."""
    last = noun.rpartition(" ")[2]
    for each in (noun, last):
        for one in (each, each.removesuffix("s"), each.removesuffix("es")):
            name = _SAME.get(one, one)
            if name in labels:
                return name
    return None
