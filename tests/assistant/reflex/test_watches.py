"""What users wait to see: how it is asked for, when it has come true, and when nobody looks."""

import asyncio
from collections.abc import Iterable

import pytest

from assistant.record.virtual_time import run
from assistant.reflex.responses import Responses
from assistant.reflex.watch import Kind, Watch
from assistant.reflex.watch_commands import WatchCommands
from assistant.reflex.watch_words import Wanted, read_event, read_thing
from assistant.reflex.watches import MOST, Watches
from assistant.reflex.watching import Describing, Watching
from pipeline.engines import Asker
from pipeline.events import Announce, Camera, LookClosely
from tests.assistant.reflex.house import House, Sessions
from vision.detect.coco import LABELS
from vision.types import Box, Face, Light, Scene, TextLine, Thing

BOX = Box(0, 0, 1, 1)
ASKER = Asker(session="kitchen", user="owner")


def scene(
    at: float,
    *labels: str,
    text: str | None = None,
    faces: int = 0,
    moved: bool = False,
    light: Light = "normal",
    summary: str = "",
) -> Scene:
    things = tuple(Thing(label, BOX, 0.9, number) for number, label in enumerate(labels, 1))
    lines = None if text is None else (TextLine(text, BOX, 0.9),) if text else ()
    seen = tuple(Face(BOX, 0.9) for _ in range(faces))
    return Scene(at, 640, 480, light, things, seen, text=lines, moved=moved, summary=summary)


def fires(kind: Kind, scenes: Iterable[Scene], label: str = "cat", what: str = "my cat") -> list[tuple[float, str]]:
    watching = Watching(Watch("w", kind, "owner", "kitchen", what, label))
    return [(each.at, text) for each in scenes if (text := watching.saw(each)) is not None]


# --- When it has come true ---


def test_a_thing_appears_when_it_is_seen_twice_in_a_row() -> None:
    scenes = [scene(1), scene(1.5, "cat"), scene(2), scene(2.5, "dog", "cat"), scene(3, "cat")]
    assert fires("appears", scenes) == [(3, "I see my cat.")]


def test_it_is_gone_when_it_was_there_and_isnt_any_more() -> None:
    flicker = [scene(1), scene(2, "cat"), scene(3), scene(3.5, "cat"), scene(4), scene(5), scene(5.5)]
    assert fires("leaves", flicker) == [(5.5, "My cat is gone.")]
    assert fires("leaves", [scene(at) for at in range(10)]) == []


def test_in_the_dark_nothing_is_gone() -> None:
    assert fires("leaves", [scene(1, "cat"), *(scene(at, light="black") for at in range(2, 9))]) == []


def test_somebody_comes_when_there_are_more_than_there_were() -> None:
    alone = [scene(0.5 * number, "person", faces=1) for number in range(6)]
    two = [scene(3.0, "person", "person"), scene(3.5, faces=2)]
    assert fires("person", [*alone, *two]) == [(3.5, "Somebody has come.")]
    assert fires("person", alone) == []


def test_who_asked_may_leave_and_come_back() -> None:
    scenes = [scene(0, "person"), *(scene(at) for at in (1, 2, 3.5)), scene(4, "person"), scene(4.5, "person")]
    assert fires("person", scenes) == [(4.5, "Somebody has come.")]
    # Missing for a moment isn't gone.
    assert fires("person", [scene(0, "person"), scene(1), scene(2, "person"), scene(2.5, "person")]) == []


def test_new_text_is_read_out() -> None:
    scenes = [
        scene(1, text="EXIT"),
        scene(2),
        scene(3, text="EXIT"),
        scene(4, text=""),
        scene(5, text="-"),
        scene(6, text="OPEN"),
    ]
    assert fires("text", scenes) == [(6, "I can read: OPEN")]


def test_movement_counts_when_the_camera_has_settled() -> None:
    scenes = [scene(0, moved=True), scene(1, moved=True), scene(2), scene(3, moved=True)]
    assert fires("moves", scenes) == [(3, "Something moves.")]


def test_what_changes_is_said_at_a_calm_rate() -> None:
    describing = Describing()
    scenes = [
        scene(0, "cup", summary="A cup."),
        scene(1, "cup", "cat"),
        scene(3, light="black"),
        scene(5, "cup"),
        scene(6, "cup"),
        scene(7, "cup", "apple"),
        scene(8, "apple", text="SALE"),
        scene(12.5, "apple"),
        scene(13, "apple", text="SALE"),
        scene(14, "apple"),
        scene(20, "book"),
    ]
    said = [(each.at, text) for each in scenes if (text := describing.saw(each)) is not None]
    assert said == [
        (0, "A cup."),
        (7, "There is an apple now."),
        (13, "The cup is gone. It says: SALE"),
        (20, "There is a book now. The apple is gone."),
    ]


