"""Who may work now."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.record.virtual_time import run
from pipeline.lanes import Lane, Lanes


def order(cores: int, jobs: Iterable[tuple[float, Lane, float]]) -> list[tuple[float, Lane]]:
    """Start each job at its moment, let it work for its duration, and return when which lane was let in."""
    lanes, admitted = Lanes(cores), []

    async def job(at: float, lane: Lane, seconds: float) -> None:
        await asyncio.sleep(at)
        async with lanes.enter(lane):
            admitted.append((round(asyncio.get_running_loop().time(), 3), lane))
            await asyncio.sleep(seconds)

    async def all_jobs() -> None:
        async with asyncio.TaskGroup() as group:
            for at, lane, seconds in jobs:
                group.create_task(job(at, lane, seconds))

    run(all_jobs())
    return admitted


def test_work_waits_for_a_core() -> None:
    jobs = [(0.0, Lane.WORDS, 1.0), (0.1, Lane.WORDS, 1.0), (0.2, Lane.WORDS, 1.0)]
    assert order(2, jobs) == [(0.0, Lane.WORDS), (0.1, Lane.WORDS), (1.0, Lane.WORDS)]


def test_the_urgent_passes_what_waits() -> None:
    jobs = [(0.0, Lane.WORDS, 1.0), (0.1, Lane.PARTIAL, 1.0), (0.2, Lane.SPEECH, 1.0)]
    assert order(1, jobs) == [(0.0, Lane.WORDS), (0.2, Lane.SPEECH), (1.2, Lane.PARTIAL)]


def test_the_urgent_does_not_wait_for_what_nobody_waits_for() -> None:
    jobs = [(0.0, Lane.CHECK, 9.0), (0.0, Lane.PARTIAL, 9.0), (0.1, Lane.SPEECH, 1.0), (0.1, Lane.WORDS, 1.0)]
    assert [(at, lane) for at, lane in order(1, jobs) if lane < Lane.CHECK] == [(0.1, Lane.SPEECH), (1.1, Lane.WORDS)]


def test_conversations_that_think_share_one_core() -> None:
    jobs = [(0.0, Lane.THOUGHT, 5.0), (0.1, Lane.THOUGHT, 5.0), (0.2, Lane.THOUGHT, 5.0), (0.3, Lane.PARTIAL, 1.0)]
    assert order(2, jobs)[-1] == (0.3, Lane.PARTIAL)


def test_a_check_waits_until_nothing_more_urgent_is_at_work() -> None:
    assert order(2, [(0.0, Lane.THOUGHT, 2.0), (0.1, Lane.CHECK, 1.0)]) == [(0.0, Lane.THOUGHT), (2.0, Lane.CHECK)]


def test_the_model_is_told_to_leave_a_core_to_each_voice_that_is_being_made() -> None:
    async def script() -> None:
        told: list[int] = []
        lanes = Lanes(2, spare=told.append)
        async with lanes.enter(Lane.THOUGHT), lanes.enter(Lane.WORDS):
            pass
        assert not told
        async with lanes.enter(Lane.SPEECH):
            async with lanes.enter(Lane.SPEECH), lanes.enter(Lane.ENDING, 0.0):
                assert told == [1, 1], "one is left to it"
            assert told == [1, 1, 1]
        assert told == [1, 1, 1, 2]

    run(script())


def test_patience_has_an_end() -> None:
    async def script() -> None:
        lanes = Lanes(1)
        async with lanes.enter(Lane.WORDS):
            async with lanes.enter(Lane.CHECK, 1.5):
                assert asyncio.get_running_loop().time() == 1.5
            assert not lanes.free(Lane.CHECK)
        assert lanes.free(Lane.VISION)

    run(script())


def test_what_only_helps_is_left_out_under_load() -> None:
    async def script() -> None:
        lanes = Lanes(1)
        assert lanes.free(Lane.PARTIAL)
        async with lanes.enter(Lane.THOUGHT):
            assert not lanes.free(Lane.PARTIAL)
            assert lanes.free(Lane.WORDS)
        assert lanes.free(Lane.PARTIAL)

    run(script())


@pytest.mark.parametrize("moment", ["waiting", "let in", "as a place becomes free"])
def test_work_that_is_called_off_leaves_its_place(moment: str) -> None:
    async def script() -> None:
        lanes = Lanes(1)

        async def work() -> None:
            async with lanes.enter(Lane.WORDS):
                await asyncio.sleep(1.0)

        first, second = asyncio.ensure_future(work()), asyncio.ensure_future(work())
        await asyncio.sleep(0.5)
        if moment != "waiting":
            first.cancel()
        if moment == "let in":
            await asyncio.sleep(0)  # the first has left, the second was let in and doesn't run yet
        second.cancel()
        await asyncio.wait([first, second])
        assert lanes.free(Lane.VISION)

    run(script())


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from(Lane), st.floats(0.01, 2)), max_size=30),
)
def test_everybody_gets_in_at_last(cores: int, jobs: list[tuple[float, Lane, float]]) -> None:
    assert len(order(cores, jobs)) == len(jobs)


def test_background_work_enters_only_when_nothing_else_is_at_work() -> None:
    jobs = [(0.0, Lane.THOUGHT, 1.0), (0.1, Lane.BACKGROUND, 1.0), (0.2, Lane.BACKGROUND, 1.0), (1.5, Lane.SPEECH, 1.0)]
    assert order(2, jobs) == [
        (0.0, Lane.THOUGHT),
        (1.0, Lane.BACKGROUND),
        (1.5, Lane.SPEECH),
        (2.5, Lane.BACKGROUND),
    ]
