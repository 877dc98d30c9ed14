"""Which facts are put to the model, and which one is meant to be forgotten: with the real vectors."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from assistant.embeddings import MiniLm
from assistant.memory import replies
from assistant.memory.facts import Facts, packed
from assistant.memory.matching import likenesses, meant
from assistant.memory.tables import memories
from assistant.memory.wording import second_person, sentence
from tests.assistant.memory.conftest import FACTS, cases, filled, opened

NOW = datetime(2026, 11, 24, tzinfo=UTC)

pytestmark = pytest.mark.models


@pytest.mark.parametrize(("name", "least"), [("recall_tuned.tsv", 1.0), ("recall_held_out.tsv", 0.9)])
def test_a_question_brings_up_what_it_is_about_and_nothing_else(
    tmp_path: Path, minilm: MiniLm, capsys: pytest.CaptureFixture[str], name: str, least: float
) -> None:
    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/parley.db") as database:
            memory = await filled(database, minilm)
            found, told, unasked = 0, 0, []
            for question, wanted in known:
                got = await memory.relevant("ann", question)
                found += bool(wanted) and {sentence(second_person(fact) or fact) for fact in wanted} <= set(got)
                told += len(got) if wanted else 0
                unasked += [(question, got)] if got and not wanted else []
            asked = sum(bool(wanted) for _, wanted in known)
            with capsys.disabled():
                print(f"\n{name}: {found} of {asked} brought up ({told} facts); nothing to do with it: {unasked}")
            assert found / asked >= least
            assert unasked == []
            assert told <= 1.5 * asked
            assert await memory.relevant("ben", known[0][0]) == ()

    known = cases(name)
    asyncio.run(main())


def test_what_is_meant_to_be_forgotten(tmp_path: Path, minilm: MiniLm) -> None:
    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/parley.db") as database:
            await filled(database, minilm)
            facts = await Facts(database, minilm, lambda: NOW).of("ann")
            wrong = []
            for about, wanted in cases("forget_tuned.tsv"):
                one = meant(likenesses(facts, about, await minilm.embed(about)), about, most=3)
                if ({one.fact.words} if one.fact else set()) != wanted:
                    wrong.append((about, one))
            assert wrong == []

    asyncio.run(main())


def test_a_question_takes_ten_milliseconds(tmp_path: Path, minilm: MiniLm, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/parley.db") as database:
            memory = await filled(database, minilm)
            # As many facts as a person may have.
            vectors = np.random.default_rng(0).normal(size=(1970, 384)).astype(np.float32)
            rows = [
                {
                    "user": "ann",
                    "role": "fact",
                    "text": f"my note number {at} says {at * at}",
                    "at": NOW,
                    "vector": packed(vector / np.linalg.norm(vector)),
                }
                for at, vector in enumerate(vectors)
            ]
            async with database.writing() as connection:
                await connection.execute(memories.insert(), rows)
            await memory.remember("ann", "my boat is called Swan", "en")
            await memory.relevant("ann", "warm up")
            took = []
            for question, _ in cases("recall_held_out.tsv"):
                began = time.perf_counter()
                await memory.relevant("ann", question)
                took.append(1000 * (time.perf_counter() - began))
            with capsys.disabled():
                print(f"\nfacts of 2,000: p50 {np.percentile(took, 50):.1f} ms, p95 {np.percentile(took, 95):.1f} ms")
            # The limit is 10 ms on an idle machine, which a test can't count on.
            assert np.percentile(took, 50) < 25

    asyncio.run(main())


def test_what_is_forgotten_is_said_and_what_is_unsure_is_asked(tmp_path: Path, minilm: MiniLm) -> None:
    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/parley.db") as database:
            memory = await filled(database, minilm)
            said = await memory.forget("ann", "that my dog is called Rex", "en")
            assert said == "I've forgotten that your dog is called Rex."
            assert await memory.relevant("ann", "What's my dog called?") == ()
            said = await memory.forget("ann", "my sister", "en")
            assert said.startswith("I'm not sure which you mean. I know this: Your sister's")
            assert len(await memory.relevant("ann", "What do you know about my sister's birthday?")) >= 1
            assert await memory.forget("ann", "the war in Gaul", "en") == replies.NOTHING_LIKE_IT
            assert len(FACTS) - 1 == len((await Facts(database, None, lambda: NOW).of("ann")).facts)

    asyncio.run(main())