# --- What is asked for ---


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("a cat appears", Wanted("appears", "a cat", "cat")),
        ("the cat jumps on the sofa", Wanted("appears", "the cat", "cat")),
        ("my dog comes back", Wanted("appears", "my dog", "dog")),
        ("you see a bus", Wanted("appears", "a bus", "bus")),
        ("there's a bird in the garden", Wanted("appears", "a bird", "bird")),
        ("there is a mug on the table", Wanted("appears", "a mug", "cup")),
        ("the cup is gone", Wanted("leaves", "the cup", "cup")),
        ("my bike disappears.", Wanted("leaves", "my bike", "bicycle")),
        ("the man leaves", Wanted("leaves", "the man", "person")),
        ("someone comes", Wanted("person")),
        ("somebody comes in", Wanted("person")),
        ("anyone is at the door", Wanted("person")),
        ("there is a person", Wanted("person")),
        ("text appears", Wanted("text")),
        ("you see some text", Wanted("text")),
        ("something moves", Wanted("moves")),
        ("the cat moves", Wanted("moves")),
        ("there is movement", Wanted("moves")),
        ("it's five o'clock", None),
        ("dinner is ready", None),
        ("the timer ends", None),
        ("my wife comes home", None),
        ("a ghost appears", None),
        ("something appears", None),
        ("your time leaves", None),
        ("time moves", None),
    ],
)
def test_an_event_is_read(said: str, wanted: Wanted | None) -> None:
    assert read_event(said, LABELS) == wanted


def test_a_thing_is_read() -> None:
    assert read_thing("the postman", LABELS) == Wanted("person")
    assert read_thing("my black cat", LABELS) == Wanted("appears", "my black cat", "cat")
    assert read_thing("two cars", LABELS) == Wanted("appears", "two cars", "car")
    assert read_thing("opportunities", LABELS) is None


# --- What is said about it ---


def settled(house: House, *labels: str) -> House:
    house.watches.saw(ASKER, scene(house.seconds, *labels))
    return house


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Tell me when a cat appears.", "a cat appears"),
        ("Let me know if someone comes.", "somebody comes"),
        ("Warn me as soon as the cup is gone!", "the cup is gone"),
        ("Watch out for a bus.", "a bus appears"),
        ("Keep an eye out for my cat, please.", "my cat appears"),
        ("Tell me when something moves", "something moves"),
        ("Tell me when text appears.", "there is something to read"),
    ],
)
def test_a_watch_is_asked_for_in_many_ways(house: House, said: str, name: str) -> None:
    assert run(settled(house).say(said)) == f"Okay, I'll tell you when {name}."
    assert [each.name for each in house.watches.of("kitchen")] == [name]
    assert house.watches.of("bedroom") == ()


@pytest.mark.parametrize(
    "said",
    ["Tell me when dinner is ready.", "Look out for opportunities.", "Tell me if it rains.", "Tell me what you know."],
)
def test_other_things_are_none_of_its_business(house: House, said: str) -> None:
    assert house.match(said) is None


def test_without_a_camera_it_waits_for_one_and_without_eyes_it_says_so(house: House) -> None:
    text = "Tell me when a cat appears."
    assert run(house.say(text)) == "Okay, I'll tell you when a cat appears, as soon as the camera is on."
    house.watches.eyes = False
    assert run(house.say("Tell me when a dog appears.")) == "I have no eyes here, so I can't watch for anything."


def test_several_are_listed_and_stopped_one_by_one_or_all(house: House) -> None:
    async def script() -> None:
        assert await house.say("What are you watching for?") == "I'm not watching for anything."
        assert await house.say("Stop watching.") == "I'm not watching for anything."
        assert await house.say("Stop looking for a flat.") is None
        for said in ("a cat appears", "someone comes", "the cup is gone"):
            await house.say(f"Tell me when {said}.")
        assert await house.say("Tell me when a cat appears.") == "I'm watching for that already."
        told = "I'll tell you when a cat appears, somebody comes or the cup is gone."
        assert await house.say("What are you watching for?") == told
        assert await house.say("Stop watching for dogs.") == "I'm not watching for that."
        assert await house.say("Stop watching for the cat.") == "Okay, I've stopped watching for that."
        assert await house.say("Don't watch for people any more.") == "Okay, I've stopped watching for that."
        assert await house.say("What are you looking out for?") == "I'll tell you when the cup is gone."
        assert await house.say("Stop watching.") == "Okay, I've stopped watching."
        assert house.watches.of("kitchen") == ()

    run(script())


