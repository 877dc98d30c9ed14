"""Builds the router from the configuration: what is asked elsewhere, what watches over it, and how it is decided."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from assistant.config import Config, OwnPreset
from assistant.embeddings import MiniLm
from assistant.privacy.build import build_budgets, build_masks
from assistant.privacy.ledger import Ledger
from assistant.router.classifier import KindClassifier
from assistant.router.decision import FAR, PRESETS, Preset
from assistant.router.plan import Device
from assistant.router.registry import opened
from assistant.router.router import Parts, Router, RouterSettings
from assistant.store.database import Database
from pipeline.engines import LanguageModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is asked elsewhere, and what watches over it."""

    parts: Parts
    ledger: Ledger


@asynccontextmanager
async def open_elsewhere(config: Config, database: Database, embedder: MiniLm | None) -> AsyncIterator[Elsewhere]:
    """Open what is needed to ask others: backends, ledger, budgets, masks and the classifier; close it at the end.

    Without [[backends]] there is only the ledger, which can still be asked what left. `embedder` tells kinds of turns
    apart, where there is one. Raises ConfigError and StoreError.
    """
    async with AsyncExitStack() as stack:
        backends = await stack.enter_async_context(opened(config.backends, database))
        budgets = build_budgets(config, [backend.profile for backend in backends])
        ledger = await stack.enter_async_context(Ledger(database, budgets))
        if not backends:
            # What is about the camera is told apart as well; that is loaded when it is first needed.
            yield Elsewhere(Parts(classifier=None if embedder is None else KindClassifier(embedder)), ledger)
            return
        if embedder is not None:
            await embedder.warm()
        preset = router_settings(config).preset
        if embedder is None and FAR[preset.personal_floor] < FAR[preset.floor]:
            log.warning(
                "Without [embeddings] nobody can tell what is personal: with the preset %r, all turns go no farther "
                "than %r. Set [embeddings] engine, or personal_floor in a preset of your own.",
                preset.name,
                preset.personal_floor,
            )
        parts = Parts(
            backends=backends,
            classifier=None if embedder is None else KindClassifier(embedder),
            masks=build_masks(config),
            ledger=ledger,
            budgets=budgets,
        )
        yield Elsewhere(parts, ledger)


def routed(embedded: LanguageModel, config: Config, parts: Parts) -> LanguageModel:
    """Return the router over these parts; where there are none, the embedded model itself."""
    if not parts.backends and parts.reflexes is None and parts.recall is None:
        return embedded
    return Router(embedded, parts, router_settings(config))


def alone(embedded: LanguageModel, config: Config) -> LanguageModel:
    """Return the router over the embedded model alone: it tells the model what the camera shows."""
    return Router(embedded, Parts(), router_settings(config))


def router_settings(config: Config) -> RouterSettings:
    """Return how turns are routed."""
    presets = PRESETS | {name: _own(name, preset) for name, preset in config.router.presets.items()}
    return RouterSettings(
        preset=presets[config.router.preset],
        presets=presets,
        device=Device(quality=config.router.device_quality, context_tokens=config.llm.context_tokens),
        blur_faces=config.privacy.blur_faces,
        bridges=config.router.bridges,
        bridge_after_s=config.router.bridge_after_s,
    )


def _own(name: str, preset: OwnPreset) -> Preset:
    return replace(PRESETS[preset.like], name=name, **preset.model_dump(exclude={"like"}, exclude_none=True))
