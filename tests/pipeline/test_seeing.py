"""What becomes of the camera's pictures: what is looked at and when, what a turn may see, and what is forgotten."""

import asyncio
import base64
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from pipeline import events
from pipeline.blind import UNSEEN
from pipeline.engines import ChatMessage, Finish, Picture, Routed, TextDelta, Unseen, View
from pipeline.history import Item, Text
from pipeline.inbox import Inbox
from pipeline.lanes import Lane, Lanes
from pipeline.seeing import KEPT_S, MOST_KEPT_BYTES, MOST_PICTURES
from tests.pipeline.doubles import WAIT, Conversation, RoutedLlm, ScriptedEyes, ScriptedLlm, ScriptedStt
from tests.pipeline.scripts import rejected
from vision.types import Scene


@dataclass
class Seen:
    """A conversation with eyes, and what a turn sees in it."""

    eyes: ScriptedEyes = field(default_factory=ScriptedEyes)
    lanes: Lanes = field(default_factory=lambda: Lanes(2))
    llm: ScriptedLlm = field(default_factory=ScriptedLlm)
    found: list[object] = field(default_factory=list)
    live: ScriptedStt | None = None
    stt_s: float = 0.15

    def hold(self, script: "Callable[[Seen], Awaitable[None]]") -> Conversation:
        stt = ScriptedStt(takes_s=self.stt_s)
        self.talk = Conversation(eyes=self.eyes, lanes=self.lanes, llm=self.llm, live=self.live, stt=stt)

        async def run(_: Conversation) -> None:
            await script(self)

        self.talk.hold(run)
        return self.talk

    async def show(self, data: bytes, seconds: float = 0.0, every_s: float = 0.5) -> None:
        """Show this once, or for so long."""
        await self.talk.session.put(events.CameraFrame(data))
        await asyncio.sleep(every_s if seconds else 0.001)
        for _ in range(round(seconds / every_s) - 1):
            await self.talk.session.put(events.CameraFrame(data))
            await asyncio.sleep(every_s)

    async def view(self) -> View:
        """Ask something, and return what its turn may see."""
        before = len(self.llm.requests)
        await self.talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(0.01)
        view = self.llm.requests[before].view
        assert view is not None
        await asyncio.sleep(1.0)
        return view

    async def look(self, *, closely: bool = False) -> Scene | Unseen:
        seen = await (await self.view()).look(closely=closely)
        self.found.append(seen.summary if isinstance(seen, Scene) else seen)
        return seen


def frames(talk: Conversation) -> list[str]:
    return [event.scene.summary for event in talk.of(events.SceneSeen)]


def test_what_the_camera_shows_is_seen_and_told() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(b"cup", 1.0)
        await seen.show(b"cup, book", 0.5)
        await seen.look()

    talk = seen.hold(script)
    assert frames(talk) == ["A cup.", "A cup.", "A cup and a book."]
    assert [thing.label for thing in talk.of(events.SceneSeen)[-1].scene.appeared] == ["book"]
    assert seen.found == ["A cup and a book."]


def test_without_eyes_frames_are_refused_once_and_turns_have_no_view() -> None:
    talk = Conversation()

    async def script(talk: Conversation) -> None:
        await talk.ask(events.CameraFrame(b"cup"))
        await talk.ask(events.CameraFrame(b"cup"))
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    talk.hold(script)
    assert rejected(talk) == [("unsupported_picture", None)]
    assert talk.llm.requests[0].view is None


@pytest.mark.parametrize("every_s", [0.02, 0.05])
def test_about_ten_frames_a_second_are_taken_and_the_others_counted(every_s: float) -> None:
    seen = Seen(ScriptedEyes(takes_s=0.01))
    talk = seen.hold(lambda seen: seen.show(b"cup", 2.0, every_s))
    taken = len(seen.eyes.looks)
    assert 18 <= taken <= 21
    assert talk.of(events.SceneSeen)[-1].dropped == pytest.approx(2.0 / every_s - taken, abs=5)


