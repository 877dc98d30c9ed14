"""Memory as the configuration has it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant.config import Config
from assistant.embeddings import MiniLm
from assistant.memory.conversations import Conversations, keeping
from assistant.memory.listening import listened
from assistant.memory.memory import Memory
from assistant.server.life import NewConversation
from assistant.store.database import Database


@dataclass(frozen=True, slots=True)
class Remembering:
    """What remembers."""

    memory: Memory
    conversations: Conversations | None

    def begin(self, begin: NewConversation) -> NewConversation:
        """Return what begins conversations: those are kept, where the owner wants that."""
        return begin if self.conversations is None else listened(begin, self.conversations)


def build_embedder(config: Config, folder: Path | None) -> MiniLm | None:
    """Return what says what sentences mean, from the model's folder; None where it is switched off."""
    return None if config.embeddings.engine == "none" or folder is None else MiniLm(folder)


@asynccontextmanager
async def remembering(config: Config, database: Database, embedder: MiniLm | None) -> AsyncGenerator[Remembering, None]:
    """Remember while the block runs; what is still to be written then is written.

    The tables must be there: import this before the database is opened.
    """
    settings = config.memory
    memory = Memory(database, embedder, most_relevant=settings.most_relevant)
    if embedder is not None and await memory.has_facts():
        await embedder.warm()  # the first question is about to need it
    if not settings.conversations:
        yield Remembering(memory, None)
        return
    conversations = Conversations(database, embedder, retention_days=settings.retention_days)
    async with keeping(conversations):
        yield Remembering(memory, conversations)
