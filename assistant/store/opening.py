"""The store of a server: one that can't be used is told, and does not keep anybody from talking."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from assistant.store.database import Database
from assistant.store.errors import StoreError

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_store(url: str = "") -> AsyncGenerator[Database | StoreError, None]:
    """Lend the store, or what is wrong with it: then a warning has said so, and the server does what it can without.

    Import the modules that define tables before.
    """
    try:
        database = await Database.open(url)
    except StoreError as error:
        logger.warning("%s Until then nothing is kept, and nothing is sent to other machines.", error)
        yield error
        return
    async with database:
        yield database
