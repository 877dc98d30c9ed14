"""Which model a program asks for, who answered, and what this machine itself works on."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Final

from assistant.config import Config
from assistant.router.build import router_settings
from assistant.router.router import Parts, Router
from assistant.server.api.errors import ApiError
from assistant.server.api.working import background
from assistant.server.realtime import Seats
from pipeline.engines import ChatRequest, Engines, Generated, LanguageModel, Routed

PREFIX: Final = "parley"
_LONGEST_REASON: Final = 300
_QUOTES: Final = str.maketrans("“”", '""')
_BUSY: Final = "This machine works on as many requests as it may. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Names:
    """The models that a program may ask for: `parley`, a preset as `parley/NAME`, a backend by its own name."""

    presets: tuple[str, ...]
    backends: tuple[str, ...]
    device: str
    """The router's name for the model of this machine."""
    embedded: str
    """That model's own name."""

    @classmethod
    def of(cls, config: Config) -> "Names":
        """Return those of a configuration."""
        backends = tuple(backend.name for backend in config.backends)
        return cls(config.router.known, backends, router_settings(config).device.name, config.llm.model)

    @property
    def listed(self) -> tuple[str, ...]:
        """All of them."""
        return (PREFIX, *(f"{PREFIX}/{name}" for name in self.presets), *self.backends, self.embedded)

    def route(self, model: str) -> str:
        """Return whom a request for this model goes to, in the router's words; empty: whom it sees fit.

        Names that aren't known stand for `parley`, since programs have other servers' names in them. Raises ApiError
        for a `parley/NAME` that isn't there: that is no other server's.
        """
        if model in self.backends:
            return model
        if model in {self.embedded, self.device}:
            return self.device
        prefix, slash, name = model.partition("/")
        if prefix != PREFIX or not slash:
            return ""
        if name not in {*self.presets, *self.backends}:
            listed = ", ".join(self.listed)
            raise ApiError(
                404, "model_not_found", f"The model {model[:80]!r} is not here. There are: {listed}.", "model"
            )
        return name


def routed(engines: Engines, config: Config) -> LanguageModel:
    """Return the router; a language model that has none is one that a router has nothing beside."""
    return engines.llm if isinstance(engines.llm, Router) else Router(engines.llm, Parts(), router_settings(config))


async def answer(
    llm: LanguageModel, request: ChatRequest, engines: Engines, here: Seats
) -> AsyncGenerator[Generated, None]:
    """Ask, and hold one of the seats `here` while this machine itself works on the answer. Raises ApiError for none.

    The router says who answers before that one is asked.
    """
    async with AsyncExitStack() as seat, aclosing(llm.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Routed):
                await seat.aclose()
                if piece.place == "device":
                    if not seat.enter_context(here.one()):
                        raise ApiError(429, "rate_limit_exceeded", _BUSY)
                    await seat.enter_async_context(background(engines.lanes))
            yield piece


def route_header(piece: Routed) -> str:
    """Return who answers and why, as a header can hold it: one line of ASCII."""
    at = f" at {piece.to}" if piece.to else ""
    line = " ".join(f"{piece.backend} ({piece.place}{at}): {piece.reason}".split()).translate(_QUOTES)
    return "".join(sign if " " <= sign <= "~" else "?" for sign in line)[:_LONGEST_REASON]
