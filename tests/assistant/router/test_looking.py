"""Questions about what the camera shows: who is told of it, who is shown it, and who says that nothing can be seen."""

import pytest

from assistant.config import CONFIGS
from assistant.record.virtual_time import run
from assistant.router.kinds import Guess, Kind
from assistant.router.looking import LONGEST, LONGEST_TO_READ, asks_to_see, goes_on, wants_text
from assistant.router.notices import Notice, words
from pipeline.blind import UNSEEN, Blind
from pipeline.engines import Asker, ChatMessage, ChatRequest, Picture, TextDelta, ToolCall
from tests.assistant.router.doubles import (
    Answer,
    Commit,
    CutError,
    MemoryLedger,
    NamesMask,
    ScriptedBackend,
    ScriptedClassifier,
    ScriptedEmbedded,
    ScriptedRecall,
    ScriptedView,
    asks,
    listen,
    routing,
    scene,
)

HELD = "What am I wearing?"
BOOK = "One person facing you, holding a book."
CHAT = ScriptedClassifier(Guess(Kind.CHAT))
PHOTO = Picture("data:image/png;base64,AAAA")


def here(view: ScriptedView | None, text: str = HELD, *before: ChatMessage, **parts: object) -> tuple[Answer, str]:
    """Ask where there is the embedded model alone; return the answer, and what the model was asked, if it was."""
    embedded = ScriptedEmbedded()
    parts.setdefault("classifier", ScriptedClassifier(Guess(Kind.CHAT)))
    answer = run(listen(routing(embedded=embedded, **parts), asks(text, *before, view=view)))
    return answer, embedded.asked[-1].messages[-1].content if embedded.asked else ""


def seeing(**changes: object) -> ScriptedBackend:
    return ScriptedBackend("eyes", vision=True, **changes)  # type: ignore[arg-type]


def pictures(backend: ScriptedBackend) -> tuple[Picture, ...]:
    return backend.asked[-1].messages[-1].pictures


# --- What asks for it ---


@pytest.mark.parametrize(
    "text",
    [
        "What do you see?",
        "Can you see me?",
        "What is this?",
        "What's that?",
        "What am I holding?",
        "What’s in my hand?",
        "Look at this.",
        "Take a look at my shirt, please.",
        "Who is at the door?",
        "Read me this label.",
        "What does the sign say?",
        "How many mugs are on the table?",
        "How many people can you see?",
        "What colour is this?",
        "What color are my eyes?",
        "Describe the room.",
        "Was siehst du?",
        "Qu'est-ce que tu vois ?",
        "¿Qué ves?",
    ],
)
def test_words_that_surely_ask_for_the_camera(text: str) -> None:
    assert asks_to_see(text)


