"""The egress ledger's entries: what left this machine, to whom, when, at what cost. Never the words themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, Column, Float, Integer, Row, String, Table, select

from assistant.store.database import Database, UtcDateTime, metadata

OPEN: Final = "open"
"""The outcome of what isn't over, or was broken off together with the program."""
UNSENT: Final = "unsent"
"""The outcome of what was given up before a byte of it left."""

EGRESS: Final = Table(
    "egress",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("opened_at", UtcDateTime, nullable=False, index=True),
    Column("closed_at", UtcDateTime),
    Column("user", String(200), nullable=False),
    Column("session", String(200), nullable=False),
    Column("turn", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("delegated", Boolean, nullable=False),
    Column("backend", String(200), nullable=False),
    Column("place", String(10), nullable=False),
    Column("host", String(300), nullable=False),
    Column("text_bytes", Integer, nullable=False),
    Column("pictures", Integer, nullable=False),
    Column("picture_bytes", Integer, nullable=False),
    Column("masked", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("error", String(200), nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("received_bytes", Integer, nullable=False),
    Column("cost", Float, nullable=False),
    Column("first_token_s", Float),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One departure, and what came of it."""

    id: int
    opened_at: datetime
    closed_at: datetime | None
    user: str
    session: str
    turn: str
    kind: str
    reason: str
    delegated: bool
    backend: str
    place: str
    host: str
    text_bytes: int
    pictures: int
    picture_bytes: int
    masked: int
    sha256: str
    """Of what was sent, as JSON: it proves what was sent to who has it, and tells nobody else."""
    outcome: str
    """open, answered, failed, cancelled or unsent."""
    error: str
    input_tokens: int
    output_tokens: int
    estimated: bool
    """The tokens and the cost are what they were expected to be, since the backend didn't say."""
    received_bytes: int
    cost: float
    first_token_s: float | None

    @property
    def sent_bytes(self) -> int:
        """Text and pictures together."""
        return self.text_bytes + self.picture_bytes

    def as_json(self) -> dict[str, Any]:
        """Return the fields, for programs; moments are ISO 8601 in UTC."""
        fields = asdict(self)
        fields["opened_at"] = self.opened_at.isoformat(timespec="milliseconds")
        fields["closed_at"] = self.closed_at and self.closed_at.isoformat(timespec="milliseconds")
        return fields


@dataclass(frozen=True, slots=True)
class Total:
    """What went to one host, or to all, in a time."""

    host: str = ""
    place: str = ""
    backend: str = ""
    requests: int = 0
    unfinished: int = 0
    """Those that failed, were cancelled or are open."""
    pictures: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    masked: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    estimated: bool = field(default=False)

    def plus(self, entry: Entry) -> "Total":
        """Return the total with one more entry."""
        return Total(
            self.host,
            self.place,
            self.backend,
            self.requests + 1,
            self.unfinished + (entry.outcome != "answered"),
            self.pictures + entry.pictures,
            self.sent_bytes + entry.sent_bytes,
            self.received_bytes + entry.received_bytes,
            self.masked + entry.masked,
            self.input_tokens + entry.input_tokens,
            self.output_tokens + entry.output_tokens,
            self.cost + entry.cost,
            self.estimated or entry.estimated,
        )


def totals(entries: Iterable[Entry]) -> list[Total]:
    """Return one total for each backend, what went to the cloud first. What was never sent doesn't count."""
    found: dict[tuple[str, str, str], Total] = {}
    for entry in entries:
        if entry.outcome != UNSENT:
            key = (entry.host, entry.place, entry.backend)
            found[key] = found.get(key, Total(*key)).plus(entry)
    return sorted(found.values(), key=lambda total: (total.place, total.host, total.backend))


def overall(entries: Iterable[Entry]) -> Total:
    """Return the total of all that was sent."""
    total = Total()
    for entry in entries:
        if entry.outcome != UNSENT:
            total = total.plus(entry)
    return total


async def read(
    database: Database, since: datetime, *, until: datetime | None = None, most: int | None = None
) -> list[Entry]:
    """Return the entries opened since then, the oldest first; of more than `most`, the newest. Raises StoreError."""
    query = select(EGRESS).where(EGRESS.c.opened_at >= since).order_by(EGRESS.c.id.desc()).limit(most)
    if until is not None:
        query = query.where(EGRESS.c.opened_at < until)
    async with database.reading() as connection:
        rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return [Entry(**row._mapping) for row in reversed(rows)]
