"""Engines that follow a script, for conversations on virtual time.

They stand in for the models only: the session, the turns and the turn-taker that run against them are the real ones.
Sound is noise of a level: VOICE is speech, QUIET is none. No two stretches of it are alike.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from audio.types import INPUT_RATE, OUTPUT_RATE, Samples
from pipeline import events
from pipeline.engines import (
    VAD_WINDOW,
    Asker,
    ChatMessage,
    ChatRequest,
    Engines,
    Finish,
    Generated,
    TextDelta,
    Toolbox,
    ToolCall,
    Transcript,
)
from pipeline.lanes import Lanes
from pipeline.session import Session
from pipeline.settings import Settings, TurnTaking
from pipeline.tool_servers import ListedTool, NoToolServers, ToolServer, ToolServers
from vision.types import Box, Frame, PictureError, Scene, TextLine, Thing

VOICE = 0.5
QUIET = 0.0
WINDOW_S = VAD_WINDOW / INPUT_RATE


def noise(count: int, level: float, *, seed: int) -> Samples:
    """Return noise whose mean absolute value is `level`."""
    return np.random.default_rng(seed).uniform(-2 * level, 2 * level, count).astype(np.float32)


class LevelVad:
    """Hears a voice in whatever is loud."""

    def stream(self) -> "LevelVad":
        return self

    def score(self, window: Samples) -> float:
        assert len(window) == VAD_WINDOW
        return float(np.abs(window).mean() * 2)

    def reset(self) -> None: ...


@dataclass
class ScriptedTurnDetector:
    """Gives its scores one after the other; the last one for ever."""

    scores: list[float] = field(default_factory=lambda: [1.0])
    takes_s: float = 0.04
    asked: int = 0
    error: Exception | None = None

    async def score(self, audio: Samples) -> float:
        self.asked += 1
        assert len(audio)
        await asyncio.sleep(self.takes_s)
        if self.error:
            raise self.error
        return self.scores.pop(0) if len(self.scores) > 1 else self.scores[0]


@dataclass
class ScriptedStt:
    """Hears its texts one after the other, the last one for ever; or, with `growing`, a text by the sound's length."""

    texts: list[str] = field(default_factory=lambda: ["what time is it"])
    growing: dict[float, str] = field(default_factory=dict)
    """The text of sound of at least so many seconds."""
    takes_s: float = 0.15
    language: str = "en"
    logprob: float = 0.0
    error: Exception | None = None
    heard_s: list[float] = field(default_factory=list)
    cancelled: int = 0

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
    ) -> Transcript:
        self.heard_s.append(len(audio) / INPUT_RATE)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        if self.growing:
            text = max((least, text) for least, text in self.growing.items() if least <= len(audio) / INPUT_RATE)[1]
        else:
            text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        return Transcript(text, self.language, self.logprob)


@dataclass
class ScriptedLlm:
    """Gives its answers one after the other, a word at a time; the last one for ever."""

    answers: list[str] = field(default_factory=lambda: ["It is noon."])
    first_s: float = 0.1
    prefill_s: float = 0.02
    word_s: float = 0.02
    reason: str = "stop"
    error: Exception | None = None
    error_after: int = 0
    requests: list[ChatRequest] = field(default_factory=list)
    """What was asked."""
    read: list[ChatRequest] = field(default_factory=list)
    """What was read ahead."""
    prefill_error: Exception | None = None
    takes_pictures: bool = False
    finished: float | None = None
    """How probable it finds that the user's message ends."""
    running: int = 0
    calls: dict[str, tuple[ToolCall, ...]] = field(default_factory=dict)
    """What it calls after these answers."""

    @property
    def prompts(self) -> list[list[ChatMessage]]:
        return [list(request.messages) for request in self.requests]

    @property
    def prefilled(self) -> list[list[ChatMessage]]:
        return [list(request.messages) for request in self.read]

    @property
    def toolboxes(self) -> list[Toolbox]:
        return [request.toolbox for request in self.requests]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.running += 1
        try:
            await asyncio.sleep(self.first_s)
            words = answer.split(" ")
            for number, word in enumerate(words):
                if self.error and number == self.error_after:
                    raise self.error
                if answer:
                    yield TextDelta(word if number == 0 else " " + word)
                await asyncio.sleep(self.word_s)
            for call in self.calls.get(answer, ()):
                yield call
            yield Finish("length" if self.reason == "length" else "stop", 20, 10, len(words))
        finally:
            self.running -= 1

    async def prefill(self, request: ChatRequest) -> float | None:
        self.read.append(request)
        await asyncio.sleep(self.prefill_s)
        if self.prefill_error:
            raise self.prefill_error
        return self.finished if request.messages[-1].role == "user" else None


