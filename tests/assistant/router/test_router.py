"""Conversations through the router, on virtual time."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from assistant.record.virtual_time import run
from assistant.router.decision import PRESETS
from assistant.router.kinds import Guess, Kind
from assistant.router.tools import ServerTool
from assistant.store.database import StoreError
from pipeline.engines import (
    Adjusted,
    Asker,
    Bridge,
    ChatMessage,
    Finish,
    Picture,
    Routed,
    Sampling,
    TakenBack,
    TextDelta,
    Tool,
    Toolbox,
    ToolCall,
)
from tests.assistant.router.doubles import (
    Answer,
    BusyError,
    Commit,
    CutError,
    MemoryLedger,
    NamesMask,
    ScriptedBackend,
    ScriptedBudgets,
    ScriptedClassifier,
    ScriptedEmbedded,
    ScriptedRecall,
    ScriptedReflex,
    ScriptedReflexes,
    asks,
    listen,
    routing,
)

FACT = "What is the capital of France?"
PARIS = "The capital of France is Paris. It lies on the Seine."


def chatting() -> ScriptedClassifier:
    return ScriptedClassifier(Guess(Kind.CHAT))


# --- Who answers ---


def test_without_backends_the_embedded_model_answers_as_it_always_did() -> None:
    embedded = ScriptedEmbedded()
    request = asks(FACT)
    answer = run(listen(routing(embedded=embedded), request))
    assert (answer.routes, answer.text) == (["device"], "I think so.")
    assert embedded.asked == [request]
    assert answer.at(TextDelta) == pytest.approx(0.1)


def test_small_talk_stays_here_and_a_question_of_fact_goes_where_more_is_known() -> None:
    cloud, embedded = ScriptedBackend(), ScriptedEmbedded()
    answer = run(listen(routing(cloud, embedded=embedded), asks(FACT)))
    assert (answer.routes, answer.text) == (["cloud"], PARIS)
    (routed,) = answer.of(Routed)
    assert (routed.to, routed.place, routed.kind) == ("api.example", "cloud", "fact")
    assert "knows best" in routed.reason
    assert embedded.asked == []

    answer = run(listen(routing(cloud, classifier=chatting()), asks("How are you?")))
    assert (answer.routes, answer.text) == (["device"], "I think so.")
    (routed,) = answer.of(Routed)
    assert (routed.to, "good enough" in routed.reason) == ("", True)


def test_nothing_leaves_before_the_commit() -> None:
    cloud, ledger = ScriptedBackend(), MemoryLedger()
    router = routing(cloud, ledger=ledger)

    async def script() -> None:
        answering = asyncio.create_task(listen(router, asks(FACT, committed=Commit(5.0))))
        await asyncio.sleep(4.9)
        assert (cloud.asked, ledger.opened_) == ([], [])
        answer = await answering
        assert answer.at(Routed) < 1
        assert answer.at(TextDelta) == pytest.approx(5.3, abs=0.01)

    run(script())


def test_what_is_answered_here_is_begun_before_the_commit() -> None:
    answer = run(listen(routing(ScriptedBackend(), classifier=chatting()), asks("Hi.", committed=Commit(5.0))))
    assert answer.at(TextDelta) == pytest.approx(0.1)
    assert answer.at(Finish) < 1


def test_a_turn_that_is_called_off_leaves_no_request_behind() -> None:
    cloud, ledger = ScriptedBackend(), MemoryLedger()

    async def script() -> None:
        router = routing(cloud, ledger=ledger)
        stream = router.stream(asks(FACT))
        async for piece in stream:
            if isinstance(piece, TextDelta):
                break
        await stream.aclose()
        assert (cloud.outstanding, cloud.closed) == (0, 1)
        task = asyncio.create_task(listen(router, asks(FACT)))
        await asyncio.sleep(0.1)
        assert cloud.outstanding == 1
        task.cancel()
        await asyncio.wait([task])
        assert (cloud.outstanding, cloud.closed) == (0, 2)

    run(script())
    assert [arrival.outcome for arrival in ledger.closed_.values()] == ["cancelled", "cancelled"]
    assert ledger.closed_[0].estimated
    assert ledger.closed_[0].cost > 0


def test_another_server_on_this_machine_is_asked_before_the_commit() -> None:
    local, ledger = (
        ScriptedBackend("ollama", "device", "localhost:11434", quality=0.6, price_in=0, price_out=0),
        MemoryLedger(),
    )
    router = routing(local, ledger=ledger, masks=NamesMask(), preset="private")
    answer = run(listen(router, asks("Who is Ada?", committed=Commit(5.0))))
    assert (answer.routes, answer.of(Routed)[0].to, ledger.opened_) == (["ollama"], "", [])
    assert answer.at(TextDelta) == pytest.approx(0.3)
    assert local.asked[0].messages[-1].content == "Who is Ada?"


def test_a_request_may_name_a_preset_or_a_backend() -> None:
    router = routing(ScriptedBackend(), ScriptedBackend("other", quality=0.5))
    private = run(listen(router, asks(FACT, asker=Asker("s", route="private"))))
    assert private.routes == ["device"]
    assert "nothing leaves this machine" in private.of(Routed)[0].reason
    named = run(listen(router, asks(FACT, asker=Asker("s", route="other"))))
    assert named.routes == ["other"]
    assert named.of(Routed)[0].reason == "You asked for other."


def test_pictures_go_only_to_who_can_see() -> None:
    seeing, blind = ScriptedBackend("seeing", vision=True, quality=0.5), ScriptedBackend("blind")
    router = routing(blind, seeing)
    assert router.takes_pictures
    shown = ChatMessage("user", "What is this?", pictures=(Picture("data:,"),))
    answer = run(listen(router, asks(FACT, messages=(shown,))))
    assert answer.routes == ["seeing"]
    later = run(listen(router, asks(FACT, shown, ChatMessage("assistant", "A cat."))))
    assert later.routes == ["blind"]
    assert not any(message.pictures for message in blind.asked[0].messages)
    assert blind.asked[0].messages[0].content == "What is this?"


def test_where_nobody_can_see_that_is_said() -> None:
    router = routing(ScriptedBackend(vision=True, unwell="it is down"))
    shown = ChatMessage("user", "What is this?", pictures=(Picture("data:,"),))
    answer = run(listen(router, asks(FACT, messages=(shown,))))
    assert answer.text == "I can't look at pictures right now."
    assert isinstance(answer.pieces[-1].piece, Finish)


def test_what_no_backend_can_do_the_embedded_model_gets_anyway() -> None:
    router = routing(ScriptedBackend(context_tokens=10))
    answer = run(listen(router, asks("word " * 5000)))
    assert answer.routes == ["device"]
    assert "tokens" in answer.of(Routed)[0].reason


# --- Reflexes ---


def test_a_reflex_needs_no_model() -> None:
    embedded, cloud = ScriptedEmbedded(), ScriptedBackend()
    reflexes = ScriptedReflexes({"What time is it?": ScriptedReflex()})
    router = routing(cloud, embedded=embedded, reflexes=reflexes)
    answer = run(listen(router, asks("What time is it?", ChatMessage("assistant", "Hello."))))
    assert (answer.routes, answer.text, answer.pieces[-1].at) == (["reflex"], "It is noon.", 0.0)
    assert (embedded.asked, cloud.asked, reflexes.said_last) == ([], [], "Hello.")


def test_what_a_reflex_does_waits_for_the_commit() -> None:
    done: list[float] = []

    async def act() -> str:
        done.append(asyncio.get_running_loop().time())
        return "Done."

    async def reads() -> str:
        return "Two timers run."

    reflex = ScriptedReflex(words="All right.", act=act, reads=reads, adjust=Adjusted(volume=0.5))
    router = routing(reflexes=ScriptedReflexes({"louder": reflex}))
    answer = run(listen(router, asks("louder", committed=Commit(2.0))))
    assert answer.text == "All right. Two timers run. Done."
    assert done == [pytest.approx(2.0)]
    assert answer.at(TextDelta) == 0.0
    assert answer.at(Adjusted) == pytest.approx(2.0)


def test_a_complete_command_ends_the_turn_and_other_words_are_read_along() -> None:
    embedded = ScriptedEmbedded()
    router = routing(embedded=embedded, reflexes=ScriptedReflexes({"stop": ScriptedReflex()}))
    assert run(router.prefill(asks("stop"))) == 1.0
    assert embedded.read == []
    assert run(router.prefill(asks("stop the"))) == 0.5
    assert len(embedded.read) == 1


def test_programs_and_forced_calls_get_no_reflex() -> None:
    router = routing(reflexes=ScriptedReflexes({"stop": ScriptedReflex()}))
    tools = Toolbox((Tool("f"),), choice="required")
    assert run(listen(router, asks("stop", asker=Asker()))).routes == ["device"]
    assert run(listen(router, asks("stop", toolbox=tools))).routes == ["device"]


# --- Wishes ---


def test_a_conversation_that_is_between_us_stays_here_until_that_is_taken_back() -> None:
    cloud = ScriptedBackend()
    router = routing(cloud)

    async def script() -> list[Answer]:
        said: list[ChatMessage] = []
        answers = []
        for words in ("Keep this between us, please.", FACT, "You may use the cloud again. " + FACT, FACT):
            answers.append(await listen(router, asks(words, *said)))
            said += [ChatMessage("user", words), ChatMessage("assistant", answers[-1].text)]
        return answers

    first, second, third, fourth = run(script())
    assert (first.routes, "stays between us" in first.text) == (["reflex"], True)
    assert second.routes == ["device"]
    assert "as you asked" in second.of(Routed)[0].reason
    assert (third.routes, fourth.routes) == (["cloud"], ["cloud"])


def test_it_stays_so_when_the_wish_has_left_the_context() -> None:
    cloud = ScriptedBackend()
    router = routing(cloud)

    async def script() -> Answer:
        await listen(router, asks("Keep it between us: I owe Ada money. How much is 3 % of 90?"))
        return await listen(router, asks(FACT))

    assert run(script()).routes == ["device"]
    assert cloud.asked == []
    other = asks(FACT, asker=Asker("sess_2"))
    assert run(listen(router, other)).routes == ["cloud"]


def test_a_wish_that_is_not_committed_changes_nothing() -> None:
    router = routing(ScriptedBackend())

    async def script() -> Answer:
        guess = asyncio.create_task(listen(router, asks("Keep this between us.", committed=Commit(99))))
        await asyncio.sleep(1)
        guess.cancel()
        await asyncio.wait([guess])
        return await listen(router, asks(FACT))

    assert run(script()).routes == ["cloud"]


def test_the_big_brain_answers_when_asked_for() -> None:
    middle, big = ScriptedBackend("middle", quality=0.6, price_in=0), ScriptedBackend("big", quality=0.95, price_in=500)
    router = routing(middle, big, classifier=chatting())
    answer = run(listen(router, asks("Use the big brain for this: how are you?")))
    assert answer.routes == ["big"]
    assert "big brain" in answer.of(Routed)[0].reason
    alone = run(listen(router, asks("Use the big brain.")))
    assert (alone.routes, alone.text) == (["reflex"], "All right. What's the question?")
    said = (ChatMessage("user", "Use the big brain."), ChatMessage("assistant", alone.text))
    assert run(listen(router, asks("How are you?", *said))).routes == ["big"]
    said = (*said, ChatMessage("user", "How are you?"), ChatMessage("assistant", "Fine."))
    assert run(listen(router, asks("And now?", *said))).routes == ["device"]


RASH = "I have a rash that won't go away."


def told(*exchange: str) -> list[ChatMessage]:
    """Return what was said before: the user's words and the answers, in turns."""
    return [ChatMessage("assistant" if number % 2 else "user", text) for number, text in enumerate(exchange)]


