"""Backends and parts that follow a script, on virtual time: slow, stalled, cut off, refusing.

They stand in for what is outside the router (a cloud, a database): all of the router that runs against them is real.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from assistant.router.decision import PRESETS, Preset
from assistant.router.kinds import Guess, Kind
from assistant.router.parts import Arrival, Departure, Place
from assistant.router.router import Parts, Router, RouterSettings
from pipeline.engines import (
    Adjusted,
    Asker,
    Bridge,
    ChatMessage,
    ChatRequest,
    Finish,
    Generated,
    Picture,
    Routed,
    TakenBack,
    TextDelta,
    ToolCall,
    Unseen,
)
from pipeline.speech_text import ClauseSplitter
from vision.types import Box, Code, Scene, TextLine


class CutError(Exception):
    """The connection broke."""


class BusyError(Exception):
    """It may be asked again at once."""

    retry = True


@dataclass
class ScriptedBackend:
    """Answers with its pieces, one each `piece_s`."""

    name: str = "cloud"
    place: Place = "cloud"
    host: str = "api.example"
    answers: list[str] = field(default_factory=lambda: ["The capital of France is Paris. It lies on the Seine."])
    first_s: float = 0.3
    piece_s: float = 0.02
    error: Exception | None = None
    error_after: int = 0
    """Pieces that come before the error."""
    stalls_after: int | None = None
    vision: bool = False
    tools: bool = True
    json: bool = True
    context_tokens: int = 100_000
    price_in: float = 1.0
    price_out: float = 4.0
    quality: float = 0.9
    qualities: dict[str, float] = field(default_factory=dict)
    weight: float = 1.0
    unwell: str | None = None
    p50_s: float | None = 0.3
    p95_s: float | None = 0.6
    calls: dict[str, tuple[ToolCall, ...]] = field(default_factory=dict)
    asked: list[ChatRequest] = field(default_factory=list)
    outstanding: int = 0
    closed: int = 0

    def quality_of(self, kind: str) -> float:
        return self.qualities.get(kind, self.quality)

    def first_token_s(self, quantile: float) -> float | None:
        return self.p50_s if quantile == 0.5 else self.p95_s

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        self.asked.append(request)
        self.outstanding += 1
        try:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            await asyncio.sleep(self.first_s)
            pieces = split(answer)
            for number, piece in enumerate(pieces):
                if self.error is not None and number == self.error_after:
                    raise self.error
                if number == self.stalls_after:
                    await asyncio.sleep(3600)
                yield TextDelta(piece)
                await asyncio.sleep(self.piece_s)
            for call in self.calls.get(answer, ()):
                yield call
            yield Finish("stop", 100, 0, len(pieces))
        finally:
            self.outstanding -= 1
            self.closed += 1


def split(text: str) -> list[str]:
    """Return pieces as a model's tokens: a word with the space before it."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])] if text else []


@dataclass
class ScriptedEmbedded:
    """The model on this machine."""

    answers: list[str] = field(default_factory=lambda: ["I think so."])
    takes_pictures: bool = False
    first_s: float = 0.1
    piece_s: float = 0.02
    error: Exception | None = None
    calls: dict[str, tuple[ToolCall, ...]] = field(default_factory=dict)
    asked: list[ChatRequest] = field(default_factory=list)
    read: list[ChatRequest] = field(default_factory=list)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(self.first_s)
        if self.error is not None:
            raise self.error
        pieces = split(answer)
        for piece in pieces:
            yield TextDelta(piece)
            await asyncio.sleep(self.piece_s)
        for call in self.calls.get(answer, ()):
            yield call
        yield Finish("stop", 20, 10, len(pieces))

    async def prefill(self, request: ChatRequest) -> float | None:
        self.read.append(request)
        return 0.5


@dataclass
class ScriptedClassifier:
    guess: Guess = field(default_factory=lambda: Guess(Kind.FACT))
    guesses: dict[str, Kind] = field(default_factory=dict)
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def kind(self, text: str) -> Guess:
        self.asked.append(text)
        if self.error is not None:
            raise self.error
        return Guess(self.guesses[text]) if text in self.guesses else self.guess


@dataclass
class ScriptedRecall:
    facts: tuple[str, ...] = ()
    error: Exception | None = None

    async def relevant(self, user: str, question: str) -> tuple[str, ...]:
        if self.error is not None:
            raise self.error
        return self.facts


@dataclass
class ScriptedReflex:
    intent: str = "time"
    words: str | None = "It is noon."
    act: Callable[[], Awaitable[str | None]] | None = None
    reads: Callable[[], Awaitable[str]] | None = None
    adjust: Adjusted | None = None


@dataclass
class ScriptedReflexes:
    known: dict[str, ScriptedReflex] = field(default_factory=dict)
    said_last: str = ""

    def match(self, text: str, *, language: str | None, asker: Asker, said_last: str) -> ScriptedReflex | None:
        self.said_last = said_last
        return self.known.get(text)


class NamesMask:
    """Hides one name, as «P1»."""

    def __init__(self, name: str = "Ada") -> None:
        self.name = name

    def mask_request(self, request: ChatRequest) -> tuple[ChatRequest, "NameUnmask"]:
        count = sum(message.content.count(self.name) for message in request.messages)
        masked = tuple(replace(each, content=each.content.replace(self.name, "«P1»")) for each in request.messages)
        return replace(request, messages=masked), NameUnmask(self.name, count)


class NameUnmask:
    def __init__(self, name: str, masked: int) -> None:
        self._name = name
        self.masked = masked
        self._held = ""

    def feed(self, text: str) -> str:
        text = (self._held + text).replace("«P1»", self._name)
        at = text.find("«")
        self._held = text[at:] if at >= 0 else ""
        return text[:at] if at >= 0 else text

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held

    def arguments(self, arguments: str) -> str:
        return arguments.replace("«P1»", self._name)


