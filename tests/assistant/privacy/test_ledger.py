"""The egress ledger: what it holds, when, and what it says aloud."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy import text as sql

from assistant.privacy.entries import EGRESS, Entry, overall, read, totals
from assistant.privacy.ledger import Ledger, digest
from assistant.privacy.said import said
from assistant.router.budget import ALL, BudgetError, Budgets, Limit, Price
from assistant.store.database import Database, StoreError
from pipeline.engines import Asker, ChatMessage
from tests.assistant.privacy.departures import NOON, Clock, arrival, departure

ROOT = Path(__file__).resolve().parents[3]
PRICES = {"big": Price(2.0, 10.0)}
YEAR = timedelta(days=365)


async def entries(url: str) -> list[Entry]:
    async with await Database.open(url) as database:
        return await read(database, NOON - YEAR)


def test_an_entry_stands_before_anything_leaves_and_has_the_true_figures_after(store_url: str) -> None:
    async def main() -> None:
        clock = Clock()
        async with await Database.open(store_url) as database:
            async with Ledger(database, Budgets(prices=PRICES, now=clock)) as ledger:
                leaving = departure("Hello there", picture="data:image/png;base64,AAAA", masked=2, delegated=True)
                number = await ledger.opened(leaving)
                (entry,) = await entries(store_url)  # through another connection: it is committed
                assert (entry.id, entry.outcome, entry.closed_at) == (number, "open", None)
                assert (entry.text_bytes, entry.pictures, entry.picture_bytes, entry.masked) == (11, 1, 26, 2)
                assert entry.cost > 0
                assert entry.estimated
                clock.advance(seconds=3)
                await ledger.closed(number, arrival())
            (entry,) = await entries(store_url)
        assert entry == Entry(
            id=number,
            opened_at=NOON,
            closed_at=NOON + timedelta(seconds=3),
            user="owner",
            session="sess_1",
            turn="resp_1",
            kind="fact",
            reason="It is better at facts.",
            delegated=True,
            backend="big",
            place="cloud",
            host="api.example.com",
            text_bytes=11,
            pictures=1,
            picture_bytes=26,
            masked=2,
            sha256=digest(leaving.messages),
            outcome="answered",
            error="",
            input_tokens=12,
            output_tokens=30,
            estimated=False,
            received_bytes=99,
            cost=0.02,
            first_token_s=0.4,
        )

    asyncio.run(main())


def test_no_word_of_what_was_said_is_in_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Database.open(url) as database, Ledger(database, Budgets()) as ledger:
            number = await ledger.opened(departure("xylophone secrets", picture="data:image/png;base64,QUJDREVG"))
            await ledger.closed(number, arrival())

    url = f"sqlite:///{tmp_path / 'parley.db'}"
    asyncio.run(main())
    for file in tmp_path.iterdir():
        assert b"xylophone" not in file.read_bytes()
        assert b"QUJDREVG" not in file.read_bytes()


def test_what_is_sent_again_has_the_same_hash_and_anything_else_another() -> None:
    one, other = ChatMessage("user", "a"), ChatMessage("user", "b")
    assert digest([one]) == digest([one])
    assert len({digest([one]), digest([other]), digest([one, other]), digest([])}) == 4


def test_a_crash_leaves_an_open_entry_that_counts_with_what_it_was_to_cost(store_url: str) -> None:
    program = f"""
import asyncio, os
from assistant.privacy.ledger import Ledger
from assistant.router.budget import Budgets
from assistant.store.database import Database
from tests.assistant.privacy.departures import Clock, departure
from tests.assistant.privacy.test_ledger import PRICES

async def main():
    ledger = Ledger(await Database.open({store_url!r}), Budgets(prices=PRICES, now=Clock()))
    async with ledger:
        await ledger.opened(departure())
        os._exit(9)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 9

    async def main() -> None:
        async with await Database.open(store_url) as database:
            budgets = Budgets({ALL: Limit(day=0.0001)}, prices=PRICES, now=Clock())
            async with Ledger(database, budgets) as ledger:
                (entry,) = await ledger.today()
                assert (entry.outcome, entry.closed_at) == ("open", None)
                assert budgets.spent("day") == entry.cost > 0
                assert "came to nothing" in await ledger.said_today("owner", "en")
                with pytest.raises(BudgetError):
                    await ledger.opened(departure())

    asyncio.run(main())