def test_what_was_personal_is_not_sent_along_later() -> None:
    system = ChatMessage("system", "Be brief.")
    call = ToolCall("call_1", "doctor", "{}")
    before = [
        system,
        *told("Hello.", "Hello!", RASH),
        ChatMessage("assistant", "", calls=(call,)),
        ChatMessage("tool", "dermatitis", call_id="call_1"),
        ChatMessage("assistant", "It is dermatitis."),
    ]
    classifier = ScriptedClassifier(Guess(Kind.FACT), {RASH: Kind.PERSONAL})
    cloud, house, embedded = ScriptedBackend(), ScriptedBackend("house", "lan"), ScriptedEmbedded()
    run(listen(routing(cloud, classifier=classifier), asks(FACT, *before)))
    assert cloud.asked[0].messages == (system, *told("Hello.", "Hello!", FACT))
    run(listen(routing(house, classifier=classifier, preset="best"), asks(FACT, *before)))
    assert house.asked[0].messages == (*before, ChatMessage("user", FACT))
    run(listen(routing(cloud, embedded=embedded, classifier=classifier, preset="private"), asks(FACT, *before)))
    assert embedded.asked[0].messages == (*before, ChatMessage("user", FACT))


def test_what_was_said_between_us_stays_here_when_that_is_taken_back() -> None:
    before = told("Hello.", "Hello!", "Keep this between us.", "All right.", "I owe Ada money.", "I see.")
    back = "You may use the cloud again. " + FACT
    for backend in (ScriptedBackend(), ScriptedBackend("house", "lan")):
        router = routing(backend, preset="best")
        run(listen(router, asks(back, *before)))
        assert backend.asked[0].messages == (*told("Hello.", "Hello!"), ChatMessage("user", back))
        # Also when the context has lost the wish.
        run(listen(router, asks(back, *before[4:])))
        assert backend.asked[1].messages == (ChatMessage("user", back),)


