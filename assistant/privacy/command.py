"""`parley ledger`: what left this machine, to whom, how much of it, at what cost."""

import asyncio
import csv
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from assistant import config
from pipeline.errors import ParleyError

if TYPE_CHECKING:
    from assistant.config import Config
    from assistant.privacy.entries import Entry, Total
    from assistant.router.budget import Budgets

_AGO: Final = re.compile(r"(\d{1,5})\s*([dhw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.command(short_help="Show what left this machine, to whom, and at what cost.")
@click.option(
    "--since", metavar="WHEN", help="A day (2026-11-01), a moment (2026-11-01T18:00), or so long ago: 12h, 7d, 4w."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="The TOML file that the server is started with."
)
@click.option("--profile", type=click.Choice(config.profiles()), help="The profile that the server is started with.")
def ledger(since: str | None, as_json: bool, as_csv: bool, file: Path | None, profile: str | None) -> None:
    """Show what left this machine today, or since WHEN, the oldest first.

    Each line is one request to a model elsewhere: when, to whom, how much was sent, how many pieces of personal data
    were hidden in it, what came of it and what it cost. What was said is not kept; a request's SHA-256 is.
    """
    if as_json and as_csv:
        raise ParleyError("Choose one of --json and --csv.")
    chosen = config.load(profile=profile, file=file)
    from assistant.privacy.build import build_budgets  # noqa: PLC0415 - the other commands start without these
    from assistant.privacy.entries import Entry, totals  # noqa: PLC0415
    from assistant.store.database import place  # noqa: PLC0415

    budgets = build_budgets(chosen.model_copy(update={"budget": chosen.budget.model_copy(update={"backends": {}})}))
    begin = budgets.midnight() if since is None else moment(since, budgets)
    at = place(chosen.store.url)
    # Looking makes no store.
    there = at.get_backend_name() != "sqlite" or Path(at.database or "").exists()
    entries = asyncio.run(_read(chosen, begin)) if there else []
    if as_json:
        summed = [asdict(total) for total in totals(entries)]
        report = {
            "since": begin.isoformat(timespec="seconds"),
            "currency": budgets.currency,
            "entries": [entry.as_json() for entry in entries],
            "totals": summed,
        }
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, [*(field.name for field in fields(Entry)), "currency"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**entry.as_json(), "currency": budgets.currency} for entry in entries)
    else:
        _show(entries, totals(entries), begin, budgets)


def moment(text: str, budgets: "Budgets") -> datetime:
    """Read the option --since. Raises ParleyError."""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return budgets.now() - int(ago[1]) * _UNITS[ago[2]]
        day = datetime.fromisoformat(text.strip())
        return budgets.local(day) if day.tzinfo is None else day
    except (ValueError, OverflowError) as error:
        raise ParleyError(
            f"--since {text!r} is no time: write a day (2026-11-01), a moment (2026-11-01T18:00), or so long ago (7d)."
        ) from error


async def _read(chosen: "Config", begin: datetime) -> "list[Entry]":
    from assistant.privacy.entries import read  # noqa: PLC0415 - as above
    from assistant.store.database import Database  # noqa: PLC0415

    async with await Database.open(chosen.store.url) as database:
        return await read(database, begin)


def _show(entries: "Sequence[Entry]", summed: "Sequence[Total]", begin: datetime, budgets: "Budgets") -> None:
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415

    from assistant.catalogue import size  # noqa: PLC0415
    from assistant.privacy.entries import OPEN  # noqa: PLC0415
    from assistant.router.budget import money  # noqa: PLC0415

    since = begin.astimezone(budgets.zone).strftime("%d %B %Y, %H:%M").lstrip("0")
    if not entries:
        click.echo(f"Nothing has left this machine since {since}.")
        return
    console = Console()
    if not console.is_terminal:
        console.width = 160
    table = Table("when", "to", "sent", "hidden", "came back", "cost", "why", box=None, pad_edge=False)
    for column in table.columns[:1]:
        column.no_wrap = True
    for entry in entries:
        pictures = f", {entry.pictures} picture{'s' * (entry.pictures > 1)}" if entry.pictures else ""
        outcome = _OUTCOMES.get(entry.outcome, entry.outcome)
        table.add_row(
            entry.opened_at.astimezone(budgets.zone).strftime("%Y-%m-%d %H:%M:%S"),
            f"{entry.host} ({entry.place}, {entry.backend})",
            f"{size(entry.sent_bytes)}{pictures}",
            str(entry.masked or ""),
            outcome or size(entry.received_bytes),
            f"{'~' * (entry.estimated and entry.cost > 0)}{money(entry.cost, budgets.currency)}",
            entry.reason,
        )
    console.print(table, markup=False)
    if any(entry.outcome == OPEN for entry in entries):
        click.echo("\nopen: under way, or Parley was stopped in the middle of it.")
    click.echo(f"\nSince {since}:")
    for total in summed:
        unfinished = f", {total.unfinished} of them without an answer" if total.unfinished else ""
        click.echo(
            f"  {total.host} ({total.place}, {total.backend}): {total.requests} request{'s' * (total.requests != 1)}"
            f"{unfinished}, {size(total.sent_bytes)} sent, {total.input_tokens} tokens in and {total.output_tokens} "
            f"out, {money(total.cost, budgets.currency)}"
        )
    click.echo(f"  In all: {money(sum(total.cost for total in summed), budgets.currency)}")


_OUTCOMES: Final = {
    "answered": "",
    "failed": "failed",
    "cancelled": "broken off",
    "unsent": "given up before it was sent",
    "open": "open",
}
