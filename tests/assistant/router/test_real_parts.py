"""The router with the real backends, breaker, masks, ledger, budgets and store, over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from assistant.llm.endpoint import Endpoint, Patience
from assistant.llm.endpoint_errors import Where
from assistant.privacy.ledger import Ledger
from assistant.privacy.masking import Masks
from assistant.router.backend import Backend, Profile
from assistant.router.breaker import Breaker, Limits
from assistant.router.budget import Budgets, Limit, Price
from assistant.router.router import Router
from assistant.store.database import Database
from tests.assistant.router.doubles import ScriptedEmbedded, asks, listen, routing, split
from tests.faults.cloud import Cloud
from tests.faults.replies import Reply

ANSWER = "Ask her sister about it. She lives next door, as far as I know."
OWN = "I'm offline right now, so this answer is my own. I think so."


@dataclass
class Rig:
    """A router with all its parts."""

    router: Router
    ledger: Ledger
    database: Database
    budgets: Budgets
    embedded: ScriptedEmbedded


@pytest.fixture
def clouds() -> Iterator[tuple[Cloud, Cloud]]:
    with ExitStack() as stack:
        big, small = stack.enter_context(Cloud()), stack.enter_context(Cloud())
        big.answer = small.answer = Reply(tuple(split(ANSWER)))
        yield big, small


@asynccontextmanager
async def rig(
    clouds: tuple[Cloud, Cloud], folder: Path, *, limits: dict[str, Limit] | None = None
) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as closing:
        database = await closing.enter_async_context(await Database.open(f"sqlite+aiosqlite:///{folder / 'parley.db'}"))
        prices = {"big": Price(2.0, 10.0), "small": Price(0.1, 0.4)}
        budgets = Budgets(limits, prices=prices)
        ledger = await closing.enter_async_context(Ledger(database, budgets))
        backends = []
        for name, cloud, quality in (("big", clouds[0], 0.95), ("small", clouds[1], 0.9)):
            where = Where(name, cloud.url, f"{name}.example", "model")
            price = prices[name]
            profile = Profile(
                name,
                "cloud",
                where.host,
                where.model,
                price_in=price.tokens_in,
                price_out=price.tokens_out,
                quality=quality,
            )
            endpoint = Endpoint(where, patience=Patience(1, 1, 0.3, 20))
            backend = Backend(profile, endpoint, breaker=Breaker(Limits(failures=1, wait_s=0.2)))
            closing.push_async_callback(backend.close)
            backends.append(backend)
        embedded = ScriptedEmbedded(first_s=0.01, piece_s=0.0)
        router = routing(
            *backends,  # type: ignore[arg-type]  # they fit the same Protocol as their doubles
            embedded=embedded,
            masks=Masks(["Ada Lovelace"]),
            ledger=ledger,
            budgets=budgets,
        )
        yield Rig(router, ledger, database, budgets, embedded)


def test_names_stay_here_and_what_left_is_written_down(clouds: tuple[Cloud, Cloud], tmp_path: Path) -> None:
    big, _ = clouds

    async def main() -> None:
        async with rig(clouds, tmp_path) as parts:
            question = "How do I reach Ada Lovelace, at ada@example.org?"
            answer = await listen(parts.router, asks(question))
            sent = str(big.received[0].body)
            assert "Ada" not in sent
            assert "example.org" not in sent
            hidden = big.received[0].asked.removeprefix("How do I reach ").split(",")[0]
            big.next(Reply(tuple(split(f"You call {hidden} in the morning."))))
            named = await listen(parts.router, asks(question))
            assert answer.text == ANSWER
            assert named.text == "You call Ada Lovelace in the morning."
            first, second = await parts.ledger.today()
            assert (first.backend, first.host, first.outcome, first.masked) == ("big", "big.example", "answered", 2)
            assert first.cost == pytest.approx(Price(2.0, 10.0).of(20, 11))
            assert parts.budgets.spent("day") == pytest.approx(first.cost + second.cost)
            assert first.sent_bytes < len(big.received[0].raw)

    asyncio.run(main())


def test_what_broke_off_is_written_down_too(clouds: tuple[Cloud, Cloud], tmp_path: Path) -> None:
    big, _ = clouds

    async def main() -> None:
        async with rig(clouds, tmp_path) as parts:
            big.next(Reply(tuple(split(ANSWER)), cut_after=7))
            answer = await listen(parts.router, asks("Where does she live?"))
            assert (answer.text, answer.routes) == (ANSWER, ["big", "small"])
            first, second = await parts.ledger.today()
            assert (first.outcome, first.estimated, second.outcome) == ("failed", True, "answered")
            assert first.cost > 0

    asyncio.run(main())


def test_over_budget_the_cheaper_one_answers_and_says_so(clouds: tuple[Cloud, Cloud], tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(clouds, tmp_path, limits={"big": Limit(day=0.0)}) as parts:
            answer = await listen(parts.router, asks("Where does she live?"))
            assert answer.routes == ["small"]
            assert answer.text == f"The budget for the better model is used up, so a cheaper one answers. {ANSWER}"

    asyncio.run(main())


def test_an_outage_opens_the_breakers_is_told_once_and_ends_by_itself(
    clouds: tuple[Cloud, Cloud], tmp_path: Path
) -> None:
    async def main() -> list[str]:
        async with rig(clouds, tmp_path) as parts:
            for cloud in clouds:
                cloud.kill()
            said = [(await listen(parts.router, asks("Where does she live?"))).text]
            asked = len(parts.embedded.asked)
            said.append((await listen(parts.router, asks("Where does she live?"))).text)
            assert len(parts.embedded.asked) == asked + 1
            for cloud in clouds:
                cloud.revive()
            # Until the breakers let a probe through.
            for _ in range(200):
                text = (await listen(parts.router, asks("Where does she live?"))).text
                if text != "I think so.":
                    break
            return [*said, text]

    assert asyncio.run(main()) == [OWN, "I think so.", ANSWER]


def test_what_cannot_be_written_down_does_not_leave(clouds: tuple[Cloud, Cloud], tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(clouds, tmp_path) as parts:
            (tmp_path / "parley.db").chmod(0o400)
            await parts.database.close()
            (tmp_path / "parley.db").unlink()
            (tmp_path / "parley.db").mkdir()
            answer = await listen(parts.router, asks("Where does she live?"))
            assert answer.routes == ["big", "small", "device"]
            assert [cloud.received for cloud in clouds] == [[], []]

    asyncio.run(main())