@pytest.mark.parametrize("kind", ["chit-chat", "code", "fact", "home", "personal", "reasoning"])
def test_few_questions_of_another_kind_are_taken_for_it(kind: str) -> None:
    lines = (CONFIGS / "kinds" / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    taken = [line for line in lines if line and not line.startswith("#") and asks_to_see(line)]
    assert len(taken) <= 0.02 * len(lines), taken


def test_half_of_the_camera_s_questions_are_known_without_a_model() -> None:
    lines = (CONFIGS / "kinds" / "camera.txt").read_text(encoding="utf-8").splitlines()
    assert sum(map(asks_to_see, lines)) >= 0.45 * len(lines)


@pytest.mark.parametrize(("text", "reads"), [("What does it say?", True), ("What colour is it?", False)])
def test_words_that_ask_for_text(text: str, reads: bool) -> None:
    assert wants_text(text) is reads
    assert goes_on(text)


# --- The model on this machine ---


def test_it_is_told_what_the_camera_shows_behind_the_question() -> None:
    _, asked = here(ScriptedView(scene(BOOK)))
    assert asked == f"What am I wearing? (On camera: {BOOK})"


def test_other_questions_are_asked_as_they_are() -> None:
    view = ScriptedView(scene(BOOK))
    _, asked = here(view, "What is the capital of France?")
    assert asked == "What is the capital of France?"
    assert view.looks == []


def test_what_only_the_classifier_knows_for_a_question_about_the_camera() -> None:
    text = "Am I smiling?"
    camera = ScriptedClassifier(guesses={text: Kind.CAMERA})
    _, asked = here(ScriptedView(scene(BOOK)), text, classifier=camera)
    assert asked.endswith(f"(On camera: {BOOK})")
    off = ScriptedClassifier(guesses={text: Kind.CAMERA})
    _, asked = here(ScriptedView("off"), text, classifier=off)
    assert (asked, off.asked) == (text, [])


def test_a_question_that_goes_on_with_one_about_the_camera_is_one() -> None:
    before = ChatMessage("user", HELD), ChatMessage("assistant", "A book.")
    _, asked = here(ScriptedView(scene(BOOK)), "And what colour has it?", *before)
    assert asked.endswith(f"(On camera: {BOOK})")
    _, asked = here(ScriptedView(scene(BOOK)), "Tell me a joke.", *before)
    assert asked == "Tell me a joke."


def test_without_eyes_nothing_is_added() -> None:
    _, asked = here(None)
    assert asked == HELD


def test_without_a_classifier_the_words_tell() -> None:
    _, asked = here(ScriptedView(scene(BOOK)), classifier=None)
    assert asked.endswith(f"(On camera: {BOOK})")


def test_what_is_known_of_the_person_is_told_as_well() -> None:
    _, asked = here(ScriptedView(scene(BOOK)), recall=ScriptedRecall(("I like Tolkien.",)))
    assert asked == f"What am I wearing? (I told you: I like Tolkien.) (On camera: {BOOK})"


@pytest.mark.parametrize(
    ("unseen", "language", "says"),
    [
        ("off", "en", "the camera is off"),
        ("stale", "en", "no picture comes from the camera"),
        ("black", "en", "all is black"),
        ("broken", "en", "damaged"),
        ("off", "de", "Kamera ist aus"),
        ("off", "ja", "the camera is off"),
    ],
)
def test_where_nothing_can_be_seen_the_answer_says_so_and_no_model_is_asked(unseen, language, says) -> None:
    embedded = ScriptedEmbedded()
    request = asks(HELD, view=ScriptedView(unseen), asker=Asker("sess_1", "resp_1", language=language))
    answer = run(listen(routing(embedded=embedded), request))
    assert says in answer.text
    assert embedded.asked == []
    assert answer.error is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Read this to me.", "It says: THE HOBBIT J. R. R. Tolkien"),
        ("What does it say?", "It says: THE HOBBIT J. R. R. Tolkien"),
        ("What do you see?", "I see one person facing me, holding a book."),
    ],
)
def test_what_is_there_is_said_as_it_is(text: str, says: str) -> None:
    view = ScriptedView(scene(BOOK), text=("THE HOBBIT", "J. R. R. Tolkien"))
    answer, asked = here(view, text)
    assert (answer.text, asked) == (says, "")


def test_a_code_is_read_where_there_is_no_text() -> None:
    answer, _ = here(ScriptedView(scene("A box."), codes=("https://example.org",)), "Read this.")
    assert answer.text == "It says: https://example.org"


def test_where_there_is_nothing_to_read_or_to_name_it_says_so() -> None:
    assert here(ScriptedView(scene("")), "Read this.")[0].text == "I can't see anything that I could read."
    assert here(ScriptedView(scene("")), "What do you see?")[0].text == "I can see something, but nothing that I know."
    assert here(ScriptedView(scene("")))[1].endswith("(On camera: nothing that can be made out)")


# --- Models elsewhere ---


def test_a_model_with_eyes_is_shown_the_picture_with_blurred_faces_after_the_commit() -> None:
    eyes, view, ledger = seeing(), ScriptedView(scene(BOOK)), MemoryLedger()
    answer = run(listen(routing(eyes, ledger=ledger), asks(HELD, view=view, committed=Commit(2.0))))
    assert answer.routes == ["eyes"]
    assert answer.at(TextDelta) > 2.0
    assert view.pictures == [(LONGEST, True)]
    assert pictures(eyes) == (Picture(f"data:image/jpeg;base64,{LONGEST}True"),)
    assert BOOK not in eyes.asked[-1].messages[-1].content
    (left,) = ledger.opened_
    assert left.messages[-1].pictures == pictures(eyes)


