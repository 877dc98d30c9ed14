"""The router over real HTTP: backends that die in mid-answer, stall, refuse."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from assistant.llm.endpoint import Endpoint, Patience
from assistant.llm.endpoint_errors import Where
from assistant.router.router import Router
from pipeline.engines import ChatRequest, Generated, TakenBack, TextDelta
from tests.assistant.router.doubles import (
    Answer,
    ScriptedBackend,
    ScriptedEmbedded,
    asks,
    listen,
    routing,
    split,
)
from tests.faults.cloud import Cloud, Received
from tests.faults.replies import Reply

STORY = (
    "The first lighthouse stood at Alexandria, on the island of Pharos. It was built of pale stone, over a hundred "
    "metres high, and its fire was seen from far away. Ships found their way by it for more than a thousand years. "
    "Then, one after the other, three earthquakes broke it."
)
TRIES = 50
RESUMES_WITHIN_S = 1.5


@dataclass
class HttpBackend(ScriptedBackend):
    """A backend's facts, with a real endpoint behind them."""

    endpoint: Endpoint | None = None

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        assert self.endpoint is not None
        self.asked.append(request)
        return self.endpoint.stream(request)


@dataclass
class Clouds:
    """Stand-ins for two clouds, and a router that prefers the first."""

    first: Cloud
    second: Cloud
    embedded: ScriptedEmbedded = field(default_factory=lambda: ScriptedEmbedded(first_s=0.01, piece_s=0.0))
    router: Router = field(init=False)

    async def ask(self, request: ChatRequest) -> Answer:
        async with AsyncExitStack() as closing:
            backends = []
            for name, cloud, quality in (("first", self.first, 0.95), ("second", self.second, 0.9)):
                endpoint = Endpoint(Where(name, cloud.url, "127.0.0.1", "model"), patience=Patience(1, 1, 0.3, 20))
                closing.push_async_callback(endpoint.close)
                backends.append(HttpBackend(name, quality=quality, endpoint=endpoint))
            self.router = routing(*backends, embedded=self.embedded)
            return await listen(self.router, request)


@pytest.fixture
def clouds() -> Iterator[Clouds]:
    with ExitStack() as stack:
        yield Clouds(stack.enter_context(Cloud()), stack.enter_context(Cloud()))


def going_on(back: int) -> Callable[[Received], Reply]:
    """Return what goes on with the story, from so many words before the place where it broke off."""

    def answer(received: Received) -> Reply:
        messages = received.body["messages"]
        told = messages[-2]["content"].split() if messages[-1]["content"].startswith("(The connection") else []
        return Reply(tuple(split(" ".join(STORY.split()[max(0, len(told) - back) :]))))

    return answer


def gap_s(answer: Answer) -> float:
    """Return the longest time between two pieces of an answer."""
    times = [stamped.at for stamped in answer.pieces if isinstance(stamped.piece, TextDelta)]
    return max(later - earlier for earlier, later in pairwise(times))


def test_a_backend_that_dies_in_mid_answer_is_not_noticed_in_the_transcript(clouds: Clouds) -> None:
    """Whatever the place, whatever the next one begins with: nothing is repeated or lost, and speech resumes soon."""
    pieces = tuple(split(STORY))
    chance = random.Random(5)
    gaps, whole = [], 0
    for number in range(TRIES):
        cut = 1 + number * (len(pieces) - 2) // TRIES
        fault = {"cut_after": cut} if number % 3 else {"end_after": cut}
        clouds.first.next(Reply(pieces, between_s=0.001, **fault))
        clouds.second.answer = going_on(chance.choice([0, 0, 1, 3, 7, 1000]))
        answer = asyncio.run(clouds.ask(asks("Tell me of the lighthouse.")))
        gaps.append(gap_s(answer))
        whole += " ".join(answer.clauses) == STORY and answer.routes == ["first", "second"] and answer.error is None
    worst, middle = max(gaps) * 1000, sorted(gaps)[TRIES // 2] * 1000
    print(f"\n{whole} of {TRIES} answers are whole; the next word after {middle:.0f} ms, {worst:.0f} at most")
    assert whole == TRIES
    assert max(gaps) < RESUMES_WITHIN_S


def test_a_written_answer_goes_on_at_a_whole_word(clouds: Clouds) -> None:
    # Tokens are no words: the connection breaks in the middle of one.
    pieces = tuple(STORY[at : at + 4] for at in range(0, len(STORY), 4))
    for cut in range(1, len(pieces), 7):
        clouds.first.next(Reply(pieces, cut_after=cut))
        clouds.second.answer = going_on(cut % 3)
        answer = asyncio.run(clouds.ask(asks("Tell me of the lighthouse.", spoken=False)))
        assert answer.text == STORY
        assert answer.of(TakenBack) == []


def test_a_backend_that_stalls_counts_as_broken_off(clouds: Clouds) -> None:
    clouds.first.next(Reply(tuple(split(STORY)), stall_after=9))
    clouds.second.answer = going_on(0)
    answer = asyncio.run(clouds.ask(asks("Tell me of the lighthouse.")))
    assert " ".join(answer.clauses) == STORY
    assert gap_s(answer) < RESUMES_WITHIN_S


@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=500),
        Reply(status=429, headers={"Retry-After": "60"}),
        Reply(malformed_after=0),
        Reply(cut_after=0),
        Reply(error_after=0),
        Reply(content_type="text/html"),
        Reply(headers_s=5.0),
    ],
    ids=["500", "429", "malformed", "cut", "error", "a web page", "silence"],
)
def test_whatever_goes_wrong_before_the_first_word_the_next_one_answers(clouds: Clouds, fault: Reply) -> None:
    clouds.first.next(fault)
    clouds.second.answer = going_on(0)
    answer = asyncio.run(clouds.ask(asks("Tell me of the lighthouse.")))
    assert (answer.text, answer.routes) == (STORY, ["first", "second"])


def test_when_all_is_down_the_model_here_answers(clouds: Clouds) -> None:
    clouds.first.kill()
    clouds.second.kill()
    answer = asyncio.run(clouds.ask(asks("Tell me of the lighthouse.")))
    assert answer.text == "I'm offline right now, so this answer is my own. I think so."
    assert answer.routes == ["first", "second", "device"]


def test_when_all_dies_in_mid_answer_the_model_here_goes_on(clouds: Clouds) -> None:
    clouds.first.next(Reply(tuple(split(STORY)), cut_after=12))
    clouds.second.kill()
    clouds.embedded.answers = ["It fell in an earthquake."]
    answer = asyncio.run(clouds.ask(asks("Tell me of the lighthouse.")))
    assert clouds.embedded.asked[0].begun
    assert answer.text == f"{clouds.embedded.asked[0].begun} It fell in an earthquake."


def test_a_slow_answer_is_called_off_over_the_wire(clouds: Clouds) -> None:
    clouds.first.next(Reply(first_s=0.9))
    clouds.second.answer = going_on(0)

    async def ask() -> Answer:
        async with AsyncExitStack() as closing:
            backends = []
            for name, cloud, quality in (("first", clouds.first, 0.95), ("second", clouds.second, 0.9)):
                endpoint = Endpoint(Where(name, cloud.url, "127.0.0.1", "model"))
                closing.push_async_callback(endpoint.close)
                backends.append(HttpBackend(name, quality=quality, p95_s=0.1, endpoint=endpoint))
            return await listen(routing(*backends, preset="best"), asks("Tell me of the lighthouse."))

    answer = asyncio.run(ask())
    assert (answer.text, answer.routes) == (STORY, ["first", "second"])
    clouds.first.received[0].wait()
    assert clouds.first.received[0].gone
