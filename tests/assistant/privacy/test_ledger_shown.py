"""The ledger as it is shown: by `parley ledger`, and to the page."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest
from click.testing import CliRunner, Result

from assistant import cli, config
from assistant.privacy.build import build_budgets, build_masks
from assistant.privacy.command import moment
from assistant.privacy.ledger import Ledger
from assistant.router.budget import Budgets, Price
from assistant.server.app import build_app
from assistant.store.database import Database
from pipeline.engines import ChatMessage
from pipeline.errors import ParleyError
from tests.assistant.privacy.departures import NOON, Clock, arrival, departure

PRICES = {"big": Price(1.0, 1.0)}


async def fill(url: str, clock: Callable[[], datetime]) -> None:
    async with await Database.open(url) as database, Ledger(database, Budgets(prices=PRICES, now=clock)) as ledger:
        await ledger.closed(await ledger.opened(departure(masked=2, picture="data:image/png;base64,AA")), arrival())
        lan = departure(place="lan", backend="nas", host="nas:11434")
        await ledger.closed(await ledger.opened(lan), arrival(outcome="failed", error="TooSlowError", cost=0.0))
        await ledger.opened(departure(reason="You asked for the big brain."))


# On the command line.


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    file = tmp_path / "my.toml"
    file.write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/parley.db"\n[budget]\ntimezone = "Europe/Berlin"\ncurrency = "EUR"'
    )

    def invoke(*options: str) -> Result:
        return CliRunner().invoke(cli.main, ["ledger", "--config", str(file), *options])

    return invoke


def test_looking_into_an_empty_ledger_makes_no_store(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("--since", "2026-11-01")
    assert (result.exit_code, result.output) == (
        0,
        "Nothing has left this machine since 1 November 2026, 00:00.\n",
    )
    assert not (tmp_path / "parley.db").exists()


def test_what_left_today(run: Callable[..., Result], tmp_path: Path) -> None:
    now = datetime.now(UTC)
    asyncio.run(fill(f"sqlite:///{tmp_path}/parley.db", lambda: now))
    output = run().output
    assert "api.example.com (cloud, big)" in output
    assert "55 bytes, 1 picture" in output
    assert "You asked for the big brain." in output
    assert "open: under way, or Parley was stopped in the middle of it." in output
    assert "0.02 EUR" in output
    assert "~0.00" in output
    assert "nas:11434 (lan, nas): 1 request, 1 of them without an answer, 31 bytes sent" in output
    assert "In all: 0.02 EUR" in output


def test_json_and_csv(run: Callable[..., Result], tmp_path: Path) -> None:
    asyncio.run(fill(f"sqlite:///{tmp_path}/parley.db", Clock()))
    report = json.loads(run("--since", "2026-11-24", "--json").output)
    assert report["since"] == "2026-11-24T00:00:00+01:00"
    assert [entry["outcome"] for entry in report["entries"]] == ["answered", "failed", "open"]
    assert report["entries"][0]["opened_at"] == "2026-11-24T12:00:00.000+00:00"
    assert [total["host"] for total in report["totals"]] == ["api.example.com", "nas:11434"]
    rows = list(csv.DictReader(io.StringIO(run("--since", "2026-11-24", "--csv").output)))
    assert [row["cost"] for row in rows][:2] == ["0.02", "0.0"]
    assert rows[0]["currency"] == "EUR"
    assert run("--since", "2026-11-24T14:00").output.startswith("Nothing has left")


@pytest.mark.parametrize("options", [("--since", "yesteryear"), ("--json", "--csv"), ("--since", "2026-13-01")])
def test_options_that_make_no_sense(run: Callable[..., Result], options: tuple[str, ...]) -> None:
    result = run(*options)
    assert result.exit_code == 2
    assert "--" in result.output


def test_when_since_is() -> None:
    budgets = Budgets(zone=ZoneInfo("Europe/Berlin"), now=Clock())
    assert moment("7d", budgets) == NOON - timedelta(days=7)
    assert moment("12 h", budgets) == NOON - timedelta(hours=12)
    assert moment("2026-07-01", budgets) == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert moment("2026-07-01T00:00+00:00", budgets) == datetime(2026, 7, 1, tzinfo=UTC)


# To the page.


def get(
    folder: Path, query: str = "", *, token: str | None = None, key: str = "", stored: bool = True
) -> httpx2.Response:
    """Ask a server that keeps its ledger in this folder."""

    async def main() -> httpx2.Response:
        app = build_app(config.load(), token=token)
        async with (
            await Database.open(f"sqlite:///{folder}/parley.db") as database,
            Ledger(database, Budgets(prices=PRICES, now=Clock())) as ledger,
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
        ):
            app.state.house.ledger = ledger if stored else None
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return await client.get(f"/v1/parley/ledger{query}", headers=headers)

    return asyncio.run(main())


def test_the_page_is_told_what_left_today(tmp_path: Path) -> None:
    asyncio.run(fill(f"sqlite:///{tmp_path}/parley.db", Clock()))
    response = get(tmp_path)
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert [entry["outcome"] for entry in body["data"]] == ["open", "failed", "answered"]
    assert body["total"]["requests"] == 3
    assert body["total"]["pictures"] == 1
    assert [total["host"] for total in body["totals"]] == ["api.example.com", "nas:11434"]
    assert body["currency"] == "USD"
    assert body["spent"]["day"] == pytest.approx(0.02, abs=0.001)
    assert body["has_more"] is False


def test_the_newest_come_first_and_a_limit_leaves_out_the_others(tmp_path: Path) -> None:
    asyncio.run(fill(f"sqlite:///{tmp_path}/parley.db", Clock()))
    body = get(tmp_path, "?since=2026-11-24T00:00:00+00:00&limit=1").json()
    assert [entry["outcome"] for entry in body["data"]] == ["open"]
    assert body["has_more"] is True
    assert body["total"]["requests"] == 3
    assert get(tmp_path, "?since=2026-11-25").json()["data"] == []


@pytest.mark.parametrize("query", ["?since=once", "?limit=0", "?limit=1001", "?limit=x", "?limit=-1"])
def test_a_question_that_makes_no_sense(tmp_path: Path, query: str) -> None:
    response = get(tmp_path, query)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == query[1:].partition("=")[0]


def test_it_is_shown_only_to_who_has_the_token(tmp_path: Path) -> None:
    assert get(tmp_path, token="right").status_code == 401
    assert get(tmp_path, token="right", key="wrong").status_code == 401
    assert get(tmp_path, token="right", key="right").status_code == 200


def test_a_server_without_a_store_says_so(tmp_path: Path) -> None:
    response = get(tmp_path, stored=False)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "no_ledger"


# From the configuration.


@dataclass(frozen=True)
class Priced:
    name: str = "big"
    price_in: float = 1.0
    price_out: float = 2.0
    currency: str = "USD"


def settings(tmp_path: Path, text: str) -> config.Config:
    file = tmp_path / "my.toml"
    file.write_text(text)
    return config.load(file=file)


def test_budgets_of_the_configuration(tmp_path: Path) -> None:
    chosen = settings(tmp_path, '[budget]\ndaily = 1.0\ntimezone = "Asia/Tokyo"\n[budget.backends.big]\nmonthly = 0.5')
    budgets = build_budgets(chosen, [Priced()])
    assert budgets.expects("big", 1_000_000, 0) == 1.0
    assert (
        budgets.allows("big", 0.6)
        == "this month's budget for big of 0.50 USD has 0.50 USD left, and this may cost 0.60 USD"
    )
    assert budgets.allows("other", 1.1) is not None
    assert budgets.zone == ZoneInfo("Asia/Tokyo")
    assert build_budgets(config.load()).allows("big", 1e9) is None


@pytest.mark.parametrize(
    ("text", "backends", "words"),
    [
        ("[budget.backends.huge]\ndaily = 1", [Priced()], "there is no backend of that name"),
        ('[budget]\ncurrency = "EUR"', [Priced()], "give all of them in one currency"),
        ('[budget]\ntimezone = "Europe/Berlim"', [], "Did you mean 'Europe/Berlin'?"),
        ("[budget]\ndaily = -1", [], "greater than or equal to 0"),
        ('[budget]\ncurrency = "euro"', [], "currency"),
        ('[privacy]\nregion = "Germany"', [], "region"),
    ],
)
def test_a_configuration_that_makes_no_sense(tmp_path: Path, text: str, backends: list[Priced], words: str) -> None:
    with pytest.raises(config.ConfigError, match=re.escape(words)):
        build_budgets(settings(tmp_path, text), backends)


def test_masks_of_the_configuration(tmp_path: Path) -> None:
    masks = build_masks(settings(tmp_path, '[privacy]\nnames = ["Mia"]\nregion = "DE"'))
    assert masks is not None
    (message,), _ = masks.mask([ChatMessage("user", "Mia has 030 1234567, or +49 30 1234567.")])
    assert message.content == "[PERSON_1] has [PHONE_1], or [PHONE_1]."
    assert build_masks(settings(tmp_path, "[privacy]\nmask = false")) is None


def test_an_option_that_is_no_time_is_an_error_of_ours() -> None:
    with pytest.raises(ParleyError, match="is no time"):
        moment("soon", Budgets())
