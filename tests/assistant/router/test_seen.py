"""What a scene answers by itself, and what it leaves to a model."""

import pytest

from assistant.router.seen import answer
from tests.vision.scenes import MIDDLE, face, line, scene, thing
from vision.types import Box, Scene

SMALL = Box(0.1, 0.1, 0.2, 0.2)
CUPS = scene(thing("cup"), thing("cup", SMALL, 2), thing("person", track=3))
NOTHING = scene()


@pytest.mark.parametrize(
    ("seen", "question", "said"),
    [
        (CUPS, "How many mugs are on the table?", "I see two cups."),
        (CUPS, "How many cups do you see?", "I see two cups."),
        (CUPS, "How many people are there in the room?", "I see one person."),
        (CUPS, "How many cats can you see here?", "I don't see a cat."),
        (scene(thing("knife"), thing("knife", track=2)), "How many knives are there", "I see two knives."),
        (scene(faces=(face(),) * 3), "How many people do you see?", "I see three people."),
        (CUPS, "Is anyone at the door?", "Yes, I see one person."),
        (NOTHING, "Is anybody there?", "No, I don't see anyone."),
        (NOTHING, "Is there someone at the front door?", "No, I don't see anyone."),
        (CUPS, "Is there a cat on the sofa?", "No, I don't see a cat."),
        (CUPS, "Can you see my mug?", "Yes, I see two cups."),
        (scene(thing("book", track=7), thing("person", track=2), held=7), "What am I holding?", "It's a book."),
        (
            scene(thing("book", track=7), held=7, text=(line("THE HOBBIT"),)),
            "What's this?",
            "It's a book. It says: THE HOBBIT",
        ),
        (scene(thing("cup", score=0.35)), "What is this?", "It's perhaps a cup."),
        (scene(thing("clock", SMALL, 1), thing("vase", MIDDLE, 2)), "What is that?", "It's a vase."),
        (scene(thing("cup", SMALL), thing("dining table", Box(0, 0, 1, 1), 2)), "What is this?", "It's a cup."),
        (scene(thing("car")), "What's that there?", "It's a car."),
        (scene(thing("dog", track=1), thing("dog", track=2)), "What is this?", "I see two dogs."),
        (scene(thing("person"), faces=(face(),) * 1), "What is this?", "I see one person."),
        (scene(text=(line("Salt"),)), "What is this?", "I can't tell what that is. It says: Salt"),
        (scene(colours=("red", "white")), "What is this?", "I can't tell what that is. It is mostly red and white."),
        (NOTHING, "What is in my hand?", "I can't tell what that is."),
    ],
)
def test_what_was_seen_is_said_as_it_is(seen: Scene, question: str, said: str) -> None:
    assert answer(seen, question) == said


@pytest.mark.parametrize(
    "question",
    [
        "What colour is it?",
        "How many screws are in the box?",
        "Is there a goblin here?",
        "How many legs does a spider have?",
        "What is this song?",
        "Is anyone going to win?",
        "Do I look tired?",
    ],
)
def test_what_takes_more_than_looking_is_left_to_a_model(question: str) -> None:
    assert answer(CUPS, question) is None
