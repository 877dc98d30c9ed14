"""What the router asks of its parts, on one page. Each part defines its class so that it fits; none imports this page.

Nothing here but the backends waits for anything outside this process. Money is in the currency of the configuration.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from assistant.router.kinds import Guess
from pipeline.engines import Adjusted, Asker, ChatMessage, ChatRequest, Generated

Place: TypeAlias = Literal["device", "lan", "cloud"]
"""Where a model runs: in this process or on this machine, in the owner's house, elsewhere."""


# --- Reflexes ---


class Reflex(Protocol):
    """A command or question that needs no model."""

    @property
    def intent(self) -> str:
        """Its name, such as "set_timer"."""
        ...

    @property
    def words(self) -> str | None:
        """The answer, where it is known at once."""
        ...

    @property
    def act(self) -> Callable[[], Awaitable[str | None]] | None:
        """What it does, once it is sure that it is asked; returns what to say after `words`."""
        ...

    @property
    def reads(self) -> Callable[[], Awaitable[str]] | None:
        """An answer that is looked up and changes nothing: it may be called before the commit."""
        ...

    @property
    def adjust(self) -> Adjusted | None:
        """How the assistant speaks from then on."""
        ...


class Reflexes(Protocol):
    """Knows the reflexes."""

    def match(self, text: str, *, language: str | None, asker: Asker, said_last: str) -> Reflex | None:
        """Return what `text` asks for, where that is sure. Pure, <= 10 ms; `said_last`: the assistant's last words."""
        ...


# --- What is known of a turn ---


class Classifier(Protocol):
    """Tells what kind of turn it is."""

    async def kind(self, text: str) -> Guess:
        """Return the kind of a user's message; <= 8 ms."""
        ...


class Recall(Protocol):
    """What is known about the person."""

    async def relevant(self, user: str, question: str) -> tuple[str, ...]:
        """Return the facts that bear on the question, the weightiest first; mostly none."""
        ...


# --- Backends ---


class Backend(Protocol):
    """A model elsewhere. It keeps its own time-outs, breaker, figures and limit of requests at once."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def place(self) -> Place:
        """Where it runs."""
        ...

    @property
    def host(self) -> str:
        """Where the words go, as a person would name it: a host, with its port where that isn't the usual one."""
        ...

    @property
    def vision(self) -> bool:
        """It takes pictures."""
        ...

    @property
    def tools(self) -> bool:
        """It calls functions."""
        ...

    @property
    def json(self) -> bool:
        """It follows a JSON schema."""
        ...

    @property
    def context_tokens(self) -> int:
        """What a conversation and its answer may have together."""
        ...

    @property
    def price_in(self) -> float:
        """Of a million tokens that are sent; 0: free."""
        ...

    @property
    def price_out(self) -> float:
        """Of a million tokens that come back."""
        ...

    @property
    def quality(self) -> float:
        """0..1: how good its answers are, as the owner sees it; the embedded model's is about 0.3."""
        ...

    def quality_of(self, kind: str) -> float:
        """Return the same for a kind of turn, by its name."""
        ...

    @property
    def weight(self) -> float:
        """Its share among equal ones; 1 is usual."""
        ...

    @property
    def outstanding(self) -> int:
        """Requests that it works on now."""
        ...

    @property
    def unwell(self) -> str | None:
        """Why it can't be asked now, in plain words ("it didn't answer three times; next try in 20 s"); None: it can.

        A breaker that is half open lets one probe through: it is None until that has begun.
        """
        ...

    def first_token_s(self, quantile: float) -> float | None:
        """Return the measured time to the first token, 0.5 and 0.95 being asked for; None while that isn't known."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Answer. Nothing is sent before the first piece is asked for. Yields text, whole calls and one Finish.

        Raises an error for whatever goes wrong: it says why in plain words, and where it has an attribute `retry` that
        is true, trying again at once may help. Closing it ends the request.
        """
        ...


# --- What leaves this machine ---


@dataclass(frozen=True, slots=True)
class Departure:
    """What is about to leave this machine."""

    asker: Asker
    backend: str
    place: Place
    host: str
    kind: str
    reason: str
    messages: tuple[ChatMessage, ...]
    """What is sent, masked already."""
    sent_bytes: int
    """Of the messages, pictures and tools, as UTF-8."""
    masked: int = 0
    """Personal data that was masked in it."""
    delegated: bool = False
    """A sub-task that one model gave to another."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of a departure."""

    input_tokens: int
    output_tokens: int
    estimated: bool
    """The tokens were counted here, since the backend didn't say: it was cut off, or cancelled."""
    received_bytes: int
    cost: float
    outcome: Literal["answered", "failed", "cancelled"]
    error: str = ""
    """Why it failed, without anything that was said."""
    first_token_s: float | None = None


class Ledger(Protocol):
    """Writes down what leaves."""

    async def opened(self, departure: Departure) -> int:
        """Write the departure down and return its number. Not one byte leaves before this has returned."""
        ...

    async def closed(self, number: int, arrival: Arrival) -> None:
        """Write down what came of it, and count its cost."""
        ...


class Unmask(Protocol):
    """Puts personal data back into one answer."""

    @property
    def masked(self) -> int:
        """How many pieces of personal data were masked."""
        ...

    def feed(self, text: str) -> str:
        """Take the next piece of the answer and return what is sure of it: a placeholder may come in two pieces."""
        ...

    def flush(self) -> str:
        """Return what was held back: the text is over."""
        ...

    def arguments(self, arguments: str) -> str:
        """Return a call's arguments, JSON as text."""
        ...


class Masks(Protocol):
    """Hides personal data."""

    def mask_request(self, request: ChatRequest) -> tuple[ChatRequest, Unmask]:
        """Return the request with placeholders for personal data, and what puts them back."""
        ...


class Budgets(Protocol):
    """Knows what may be spent."""

    def allows(self, backend: str, expected_cost: float) -> str | None:
        """Return None where so much more may be spent on this backend, else why not, in plain words. In memory."""
        ...