def test_nothing_may_leave_when_it_cannot_be_written_down(tmp_path: Path) -> None:
    async def main() -> None:
        budgets = Budgets(prices=PRICES)
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, budgets) as ledger,
        ):
            async with database.writing() as connection:
                await connection.execute(sql("DROP TABLE egress"))
            with pytest.raises(StoreError, match="no such table"):
                await ledger.opened(departure())
            assert await ledger.said_today("owner", "en") == "I can't look into my ledger right now."
        assert budgets.allows("big", 1) is None
        assert budgets._reserved == {}

    asyncio.run(main())


def test_who_is_interrupted_while_it_is_written_down_has_sent_nothing(store_url: str) -> None:
    async def main() -> None:
        budgets = Budgets(prices=PRICES, now=Clock())
        async with await Database.open(store_url) as database, Ledger(database, budgets) as ledger:
            for turns in range(12):
                opening = asyncio.create_task(ledger.opened(departure()))
                for _ in range(turns):
                    await asyncio.sleep(0)
                opening.cancel()
                await asyncio.wait([opening])
            for _ in range(3):
                number = await ledger.opened(departure())
                await ledger.closed(number, arrival())
            found = await ledger.today()
            assert {entry.outcome for entry in found} <= {"answered", "unsent"}
            assert overall(found).requests == 3
            assert all(entry.sent_bytes == 0 and entry.cost == 0 for entry in found if entry.outcome == "unsent")
            assert (await ledger.said_today("owner", "en")).startswith("Today I sent 3 requests to api.example.com.")
        assert budgets._reserved == {}
        assert budgets.spent("day") == pytest.approx(0.06)

    asyncio.run(main())


def test_an_entry_that_was_written_when_its_task_was_cancelled_is_closed(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, Budgets(now=Clock())) as ledger,
        ):
            opening = asyncio.create_task(ledger.opened(departure()))
            while not opening.done() and not await entries(f"sqlite:///{tmp_path / 'parley.db'}"):
                pass
            opening.cancel()
            await asyncio.wait([opening])
            if opening.cancelled():
                (entry,) = await ledger.today()
                assert entry.outcome == "unsent"

    asyncio.run(main())


def test_two_hundred_at_once_are_all_there_and_none_is_mixed_up(store_url: str) -> None:
    async def one(ledger: Ledger, number: int) -> None:
        entry = await ledger.opened(departure("x" * number, backend=f"b{number % 7}"))
        await asyncio.sleep(0)
        await ledger.closed(entry, arrival(output_tokens=number))

    async def main() -> None:
        async with await Database.open(store_url) as database:
            async with Ledger(database, Budgets(now=Clock())) as ledger, asyncio.TaskGroup() as group:
                for number in range(200):
                    group.create_task(one(ledger, number))
            found = await entries(store_url)
        assert sorted(entry.text_bytes for entry in found) == list(range(200))
        assert all(entry.output_tokens == entry.text_bytes for entry in found)
        assert all(entry.backend == f"b{entry.text_bytes % 7}" for entry in found)
        assert {entry.outcome for entry in found} == {"answered"}

    asyncio.run(main())


def test_closing_waits_for_no_disk_and_a_second_time_does_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        budgets = Budgets(prices=PRICES, now=Clock())
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, budgets) as ledger,
        ):
            number = await ledger.opened(departure())
            async with database.writing():  # nobody else can write now
                async with asyncio.timeout(1):
                    await ledger.closed(number, arrival())
                    await ledger.closed(number, arrival(cost=5.0))
                assert budgets.spent("day") == pytest.approx(0.02)
            (entry,) = await ledger.today()
            assert entry.cost == 0.02

    asyncio.run(main())


def test_a_closing_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, Budgets(now=Clock())) as ledger,
        ):
            number = await ledger.opened(departure())
            writing, failures = database.writing, iter([True, True])

            def sometimes() -> object:
                if next(failures, False):
                    raise StoreError("locked")
                return writing()

            monkeypatch.setattr(database, "writing", sometimes)
            await ledger.closed(number, arrival())
            (entry,) = await ledger.today()
            assert entry.outcome == "answered"

    asyncio.run(main())