def test_an_answer_that_goes_on_elsewhere_withholds_the_same() -> None:
    classifier = ScriptedClassifier(Guess(Kind.FACT), {RASH: Kind.PERSONAL})
    first = ScriptedBackend("first", error=CutError(), error_after=7, quality=0.95)
    second = ScriptedBackend("second")
    run(listen(routing(first, second, classifier=classifier), asks(FACT, *told(RASH, "Oh."))))
    assert [message.role for message in second.asked[0].messages] == ["user", "assistant", "user"]
    assert RASH not in str(second.asked)


def test_what_a_program_asks_is_sent_whole_or_not_at_all() -> None:
    classifier = ScriptedClassifier(Guess(Kind.FACT), {RASH: Kind.PERSONAL})
    cloud = ScriptedBackend()
    router = routing(cloud, classifier=classifier)
    program = {"asker": Asker(), "spoken": False}
    assert run(listen(router, asks(FACT, *told(RASH, "Oh."), **program))).routes == ["device"]
    back = told("Keep this between us.", "All right.", "You may use the cloud again.", "All right.")
    assert run(listen(router, asks(FACT, *back, **program))).routes == ["device"]
    # Who names a backend has decided that.
    named = {"asker": Asker(route="cloud"), "spoken": False}
    assert run(listen(router, asks(FACT, *told(RASH, "Oh."), **named))).routes == ["cloud"]
    assert len(cloud.asked[0].messages) == 3