def test_only_the_newest_frame_waits_for_a_slow_look_and_one_is_looked_at_at_a_time() -> None:
    seen = Seen(ScriptedEyes(takes_s=0.45))

    async def script(seen: Seen) -> None:
        for number in range(10):
            await seen.show(f"cup {number}".encode(), 0.1, 0.1)
        await asyncio.sleep(1.0)

    talk = seen.hold(script)
    assert frames(talk) == ["A cup 0.", "A cup 4.", "A cup 8.", "A cup 9."]
    assert talk.of(events.SceneSeen)[-1].dropped == 6
    assert seen.eyes.most_looking == 1


def test_frames_wait_while_voice_is_at_work() -> None:
    seen = Seen(lanes=Lanes(1))

    async def script(seen: Seen) -> None:
        async with seen.lanes.enter(Lane.SPEECH):
            for number in range(5):
                await seen.show(f"cup {number}".encode(), 0.2, 0.2)
            assert not seen.eyes.looks
        await asyncio.sleep(0.2)

    talk = seen.hold(script)
    assert frames(talk) == ["A cup 4."]
    assert talk.of(events.SceneSeen)[-1].dropped == 4


def test_of_frames_that_wait_in_line_the_newest_is_kept() -> None:
    async def script() -> tuple[list[object], int]:
        inbox: Inbox[events.Clear] = Inbox()
        await inbox.put(events.CameraFrame(b"old"))
        await inbox.put(events.Clear())
        await inbox.put(events.CameraFrame(b"new"))
        return [await inbox.get(), await inbox.get()], inbox.dropped_frames

    assert asyncio.run(script()) == ([events.Clear(), events.CameraFrame(b"new")], 1)


# --- Frames that can't be looked at ---


@pytest.mark.parametrize(("data", "code"), [(b"broken", "invalid_image"), (b"crash", "look_failed")])
def test_what_cannot_be_looked_at_is_told_once_until_something_can_be(data: bytes, code: str) -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(data, 1.5)
        await seen.look()
        await seen.show(b"cup", 0.5)
        await seen.show(data, 1.0)

    talk = seen.hold(script)
    assert rejected(talk) == [(code, None)] * 2
    assert "secret" not in str(talk.of(events.Rejected))
    assert seen.found == ["broken"]
    assert frames(talk) == ["A cup."]


def test_nothing_can_be_seen_in_the_dark() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(b"black", 1.0)
        await seen.look()

    seen.hold(script)
    assert seen.found == ["black"]


def test_a_camera_that_sends_no_more_shows_nothing() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.look()
        await seen.show(b"cup", 1.0)
        await asyncio.sleep(3.0)
        await seen.look()
        assert await (await seen.view()).picture(longest=768, blur_faces=True) is None
        await seen.show(b"book", 0.5)
        await seen.look()

    seen.hold(script)
    assert seen.found == ["off", "stale", "A book."]


# --- Off ---


def test_what_is_off_is_forgotten() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(b"cup", 1.0)
        view = await seen.view()
        await seen.talk.ask(events.Camera(on=False))
        assert await view.look() == "off"
        assert await view.picture(longest=768, blur_faces=False) is None
        assert not view.on
        await seen.show(b"cup", 0.5)
        await seen.look()

    talk = seen.hold(script)
    assert seen.found == ["A cup."]
    # It begins anew: what is there has just appeared.
    assert [len(event.scene.appeared) for event in talk.of(events.SceneSeen)] == [1, 0, 1]
    assert not talk.of(events.CameraSwitched)


def test_what_is_being_looked_at_when_it_goes_off_is_forgotten_too() -> None:
    seen = Seen(ScriptedEyes(takes_s=0.5), lanes=Lanes(1))

    async def script(seen: Seen) -> None:
        await seen.show(b"cup", 0.1, 0.1)
        looks = asyncio.create_task(seen.look())  # it waits for the same look
        await seen.show(b"book", 0.1, 0.1)  # and this one waits in line
        await seen.talk.ask(events.Camera(on=False))
        await looks
        await asyncio.sleep(1.0)

    talk = seen.hold(script)
    assert frames(talk) == []
    assert seen.found == ["off"]


def test_an_answer_that_waits_for_a_look_when_it_goes_off_sees_nothing() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(b"book: THE HOBBIT", 0.5)
        view = await seen.view()
        looks = asyncio.create_task(view.look(closely=True))
        await asyncio.sleep(0.1)
        await seen.talk.ask(events.Camera(on=False))
        assert await looks == "off"

    seen.hold(script)


