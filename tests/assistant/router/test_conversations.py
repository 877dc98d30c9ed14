"""Whole spoken conversations through the router, on virtual time: the session, its turns and the router are real."""

from itertools import pairwise
from typing import cast

import pytest

from assistant.router.router import Router
from pipeline import events
from tests.assistant.router.doubles import (
    CutError,
    MemoryLedger,
    ScriptedBackend,
    ScriptedClassifier,
    ScriptedEmbedded,
    ScriptedReflex,
    ScriptedReflexes,
    routing,
)
from tests.pipeline.doubles import Conversation, ScriptedLlm, ScriptedStt
from tests.pipeline.scripts import ended, one_question, say_and_wait

FACT = "what is the capital of France"
STORY = (
    "The first lighthouse stood at Alexandria, on the island of Pharos. It was built of pale stone, and its fire was "
    "seen from far away. Then, one after the other, three earthquakes broke it."
)


def conversation(router: Router, *said: str) -> Conversation:
    """Return a spoken conversation in which the user says these things."""
    return Conversation(llm=cast(ScriptedLlm, router), stt=ScriptedStt(list(said or [FACT])))


def test_the_cloud_is_asked_when_it_is_sure_and_the_wait_is_bridged() -> None:
    cloud, embedded, ledger = ScriptedBackend(p50_s=1.2, first_s=1.2, p95_s=5), ScriptedEmbedded(), MemoryLedger()
    talk = conversation(routing(cloud, embedded=embedded, ledger=ledger))

    async def script(talk: Conversation) -> None:
        await say_and_wait(talk, 12.0)

    talk.hold(script)
    assert ended(talk).text == "The capital of France is Paris. It lies on the Seine."
    assert talk.tts.spoken == ["Let me look that up.", "The capital", "of France is Paris.", "It lies on the Seine."]
    # The remark is heard as soon as the turn is committed, long before the first word from the cloud.
    assert talk.at(events.ResponseAudio) - talk.at(events.AudioCommitted) < 0.3
    assert talk.at(events.ResponseText) - talk.at(events.AudioCommitted) > 1.2
    assert len(ledger.opened_) == 1
    assert embedded.asked == []
    assert len(embedded.read) >= 1


def test_what_was_prepared_for_other_words_asks_nobody() -> None:
    cloud = ScriptedBackend()
    growing = ScriptedStt(growing={0.0: "what is", 1.5: FACT})
    talk = Conversation(llm=cast(ScriptedLlm, routing(cloud)), stt=growing)
    talk.turn.scores = [0.1, 0.1, 1.0]

    async def pause_in_between(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.4)
        await talk.say(1.0)
        await talk.hush(6.0)

    talk.hold(pause_in_between)
    assert [request.messages[-1].content for request in cloud.asked] == [FACT]


@pytest.mark.parametrize("after", range(1, 30, 3))
def test_a_backend_that_dies_while_it_is_spoken_is_not_heard(after: int) -> None:
    first = ScriptedBackend("first", answers=[STORY], error=CutError(), error_after=after, quality=0.95)
    second = ScriptedBackend("second", answers=[STORY])
    talk = conversation(routing(first, second, bridges=False), "tell me of the lighthouse")

    async def script(talk: Conversation) -> None:
        await say_and_wait(talk, 25.0)

    talk.hold(script)
    assert (ended(talk).text, ended(talk).status) == (STORY, "completed")
    assert " ".join(talk.tts.spoken) == STORY
    heard = [stamped.at for stamped in talk.log if isinstance(stamped.event, events.ResponseAudio)]
    assert max(later - earlier for earlier, later in pairwise(heard)) < 0.5


def test_who_interrupts_ends_the_request() -> None:
    cloud, ledger = ScriptedBackend(answers=[STORY], piece_s=0.2), MemoryLedger()
    talk = conversation(routing(cloud, ledger=ledger), "tell me of the lighthouse", "stop it now please")

    async def interrupt(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(2.5)
        await talk.say(1.5)
        await talk.hush(0.1)

    talk.hold(interrupt)
    assert ledger.closed_[0].outcome == "cancelled"
    assert ledger.closed_[0].cost > 0
    assert cloud.outstanding == 0


def test_everything_down_is_said_once() -> None:
    talk = conversation(routing(ScriptedBackend(error=CutError(), first_s=0.1)), FACT, "and of Spain")

    async def two_questions(talk: Conversation) -> None:
        await say_and_wait(talk, 9.0)
        await say_and_wait(talk, 9.0)

    talk.hold(two_questions)
    first, second = talk.of(events.ResponseEnded)
    assert first.text == "I'm offline right now, so this answer is my own. I think so."
    assert second.text == "I think so."


def test_a_reflex_answers_a_spoken_command() -> None:
    done: list[str] = []

    async def act() -> str | None:
        done.append("set")
        return None

    reflex = ScriptedReflex("set_timer", "Five minutes, starting now.", act=act)
    embedded = ScriptedEmbedded()
    reflexes = ScriptedReflexes({"set a timer for five minutes": reflex})
    talk = conversation(routing(embedded=embedded, reflexes=reflexes), "set a timer for five minutes")
    talk.hold(one_question)
    assert (ended(talk).text, done, embedded.asked) == ("Five minutes, starting now.", ["set"], [])


def test_between_us_nothing_leaves() -> None:
    cloud = ScriptedBackend()
    talk = conversation(routing(cloud, classifier=ScriptedClassifier()), "keep this between us", FACT)

    async def two_questions(talk: Conversation) -> None:
        await say_and_wait(talk, 9.0)
        await say_and_wait(talk, 9.0)

    talk.hold(two_questions)
    first, second = talk.of(events.ResponseEnded)
    assert first.text.startswith("All right, this stays between us.")
    assert (second.text, cloud.asked) == ("I think so.", [])