def test_the_same_words_are_judged_once() -> None:
    classifier = ScriptedClassifier()
    router = routing(ScriptedBackend(), classifier=classifier)

    async def script() -> None:
        await listen(router, asks(FACT))
        await listen(router, asks(FACT))
        await listen(router, asks("And of Spain?", *told(FACT, "Paris.")))

    run(script())
    assert classifier.asked == [FACT, "And of Spain?"]


# --- Failures before anything was said ---


@pytest.mark.parametrize("spoken", [True, False])
def test_a_backend_that_refuses_is_followed_by_the_next(spoken: bool) -> None:
    first, second = ScriptedBackend("first", error=CutError(), quality=0.95), ScriptedBackend("second")
    answer = run(listen(routing(first, second), asks(FACT, spoken=spoken)))
    assert (answer.routes, answer.text, answer.error) == (["first", "second"], PARIS, None)
    assert answer.of(Routed)[1].reason == "first could not answer, and second is the next best."
    assert answer.of(TakenBack) == []


def test_a_hiccup_is_tried_again_where_nobody_better_is_left() -> None:
    cloud = ScriptedBackend(error=BusyError(), first_s=0.05)
    answer = run(listen(routing(cloud), asks(FACT)))
    assert len(cloud.asked) == 2
    assert answer.routes == ["cloud", "device"]


def test_everything_down_is_said_once_for_each_outage() -> None:
    cloud = ScriptedBackend(error=CutError(), first_s=0.05)
    router = routing(cloud)

    async def script() -> list[str]:
        said = [(await listen(router, asks(FACT))).text]
        cloud.unwell = "it didn't answer three times"
        said.append((await listen(router, asks(FACT))).text)
        said.append((await listen(router, asks(FACT, asker=Asker("sess_2")))).text)
        cloud.unwell, cloud.error = None, None
        said.append((await listen(router, asks(FACT))).text)
        cloud.unwell = "it is down again"
        said.append((await listen(router, asks(FACT, committed=Commit(500)))).text)
        said.append((await listen(router, asks(FACT))).text)
        return said

    offline = "I'm offline right now, so this answer is my own. I think so."
    assert run(script()) == [offline, "I think so.", offline, PARIS, offline, "I think so."]


def test_a_ledger_that_cannot_be_written_is_not_called_offline(caplog: pytest.LogCaptureFixture) -> None:
    cloud = ScriptedBackend(error=StoreError("The disk is full: free some space on it."))
    router = routing(cloud)

    async def script() -> list[str]:
        said = [(await listen(router, asks(FACT))).text, (await listen(router, asks(FACT))).text]
        cloud.error = None
        said.append((await listen(router, asks(FACT))).text)
        cloud.error = CutError()
        said.append((await listen(router, asks(FACT))).text)
        return said

    alone = "I can't note down what I send right now, so I send nothing, and this answer is my own. I think so."
    offline = "I'm offline right now, so this answer is my own. I think so."
    assert run(script()) == [alone, "I think so.", PARIS, offline]
    assert "cloud could not answer: The disk is full: free some space on it." in caplog.text


def test_an_outage_that_makes_no_difference_is_not_mentioned() -> None:
    router = routing(ScriptedBackend(unwell="down"), classifier=chatting())
    assert run(listen(router, asks("Hi."))).text == "I think so."
    router = routing(ScriptedBackend(unwell="down"), preset="private")
    assert run(listen(router, asks(FACT))).text == "I think so."
    program = asks(FACT, asker=Asker(), spoken=False)
    assert run(listen(routing(ScriptedBackend(unwell="down")), program)).text == "I think so."


def test_who_is_worse_than_this_machine_but_reachable_is_no_outage() -> None:
    first = ScriptedBackend("first", error=CutError(), first_s=0.01)
    worse = ScriptedBackend("worse", quality=0.31, p50_s=2.0)
    answer = run(listen(routing(first, worse), asks(FACT)))
    assert (answer.routes, answer.text) == (["first", "device"], "I think so.")


def test_over_budget_the_next_cheaper_one_answers_and_says_so_once() -> None:
    budgets = ScriptedBudgets({"dear": "today's 1.00 is spent"})
    dear, cheap = ScriptedBackend("dear", quality=0.95), ScriptedBackend("cheap", quality=0.6, price_in=0.1)
    router = routing(dear, cheap, budgets=budgets)

    async def script() -> list[Answer]:
        return [await listen(router, asks(FACT)) for _ in range(2)]

    first, second = run(script())
    assert first.routes == ["cheap"]
    assert first.text.startswith("The budget for the better model is used up")
    assert second.text == PARIS