def test_text_is_shown_larger_and_in_the_house_faces_stay() -> None:
    eyes, view = seeing(place="lan", host="den"), ScriptedView(scene(BOOK))
    run(listen(routing(eyes), asks("What does this label say?", view=view)))
    assert view.pictures == [(LONGEST_TO_READ, False)]


def test_one_without_eyes_is_told() -> None:
    cloud = ScriptedBackend()
    answer = run(listen(routing(cloud), asks(HELD, view=ScriptedView(scene(BOOK)))))
    assert answer.routes == ["cloud"]
    assert cloud.asked[-1].messages[-1].content == f"What am I wearing? (On camera: {BOOK})"


def test_names_in_what_is_read_are_masked() -> None:
    cloud = ScriptedBackend()
    view = ScriptedView(scene("A letter; text: 'Dear Ada'."))
    run(listen(routing(cloud, masks=NamesMask()), asks(HELD, view=view)))
    assert "Dear «P1»" in cloud.asked[-1].messages[-1].content


def test_one_with_eyes_comes_first_and_others_are_told_when_it_fails() -> None:
    eyes, cloud = seeing(error=CutError(), quality=0.4), ScriptedBackend()
    answer = run(listen(routing(eyes, cloud), asks(HELD, view=ScriptedView(scene(BOOK)))))
    assert answer.routes == ["eyes", "cloud"]
    assert cloud.asked[-1].messages[-1].pictures == ()
    assert cloud.asked[-1].messages[-1].content.endswith(f"(On camera: {BOOK})")


def test_a_picture_that_cannot_be_made_ready_is_told_in_words() -> None:
    eyes = seeing()
    run(listen(routing(eyes), asks(HELD, view=ScriptedView(scene(BOOK), sendable=False))))
    assert (pictures(eyes), eyes.asked[-1].messages[-1].content) == ((), f"What am I wearing? (On camera: {BOOK})")


@pytest.mark.parametrize("preset", ["private", "balanced"])
def test_the_privacy_floor_holds_for_what_is_seen(preset: str) -> None:
    eyes, embedded, view = seeing(), ScriptedEmbedded(), ScriptedView(scene(BOOK))
    personal = ScriptedClassifier(Guess(Kind.PERSONAL))
    request = asks("Look at this rash. What am I holding?", view=view)
    answer = run(listen(routing(eyes, embedded=embedded, preset=preset, classifier=personal), request))
    assert (answer.routes, eyes.asked, view.pictures) == (["device"], [], [])
    assert embedded.asked[-1].messages[-1].content.endswith(f"(On camera: {BOOK})")


def test_where_nothing_may_leave_the_classifier_still_tells_what_is_about_the_camera() -> None:
    text, embedded = "Am I smiling?", ScriptedEmbedded()
    camera = ScriptedClassifier(guesses={text: Kind.CAMERA})
    router = routing(seeing(), embedded=embedded, preset="private", classifier=camera)
    run(listen(router, asks(text, view=ScriptedView(scene(BOOK)))))
    assert embedded.asked[-1].messages[-1].content.endswith(f"(On camera: {BOOK})")


def test_faces_stay_where_the_owner_wants_that() -> None:
    view, router = ScriptedView(scene(BOOK)), routing(seeing(), blur_faces=False)
    run(listen(router, asks(HELD, view=view)))
    assert view.pictures == [(LONGEST, False)]


@pytest.mark.parametrize("unseen", ["off", "stale", "black", "broken"])
def test_a_model_elsewhere_is_told_that_nothing_can_be_seen(unseen) -> None:
    cloud, view = seeing(), ScriptedView(unseen)
    camera = ScriptedClassifier(Guess(Kind.FACT))
    run(listen(routing(cloud, classifier=camera), asks(HELD, view=view)))
    assert "(On camera: nothing, " in cloud.asked[-1].messages[-1].content
    assert view.pictures == []