WAIT = "wait"
"""A step of an answer: wait until it is sure that it is asked for."""


@dataclass
class RoutedLlm(ScriptedLlm):
    """Follows a script for each answer, the last one for ever: what it yields, raises, how long it sleeps, and WAIT."""

    scripts: list[Sequence[Generated | Exception | float | str]] = field(default_factory=list)
    committed_at: list[float] = field(default_factory=list)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        self.requests.append(request)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        self.running += 1
        try:
            for step in script:
                match step:
                    case Exception():
                        raise step
                    case float():
                        await asyncio.sleep(step)
                    case str():
                        await request.committed()
                        self.committed_at.append(asyncio.get_running_loop().time())
                    case _:
                        yield step
        finally:
            self.running -= 1


@dataclass
class ScriptedTts:
    """Speaks at ten characters a second."""

    takes_s: float = 0.05
    error: Exception | None = None
    error_after: int = 0
    spoken: list[str] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    mute: str = "(nothing)"
    """A clause that makes no sound."""

    async def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        await asyncio.sleep(self.takes_s)
        if self.error and len(self.spoken) >= self.error_after:
            raise self.error
        self.spoken.append(text)
        self.speeds.append(speed)
        samples = noise(0 if text == self.mute else int(len(text) * OUTPUT_RATE / 10), 0.3, seed=len(self.spoken))
        half = len(samples) // 2
        for chunk in (samples[:half], samples[half:]):
            if len(chunk):
                yield chunk