def test_when_even_the_embedded_model_fails_its_error_is_raised() -> None:
    answer = run(
        listen(routing(ScriptedBackend(error=CutError()), embedded=ScriptedEmbedded(error=BusyError())), asks(FACT))
    )
    assert isinstance(answer.error, BusyError)
    answer = run(
        listen(
            routing(ScriptedBackend(), embedded=ScriptedEmbedded(error=BusyError()), classifier=chatting()), asks("Hi.")
        )
    )
    assert (answer.routes, answer.text) == (["device", "cloud"], PARIS)


def test_a_backend_that_fell_ill_meanwhile_is_passed_over() -> None:
    first, second = ScriptedBackend("first", error=CutError(), quality=0.95), ScriptedBackend("second")

    async def script() -> Answer:
        answering = asyncio.create_task(listen(routing(first, second), asks(FACT)))
        await asyncio.sleep(0.1)
        second.unwell = "down"
        return await answering

    answer = run(script())
    assert answer.routes == ["first", "device"]
    assert answer.text.startswith("I'm offline")


# --- Failures in mid-answer ---


@pytest.mark.parametrize("after", range(1, 11))
@pytest.mark.parametrize("spoken", [True, False])
def test_another_backend_goes_on_where_the_answer_broke_off(after: int, spoken: bool) -> None:
    first = ScriptedBackend("first", error=CutError(), error_after=after, quality=0.95)
    second = ScriptedBackend("second")
    answer = run(listen(routing(first, second), asks(FACT, spoken=spoken)))
    # The second one begins again from the beginning, as models do.
    assert answer.text.split() == PARIS.split()
    assert (answer.routes, answer.error) == (["first", "second"], None)
    assert " ".join(answer.clauses) == PARIS
    assert len(second.asked[0].messages) in {1, 3}
    if len(second.asked[0].messages) > 1:
        given = second.asked[0].messages[-2]
        assert (given.role, PARIS.startswith(given.content)) == ("assistant", True)
        assert second.asked[0].messages[-1].role == "user"
    if not spoken:
        assert answer.of(TakenBack) == []


@pytest.mark.parametrize(("spoken", "tools"), [(True, False), (True, True), (False, False)])
def test_a_spoken_answer_does_not_wait_for_words_that_do_not_come(spoken: bool, tools: bool) -> None:
    first, second = ScriptedBackend("first", stalls_after=7, quality=0.95), ScriptedBackend("second")
    request = asks(FACT, spoken=spoken, toolbox=Toolbox((Tool("lamp"),) if tools else ()))

    async def script() -> Answer | None:
        try:
            async with asyncio.timeout(60):
                return await listen(routing(first, second), request)
        except TimeoutError:
            return None

    answer = run(script())
    assert (answer is not None) is (spoken and not tools)  # the others wait as long as their backend does
    if answer is not None:
        assert (answer.text.split(), answer.routes) == (PARIS.split(), ["first", "second"])
        assert answer.pieces[-1].at < 4
    assert first.closed == 1


def test_the_embedded_model_goes_on_with_the_words_themselves() -> None:
    cloud = ScriptedBackend(error=CutError(), error_after=7)
    embedded = ScriptedEmbedded(["It lies on a river."])
    answer = run(listen(routing(cloud, embedded=embedded), asks(FACT)))
    assert answer.text.split() == "The capital of France is Paris. It lies on a river.".split()
    assert embedded.asked[0].messages[-1].content == FACT
    assert embedded.asked[0].begun == "The capital of France is Paris."
    assert "offline" not in answer.text
    assert answer.of(Routed)[1].reason == "cloud broke off, and device is the next best."


def test_an_answer_in_json_is_not_continued_by_another_model() -> None:
    cloud = ScriptedBackend(error=CutError(), error_after=3)
    answer = run(listen(routing(cloud), asks(FACT, spoken=False, sampling=Sampling(schema="{}"))))
    assert isinstance(answer.error, CutError)


def test_calls_that_were_made_stay_made() -> None:
    call = ToolCall("call_1", "lamp", "{}")

    class CutAfterCall(ScriptedBackend):
        async def stream(self, request):  # type: ignore[no-untyped-def]
            yield call
            raise CutError

    tools = Toolbox((Tool("lamp"),))
    answer = run(listen(routing(CutAfterCall()), asks(FACT, toolbox=tools)))
    assert (answer.of(ToolCall), answer.error, len(answer.of(Finish))) == ([call], None, 1)


