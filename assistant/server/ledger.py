"""`GET /v1/parley/ledger`: what left this machine, for the page and for programs."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from assistant.privacy.entries import overall, totals
from assistant.privacy.ledger import Ledger
from assistant.server.http_errors import refusal
from assistant.store.errors import StoreError

_MOST: Final = 1000
_USUAL: Final = 100


def ledger_routes(ledger: Callable[[], Ledger | None]) -> list[BaseRoute]:
    """Return the route below /v1; `ledger` returns None where nothing can leave, or be written down."""

    async def show(request: Request) -> Response:
        kept = ledger()
        if kept is None:
            message = "There is no ledger: this server has no store, or it is still starting. Nothing has left it."
            return refusal(503, "no_ledger", message)
        try:
            since = _since(request.query_params.get("since"), kept)
            most = _limit(request.query_params.get("limit"))
        except ValueError as error:
            return refusal(400, "invalid_value", str(error.args[0]), str(error.args[1]))
        try:
            entries = await kept.since(since)
        except StoreError as error:
            return refusal(503, "store_failed", str(error))
        body = {
            "object": "list",
            "since": since.isoformat(timespec="seconds"),
            "currency": kept.budgets.currency,
            "spent": {"day": kept.budgets.spent("day"), "month": kept.budgets.spent("month")},
            "total": asdict(overall(entries)),
            "totals": [asdict(total) for total in totals(entries)],
            "data": [entry.as_json() for entry in reversed(entries[-most:])],
            "has_more": len(entries) > most,
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    return [Route("/parley/ledger", show, methods=["GET"])]


def _since(text: str | None, ledger: Ledger) -> datetime:
    if text is None:
        return ledger.budgets.midnight()
    try:
        # A plus sign in a query is a space, and a moment with a zone has one.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise ValueError(
            f"since is {text!r}: write a day such as 2026-11-01, or a moment (ISO 8601).", "since"
        ) from None
    return ledger.budgets.local(moment) if moment.tzinfo is None else moment


def _limit(text: str | None) -> int:
    if text is None:
        return _USUAL
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise ValueError(f"limit is {text!r}: it is a number from 1 to {_MOST}.", "limit")
    return int(text)
