"""Departures and arrivals for tests of the ledger, and a clock that stands still."""

from datetime import UTC, datetime, timedelta
from typing import Any

from assistant.router.parts import Arrival, Departure
from pipeline.engines import Asker, ChatMessage, Picture

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


def departure(text: str = "What is Ada Lovelace known for?", *, picture: str = "", **fields: Any) -> Departure:
    pictures = (Picture(picture),) if picture else ()
    given: dict[str, Any] = {
        "asker": Asker(session="sess_1", turn="resp_1"),
        "backend": "big",
        "place": "cloud",
        "host": "api.example.com",
        "kind": "fact",
        "reason": "It is better at facts.",
        "messages": (ChatMessage("user", text, pictures),),
        "sent_bytes": len(text.encode()) + len(picture),
    }
    return Departure(**(given | fields))


def arrival(**fields: Any) -> Arrival:
    given: dict[str, Any] = {
        "input_tokens": 12,
        "output_tokens": 30,
        "estimated": False,
        "received_bytes": 99,
        "cost": 0.02,
        "outcome": "answered",
        "first_token_s": 0.4,
    }
    return Arrival(**(given | fields))