def test_an_answer_without_an_end_counts_as_broken_off() -> None:
    class Endless(ScriptedBackend):
        async def stream(self, request):  # type: ignore[no-untyped-def]
            yield TextDelta("The capital of France is")

    answer = run(listen(routing(Endless()), asks(FACT)))
    assert answer.routes == ["cloud", "device"]


# --- Slow ones ---


def test_a_slow_backend_gets_a_rival_and_who_begins_first_answers() -> None:
    slow = ScriptedBackend("slow", first_s=5, quality=0.95, answers=["From the slow one."])
    rival, ledger = ScriptedBackend("rival", first_s=0.2), MemoryLedger()
    router = routing(slow, rival, ledger=ledger, preset=replace(PRESETS["balanced"], hedge="always"))
    answer = run(listen(router, asks(FACT)))
    assert (answer.routes, answer.text) == (["slow", "rival"], PARIS)
    assert answer.of(Routed)[1].reason == "slow took longer than usual, and rival began first."
    assert answer.at(TextDelta) == pytest.approx(0.8, abs=0.01)  # its 95th percentile is 0.6 s
    assert (slow.closed, rival.closed) == (1, 1)
    lost, won = ledger.closed_[0], ledger.closed_[1]
    assert (lost.outcome, lost.estimated, lost.cost > 0) == ("cancelled", True, True)
    assert (won.outcome, won.cost) == ("answered", (100 * 1.0 + 11 * 4.0) / 1e6)


def test_a_rival_that_is_slower_is_called_off() -> None:
    slow, rival = ScriptedBackend("slow", first_s=0.7, quality=0.95), ScriptedBackend("rival", first_s=2.0)
    answer = run(listen(routing(slow, rival, preset="best"), asks(FACT)))
    assert (answer.routes, answer.text) == (["slow"], PARIS)
    assert rival.closed == 1


@pytest.mark.parametrize(
    ("preset", "price", "asked"), [("balanced", 1, 0), ("balanced", 0, 1), ("cheap", 0, 0), ("best", 1, 1)]
)
def test_a_rival_that_costs_money_needs_leave(preset: str, price: float, asked: int) -> None:
    slow = ScriptedBackend("slow", first_s=3, quality=0.95, price_in=0.01, price_out=0.01)
    rival = ScriptedBackend("rival", price_in=price, price_out=price, quality=0.8)
    run(listen(routing(slow, rival, preset=preset), asks(FACT)))
    assert len(rival.asked) == asked


def test_the_big_brain_has_no_rival_on_this_machine() -> None:
    cloud, embedded = ScriptedBackend(first_s=3), ScriptedEmbedded()
    answer = run(listen(routing(cloud, embedded=embedded), asks("Use the big brain: " + FACT)))
    assert answer.routes == ["cloud"]
    assert embedded.asked == []
    answer = run(listen(routing(cloud, embedded=embedded), asks(FACT)))
    assert answer.routes == ["cloud", "device"]


def test_a_rival_takes_over_when_the_first_fails_at_last() -> None:
    slow = ScriptedBackend("slow", first_s=1.0, error=CutError(), quality=0.95)
    rival = ScriptedBackend("rival", first_s=1.0)
    answer = run(listen(routing(slow, rival, preset="best"), asks(FACT)))
    assert (answer.routes, answer.text) == (["slow", "rival"], PARIS)


# --- Bridges ---


def test_a_wait_that_is_expected_is_bridged_before_the_commit_so_that_it_is_heard_at_once() -> None:
    cloud = ScriptedBackend(p50_s=1.0, p95_s=3, first_s=1.0)
    answer = run(listen(routing(cloud), asks(FACT, committed=Commit(0.5))))
    assert answer.bridges == ["Let me look that up."]
    assert answer.at(Bridge) == 0.0
    assert answer.text == PARIS


def test_a_wait_that_nobody_expected_is_bridged_when_it_happens() -> None:
    cloud = ScriptedBackend(p50_s=0.1, p95_s=3, first_s=2.0)
    answer = run(listen(routing(cloud), asks(FACT)))
    assert answer.at(Bridge) == pytest.approx(0.7)
    assert len(answer.bridges) == 1


def test_a_wait_over_several_backends_counts_as_one() -> None:
    first = ScriptedBackend("first", first_s=0.4, error=CutError(), quality=0.95, p50_s=0.1)
    second = ScriptedBackend("second", first_s=0.9, p50_s=0.1, p95_s=3)
    answer = run(listen(routing(first, second), asks(FACT)))
    assert answer.at(Bridge) == pytest.approx(0.7)


def test_never_the_same_bridge_twice_in_a_row() -> None:
    cloud = ScriptedBackend(p50_s=1.0, p95_s=3, first_s=1.0)
    router = routing(cloud)

    async def script() -> list[str]:
        return [bridge for _ in range(7) for bridge in (await listen(router, asks(FACT))).bridges]

    said = run(script())
    assert len(said) == 7
    assert all(one != other for one, other in pairwise(said))


