"""A backend: what it learns from its requests, and how many it lets through."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from assistant.llm.endpoint import Endpoint, Patience
from assistant.llm.endpoint_errors import BackendError, BusyError, RefusedError, RejectedError, UnreachableError, Where
from assistant.router.backend import Backend, Profile
from assistant.router.breaker import Breaker, Limits, State
from assistant.router.parts import Backend as RoutersBackend
from pipeline.engines import ChatMessage, ChatRequest, TextDelta
from tests.faults.cloud import Cloud, echo
from tests.faults.replies import WORDS, Reply

ASKED = ChatRequest((ChatMessage("user", "What time is it?"),))
PROFILE = Profile("gpt", "device", "127.0.0.1", "small")


def backend(cloud: Cloud, limits: Limits | None = None, **profile) -> Backend:
    where = Where("gpt", cloud.url, "127.0.0.1", "small")
    patience = Patience(first_s=0.5, between_s=0.3)
    return Backend(
        replace(PROFILE, **profile), Endpoint(where, direct=True, patience=patience), breaker=Breaker(limits)
    )


async def answer(one: Backend, request: ChatRequest = ASKED) -> str:
    async with aclosing(one.stream(request)) as pieces:
        return "".join([piece.text async for piece in pieces if isinstance(piece, TextDelta)])


def test_it_is_what_the_router_asks_for():
    async def main(cloud: Cloud) -> None:
        one: RoutersBackend = backend(cloud, qualities={"code": 0.9})
        assert (one.name, one.place, one.quality, one.outstanding, one.unwell) == ("gpt", "device", 0.6, 0, None)
        assert one.first_token_s(0.95) is None

    with Cloud() as cloud:
        asyncio.run(main(cloud))


def test_quality_may_differ_by_the_kind_of_turn():
    with Cloud() as cloud:
        one = backend(cloud, qualities={"code": 0.9})
    assert (one.quality_of("code"), one.quality_of("fact")) == (0.9, 0.6)


def test_it_measures():
    async def main(cloud: Cloud) -> None:
        one = backend(cloud)
        for _ in range(3):
            assert await answer(one) == "".join(WORDS)
        summary = one.figures.summary()
        assert (summary.requests, summary.errors) == (3, 0)
        assert 0.05 <= summary.first_token_p50_s < 0.5
        assert summary.tokens_per_s > 10
        assert one.first_token_s(0.5) == summary.first_token_p50_s
        await one.close()

    with Cloud(Reply(first_s=0.05)) as cloud:
        asyncio.run(main(cloud))


def test_failures_open_the_breaker_and_a_probe_closes_it(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("assistant.router.backend._now", lambda: now[0])

    async def main(cloud: Cloud) -> None:
        one = backend(cloud, Limits(failures=2, wait_s=5.0))
        for _ in range(2):
            with pytest.raises(BackendError):
                await answer(one)
        assert "failed 2 times" in one.unwell
        with pytest.raises(BusyError, match="left alone"):
            await answer(one)
        assert len(cloud.received) == 2
        cloud.answer = Reply()
        now[0] += 5.0
        assert one.unwell is None
        assert await answer(one) == "".join(WORDS)
        assert one.breaker.state(now[0]) is State.CLOSED
        assert one.figures.summary().errors == 2
        await one.close()

    with Cloud(Reply(status=500)) as cloud:
        asyncio.run(main(cloud))


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(status=429, headers={"Retry-After": "40"}), BusyError, "next try in 40 s"),
        (Reply(status=401), RefusedError, "next try in 60 s"),
    ],
)
def test_some_failures_open_it_at_once(reply, kind, words):
    async def main(cloud: Cloud) -> None:
        one = backend(cloud)
        with pytest.raises(kind):
            await answer(one)
        assert words in one.unwell
        await one.close()

    with Cloud(reply) as cloud:
        asyncio.run(main(cloud))


def test_a_request_that_is_at_fault_itself_speaks_not_against_the_backend():
    async def main(cloud: Cloud) -> None:
        one = backend(cloud, Limits(failures=1))
        with pytest.raises(RejectedError):
            await answer(one)
        assert one.unwell is None
        assert one.figures.summary().requests == 0
        await one.close()

    with Cloud(Reply(status=400, error="too long")) as cloud:
        asyncio.run(main(cloud))


def test_slow_answers_open_the_breaker():
    async def main(cloud: Cloud) -> None:
        one = backend(cloud, Limits(failures=2, slow_s=0.05))
        for _ in range(2):
            await answer(one)
        assert "slow" in one.unwell
        await one.close()

    with Cloud(Reply(first_s=0.1)) as cloud:
        asyncio.run(main(cloud))


def test_an_answer_that_breaks_off_counts_as_a_failure():
    async def main(cloud: Cloud) -> None:
        one = backend(cloud, Limits(failures=1))
        with pytest.raises(UnreachableError):
            await answer(one)
        assert one.unwell is not None
        await one.close()

    with Cloud(Reply(cut_after=3)) as cloud:
        asyncio.run(main(cloud))


def test_what_is_called_off_counts_for_nothing_or_as_the_success_that_it_was():
    async def main(cloud: Cloud) -> None:
        one = backend(cloud, Limits(failures=1))
        asking = asyncio.create_task(answer(one))
        await asyncio.to_thread(cloud.wait_for, 1)
        asking.cancel()
        await asyncio.wait([asking])
        assert one.figures.summary().requests == 0
        cloud.answer = Reply(stall_after=2)
        async with aclosing(one.stream(ASKED)) as pieces:
            await anext(pieces)
        assert (one.figures.summary().requests, one.unwell, one.outstanding) == (1, None, 0)
        await one.close()

    with Cloud(Reply(headers_s=60)) as cloud:
        asyncio.run(main(cloud))


def test_no_more_than_it_may_at_once_and_the_others_wait():
    async def main(cloud: Cloud) -> None:
        one = backend(cloud, concurrency=3)
        asked = [replace(ASKED, messages=(ChatMessage("user", f"number {n}"),)) for n in range(12)]
        tasks = [asyncio.create_task(answer(one, request)) for request in asked]
        await asyncio.sleep(0)  # all have begun
        assert one.outstanding == 12
        assert await asyncio.gather(*tasks) == [f"number {n}" for n in range(12)]
        assert (cloud.most_at_once, one.outstanding) == (3, 0)
        await one.close()

    # Each takes a moment: quicker answers than requests would never be many at once.
    with Cloud(lambda received: replace(echo(received), first_s=0.1)) as cloud:
        asyncio.run(main(cloud))


def test_nobody_waits_for_ever():
    async def main(cloud: Cloud) -> None:
        one = backend(cloud, concurrency=1, wait_s=0.05)
        first = asyncio.create_task(answer(one))
        await asyncio.to_thread(cloud.wait_for, 1)
        with pytest.raises(BusyError, match="concurrency"):
            await answer(one)
        assert one.unwell is None
        first.cancel()
        await asyncio.wait([first])
        await one.close()

    with Cloud(Reply(headers_s=60)) as cloud:
        asyncio.run(main(cloud))
