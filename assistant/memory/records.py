"""All that is kept of a person, in one piece: to be read, and taken away."""

from datetime import UTC, datetime
from itertools import groupby
from typing import TypedDict

from sqlalchemy import select

from assistant.memory.tables import FACT, memories
from assistant.store.database import Database


class FactRecord(TypedDict):
    """A fact."""

    text: str
    language: str
    at: str


class MessageRecord(TypedDict):
    """A message."""

    role: str
    text: str
    at: str


class ConversationRecord(TypedDict):
    """A conversation."""

    session: str
    messages: list[MessageRecord]


class Record(TypedDict):
    """Everything of one person; moments are ISO 8601 in UTC."""

    user: str
    exported_at: str
    facts: list[FactRecord]
    conversations: list[ConversationRecord]


async def record(database: Database, user: str) -> Record:
    """Return everything that is kept of a person."""
    columns = (memories.c.role, memories.c.session, memories.c.text, memories.c.language, memories.c.at)
    chosen = select(*columns).where(memories.c.user == user).order_by(memories.c.id)
    async with database.reading() as connection:
        rows = (await connection.execute(chosen)).all()
    said = sorted((row for row in rows if row.role != FACT), key=lambda row: row.session)  # keeps their order inside
    conversations: list[ConversationRecord] = [
        {
            "session": session,
            "messages": [{"role": row.role, "text": row.text, "at": _moment(row.at)} for row in of_it],
        }
        for session, of_it in groupby(said, key=lambda row: row.session)
    ]
    return {
        "user": user,
        "exported_at": _moment(datetime.now(UTC)),
        "facts": [
            {"text": row.text, "language": row.language, "at": _moment(row.at)} for row in rows if row.role == FACT
        ],
        "conversations": sorted(conversations, key=lambda each: each["messages"][0]["at"]),
    }


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
