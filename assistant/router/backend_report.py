"""What `parley backends` finds out."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from assistant.config import Config
from assistant.llm.endpoint_errors import BackendError, RefusedError
from assistant.models import State, Store
from assistant.router.backend import Backend
from assistant.router.build import router_settings
from assistant.router.figures import Figures, Summary
from assistant.router.parts import Place
from assistant.router.registry import opened
from assistant.store.database import Database, StoreError, place
from pipeline.engines import ChatMessage, ChatRequest, Finish, LanguageModel, TextDelta
from pipeline.errors import ParleyError

_PROBE_S: Final = 5.0
_MOST_TOKENS: Final = 200
_MOST_MODELS: Final = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list."""

    name: str
    place: Place
    host: str
    model: str
    abilities: tuple[str, ...]
    context_tokens: int
    price_in: float
    price_out: float
    currency: str
    quality: float
    weight: float
    concurrency: int | None
    figures: Summary
    health: str
    trouble: str = ""
    """What is wrong, and the cure."""

    def cells(self) -> tuple[str, ...]:
        """Return what people read."""
        figures = self.figures
        free = not (self.price_in or self.price_out)
        return (
            self.name,
            f"{self.place} {self.host}".rstrip(),
            self.model,
            ", ".join(self.abilities),
            f"{self.context_tokens}",
            "free" if free else f"{self.price_in:g}/{self.price_out:g} {self.currency}",
            f"{_ms(figures.first_token_p50_s)}/{_ms(figures.first_token_p95_s)} ms" if figures.requests else "",
            "" if figures.tokens_per_s is None else f"{figures.tokens_per_s:.0f}",
            f"{figures.errors} of {figures.requests}" if figures.requests else "",
            self.health,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "name": self.name,
            "place": self.place,
            "host": self.host or None,
            "model": self.model,
            "abilities": list(self.abilities),
            "context_tokens": self.context_tokens,
            "price_in": self.price_in,
            "price_out": self.price_out,
            "currency": self.currency,
            "quality": self.quality,
            "weight": self.weight,
            "concurrency": self.concurrency,
            "figures": self.figures.as_json(),
            "health": self.health,
            "trouble": self.trouble or None,
        }


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one question."""

    name: str
    place: Place
    host: str
    model: str
    said: str = ""
    first_token_s: float | None = None
    whole_s: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    currency: str = ""
    sent_bytes: int = 0
    error: str = ""
    models: tuple[str, ...] = ()
    """Those that it has, where it hasn't the one that is configured."""

    @property
    def tokens_per_s(self) -> float | None:
        """The speed after the first token."""
        if self.first_token_s is None or self.whole_s is None or self.whole_s <= self.first_token_s:
            return None
        return self.tokens_out / (self.whole_s - self.first_token_s)

    def lines(self) -> list[str]:
        """Return what people read."""
        told = []
        if self.first_token_s is not None:
            told.append(f"first token after {_ms(self.first_token_s)} ms")
        if self.tokens_per_s is not None:
            told.append(f"{self.tokens_per_s:.0f} tokens a second")
        if self.whole_s is not None:
            told.append(f"{self.tokens_in} tokens sent, {self.tokens_out} received, in {self.whole_s:.2f} s")
        if self.cost:
            told.append(f"cost {self.cost:.6f} {self.currency}")
        return told

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "name": self.name,
            "place": self.place,
            "host": self.host or None,
            "model": self.model,
            "said": self.said,
            "first_token_s": self.first_token_s,
            "tokens_per_s": self.tokens_per_s,
            "whole_s": self.whole_s,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": self.cost,
            "currency": self.currency or None,
            "sent_bytes": self.sent_bytes,
            "error": self.error or None,
            "models": list(self.models),
        }


async def survey(config: Config) -> list[Listed]:
    """Return all backends, each asked how it is. Raises ParleyError for a mistake in the configuration."""
    async with _database(config) as database, opened(config.backends, database) as backends:
        elsewhere = await asyncio.gather(*(_listed(backend) for backend in backends))
    return [await asyncio.to_thread(_embedded, config), *elsewhere]