def test_a_frame_that_waits_for_its_turn_when_it_goes_off_is_never_looked_at() -> None:
    seen = Seen(lanes=Lanes(1))

    async def script(seen: Seen) -> None:
        async with seen.lanes.enter(Lane.SPEECH):
            await seen.show(b"cup", 0.1, 0.1)
            await seen.talk.ask(events.Camera(on=False))
        await asyncio.sleep(0.5)

    seen.hold(script)
    assert seen.eyes.looks == []


def test_closed_eyes_stay_closed_until_the_client_opens_them() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(b"cup", 0.5)
        await seen.talk.ask(events.Camera(on=False, by="user"))
        await seen.show(b"cup", 1.0)
        await seen.look()
        await seen.talk.ask(events.Camera(on=False))  # the client obeys, and that opens nothing
        await seen.show(b"cup", 0.5)
        await seen.talk.ask(events.Camera(on=True))
        await seen.show(b"book", 0.5)

    talk = seen.hold(script)
    assert talk.of(events.CameraSwitched) == [events.CameraSwitched(on=False)]
    assert rejected(talk) == [("camera_off", None)] * 2
    assert frames(talk) == ["A cup.", "A book."]
    assert seen.found == ["off"]


def test_the_user_may_open_them_as_well() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.talk.ask(events.Camera(on=False, by="user"))
        await seen.talk.ask(events.Camera(on=True, by="user"))
        await seen.show(b"cup", 0.5)

    talk = seen.hold(script)
    assert [event.on for event in talk.of(events.CameraSwitched)] == [False, True]
    assert frames(talk) == ["A cup."]


# --- While the user speaks ---


async def ask_while_showing(seen: Seen, *shows: bytes) -> None:
    """Ask aloud, with one frame each half second from before the question on."""

    async def film() -> None:
        for data in shows:
            await seen.show(data, 0.5)

    async with asyncio.TaskGroup() as group:
        group.create_task(film())
        await seen.talk.hush(0.7)
        await seen.talk.say(1.3)
        await seen.talk.hush(4.0)


def test_one_frame_is_looked_at_closely_while_the_user_speaks() -> None:
    seen = Seen()
    seen.hold(lambda seen: ask_while_showing(seen, *[b"book: THE HOBBIT"] * 8))
    assert [closely for _, closely in seen.eyes.looks] == [False, False, True, *[False] * 5]
    assert 0.7 < seen.eyes.at[2] < 2.0


def test_a_turn_sees_what_was_there_while_the_user_spoke_and_text_is_known_by_then() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        shows = [b"book: THE HOBBIT"] * 5 + [b"cat"] * 4
        await ask_while_showing(seen, *shows)
        looked = len(seen.eyes.looks)
        view = seen.llm.requests[-1].view
        assert view is not None
        for closely in (False, True):
            scene = await view.look(closely=closely)
            assert isinstance(scene, Scene)
            assert scene.summary == "A book. Text: 'THE HOBBIT'."
        assert len(seen.eyes.looks) == looked
        picture = await view.picture(longest=768, blur_faces=True)
        assert picture == Picture("data:image/jpeg;base64," + base64.b64encode(b"JPEG of book: THE HOBBIT").decode())
        assert seen.eyes.pictures == [(b"book: THE HOBBIT", 768, True)]

    seen.hold(script)


def test_a_corrected_question_sees_the_same() -> None:
    cloud = Routed("big", "cloud", "You asked for it.")
    llm = RoutedLlm(scripts=[[cloud, WAIT, 3.0, TextDelta("Well."), Finish("stop", 9, 0, 3)]])
    seen = Seen(live=ScriptedStt(["what tide is it"], takes_s=0.05), llm=llm, stt_s=0.6)

    async def script(seen: Seen) -> None:
        await ask_while_showing(seen, *[b"cup"] * 5, *[b"cat"] * 4)
        for request in seen.llm.requests[-2:]:
            assert request.view is not None
            scene = await request.view.look()
            assert isinstance(scene, Scene)
            assert scene.summary == "A cup."

    seen.hold(script)
    assert [request.messages[-1].content for request in seen.llm.requests[-2:]] == [
        "what tide is it",
        "what time is it",
    ]


