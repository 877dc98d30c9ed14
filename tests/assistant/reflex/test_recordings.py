"""The recordings that the bench takes for reflexes are some."""

from tests.assistant.reflex.house import House
from tests.bench.recordings import REFLEXES, recordings


def test_the_bench_measures_what_needs_no_model(house: House) -> None:
    found = {
        one.id
        for one in recordings("query", "command")
        if (reflex := house.match(one.text, one.lang)) is not None and (reflex.words or reflex.reads)
    }
    assert found == REFLEXES
