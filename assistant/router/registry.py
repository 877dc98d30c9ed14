"""Builds the backends that the configuration lists, and keeps their figures."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from assistant.config import ConfigError
from assistant.llm.endpoint import Endpoint, Patience
from assistant.llm.endpoint_errors import Where
from assistant.router.backend import DEFAULT_QUALITY, Backend, Profile
from assistant.router.backend_section import BackendSection
from assistant.router.breaker import Breaker, Limits
from assistant.router.figures_store import kept
from assistant.router.lookup import check
from assistant.store.database import Database


@asynccontextmanager
async def opened(
    sections: Sequence[BackendSection], database: Database | None, environment: Mapping[str, str] = os.environ
) -> AsyncGenerator[tuple[Backend, ...], None]:
    """Build the backends, recall their figures where there is a database, and close them at the end.

    Nothing is sent. Raises ConfigError where a key is missing, StoreError where the figures can't be read.
    """
    # Certificates are read, and libraries: a few hundredths of a second each.
    backends = await asyncio.to_thread(lambda: tuple(build(section, environment) for section in sections))
    async with AsyncExitStack() as stack:
        for backend in backends:
            stack.push_async_callback(backend.close)
        if database is not None and backends:
            await stack.enter_async_context(kept(database, {key(each): each.figures for each in backends}))
        yield backends


def build(section: BackendSection, environment: Mapping[str, str] = os.environ) -> Backend:
    """Build a backend. Raises ConfigError where the key isn't in the environment."""
    place = section.where
    secret = environment.get(section.key_env, "").strip() if section.key_env else ""
    if section.key_env and not secret:
        raise ConfigError(
            f"[[backends]] {section.name}: the environment variable {section.key_env} is not set: put the key into it, "
            "or take the backend out."
        )
    if not (secret.isascii() and secret.isprintable()):
        raise ConfigError(f"[[backends]] {section.name}: {section.key_env} holds something that is no key.")
    endpoint = Endpoint(
        Where(section.name, section.url, section.host, section.model, secret, section.key_env),
        takes_pictures=section.vision,
        patience=Patience(section.connect_s, section.first_s, section.between_s, section.whole_s),
        # A proxy may be anywhere: what stays in the house doesn't go through one.
        direct=place != "cloud",
        most_connections=section.concurrency,
        guard=partial(check, section.name, *section.address, place),
        extra=section.extra,
    )
    qualities = section.quality if isinstance(section.quality, dict) else {"default": section.quality}
    profile = Profile(
        name=section.name,
        place=place,
        host=section.host,
        model=section.model,
        vision=section.vision,
        tools=section.tools,
        json=section.json_schema,
        context_tokens=section.context_tokens,
        price_in=section.price_in,
        price_out=section.price_out,
        currency=section.currency,
        weight=section.weight,
        quality=qualities.get("default", DEFAULT_QUALITY),
        qualities={kind: value for kind, value in qualities.items() if kind != "default"},
        concurrency=section.concurrency,
        wait_s=section.first_s,
    )
    return Backend(profile, endpoint, breaker=Breaker(Limits(slow_s=section.slow_s)))


def key(backend: Backend) -> str:
    """Return what a backend's figures are kept under: with another model, they are others."""
    return f"{backend.name} {backend.profile.model}"[:200]