def test_an_utterance_without_a_frame_leaves_no_close_look_behind() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.talk.say(1.0)
        await seen.talk.hush(3.0)
        await seen.show(b"cup", 0.5)

    seen.hold(script)
    assert seen.eyes.looks == [(b"cup", False)]


# --- What a turn asks ---


def test_text_is_read_when_it_is_asked_for_once_for_all_who_ask() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(b"book: THE HOBBIT", 0.5)
        view = await seen.view()
        scenes = await asyncio.gather(view.look(closely=True), view.look(closely=True), view.look())
        assert [scene.summary for scene in scenes if isinstance(scene, Scene)] == [
            *["A book. Text: 'THE HOBBIT'."] * 2,
            "A book.",
        ]
        assert isinstance(await view.look(closely=True), Scene)

    seen.hold(script)
    assert seen.eyes.looks == [(b"book: THE HOBBIT", False), (b"book: THE HOBBIT", True)]


def test_a_look_that_nobody_waits_for_any_more_serves_the_next_who_asks() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.show(b"book: THE HOBBIT", 0.5)
        view = await seen.view()
        asked = asyncio.create_task(view.look(closely=True))
        await asyncio.sleep(0.1)
        asked.cancel()
        await view.look(closely=True)

    seen.hold(script)
    assert [closely for _, closely in seen.eyes.looks] == [False, True]


def test_text_is_read_anew_where_something_else_is_shown_by_now() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await ask_while_showing(seen, *[b"desk"] * 4)
        await seen.show(b"book: THE HOBBIT", 0.5)
        await seen.look()
        await seen.show(b"book: THE HOBBIT", 0.5)
        await seen.look(closely=True)

    seen.hold(script)
    assert seen.found == ["A book.", "A book. Text: 'THE HOBBIT'."]


def test_a_frame_that_has_not_been_looked_at_yet_is_when_a_turn_needs_it() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        busy = seen.lanes.enter(Lane.PARTIAL), seen.lanes.enter(Lane.PARTIAL)
        async with busy[0], busy[1]:
            await seen.show(b"cup")
            await seen.look()
        await asyncio.sleep(0.5)
        busy = seen.lanes.enter(Lane.PARTIAL), seen.lanes.enter(Lane.PARTIAL)
        async with busy[0], busy[1]:
            await seen.show(b"book", 1.5)
            await seen.look()

    seen.hold(script)
    assert seen.found == ["A cup.", "A book."]


def test_a_camera_that_comes_on_after_the_question_is_still_looked_at() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        view = await seen.view()
        await seen.show(b"cup")
        assert isinstance(await view.look(), Scene)  # nothing has been looked at yet
        await asyncio.sleep(0.5)
        scene = await view.look()
        assert isinstance(scene, Scene)
        assert scene.summary == "A cup."

    seen.hold(script)


def test_a_picture_that_cannot_be_sent_is_not() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        view = await seen.view()
        assert await view.picture(longest=768, blur_faces=True) is None
        await seen.show(b"unsendable")
        view = await seen.view()
        assert await view.picture(longest=768, blur_faces=True) is None

    seen.hold(script)
    assert seen.eyes.pictures == [(b"unsendable", 768, True)]


def test_a_camera_that_goes_without_a_word_is_forgotten_and_may_come_back() -> None:
    seen = Seen(lanes=Lanes(1))

    async def script(seen: Seen) -> None:
        seeing = seen.talk.session._seeing
        await seen.show(b"book: THE HOBBIT", 0.5)
        early = await seen.view()
        await early.look(closely=True)
        async with seen.lanes.enter(Lane.SPEECH):
            await seen.show(b"secret")  # nobody has time for this one
            await asyncio.sleep(KEPT_S + 1.5)
        assert (seeing._shown, seeing._apart, seeing._waiting) == (deque(), None, None)
        assert seeing._newest is not None
        assert seeing._newest.data == b""
        assert await early.look() == "stale"
        assert await early.picture(longest=768, blur_faces=True) is None
        await seen.look()
        await seen.show(b"cup", 0.5)
        await seen.look()

    seen.hold(script)
    assert seen.found == ["stale", "A cup."]
    assert b"secret" not in [data for data, _ in seen.eyes.looks]