@pytest.mark.parametrize(
    "change", [{"spoken": False}, {"asker": Asker("s", language="xx")}], ids=["a written answer", "an unknown language"]
)
def test_what_is_not_bridged(change: dict[str, object]) -> None:
    cloud = ScriptedBackend(p50_s=1.0, first_s=2.0, p95_s=3)
    assert run(listen(routing(cloud), asks(FACT, **change))).bridges == []


def test_bridges_can_be_switched_off_and_quick_answers_need_none() -> None:
    assert run(listen(routing(ScriptedBackend(p50_s=1.0, first_s=2.0), bridges=False), asks(FACT))).bridges == []
    assert run(listen(routing(ScriptedBackend()), asks(FACT))).bridges == []


# --- Memory, masks, ledger ---


def test_what_is_known_of_the_person_follows_the_question_and_stays_here() -> None:
    embedded, cloud = ScriptedEmbedded(), ScriptedBackend()
    recall = ScriptedRecall(("Your dog is called Rex.",))
    run(listen(routing(cloud, embedded=embedded, recall=recall, classifier=chatting()), asks("Who is my dog?")))
    (asked,) = embedded.asked
    assert asked.messages[-1].content == "Who is my dog? (I told you: Your dog is called Rex.)"
    run(listen(routing(cloud, recall=recall), asks(FACT)))
    assert "Rex" not in cloud.asked[0].messages[-1].content
    house = ScriptedBackend("house", "lan")
    run(listen(routing(house, recall=recall, preset="best"), asks(FACT)))
    assert "Rex" in house.asked[0].messages[-1].content


def test_names_are_masked_on_their_way_to_the_cloud_and_put_back() -> None:
    cloud = ScriptedBackend(answers=["Ask «P1» or « P1»."])
    ledger = MemoryLedger()
    answer = run(listen(routing(cloud, masks=NamesMask(), ledger=ledger), asks("Where does Ada live?")))
    assert "Ada" not in str(cloud.asked)
    assert answer.text == "Ask Ada or « P1»."
    (departure,) = ledger.opened_
    assert (departure.masked, departure.host, departure.kind) == (1, "api.example", "fact")
    assert departure.sent_bytes == len("Where does «P1» live?".encode())
    arrival = ledger.closed_[0]
    assert (arrival.outcome, arrival.input_tokens, arrival.estimated) == ("answered", 100, False)
    house = ScriptedBackend("house", "lan")
    run(listen(routing(house, masks=NamesMask()), asks("Where does Ada live?")))
    assert "Ada" in str(house.asked)


def test_arguments_of_calls_are_unmasked() -> None:
    call = ToolCall("call_1", "ring", '{"who": "«P1»"}')
    cloud = ScriptedBackend(answers=["I ring «P1"], calls={"I ring «P1": (call,)})
    answer = run(listen(routing(cloud, masks=NamesMask()), asks("Ring Ada", toolbox=Toolbox((Tool("ring"),)))))
    assert [each.arguments for each in answer.of(ToolCall)] == ['{"who": "Ada"}']
    assert answer.text == "I ring «P1"


def test_a_refused_request_costs_nothing_and_says_why() -> None:
    ledger = MemoryLedger()
    run(listen(routing(ScriptedBackend(error=CutError()), ledger=ledger), asks(FACT)))
    assert (ledger.closed_[0].outcome, ledger.closed_[0].error, ledger.closed_[0].cost) == ("failed", "CutError", 0.0)


def test_nobody_asks_what_kind_of_turn_it_is_where_that_makes_no_difference() -> None:
    classifier = ScriptedClassifier()
    router = routing(ScriptedBackend(), classifier=classifier, preset="private")
    (routed,) = run(listen(router, asks(FACT))).of(Routed)
    assert routed.reason == "Nobody else may be asked. cloud: with “private”, nothing leaves this machine."
    assert classifier.asked == []


def test_parts_that_fail_do_not_stop_the_turn_and_let_nothing_out() -> None:
    router = routing(
        ScriptedBackend(), classifier=ScriptedClassifier(error=CutError()), recall=ScriptedRecall(error=CutError())
    )
    assert run(listen(router, asks(FACT))).routes == ["device"]


def test_without_a_classifier_every_turn_may_be_personal() -> None:
    answer = run(listen(routing(ScriptedBackend(), classifier=None), asks(FACT)))
    assert answer.routes == ["device"]
    assert "may be personal" in answer.of(Routed)[0].reason
    open_ = replace(PRESETS["balanced"], personal_floor="cloud")
    assert run(listen(routing(ScriptedBackend(), classifier=None, preset=open_), asks(FACT))).routes == ["cloud"]


# --- Delegation ---

EXPERT = ToolCall("call_1", "ask_expert", '{"question": "What is the capital of France?"}')
LOCAL = ToolCall("call_2", "ask_local", '{"question": "Say it in five words."}')


def delegating() -> ScriptedClassifier:
    return ScriptedClassifier(Guess(Kind.CHAT), {FACT: Kind.FACT})