# --- The pictures of messages ---


def test_where_nobody_can_look_at_a_picture_it_is_told_in_words() -> None:
    cloud = ScriptedBackend()
    request = asks("", ChatMessage("user", "Old", pictures=(Picture("data:image/png;base64,BB"),)))
    messages = (*request.messages[:-1], ChatMessage("user", "What is it?", pictures=(PHOTO,)))
    view = ScriptedView(shown={PHOTO.url: "A cat."})
    answer = run(listen(routing(cloud), ChatRequest(messages, asker=request.asker, view=view)))
    assert answer.routes == ["cloud"]
    told = cloud.asked[-1].messages
    assert [message.content for message in told] == ["Old", "What is it? (My picture shows: A cat.)"]
    assert all(message.pictures == () for message in told)


def test_one_that_cannot_be_looked_at_is_told_of() -> None:
    cloud = ScriptedBackend()
    message = ChatMessage("user", "What is it?", pictures=(PHOTO,))
    run(listen(routing(cloud), ChatRequest((message,), asker=Asker("sess_1"), view=ScriptedView())))
    assert cloud.asked[-1].messages[-1].content == f"What is it? {UNSEEN}"


def test_without_eyes_here_it_is_as_it_was() -> None:
    message = ChatMessage("user", "What is it?", pictures=(PHOTO,))
    answer = run(listen(routing(ScriptedBackend()), ChatRequest((message,), asker=Asker("sess_1"))))
    assert answer.text == words(Notice.BLIND, "en")


def with_picture(text: str, view: ScriptedView | None, *, session: str = "sess_1", **parts: object) -> Answer:
    """Ask with a picture, as a session does where the embedded model can't see."""
    message = ChatMessage("user", text, pictures=(PHOTO,))
    blind = Blind(routing(**parts))
    return run(listen(blind, ChatRequest((message,), asker=Asker(session), view=view)))


@pytest.mark.parametrize(
    "text", ["What do you see?", "What's in this picture?", "Describe the image.", "What does the photo show?"]
)
def test_what_a_picture_shows_is_told_as_it_is_known(text: str) -> None:
    embedded, view = ScriptedEmbedded(), ScriptedView(shown={PHOTO.url: "A cat; no text that can be read."})
    assert with_picture(text, view, embedded=embedded).text == "I see a cat."
    assert embedded.asked == []


@pytest.mark.parametrize("backend", [ScriptedBackend(), seeing()])
def test_what_a_picture_shows_is_told_beside_other_models_too(backend: ScriptedBackend) -> None:
    message = ChatMessage("user", "What do you see?", pictures=(PHOTO,))
    view = ScriptedView(shown={PHOTO.url: "A cat."})
    router = routing(backend, preset="private")
    answer = run(listen(router, ChatRequest((message,), asker=Asker("sess_1"), view=view)))
    assert (answer.text, answer.routes) == ("I see a cat.", ["device"])


def test_a_picture_that_is_damaged_is_said_to_be() -> None:
    assert with_picture("What is this?", ScriptedView()).text == "I can't see the picture: it is damaged."


@pytest.mark.parametrize(
    ("text", "view", "session"),
    [
        ("Is she happy?", ScriptedView(shown={PHOTO.url: "A cat."}), "sess_1"),
        ("Hello!", ScriptedView(), "sess_1"),
        ("What do you see?", ScriptedView(shown={PHOTO.url: "A cat."}), ""),
        ("What do you see?", None, "sess_1"),
    ],
    ids=["it takes thought", "it is about something else", "a program asks", "nobody can look"],
)
def test_other_questions_with_a_picture_are_the_model_s(text: str, view: ScriptedView | None, session: str) -> None:
    embedded = ScriptedEmbedded()
    with_picture(text, view, session=session, embedded=embedded)
    told = "(My picture shows: A cat.)" if view is not None and view.shown else UNSEEN
    assert embedded.asked[-1].messages[-1].content == f"{text} {told}"


