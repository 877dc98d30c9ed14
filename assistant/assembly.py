"""A running assistant, put together from its configuration: the engines, and all that outlives a conversation.

Where the store can't be used, conversations go on without what needs it: timers and other reflexes, memory, and models
elsewhere, since nothing may leave this machine that can't be written down.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from assistant.config import Config
from assistant.factory import build
from assistant.memory import forgetting
from assistant.memory.build import build_embedder, remembering
from assistant.models import Store
from assistant.privacy.entries import Entry
from assistant.privacy.ledger import Ledger
from assistant.reflex import memory, sent
from assistant.reflex.build import open_reflexes
from assistant.reflex.responses import Responses
from assistant.reflex.timers import Timers
from assistant.reflex.watch_commands import WatchCommands
from assistant.reflex.watches import Watches
from assistant.router.build import alone, open_elsewhere, routed
from assistant.server.life import NewConversation
from assistant.server.present import Present
from assistant.store.errors import StoreError
from assistant.store.opening import open_store
from pipeline.engines import Engines
from pipeline.session import Session
from vision.detect.coco import LABELS


@dataclass(frozen=True, slots=True)
class Assembled:
    """What a server serves."""

    engines: Engines
    """The language model among them is the router."""
    begin: NewConversation = Session
    """Begins a conversation; it is kept, where the owner wants that."""
    ledger: Ledger | None = None
    spent_today: Sequence[Entry] = ()
    """What left this machine today, before it was assembled."""
    timers: Timers | None = None
    watches: Watches | None = None
    """Somebody lets both `run`."""


@asynccontextmanager
async def assemble(config: Config, models: Store, present: Present) -> AsyncIterator[Assembled]:
    """Put everything together, and take it apart at the end. Takes a few seconds.

    `present` finds the sessions that timers speak up in. Raises MissingModel when a model isn't on this machine, before
    anything is loaded, and ConfigError for what can't be had as it is configured.
    """
    folders = await asyncio.to_thread(lambda: {name: models.path(name) for name in config.models()})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_store(config.store.url))
        if isinstance(database, StoreError):
            engines = await stack.enter_async_context(build(config, models))
            # The model doesn't look for itself when it is asked what the camera shows.
            yield Assembled(engines if engines.eyes is None else replace(engines, llm=alone(engines.llm, config)))
            return
        embedder = build_embedder(config, folders.get(config.embeddings.model))
        if embedder is not None:
            stack.callback(embedder.close)
        elsewhere = await stack.enter_async_context(open_elsewhere(config, database, embedder))
        remembers = await stack.enter_async_context(remembering(config, database, embedder))
        parts = replace(elsewhere.parts, recall=remembers.memory)
        timers = watches = None
        if config.reflexes.enabled:
            watches = Watches(present)
            watching = WatchCommands(watches, LABELS, Responses())
            more = {
                **sent.handlers(elsewhere.ledger),
                **memory.handlers(remembers.memory),
                **forgetting.handlers(remembers.memory),
                **watching.handlers(),
            }
            present.when_seen(watches.saw)
            reflexes, timers = await stack.enter_async_context(open_reflexes(config, database, present, more=more))
            present.when_arrived(timers.arrived)
            parts = replace(parts, reflexes=reflexes, watch_for=watching.watch_for)
        # Last: what reading the sentences took is free again by now, and the engines can have it.
        engines = await stack.enter_async_context(build(config, models))
        if watches is not None:
            watches.eyes = engines.eyes is not None
        yield Assembled(
            replace(engines, llm=routed(engines.llm, config, parts)),
            remembers.begin(Session),
            elsewhere.ledger,
            await elsewhere.ledger.today(),
            timers,
            watches,
        )