def test_the_small_model_asks_the_expert() -> None:
    cloud, ledger = ScriptedBackend(first_s=1.0, quality=0.5), MemoryLedger()
    embedded = ScriptedEmbedded(["Hmm", "Paris, they say."], calls={"Hmm": (EXPERT,)})
    preset = replace(PRESETS["balanced"], ask_expert=True)
    router = routing(cloud, embedded=embedded, classifier=delegating(), ledger=ledger, preset=preset)
    answer = run(listen(router, asks("Guess what", committed=Commit(1.0))))
    assert answer.routes == ["device"]
    assert answer.text == "Hmm\nParis, they say."
    assert answer.of(ToolCall) == []
    assert len(answer.bridges) == 1
    (finish,) = answer.of(Finish)
    assert finish.input_tokens == 40
    assert cloud.asked[0].messages[-1].content == FACT
    assert cloud.asked[0].toolbox.tools == ()
    assert ledger.opened_[0].delegated
    first, second = embedded.asked
    assert [tool.name for tool in first.toolbox.tools] == ["ask_expert"]
    assert second.messages[-1] == ChatMessage("tool", PARIS, call_id="call_1")
    assert second.messages[-2] == ChatMessage("assistant", "Hmm", calls=(EXPERT,))


@pytest.mark.parametrize("private", [True, False])
def test_the_expert_is_not_asked_beyond_the_privacy_floor(private: bool) -> None:
    cloud = ScriptedBackend()
    embedded = ScriptedEmbedded(["Hmm", "I don't know."], calls={"Hmm": (EXPERT,)})
    preset = replace(PRESETS["balanced"], ask_expert=True)
    classifier = delegating() if private else ScriptedClassifier(Guess(Kind.PERSONAL))
    router = routing(cloud, embedded=embedded, classifier=classifier, preset=preset)
    run(listen(router, asks("Keep it between us: guess what" if private else "My rash itches")))
    assert cloud.asked == []
    assert embedded.asked[1].messages[-1].content.startswith("Nobody can be asked.")


def test_the_large_model_gives_tasks_to_the_small_one_and_to_tools() -> None:
    async def lookup(arguments: str, asker: Asker) -> str:
        if "1" in arguments:
            raise CutError("no such thing")
        return "42"

    tool = ServerTool(Tool("lookup"), lookup)
    calls = (LOCAL, ToolCall("call_3", "lookup", "{}"), ToolCall("call_4", "lookup", '{"n": 1}'))
    cloud = ScriptedBackend(answers=["I look.", "Done."], calls={"I look.": calls})
    embedded = ScriptedEmbedded(["Short."])
    router = routing(cloud, embedded=embedded, preset="best", tools=(tool,))
    answer = run(listen(router, asks(FACT)))
    assert (answer.routes, answer.text) == (["cloud"], "I look.\nDone.")
    assert {each.name for each in cloud.asked[0].toolbox.tools} == {"ask_local", "lookup"}
    results = [message.content for message in cloud.asked[1].messages if message.role == "tool"]
    assert results == ["Short.", "42", "It failed: no such thing"]


def test_a_model_that_calls_for_ever_is_stopped() -> None:
    cloud = ScriptedBackend(answers=["Hm."], calls={"Hm.": (LOCAL,)})
    run(listen(routing(cloud, preset="best"), asks(FACT)))
    assert len(cloud.asked) == 4
    assert cloud.asked[-1].toolbox.choice == "none"


def test_the_clients_calls_go_to_the_client() -> None:
    lamp = ToolCall("call_5", "lamp", "{}")
    cloud = ScriptedBackend(answers=["Well."], calls={"Well.": (LOCAL, lamp)})
    answer = run(listen(routing(cloud, preset="best"), asks(FACT, toolbox=Toolbox((Tool("lamp"),)))))
    assert answer.of(ToolCall) == [lamp]
    assert len(cloud.asked) == 1


def test_nothing_is_delegated_unless_the_preset_says_so() -> None:
    cloud, embedded = ScriptedBackend(), ScriptedEmbedded()
    router = routing(cloud, embedded=embedded, classifier=chatting())
    run(listen(router, asks("Hi.")))
    run(router.prefill(asks("Hi")))
    assert embedded.asked[0].toolbox.tools == embedded.read[0].toolbox.tools == ()


def test_the_model_reads_along_with_the_functions_that_it_will_have() -> None:
    embedded = ScriptedEmbedded()
    router = routing(
        ScriptedBackend(),
        embedded=embedded,
        classifier=chatting(),
        preset=replace(PRESETS["balanced"], ask_expert=True),
    )
    run(router.prefill(asks("Hi")))
    run(listen(router, asks("Hi.")))
    assert embedded.read[0].toolbox == embedded.asked[0].toolbox
    assert [tool.name for tool in embedded.asked[0].toolbox.tools] == ["ask_expert"]
