"""A backend: a language model elsewhere, with what the owner says of it, what was measured, and whether it is well."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from assistant.llm.endpoint_errors import BackendError, BusyError
from assistant.router.breaker import Breaker, Permit
from assistant.router.figures import Figures, sample_now
from assistant.router.parts import Place
from pipeline.engines import ChatRequest, Finish, Generated, TextDelta, ToolCall


class Model(Protocol):
    """What a backend asks."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Answer. Raises BackendError."""
        ...

    async def models(self) -> Sequence[str]:
        """Return the names of the models that are there. Raises BackendError."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """What the owner says of a backend."""

    name: str
    place: Place
    host: str
    model: str
    vision: bool = False
    tools: bool = True
    json: bool = True
    context_tokens: int = 8192
    price_in: float = 0.0
    """Of a million tokens."""
    price_out: float = 0.0
    currency: str = "USD"
    weight: float = 1.0
    quality: float = 0.6
    """0..1"""
    qualities: Mapping[str, float] = field(default_factory=dict)
    """The same for kinds of turns, by their names, where it differs."""
    concurrency: int = 256
    """Requests at once; more wait."""
    wait_s: float = 15.0
    """The most that a request waits for its turn."""


class Backend:
    """One that can be asked. Keeps its own breaker, figures and limit of requests at once."""

    def __init__(
        self, profile: Profile, model: Model, *, breaker: Breaker | None = None, figures: Figures | None = None
    ) -> None:
        self.profile = profile
        self.model = model
        self.breaker = breaker or Breaker()
        self.figures = figures or Figures()
        self._seats = asyncio.Semaphore(profile.concurrency)
        self._outstanding = 0

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.profile.name

    @property
    def place(self) -> Place:
        """Where it runs."""
        return self.profile.place

    @property
    def host(self) -> str:
        """Where the words go, as a person would name it."""
        return self.profile.host

    @property
    def vision(self) -> bool:
        """It takes pictures."""
        return self.profile.vision

    @property
    def tools(self) -> bool:
        """It calls functions."""
        return self.profile.tools

    @property
    def json(self) -> bool:
        """It follows a JSON schema."""
        return self.profile.json

    @property
    def context_tokens(self) -> int:
        """What a conversation and its answer may have together."""
        return self.profile.context_tokens

    @property
    def price_in(self) -> float:
        """Of a million tokens that are sent."""
        return self.profile.price_in

    @property
    def price_out(self) -> float:
        """Of a million tokens that come back."""
        return self.profile.price_out

    @property
    def weight(self) -> float:
        """Its share among equal ones."""
        return self.profile.weight

    @property
    def quality(self) -> float:
        """0..1, for turns of any kind."""
        return self.profile.quality

    def quality_of(self, kind: str) -> float:
        """Return the quality for a kind of turn, by its name."""
        return self.profile.qualities.get(kind, self.profile.quality)

    @property
    def outstanding(self) -> int:
        """Requests that it works on now, or that wait for their turn."""
        return self._outstanding

    @property
    def unwell(self) -> str | None:
        """Why it can't be asked now, in plain words; None: it can."""
        return self.breaker.objection(_now())

    def first_token_s(self, quantile: float) -> float | None:
        """Return the measured time to the first token; None while that isn't known."""
        return self.figures.first_token_s(quantile)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Answer; the breaker and the figures learn from it. Raises BackendError."""
        async with self._turn():
            attempt = _Attempt(self, self._permit())
            try:
                async with aclosing(self.model.stream(request)) as pieces:
                    async for piece in pieces:
                        attempt.take(piece)
                        yield piece
            except BackendError as error:
                attempt.failed(error)
                raise
            finally:
                attempt.over()

    async def close(self) -> None:
        """Let go of all connections."""
        await self.model.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None, None]:
        """Wait for a place among those that are asked at once."""
        self._outstanding += 1
        try:
            try:
                async with asyncio.timeout(self.profile.wait_s):
                    await self._seats.acquire()
            except TimeoutError:
                cause = f"has {self.profile.concurrency} requests to work on, which is all that it may"
                raise BusyError(self.name, cause, "try again later, or raise concurrency") from None
            try:
                yield
            finally:
                self._seats.release()
        finally:
            self._outstanding -= 1

    def _permit(self) -> Permit:
        permit = self.breaker.begin(_now())
        if permit is None:
            raise BusyError(self.name, f"is left alone: {self.unwell}", "ask another meanwhile")
        return permit


class _Attempt:
    """One request, measured."""

    def __init__(self, backend: Backend, permit: Permit) -> None:
        self._backend = backend
        self._permit = permit
        self._began = _now()
        self._first: float | None = None
        self._last = self._began
        self._tokens = 0
        self._settled = False

    def take(self, piece: Generated) -> None:
        match piece:
            case TextDelta() | ToolCall():
                self._last = _now()
                self._first = self._last if self._first is None else self._first
            case Finish():
                self._tokens = piece.output_tokens
                self._answered()
            case _:
                pass

    def _answered(self) -> None:
        self._settled = True
        waited_s = self._waited_s if self._first is not None else _now() - self._began
        self._backend.breaker.succeeded(self._permit, _now(), waited_s or 0.0)
        self._measure("")

    def failed(self, error: BackendError) -> None:
        if self._settled:
            return
        self._settled = True
        if not error.unwell:  # it answered: that it can't do this
            self._backend.breaker.succeeded(self._permit, _now(), 0.0)
            return
        self._backend.breaker.failed(
            self._permit,
            _now(),
            cause=error.cause,
            retry_after_s=error.retry_after_s,
            lasting=error.lasting,
        )
        self._measure(type(error).__name__.removesuffix("Error"))

    def over(self) -> None:
        """Note the end, which is a call off where neither an answer nor an error came."""
        if self._settled:
            return
        self._settled = True
        if self._first is None:
            self._backend.breaker.called_off(self._permit, _now(), _now() - self._began)
        else:
            # It was answering well, and nobody wanted to hear more.
            self._backend.breaker.succeeded(self._permit, _now(), self._waited_s or 0.0)
            self._measure("")

    @property
    def _waited_s(self) -> float | None:
        return None if self._first is None else self._first - self._began

    def _measure(self, error: str) -> None:
        seconds = 0.0 if self._first is None else self._last - self._first
        self._backend.figures.add(sample_now(self._waited_s, tokens=self._tokens, seconds=seconds, error=error))


def _now() -> float:
    return asyncio.get_running_loop().time()
