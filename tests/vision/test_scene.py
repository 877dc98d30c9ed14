"""Which thing a person holds, and what a scene is made of."""

import pytest

from tests.vision.scenes import BODY, LEFT, MIDDLE, RIGHT, face, line, thing
from vision.scene import Looks, compose, held_thing, with_reading
from vision.tracking import Tracked
from vision.types import Box, Thing

PERSON = thing("person", BODY, 1)
LOOKS = Looks(3.5, 640, 480, "normal", ("grey",), moved=True)


def held(*things: Thing) -> str | None:
    found = held_thing(things)
    return None if found is None else found.label


@pytest.mark.parametrize(
    ("things", "label"),
    [
        ([], None),
        ([PERSON], None),
        ([thing("book")], None),
        ([PERSON, thing("book")], "book"),
        ([PERSON, thing("chair")], None),
        ([PERSON, thing("tie")], None),
        ([PERSON, thing("dining table", Box(0.2, 0.6, 0.9, 1.0))], None),
        ([PERSON, thing("cup", Box(0.45, 0.5, 0.5, 0.56))], None),
        ([PERSON, thing("book"), thing("cup", Box(0.7, 0.5, 0.9, 0.7))], "book"),
        ([PERSON, thing("book", Box(0.3, 0.4, 0.6, 0.7)), thing("cup", Box(0.55, 0.5, 0.75, 0.7))], "book"),
        ([thing("person", Box(0.0, 0.1, 0.3, 1.0)), thing("cup", RIGHT)], None),
        ([thing("person", Box(0.0, 0.1, 0.5, 1.0)), thing("cup", Box(0.45, 0.4, 0.6, 0.6))], "cup"),
        ([PERSON, thing("cell phone", Box(0.4, 0.3, 0.6, 0.7))], "cell phone"),
    ],
)
def test_what_is_held(things: list[Thing], label: str | None) -> None:
    assert held(*things) == label


def test_a_face_is_a_person_too() -> None:
    book = thing("book", Box(0.35, 0.4, 0.65, 0.7), 4)
    assert held_thing([book], [face()]) == book
    assert held_thing([thing("cup", Box(0.85, 0.8, 1.0, 1.0))], [face()]) is None


def test_a_scene_has_all_that_was_found() -> None:
    book, cup = thing("book", MIDDLE, 2), thing("cup", LEFT, 3)
    found = compose(LOOKS, Tracked((PERSON, book, cup), (cup,), (thing("cat", RIGHT, 9),)), [face()], ["raised palm"])
    assert (found.at, found.width, found.height, found.light, found.moved) == (3.5, 640, 480, "normal", True)
    assert found.held == 2
    assert found.appeared == (cup,)
    assert [one.label for one in found.left] == ["cat"]
    assert found.colours == ("grey",)
    assert found.text is found.codes is None
    assert found.summary == "One person facing you, holding a book, with a raised palm; also a cup on the left."


def test_reading_adds_to_it_and_can_be_taken_back() -> None:
    seen = compose(LOOKS, Tracked(()))
    read = with_reading(seen, (line("EXIT"),), ())
    assert (read.text, read.codes) == ((line("EXIT"),), ())
    assert read.summary == "Text: 'EXIT'. Mostly grey."
    assert with_reading(read, None, None) == seen
