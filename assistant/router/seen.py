"""Questions that what was seen answers by itself: what something is, how many there are, whether anybody is there.

A small model counts badly and makes up who is at the door, although it is told what there is. In English only.
"""

import re
from typing import Final

from assistant.things import label_of, noun_of
from vision.detect.coco import LABELS
from vision.detect.detection import area
from vision.scene import TOO_BIG_TO_HOLD
from vision.types import PERSON, Scene, Thing
from vision.wording import counted, listed, people, perhaps

_WHERE: Final = (
    r"(?: (?:here|there|now|right now|visible|in view"
    r"|(?:on|in|at|by|near|under|behind|in front of|next to|outside) (?:the |this |that |my |your )?(?:\w+ )?\w+))*"
)
_WHAT: Final = r"(?P<{}>[a-z]+(?: [a-z]+)?)"
_HOW_MANY: Final = re.compile(
    rf"how many (?:{_WHAT.format('seen')} (?:do|can) you see"
    rf"|{_WHAT.format('there')} (?:are|is)(?: there| here)?){_WHERE}",
    re.IGNORECASE,
)
_IS_THERE: Final = re.compile(
    rf"(?:(?:is|are) (?:there )?(?P<who>any(?:one|body)|some(?:one|body))(?: standing| waiting)?"
    rf"|(?:is|are) there (?:an? |any |some )?{_WHAT.format('what')}"
    rf"|(?:do|can) you see (?:an? |any |some |my |the )?{_WHAT.format('spotted')}){_WHERE}",
    re.IGNORECASE,
)
_WHAT_IS_IT: Final = re.compile(
    r"(?:what(?:'s| is) (?:this|that)(?: here| there| thing)?|what am i holding(?: up| here| now)*"
    r"|what(?:'s| is) (?:this |that )?in my hand|what do i have (?:here|in my hand))",
    re.IGNORECASE,
)


def answer(scene: Scene, question: str) -> str | None:
    """Return what the scene says to the question; None where that takes more than looking."""
    text = question.strip().strip(".?! ").replace("’", "'")
    if _WHAT_IS_IT.fullmatch(text):
        return _what(scene)
    if found := _HOW_MANY.fullmatch(text):
        label = label_of(noun_of(found["seen"] or found["there"]), LABELS)
        return None if label is None else f"I {_count(scene, label)}."
    if found := _IS_THERE.fullmatch(text):
        label = label_of(noun_of(found["who"] or found["what"] or found["spotted"]), LABELS)
        if label is None:
            return None
        return f"{'Yes' if _number(scene, label) else 'No'}, I {_count(scene, label)}."
    return None


def _number(scene: Scene, label: str) -> int:
    return scene.people if label == PERSON else sum(thing.label == label for thing in scene.things)


def _count(scene: Scene, label: str) -> str:
    number = _number(scene, label)
    if label == PERSON:
        return f"see {people(number)}" if number else "don't see anyone"
    return f"see {counted(number, label)}" if number else f"don't see {counted(1, label)}"


def _what(scene: Scene) -> str:
    things = [thing for thing in scene.things if thing.label != PERSON]
    held = [thing for thing in things if thing.track == scene.held]
    written = " ".join(line.text for line in scene.text or ())
    says = f" It says: {written}" if written else ""
    if not things:
        if _number(scene, PERSON) and not says:
            return f"I {_count(scene, PERSON)}."
        looks = f" It is mostly {listed(scene.colours)}." if scene.colours and not says else ""
        return f"I can't tell what that is.{says or looks}"
    # Who asks about the cup doesn't mean the table that it stands on.
    small = [thing for thing in things if thing.label not in TOO_BIG_TO_HOLD]
    thing = max(held or small or things, key=_size)
    same = sum(1 for each in things if each.label == thing.label)
    doubt = perhaps(thing.score)
    if held or same == 1:
        return f"It's {doubt}{counted(1, thing.label)}.{says}"
    return f"I see {doubt}{counted(same, thing.label)}.{says}"


def _size(thing: Thing) -> float:
    return area(thing.box)