def test_frames_are_kept_for_seconds_and_never_many_bytes() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        seeing = seen.talk.session._seeing
        await seen.show(b"cup", KEPT_S + 2.0)
        assert KEPT_S / 0.5 <= len(seeing._shown) <= (KEPT_S + 1.0) / 0.5
        await seen.show(b"cup" + bytes(MOST_KEPT_BYTES // 2), 1.0)
        assert len(seeing._shown) == 1
        await seen.show(b"cup" + bytes(2 * MOST_KEPT_BYTES), 0.5)
        assert len(seeing._shown) == 1

    seen.hold(script)


# --- The pictures of messages ---

BOOK = Picture("data:image/png;base64," + base64.b64encode(b"book: THE HOBBIT").decode())
BROKEN = Picture("data:image/png;base64," + base64.b64encode(b"broken").decode())
ASKED = Item("asked", "user", (Text("What is this?"), BOOK))
TOLD = "What is this? (My picture shows: A book. Text: 'THE HOBBIT'.)"


async def show_item(seen: Seen) -> None:
    await seen.talk.ask(events.CreateItem(ASKED))
    await asyncio.sleep(1.0)
    await seen.talk.ask(events.CreateResponse(output="text"))
    await asyncio.sleep(1.0)


def test_a_message_s_picture_is_looked_at_before_anybody_asks_and_told_in_words() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.talk.ask(events.CreateItem(ASKED))
        await asyncio.sleep(1.0)
        assert seen.eyes.looks == [(b"book: THE HOBBIT", True)]
        await seen.talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)
        await seen.talk.ask(events.RetrieveItem("asked"))

    talk = seen.hold(script)
    assert seen.llm.prompts[-1][-1] == ChatMessage("user", TOLD)
    assert len(seen.eyes.looks) == 1
    assert talk.of(events.ItemRetrieved)[0].item == ASKED
    assert talk.of(events.SceneSeen) == []


def test_an_answer_waits_for_the_look_at_its_picture() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.talk.ask(events.CreateItem(ASKED))
        await seen.talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    seen.hold(script)
    assert seen.llm.prompts[-1][-1].content == TOLD


def test_a_picture_beside_the_conversation_is_seen_too() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.talk.ask(events.CreateResponse(output="text", beside=True, input=(ASKED,)))
        await asyncio.sleep(1.0)

    seen.hold(script)
    assert seen.llm.prompts[-1][-1].content == TOLD


def test_a_model_that_takes_pictures_is_given_the_picture() -> None:
    seen = Seen(llm=ScriptedLlm(takes_pictures=True))
    seen.hold(show_item)
    assert seen.llm.prompts[-1][-1] == ChatMessage("user", "What is this?", pictures=(BOOK,))


def test_a_picture_that_cannot_be_looked_at_is_told_of() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.talk.ask(events.CreateItem(Item("asked", "user", (Text("And this?"), BROKEN))))
        await seen.talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    seen.hold(script)
    assert seen.llm.prompts[-1][-1].content == f"And this? {UNSEEN}"


@pytest.mark.parametrize(("shows", "given"), [(b"cup", True), (None, False)])
def test_a_question_about_a_picture_is_not_about_the_camera(shows: bytes | None, given: bool) -> None:
    """Where the camera is on, a later question may be about either."""
    seen = Seen()

    async def script(seen: Seen) -> None:
        if shows:
            await seen.show(shows, 0.5)
        await show_item(seen)
        assert seen.llm.requests[-1].illustrated == ChatMessage("user", "What is this?", pictures=(BOOK,))
        await seen.show(shows, 0.5) if shows else None
        await seen.talk.ask(events.CreateItem(Item("more", "user", (Text("And what else?"),))))
        await seen.talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    seen.hold(script)
    assert (seen.llm.requests[-1].view is not None) is given


def test_what_is_read_ahead_ends_before_a_picture_that_is_still_looked_at() -> None:
    seen = Seen(ScriptedEyes(closely_s=2.5))

    async def script(seen: Seen) -> None:
        await seen.talk.ask(events.CreateItem(Item("hi", "assistant", (Text("Hi."),))))
        await seen.talk.ask(events.CreateItem(ASKED))
        await seen.talk.ask(events.CreateItem(Item("yes", "assistant", (Text("Well."),))))
        await seen.talk.say(1.0)
        await seen.talk.hush(2.5)

    seen.hold(script)
    read = [[message.content for message in prompt] for prompt in seen.llm.prefilled]
    assert ["Be brief.", "Hi."] in read
    assert [message.content for message in seen.llm.prompts[-1]] == [
        "Be brief.",
        "Hi.",
        TOLD,
        "Well.",
        "what time is it",
    ]


def test_nothing_is_read_ahead_where_a_picture_comes_first() -> None:
    seen = Seen(ScriptedEyes(closely_s=9.0))

    async def script(seen: Seen) -> None:
        settings = seen.talk.settings
        await seen.talk.ask(events.Update(type(settings)(turn_taking=settings.turn_taking)))
        await asyncio.sleep(0.5)
        await seen.talk.ask(events.CreateItem(ASKED))
        await seen.talk.ask(events.CreateItem(Item("yes", "assistant", (Text("Well."),))))
        seen.llm.read.clear()
        await seen.talk.say(1.0)
        await seen.talk.hush(1.0)

    seen.hold(script)
    assert seen.llm.read == []


def test_descriptions_of_the_oldest_pictures_are_forgotten() -> None:
    seen = Seen(ScriptedEyes(closely_s=0.0, takes_s=0.01))

    async def script(seen: Seen) -> None:
        for number in range(MOST_PICTURES + 1):
            url = "data:image/png;base64," + base64.b64encode(f"cup {number}".encode()).decode()
            await seen.talk.ask(events.CreateItem(Item(f"p{number}", "user", (Picture(url),))))
            await asyncio.sleep(0.1)

    seen.hold(script)
    assert len(seen.talk.session._seeing._pictures) == MOST_PICTURES


# --- What is watched for ---


def test_what_can_be_read_is_looked_for_now_and_then_where_that_is_wanted() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await seen.talk.ask(events.LookClosely(1.9))
        await seen.show(b"sign: OPEN", 4.5)
        await seen.talk.ask(events.LookClosely(None))
        await seen.show(b"sign: OPEN", 3.0)

    seen.hold(script)
    assert [at for at, (_, closely) in enumerate(seen.eyes.looks) if closely] == [0, 4, 8]


def test_what_has_come_true_is_told_at_once_and_said_when_nobody_speaks() -> None:
    talk = Conversation()

    async def script(talk: Conversation) -> None:
        await talk.say(0.5)
        await talk.ask(events.Announce("I see a cat.", "a cat appears"))
        await talk.ask(events.Announce("", "a dog appears"))
        assert talk.of(events.WatchFired) == [
            events.WatchFired("a cat appears", "I see a cat."),
            events.WatchFired("a dog appears", ""),
        ]
        assert "I see a cat." not in talk.tts.spoken
        await talk.hush(6.0)

    talk.hold(script)
    assert talk.tts.spoken == ["It is noon.", "I see a cat."]


def test_what_isnt_true_any_more_is_not_said() -> None:
    talk = Conversation()

    async def script(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.ask(events.Announce("There is a cat now.", within_s=2.0))
        await talk.say(3.0)
        await talk.ask(events.Announce("There is a dog now.", within_s=5.0))
        await talk.hush(6.0)

    talk.hold(script)
    assert talk.tts.spoken == ["It is noon.", "There is a dog now."]


# --- What stays ---


def test_nothing_that_was_seen_is_in_the_history() -> None:
    seen = Seen()

    async def script(seen: Seen) -> None:
        await ask_while_showing(seen, *[b"book: THE HOBBIT"] * 4)
        await seen.talk.ask(events.RetrieveConversation())

    talk = seen.hold(script)
    assert "HOBBIT" not in str(talk.of(events.ConversationRetrieved))
    assert "HOBBIT" not in str(seen.llm.prompts)
