"""What the camera shows, as events: whole, only when it is new, and not too often."""

from dataclasses import replace

import pytest

from assistant.server.scenes import EVERY_S, Scenes
from pipeline.events import SceneSeen
from vision.types import Box, Code, Face, Scene, TextLine, Thing

BOX = Box(0.1, 0.2, 0.123456, 1)
CUP = Thing("cup", BOX, 0.87654, 1)
BOOK = Thing("book", BOX, 0.5, 2)
ROOM = Scene(10.0, 640, 480, "normal", (CUP,), summary="A cup.")


def told(*scenes: Scene) -> list[dict[str, object]]:
    """The events about these scenes, a second apart, where they have no times of their own."""
    teller = Scenes()
    return [
        message
        for second, scene in enumerate(scenes)
        for message in teller.messages(SceneSeen(replace(scene, at=scene.at + second)))
    ]


def test_all_that_was_seen_is_told() -> None:
    scene = replace(
        ROOM,
        faces=(Face(BOX, 0.9, facing=True), Face(BOX, 0.8)),
        colours=("red", "grey"),
        held=1,
        gestures=("raised palm",),
        text=(TextLine("HELLO", BOX, 0.99),),
        codes=(Code("qr", "https://example.org", BOX),),
        appeared=(CUP,),
        left=(BOOK,),
        moved=True,
    )
    box = [0.1, 0.2, 0.1235, 1]
    teller = Scenes()
    assert list(teller.messages(SceneSeen(scene, dropped=3))) == [
        {
            "type": "parley.scene",
            "width": 640,
            "height": 480,
            "light": "normal",
            "summary": "A cup.",
            "things": [{"track": 1, "label": "cup", "score": 0.877, "box": box}],
            "faces": [{"facing": True, "score": 0.9, "box": box}, {"facing": None, "score": 0.8, "box": box}],
            "colours": ["red", "grey"],
            "held": 1,
            "gestures": ["raised palm"],
            "text": [{"text": "HELLO", "score": 0.99, "box": box}],
            "codes": [{"kind": "qr", "text": "https://example.org", "box": box}],
            "moved": True,
            "appeared": [{"track": 1, "label": "cup"}],
            "left": [{"track": 2, "label": "book"}],
            "dropped_frames": 3,
        }
    ]


def test_what_was_not_looked_for_is_null() -> None:
    (event,) = told(ROOM)
    assert (event["text"], event["codes"]) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"things": (CUP, BOOK)},
        {"things": ()},
        {"light": "dark"},
        {"summary": "Two cups."},
        {"faces": (Face(BOX, 0.9),)},
        {"held": 1},
        {"gestures": ("raised palm",)},
        {"text": ()},
        {"codes": ()},
        {"moved": True},
    ],
)
def test_only_what_is_new_is_told(change) -> None:
    changed = replace(ROOM, **change)
    assert len(told(ROOM, ROOM, changed, replace(changed, moved=False))) == 2


def test_things_that_only_tremble_are_not_new() -> None:
    trembling = replace(ROOM, things=(replace(CUP, box=Box(0, 0, 1, 1), score=0.4),))
    assert len(told(ROOM, trembling)) == 1


def test_it_is_told_at_most_twice_a_second_and_nothing_that_happened_in_between_is_lost() -> None:
    scenes = [
        ROOM,
        replace(ROOM, at=10.1, things=(CUP, BOOK), appeared=(BOOK,)),
        replace(ROOM, at=10.2, left=(BOOK,)),
        replace(ROOM, at=10.0 + EVERY_S, things=(), left=(CUP,)),
    ]
    teller = Scenes()
    events = [message for scene in scenes for message in teller.messages(SceneSeen(scene))]
    assert len(events) == 2
    assert [thing["label"] for thing in events[1]["appeared"]] == ["book"]
    assert [thing["label"] for thing in events[1]["left"]] == ["book", "cup"]


def test_a_camera_that_was_off_in_between_is_told_of_anew() -> None:
    teller = Scenes()
    events = [
        message
        for second, period in enumerate([0, 0, 1, 1])
        for message in teller.messages(SceneSeen(replace(ROOM, at=10.0 + second), period=period))
    ]
    assert [event["summary"] for event in events] == ["A cup.", "A cup."]