def test_a_model_on_this_machine_has_no_entry(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database:
            async with Ledger(database, Budgets(now=Clock())) as ledger:
                number = await ledger.opened(departure(place="device", host=""))
                await ledger.closed(number, arrival())
                assert await ledger.today() == []
            async with database.reading() as connection:
                assert (await connection.execute(select(EGRESS))).all() == []

    asyncio.run(main())


def test_a_budget_is_kept_though_many_begin_at_once(tmp_path: Path) -> None:
    async def one(ledger: Ledger) -> bool:
        try:
            number = await ledger.opened(departure())
        except BudgetError:
            return False
        await asyncio.sleep(0.01)
        await ledger.closed(number, arrival(cost=0.0015))
        return True

    async def main() -> None:
        budgets = Budgets({"big": Limit(day=0.01)}, prices={"big": Price(0, 10)}, now=Clock())  # 0.0015 each
        async with await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database:
            async with Ledger(database, budgets) as ledger:
                begun = await asyncio.gather(*(one(ledger) for _ in range(50)))
                assert sum(begun) == 6
                assert budgets.spent("day", "big") == pytest.approx(0.009)
            again = Budgets({"big": Limit(day=0.01)}, prices={"big": Price(0, 10)}, now=Clock())
            async with Ledger(database, again) as ledger:
                assert again.spent("month") == pytest.approx(0.009)
                with pytest.raises(BudgetError, match="today's budget for big"):
                    await ledger.opened(departure())

    asyncio.run(main())


def test_today_is_the_owners_day(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock(NOON + timedelta(hours=2))  # 23:00 in Tokyo
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, Budgets(now=clock, zone=ZoneInfo("Asia/Tokyo"))) as ledger,
        ):
            await ledger.closed(await ledger.opened(departure()), arrival())
            clock.advance(minutes=59)
            assert len(await ledger.today()) == 1
            clock.advance(minutes=2)
            assert await ledger.today() == []
            assert await ledger.said_today("owner", None) == "Nothing left this machine today."

    asyncio.run(main())


# Said aloud.


def entry(**fields: object) -> Entry:
    given: dict[str, object] = {
        "id": 1,
        "opened_at": NOON,
        "closed_at": NOON,
        "user": "owner",
        "session": "",
        "turn": "",
        "kind": "fact",
        "reason": "",
        "delegated": False,
        "backend": "big",
        "place": "cloud",
        "host": "api.example.com",
        "text_bytes": 10,
        "pictures": 0,
        "picture_bytes": 0,
        "masked": 0,
        "sha256": "",
        "outcome": "answered",
        "error": "",
        "input_tokens": 1,
        "output_tokens": 1,
        "estimated": False,
        "received_bytes": 1,
        "cost": 0.0,
        "first_token_s": None,
    }
    return Entry(**(given | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "language", "words"),
    [
        ([], "en", "Nothing left this machine today."),
        ([{"outcome": "unsent"}], "en", "Nothing left this machine today."),
        ([{}], "en", "Today I sent one request to api.example.com."),
        ([{}], "xx", "Today I sent one request to api.example.com."),
        (
            [{"pictures": 1, "masked": 3, "cost": 1.02}, {"masked": 1, "cost": 0.004}],
            "en-GB",
            "Today I sent 2 requests and a picture to api.example.com. I hid private details 4 times. "
            "It cost 1 dollar and 2 cents.",
        ),
        (
            [
                {"cost": 0.001, "outcome": "failed"},
                {"place": "lan", "host": "nas:11434"},
                {"place": "lan", "host": "nas:11434"},
            ],
            "en",
            "Today I sent 3 requests to nas:11434 in your network and api.example.com. One of them came to nothing. "
            "It cost less than a cent.",
        ),
        ([{}], "de", "Heute habe ich eine Anfrage an api.example.com geschickt."),
        ([{"cost": 0.5}], "fr", "Aujourd'hui, j'ai envoyé une demande à api.example.com. Cela a coûté 0,50 dollars."),
        ([], "es", "Hoy no ha salido nada de esta máquina."),
    ],
)
def test_the_day_in_a_sentence_or_two(made: list[dict[str, object]], language: str, words: str) -> None:
    assert said([entry(**fields) for fields in made], "USD", language) == words


def test_only_what_was_sent_for_this_user_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, Budgets(now=Clock())) as ledger,
        ):
            await ledger.closed(await ledger.opened(departure(asker=Asker(user="guest"))), arrival())
            assert await ledger.said_today("owner", "en") == "Nothing left this machine today."
            assert (await ledger.said_today("guest", "en")).startswith("Today I sent one request")

    asyncio.run(main())


def test_totals_by_host() -> None:
    found = totals(
        [
            entry(cost=1.0, input_tokens=5),
            entry(cost=0.5, outcome="cancelled", estimated=True),
            entry(place="lan", host="nas"),
            entry(outcome="unsent", host="nowhere"),
        ]
    )
    assert [(total.host, total.requests, total.unfinished, total.cost, total.estimated) for total in found] == [
        ("api.example.com", 2, 1, 1.5, True),
        ("nas", 1, 0, 0.0, False),
    ]