@dataclass
class ScriptedServers:
    """Servers whose tools answer after a while."""

    listed: dict[str, tuple[ListedTool, ...] | Exception] = field(default_factory=dict)
    """By the servers' labels."""
    results: dict[str, str | Exception] = field(default_factory=dict)
    """By the tools' names."""
    listing_s: float = 0.1
    takes_s: float = 0.3
    called: list[tuple[str, str, str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    running: int = 0

    async def tools(self, server: ToolServer) -> tuple[ListedTool, ...]:
        self.asked.append(server.label)
        await asyncio.sleep(self.listing_s)
        found = self.listed[server.label]
        if isinstance(found, Exception):
            raise found
        return found

    async def call(self, server: ToolServer, name: str, arguments: str) -> str:
        self.called.append((server.label, name, arguments))
        self.running += 1
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.running -= 1
        result = self.results[name]
        if isinstance(result, Exception):
            raise result
        return result


BOX = Box(0.25, 0.25, 0.75, 0.75)


@dataclass
class ScriptedEyes:
    """See in a frame what its bytes name: b"cup, book: THE HOBBIT" is a cup and a book, and words to be read."""

    takes_s: float = 0.05
    closely_s: float = 0.3
    """What a close look takes more."""
    looks: list[tuple[bytes, bool]] = field(default_factory=list)
    """What was looked at, and whether closely."""
    at: list[float] = field(default_factory=list)
    """The frames' times."""
    pictures: list[tuple[bytes, int, bool]] = field(default_factory=list)
    """What was to be sent: the frame, the longest side, and whether its faces were to be blurred."""
    looking: int = 0
    most_looking: int = 0
    """At once, in one stream."""

    def open(self) -> "ScriptedSight":
        return ScriptedSight(self)


@dataclass
class ScriptedSight:
    eyes: ScriptedEyes
    labels: tuple[str, ...] | None = None

    async def look(self, frame: Frame, *, closely: bool = False) -> Scene:
        eyes = self.eyes
        eyes.looks.append((frame.data, closely))
        eyes.at.append(frame.at)
        eyes.looking += 1
        eyes.most_looking = max(eyes.most_looking, eyes.looking)
        try:
            await asyncio.sleep(eyes.takes_s + (eyes.closely_s if closely else 0.0))
        finally:
            eyes.looking -= 1
        if frame.data == b"broken":
            raise PictureError("invalid_image", "The image is damaged: send it again.")
        if frame.data == b"crash":
            raise RuntimeError("the secret recipe")
        return self._scene(frame, closely)

    def _scene(self, frame: Frame, closely: bool) -> Scene:
        if frame.data == b"black":
            return Scene(frame.at, 640, 480, "black")
        named, _, text = frame.data.decode().partition(": ")
        labels = tuple(filter(None, named.split(", ")))
        before, self.labels = self.labels, labels
        things = {label: Thing(label, BOX, 0.9, number) for number, label in enumerate(labels, 1)}
        read = f" Text: {text!r}." if closely and text else ""
        return Scene(
            frame.at,
            640,
            480,
            "normal",
            tuple(things.values()),
            text=((TextLine(text, BOX, 0.9),) if text else ()) if closely else None,
            codes=() if closely else None,
            appeared=tuple(each for label, each in things.items() if label not in (before or ())),
            left=tuple(Thing(label, BOX, 0.9, 99) for label in before or () if label not in labels),
            moved=before is not None and before != labels,
            summary=f"A {' and a '.join(labels)}.{read}" if labels else read.strip(),
        )

    async def picture(self, frame: Frame, *, longest: int, blur_faces: bool) -> bytes:
        self.eyes.pictures.append((frame.data, longest, blur_faces))
        if frame.data == b"unsendable":
            raise PictureError("invalid_image", "The image is damaged: send it again.")
        return b"JPEG of " + frame.data


@dataclass(frozen=True)
class Stamped:
    at: float
    event: events.Event


@dataclass
class Conversation:
    """A session with scripted engines, a microphone that runs in real (virtual) time, and a log of what happened."""

    turn: ScriptedTurnDetector = field(default_factory=ScriptedTurnDetector)
    stt: ScriptedStt = field(default_factory=ScriptedStt)
    live: ScriptedStt | None = None
    llm: ScriptedLlm = field(default_factory=ScriptedLlm)
    tts: ScriptedTts = field(default_factory=ScriptedTts)
    tools: ToolServers = field(default_factory=NoToolServers)
    eyes: ScriptedEyes | None = None
    lanes: Lanes = field(default_factory=lambda: Lanes(2))
    settings: Settings = field(default_factory=Settings)
    log: list[Stamped] = field(default_factory=list)
    windows: int = 0
    """Of the microphone, so far."""
    session: Session = field(init=False)
    engines: Engines = field(init=False)

    def __post_init__(self) -> None:
        if not self.settings.instructions:
            self.settings = Settings(instructions="Be brief.", turn_taking=self.settings.turn_taking)
        numbers: dict[str, int] = {}

        def new_id(kind: str) -> str:
            numbers[kind] = numbers.get(kind, 0) + 1
            return f"{kind}_{numbers[kind]}"

        self.engines = Engines(
            LevelVad(), self.turn, self.stt, self.live, self.llm, self.tts, self.lanes, self.eyes, self.tools
        )
        self.session = Session(self.engines, self.settings, new_id=new_id, asker=Asker("sess_1", user="ann"))

    def hold(self, script: "Callable[[Conversation], object]", *, read: bool = True) -> list[events.Event]:
        """Run `script` (a coroutine function) against the session on virtual time and return what happened."""
        from assistant.record.virtual_time import run  # noqa: PLC0415 - keeps the doubles usable on a real loop

        run(self._hold(script, read=read))
        return self.events

    async def _hold(self, script: "Callable[[Conversation], object]", *, read: bool) -> None:
        async with asyncio.TaskGroup() as tasks:
            session = tasks.create_task(self.session.run())
            reader = tasks.create_task(self._read()) if read else None
            await script(self)  # type: ignore[misc]  # a coroutine: Callable can't say it without Any
            session.cancel()
            if reader:
                reader.cancel()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            event = await self.session.next_event()
            self.log.append(Stamped(loop.time(), event))

    # --- What a script does ---

    async def say(self, seconds: float, level: float = VOICE) -> None:
        """Speak for `seconds`, as a microphone sends it."""
        for _ in range(round(seconds / WINDOW_S)):
            self.windows += 1
            await self.session.put(events.Audio(noise(VAD_WINDOW, level, seed=1_000_000 + self.windows)))
            await asyncio.sleep(WINDOW_S)

    async def hush(self, seconds: float) -> None:
        """Send the sound of a quiet room."""
        await self.say(seconds, QUIET)

    async def ask(self, request: events.Request) -> None:
        await self.session.put(request)
        await asyncio.sleep(0.001)

    # --- What a test looks at ---

    @property
    def events(self) -> list[events.Event]:
        return [stamped.event for stamped in self.log]

    def of(self, kind: type) -> list:  # type: ignore[type-arg]  # events of the one kind asked for
        return [event for event in self.events if isinstance(event, kind)]

    def at(self, kind: type) -> float:
        return next(stamped.at for stamped in self.log if isinstance(stamped.event, kind))

    @property
    def kinds(self) -> list[str]:
        """The events' names, runs of the same one once."""
        names: list[str] = []
        for event in self.events:
            name = type(event).__name__
            if not names or names[-1] != name:
                names.append(name)
        return names


def taking(**changes: object) -> Settings:
    """Settings with other turn-taking."""
    return Settings(instructions="Be brief.", turn_taking=TurnTaking(**changes))  # type: ignore[arg-type]
