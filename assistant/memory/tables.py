"""What is kept about people, in one table: facts that they asked to be remembered, and what was said and heard."""

from typing import Final

from sqlalchemy import DDL, Column, Index, Integer, LargeBinary, String, Table, event, func, literal_column
from sqlalchemy.dialects.postgresql import REGCONFIG  # also tells `func` of full-text search

from assistant.store.schema import UtcDateTime, metadata

FACT: Final = "fact"

memories: Final = Table(
    "memories",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user", String, nullable=False),
    Column("role", String, nullable=False, comment="fact, or whose message it is: user, assistant"),
    Column("session", String, nullable=False, server_default=""),
    Column("item", String, comment="the message's id in its conversation"),
    Column("text", String, nullable=False),
    Column("language", String, nullable=False, server_default=""),
    Column("at", UtcDateTime, nullable=False),
    Column("vector", LargeBinary, comment="what it means: float16, little-endian; none where nothing could make one"),
    Index("ix_memories_user_role_at", "user", "role", "at"),
    Index("uq_memories_user_item", "user", "item", unique=True),
)
# English words lose their endings in the index; words of other languages stay as they are, more or less.
DOCUMENT: Final = func.to_tsvector(literal_column("'english'", REGCONFIG), memories.c.text)
Index("ix_memories_words", DOCUMENT, postgresql_using="gin").ddl_if(dialect="postgresql")

revisions: Final = Table(
    "memory_revisions",
    metadata,
    Column("user", String, primary_key=True),
    Column("revision", String, nullable=False, comment="another one after every change of the user's facts"),
)

WORDS: Final = "memory_words"
"""SQLite's full-text index of `memories`: its rows have the same ids."""

for _statement in (
    f"CREATE VIRTUAL TABLE IF NOT EXISTS {WORDS} USING fts5("
    "text, content='memories', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')",
    f"CREATE TRIGGER IF NOT EXISTS memories_added AFTER INSERT ON memories BEGIN "
    f"INSERT INTO {WORDS}(rowid, text) VALUES (new.id, new.text); END",
    f"CREATE TRIGGER IF NOT EXISTS memories_removed AFTER DELETE ON memories BEGIN "
    f"INSERT INTO {WORDS}({WORDS}, rowid, text) VALUES ('delete', old.id, old.text); END",
    f"CREATE TRIGGER IF NOT EXISTS memories_changed AFTER UPDATE OF text ON memories BEGIN "
    f"INSERT INTO {WORDS}({WORDS}, rowid, text) VALUES ('delete', old.id, old.text); "
    f"INSERT INTO {WORDS}(rowid, text) VALUES (new.id, new.text); END",
):
    event.listen(memories, "after_create", DDL(_statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
