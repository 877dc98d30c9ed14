"""Whatever the backends do: nothing is said twice or lost, nothing leaves too early, nothing is left running."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.record.virtual_time import run
from assistant.router.decision import PRESETS
from pipeline.engines import Finish, Routed
from tests.assistant.router.doubles import (
    BusyError,
    Commit,
    CutError,
    MemoryLedger,
    ScriptedBackend,
    ScriptedEmbedded,
    asks,
    listen,
    routing,
)

STORY = (
    "The first lighthouse stood at Alexandria, on the island of Pharos. It was built of pale stone, and its fire was "
    "seen from far away. Then, one after the other, three earthquakes broke it."
)
LENGTH = len(STORY.split())
OFFLINE = "I'm offline right now, so this answer is my own."

FAULTS = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"error": st.sampled_from([CutError(), BusyError()]), "error_after": st.integers(0, LENGTH - 1)}
    ),
    st.fixed_dictionaries({"stalls_after": st.integers(1, LENGTH - 1)}),
    st.fixed_dictionaries({"unwell": st.just("it is down")}),
)
BACKENDS = st.lists(st.tuples(FAULTS, st.floats(0, 4), st.floats(0.01, 0.3), st.floats(0.1, 2)), min_size=1, max_size=3)


@settings(deadline=None)
@given(
    BACKENDS,
    st.booleans(),
    st.floats(0, 2),
    st.sampled_from(["never", "free", "always"]),
)
def test_a_spoken_answer_is_whole_whatever_happens(
    faults: list[tuple[dict[str, object], float, float, float]], embedded_fails: bool, commit_s: float, hedge: str
) -> None:
    backends = [
        ScriptedBackend(
            f"cloud-{number}",
            answers=[STORY],
            first_s=first_s,
            piece_s=piece_s,
            p50_s=p95_s / 2,
            p95_s=p95_s,
            quality=0.95 - number / 100,
            **fault,  # type: ignore[arg-type]  # as drawn
        )
        for number, (fault, first_s, piece_s, p95_s) in enumerate(faults)
    ]

    class GoesOn(ScriptedEmbedded):
        async def stream(self, request):  # type: ignore[no-untyped-def]
            said = len(request.begun.removeprefix(OFFLINE).split())
            self.answers = [" ".join(STORY.split()[said:])]
            async for piece in super().stream(request):
                yield piece

    embedded = GoesOn(error=CutError() if embedded_fails else None)
    ledger, commit = MemoryLedger(), Commit(commit_s)
    preset = replace(PRESETS["balanced"], hedge=hedge)  # type: ignore[arg-type]  # as drawn
    router = routing(*backends, embedded=embedded, ledger=ledger, preset=preset)
    answer = run(listen(router, asks("Tell me of the lighthouse.", committed=commit)))

    words = " ".join(answer.clauses).removeprefix(OFFLINE).split()
    assert words == STORY.split()[: len(words)]
    finishes = answer.of(Finish)
    if answer.error is None:
        assert (len(words), len(finishes), finishes[-1]) == (LENGTH, 1, answer.pieces[-1].piece)
    else:
        assert finishes == []
        assert embedded_fails
    assert isinstance(answer.pieces[0].piece, Routed)
    assert len(answer.bridges) <= 1
    assert all(backend.outstanding == 0 for backend in backends)
    assert len(ledger.closed_) == len(ledger.opened_) == sum(len(backend.asked) for backend in backends)
    if ledger.opened_:
        assert commit.waited > 0