async def attempt(config: Config, name: str, say: str) -> Tried:
    """Ask one backend one question. Raises ParleyError where there is none of that name."""
    device = router_settings(config).device
    if name == device.name:
        from assistant.factory import language_model  # noqa: PLC0415 - the others need no engine

        async with language_model(config, Store()) as model:
            return await _ask(model, Tried(name, "device", "", config.llm.model), say)
    section = next((each for each in config.backends if each.name == name), None)
    if section is None:
        names = ", ".join((device.name, *(each.name for each in config.backends)))
        raise ParleyError(f"There is no backend {name!r}. There are: {names}.")
    async with _database(config) as database, opened((section,), database) as (backend,):
        tried = await _ask(backend, Tried(name, backend.place, backend.host, section.model), say)
        cost = (tried.tokens_in * backend.price_in + tried.tokens_out * backend.price_out) / 1_000_000
        return replace(tried, cost=cost, currency=section.currency, sent_bytes=backend.sent_bytes)


async def _ask(model: LanguageModel | Backend, tried: Tried, say: str) -> Tried:
    request = ChatRequest((ChatMessage("user", say),), max_tokens=_MOST_TOKENS)
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with aclosing(model.stream(request)) as pieces:
            async for piece in pieces:
                match piece:
                    case TextDelta(text):
                        first = loop.time() - began if tried.first_token_s is None else tried.first_token_s
                        tried = replace(tried, first_token_s=first, said=tried.said + text)
                    case Finish():
                        tried = replace(tried, tokens_in=piece.input_tokens, tokens_out=piece.output_tokens)
                    case _:
                        pass
    except BackendError as error:
        models = await _models(model) if isinstance(error, RefusedError) and isinstance(model, Backend) else ()
        return replace(tried, error=str(error), models=models)
    return replace(tried, whole_s=loop.time() - began)


async def _models(backend: Backend) -> tuple[str, ...]:
    """Return the models that a backend has, none where it doesn't say."""
    try:
        async with asyncio.timeout(_PROBE_S):
            return tuple(await backend.model.models())[:_MOST_MODELS]
    except (BackendError, TimeoutError):
        return ()


async def _listed(backend: Backend) -> Listed:
    profile = backend.profile
    abilities = (("pictures", profile.vision), ("tools", profile.tools), ("JSON", profile.json))
    health, trouble = await _health(backend)
    return Listed(
        name=profile.name,
        place=profile.place,
        host=profile.host,
        model=profile.model,
        abilities=tuple(ability for ability, able in abilities if able),
        context_tokens=profile.context_tokens,
        price_in=profile.price_in,
        price_out=profile.price_out,
        currency=profile.currency,
        quality=profile.quality,
        weight=profile.weight,
        concurrency=profile.concurrency,
        figures=backend.figures.summary(),
        health=health,
        trouble=trouble,
    )


async def _health(backend: Backend) -> tuple[str, str]:
    """Return how it is in two words, and what is wrong."""
    try:
        async with asyncio.timeout(_PROBE_S):
            models = await backend.model.models()
    except TimeoutError:
        return (
            "silent",
            f"{backend.name} doesn't answer within {_PROBE_S:g} s: see whether {backend.host} is overloaded.",
        )
    except RefusedError as error:
        if "(404)" in error.cause or "(405)" in error.cause:
            return "there, lists no models", ""
        return "refuses", str(error)
    except BackendError as error:
        return "ill", str(error)
    known = not models or any(backend.profile.model in {name, name.removesuffix(":latest")} for name in models)
    return ("well" if known else "there, doesn't list the model"), ""


def _embedded(config: Config) -> Listed:
    device, store = router_settings(config).device, Store()
    here = store.state(config.llm.model) is not State.ABSENT
    return Listed(
        name=device.name,
        place="device",
        host="",
        model=config.llm.model,
        abilities=("tools", "JSON"),
        context_tokens=device.context_tokens,
        price_in=0.0,
        price_out=0.0,
        currency="",
        quality=device.quality,
        weight=1.0,
        concurrency=None,
        figures=Figures().summary(),
        health="here" if here else "not here yet",
        trouble="" if here else f"{config.llm.model} is not on this machine yet: `parley models pull` fetches it.",
    )


@asynccontextmanager
async def _database(config: Config) -> AsyncGenerator[Database | None, None]:
    """Open the store where there is one: to look at it makes none."""
    at = place(config.store.url)
    is_file = at.get_backend_name() == "sqlite"
    if is_file and not await asyncio.to_thread(Path(at.database or "").is_file):
        yield None
        return
    try:
        database = await Database.open(config.store.url)
    except StoreError:
        yield None  # the figures are missing then, and `parley doctor` says why
        return
    async with database:
        yield database


def _ms(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds * 1000:.0f}"