@pytest.mark.parametrize("embedded_sees", [True, False])
def test_a_question_about_an_earlier_picture_is_not_about_a_camera_that_is_off(embedded_sees: bool) -> None:
    embedded = ScriptedEmbedded(takes_pictures=embedded_sees)
    router = routing(embedded=embedded)
    model = router if embedded_sees else Blind(router)
    view = ScriptedView(shown={PHOTO.url: "A cat."})
    request = asks("What colour is it?", ChatMessage("user", "Look.", pictures=(PHOTO,)), view=view)

    async def ask() -> None:
        async for _ in model.stream(request):
            pass

    run(ask())
    assert embedded.asked[-1].messages[-1].content == "What colour is it?"


def test_an_embedded_model_with_eyes_is_shown_the_camera_s_picture() -> None:
    embedded, view = ScriptedEmbedded(takes_pictures=True), ScriptedView(scene(BOOK))
    run(listen(routing(embedded=embedded), asks(HELD, view=view)))
    assert view.pictures == [(LONGEST, False)]
    assert len(embedded.asked[-1].messages[-1].pictures) == 1


# --- Functions for models that call some ---


def called(name: str, arguments: str = "{}") -> ScriptedBackend:
    """A backend that calls this, and then answers."""
    return ScriptedBackend(answers=["", "Done."], calls={"": (ToolCall("c", name, arguments),)})


async def watch_for(event: str, asker: Asker) -> str:
    return f"The user of {asker.session} will be told when {event}."


def offers(request: ChatRequest) -> list[str]:
    return [tool.name for tool in request.toolbox.tools]


def test_a_model_elsewhere_may_look_by_itself_while_the_camera_is_on() -> None:
    view, cloud = ScriptedView(scene(BOOK)), ScriptedBackend()
    router = routing(cloud, watch_for=watch_for)
    run(listen(router, asks("What is the capital of France?", view=view)))
    assert offers(cloud.asked[-1]) == ["look", "read_text", "watch_for"]
    run(listen(router, asks("What is the capital of France?", view=ScriptedView())))
    run(listen(router, asks("What is the capital of France?")))
    assert [offers(request) for request in cloud.asked[-2:]] == [[], []]
    run(listen(routing(cloud), asks("What is the capital of France?", view=view)))
    assert offers(cloud.asked[-1]) == ["look", "read_text"]


def test_the_small_model_here_is_offered_none() -> None:
    embedded = ScriptedEmbedded()
    router = routing(ScriptedBackend(), embedded=embedded, classifier=CHAT, watch_for=watch_for)
    run(listen(router, asks("Hello.", view=ScriptedView(scene(BOOK)))))
    assert offers(embedded.asked[-1]) == []


@pytest.mark.parametrize(
    ("name", "arguments", "returns"),
    [
        ("look", "{}", BOOK),
        ("read_text", "{}", "THE HOBBIT\nqr: https://example.org"),
        ("watch_for", '{"event": "a cat appears"}', "The user of sess_1 will be told when a cat appears."),
        ("watch_for", "{}", "The event is missing: pass it as “event”."),
    ],
)
def test_what_it_calls_is_done_here(name: str, arguments: str, returns: str) -> None:
    cloud = called(name, arguments)
    view = ScriptedView(scene(BOOK), text=("THE HOBBIT",), codes=("https://example.org",))
    answer = run(listen(routing(cloud, watch_for=watch_for), asks("Hm?", view=view)))
    assert answer.text == "Done."
    assert cloud.asked[-1].messages[-1] == ChatMessage("tool", returns, call_id="c")


def test_what_cannot_be_seen_or_read_is_said() -> None:
    for view, name, returns in (
        (ScriptedView("black"), "look", "nothing, all is black: it may be covered"),
        (ScriptedView("stale"), "read_text", "nothing, no picture comes from it any more"),
        (ScriptedView(scene("")), "read_text", "Nothing can be read."),
    ):
        cloud = called(name)
        run(listen(routing(cloud), asks("Hm?", view=view)))
        assert cloud.asked[-1].messages[-1].content == returns