def test_there_are_only_so_many(house: House) -> None:
    async def script() -> None:
        for label in LABELS[1 : MOST + 1]:
            await house.say(f"Watch for a {label}.")
        assert (await house.say("Tell me when someone comes.") or "").startswith("I'm watching for 10 things already")

    run(script())


def test_eyes_are_closed_and_opened(house: House) -> None:
    async def script() -> None:
        await house.say("Describe what you see as it changes.")
        for said in ("Close your eyes.", "Turn off the camera", "Stop looking at me!", "camera off"):
            assert await house.say(said) == "Okay, my eyes are closed."
        assert not house.watches.describes("kitchen")
        assert await house.say("Open your eyes.") == "Okay, I'm looking again."
        cameras = [request for _, request in house.sessions.asked if isinstance(request, Camera)]
        assert cameras == [*[Camera(on=False, by="user")] * 4, Camera(on=True, by="user")]

    run(script())


def test_nothing_happens_before_the_commit(house: House) -> None:
    for said in ("Close your eyes.", "Tell me when a cat appears.", "Describe what you see as it changes."):
        assert house.match(said) is not None
    assert house.sessions.asked == []
    assert house.watches.of("kitchen") == ()


def test_what_changes_is_described_until_it_is_enough(house: House) -> None:
    async def script() -> None:
        assert await house.say("Stop describing.") == "I'm not describing anything."
        settled(house)
        assert await house.say("Describe what you see as it changes.") == "Okay, I'll tell you what changes."
        assert await house.say("Keep describing things.") == "I'm doing that already."
        assert house.sessions.asked[-1] == ("kitchen", LookClosely(2.5))
        assert await house.say("Stop describing.") == "Okay, no more descriptions."
        assert house.sessions.asked[-1] == ("kitchen", LookClosely(None))
        house.seconds += 60
        assert (await house.say("Be my eyes.") or "").endswith("as soon as the camera is on.")

    run(script())


# --- What is told ---


def test_what_has_come_true_is_told_once_and_to_the_others_as_an_event() -> None:
    async def script() -> list[object]:
        sessions = Sessions(here=["kitchen", "bedroom"])
        watches = Watches(sessions)
        running = asyncio.create_task(watches.run())
        await watches.put(Watch("w", "appears", "owner", "kitchen", "a cat", "cat"))
        await watches.put(Watch("x", "text", "owner", "kitchen"))
        for at in (1.0, 2.0, 3.0, 4.0):
            watches.saw(ASKER, scene(at, "cat"))
            watches.saw(Asker(session="bedroom", user="owner"), scene(at, "cat"))
        await asyncio.sleep(1)
        assert [each.name for each in watches.of("kitchen")] == ["there is something to read"]
        await watches.remove(*watches.of("kitchen"))
        running.cancel()
        return sessions.asked

    assert run(script()) == [
        ("kitchen", LookClosely(None)),
        ("kitchen", LookClosely(2.5)),
        ("kitchen", Announce("I see a cat.", "a cat appears")),
        ("bedroom", Announce("", "a cat appears")),
        ("kitchen", LookClosely(2.5)),
        ("kitchen", LookClosely(None)),
    ]


def test_a_description_isnt_said_late() -> None:
    async def script() -> list[object]:
        sessions = Sessions()
        watches = Watches(sessions)
        running = asyncio.create_task(watches.run())
        await watches.describe("kitchen", on=True)
        watches.saw(ASKER, scene(1.0, "cup", summary="A cup."))
        await asyncio.sleep(1)
        running.cancel()
        return sessions.asked

    assert run(script())[-1] == ("kitchen", Announce("A cup.", within_s=5.0))


def test_of_many_sessions_the_oldest_are_forgotten_and_a_full_queue_blocks_nobody() -> None:
    async def script() -> None:
        watches = Watches(Sessions(here=[]))
        for number in range(300):
            await watches.put(Watch("w", "appears", "owner", f"s{number}", "a cat", "cat"))
        assert watches.of("s0") == ()
        assert len(watches.of("s299")) == 1
        for number in range(44, 300):
            for at in (1.0, 2.0):
                watches.saw(Asker(session=f"s{number}"), scene(at, "cat"))
        assert watches.of("s299") == ()

    run(script())


def test_a_model_may_ask_for_one(house: House) -> None:
    async def script() -> None:
        commands = WatchCommands(house.watches, LABELS, Responses())
        assert await commands.watch_for("a cat appears", ASKER) == "The user will be told when a cat appears."
        assert await commands.watch_for("my dog", ASKER) == "The user will be told when my dog appears."
        assert (await commands.watch_for("world peace", ASKER)).startswith("That can't be watched for.")
        for label in LABELS[20:28]:
            await commands.watch_for(label, ASKER)
        assert "as many as there may be" in await commands.watch_for("a bus", ASKER)

    run(script())
