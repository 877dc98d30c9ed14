"""What a user says that they wait to see."""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from assistant.reflex.watch import Kind
from assistant.things import PEOPLE, label_of, noun_of

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
    noun = noun_of(what)
    if way == "moves":
        return Wanted("moves") if noun in _ANYTHING or label_of(noun, labels) else None
    if way == "goes":
        label = label_of(noun, labels)
        return Wanted("leaves", what, label) if label else None
    return read_thing(what, labels) if noun not in _ANYTHING else None


def read_thing(said: str, labels: Collection[str]) -> Wanted | None:
    """Return what is waited for in "a cat"; None where that is no thing at all."""
    what = said.strip(" .!?").replace("’", "'")
    noun = noun_of(what)
    if noun in _MOVEMENT:
        return Wanted("moves")
    if noun in PEOPLE:
        return Wanted("person")
    if noun in _TEXT or noun.startswith(("text ", "writing ", "something written", "something to read")):
        return Wanted("text")
    label = label_of(noun, labels)
    return Wanted("appears", what, label) if label else None