@dataclass
class MemoryLedger:
    opened_: list[Departure] = field(default_factory=list)
    closed_: dict[int, Arrival] = field(default_factory=dict)

    async def opened(self, departure: Departure) -> int:
        await asyncio.sleep(0.001)
        self.opened_.append(departure)
        return len(self.opened_) - 1

    async def closed(self, number: int, arrival: Arrival) -> None:
        self.closed_[number] = arrival


@dataclass
class ScriptedBudgets:
    over: dict[str, str] = field(default_factory=dict)

    def allows(self, backend: str, expected_cost: float) -> str | None:
        return self.over.get(backend)


@dataclass
class ScriptedView:
    """What the user shows: a scene, or why there is none."""

    scene: Scene | Unseen = "off"
    text: tuple[str, ...] = ()
    """What a close look finds."""
    codes: tuple[str, ...] = ()
    sendable: bool = True
    shown: dict[str, str] = field(default_factory=dict)
    """What pictures show, by their addresses."""
    looks: list[bool] = field(default_factory=list)
    """Whether each was close."""
    pictures: list[tuple[int, bool]] = field(default_factory=list)
    """The longest side of each, and whether its faces were to be blurred."""

    @property
    def on(self) -> bool:
        return self.scene != "off"

    async def look(self, *, closely: bool = False) -> Scene | Unseen:
        self.looks.append(closely)
        if not isinstance(self.scene, Scene) or not closely:
            return self.scene
        lines = tuple(TextLine(text, Box(0, 0, 1, 1), 1.0) for text in self.text)
        codes = tuple(Code("qr", text, Box(0, 0, 1, 1)) for text in self.codes)
        return replace(self.scene, text=lines, codes=codes)

    async def picture(self, *, longest: int, blur_faces: bool) -> Picture | None:
        self.pictures.append((longest, blur_faces))
        return Picture(f"data:image/jpeg;base64,{longest}{blur_faces}") if self.sendable else None

    async def see(self, picture: Picture) -> Scene | Unseen:
        summary = self.shown.get(picture.url)
        return "broken" if summary is None else scene(summary)

    async def describe(self, picture: Picture) -> str:
        return self.shown.get(picture.url, "")

    def described(self, picture: Picture) -> str | None:
        return self.shown.get(picture.url)


def scene(summary: str) -> Scene:
    return Scene(1.0, 640, 480, "normal", summary=summary)


@dataclass(frozen=True)
class Stamped:
    at: float
    piece: Generated


@dataclass
class Commit:
    """When it is sure that the turn is asked."""

    after_s: float = 0.0
    waited: int = 0

    async def __call__(self) -> None:
        self.waited += 1
        remaining = self.after_s - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, remaining))


@dataclass
class Answer:
    """What came of a request."""

    pieces: list[Stamped] = field(default_factory=list)
    error: Exception | None = None

    def of(self, kind: type) -> list:  # type: ignore[type-arg]  # pieces of the one kind asked for
        return [stamped.piece for stamped in self.pieces if isinstance(stamped.piece, kind)]

    @property
    def text(self) -> str:
        text = ""
        for stamped in self.pieces:
            match stamped.piece:
                case TextDelta(more):
                    text += more
                case TakenBack(back):
                    assert text.endswith(back)
                    text = text[: len(text) - len(back)]
                case _:
                    pass
        return text

    @property
    def clauses(self) -> list[str]:
        """What a turn speaks of it."""
        splitter = ClauseSplitter()
        spoken: list[str] = []
        for stamped in self.pieces:
            match stamped.piece:
                case TextDelta(more):
                    spoken += splitter.feed(more)
                case TakenBack(back):
                    assert splitter.rest.endswith(back)
                    splitter.drop()
                case _:
                    pass
        return spoken + splitter.flush()

    @property
    def routes(self) -> list[str]:
        return [routed.backend for routed in self.of(Routed)]

    @property
    def bridges(self) -> list[str]:
        return [bridge.text for bridge in self.of(Bridge)]

    def at(self, kind: type) -> float:
        return next(stamped.at for stamped in self.pieces if isinstance(stamped.piece, kind))


def asks(text: str, *before: ChatMessage, **changes: object) -> ChatRequest:
    """Return a spoken request in a session."""
    request = ChatRequest(
        (*before, ChatMessage("user", text)), spoken=True, asker=Asker("sess_1", "resp_1", language="en")
    )
    return replace(request, **changes)  # type: ignore[arg-type]


async def listen(router: Router, request: ChatRequest) -> Answer:
    answer = Answer()
    loop = asyncio.get_running_loop()
    try:
        async with aclosing(router.stream(request)) as pieces:
            async for piece in pieces:
                answer.pieces.append(Stamped(loop.time(), piece))
    except Exception as error:  # noqa: BLE001 - the test looks at it
        answer.error = error
    return answer


def routing(
    *backends: ScriptedBackend,
    embedded: ScriptedEmbedded | None = None,
    preset: Preset | str = "balanced",
    bridges: bool = True,
    blur_faces: bool = True,
    **parts: object,
) -> Router:
    """Return a router; what isn't said is a question of fact, without memory, masks or ledger."""
    parts.setdefault("classifier", ScriptedClassifier())
    chosen = PRESETS[preset] if isinstance(preset, str) else preset
    settings = RouterSettings(preset=chosen, bridges=bridges, blur_faces=blur_faces)
    return Router(embedded or ScriptedEmbedded(), Parts(backends=backends, **parts), settings)  # type: ignore[arg-type]
