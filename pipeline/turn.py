"""One turn, from the user's words to the last sound of the answer.

`run_turn` is a coroutine that reads from top to bottom: think, speak, deliver. It may start before it is known that
the user is done, or that these are the words: while its gate is shut, it prepares and nothing of it is delivered.
Shutting the gate later holds the delivery. Cancelling its task is the only way to stop it. It owns no state of the
conversation: it posts what it produced, and the session, which may have moved on, decides what that means.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeAlias, assert_never

from audio.types import OUTPUT_RATE, Samples
from pipeline.engines import (
    NO_TOOLS,
    Adjusted,
    Asker,
    Bridge,
    ChatMessage,
    ChatRequest,
    Engines,
    Finish,
    Generated,
    Routed,
    TakenBack,
    TextDelta,
    Toolbox,
    ToolCall,
    View,
)
from pipeline.errors import Stage, StageError, failed
from pipeline.gate import Gate
from pipeline.lanes import Lane
from pipeline.playhead import Playhead
from pipeline.speech_text import ClauseSplitter
from pipeline.spoken_forms import spoken_form
from pipeline.tool_servers import RemoteTool, ToolFailure, failure_of

LEAD_S: Final = 0.4
"""Sound is sent at most this far ahead of real time, so that an interruption has little to take back."""

FRAME_S: Final = 0.04
_SENTENCE: Final = 160
"""Letters of a sentence that is spoken in one go."""
APOLOGY: Final = "Sorry, something went wrong. Please try again."
PATIENCE: Final = ((1.0, "One moment."), (8.0, "This takes a little longer."))
"""While a tool is carried out: what is said when nothing was for so many seconds, one after the other."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What a turn needs to know."""

    prompt: Callable[[], Sequence[ChatMessage]]
    """Makes the prompt, the question included."""
    asker: Asker
    error: StageError | None = None
    """Why the question isn't known; the person then hears an apology."""
    ready: Callable[[], Awaitable[StageError | None]] | None = None
    """Waits until the prompt can be made, and returns why it can't be; None where it can be at once."""
    apologise: bool = True
    """Whether somebody hears the reply, and is told when there is none."""
    output: Literal["audio", "text"] = "audio"
    voice: str | None = None
    speed: float = 1.0
    max_tokens: int = 300
    temperature: float = 0.7
    toolbox: Toolbox = NO_TOOLS
    view: View | None = None
    """What the user shows."""
    words: str = ""
    """What is said without asking a model; empty where one is asked."""

    def request(self, committed: Callable[[], Awaitable[None]]) -> ChatRequest:
        """Return what the language model is asked; `committed` waits until it is sure that it is."""
        return ChatRequest(
            tuple(self.prompt()),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            toolbox=self.toolbox,
            spoken=self.output == "audio",
            asker=self.asker,
            view=self.view,
            committed=committed,
        )


# --- What a turn posts; `turn` is its number ---


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage produced its first result."""

    turn: int
    what: Literal["token", "clause"]


@dataclass(frozen=True, slots=True)
class Goes:
    """Who answers from here on."""

    turn: int
    routed: Routed


@dataclass(frozen=True, slots=True)
class Says:
    """The next clause, whose sound follows; of a text response the next words."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Bridges:
    """Words whose sound follows, and which are no part of the answer. In sound they count as a clause."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Measured:
    """How long clause number `clause` sounds."""

    turn: int
    clause: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Sound:
    """The next sound, due now."""

    turn: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class Calls:
    """A function is called; the words before it have been sent."""

    turn: int
    call: ToolCall
    number: int = 0
    """Within the turn."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What came of call `number`, which the turn had carried out."""

    turn: int
    number: int
    outcome: str | ToolFailure


@dataclass(frozen=True, slots=True)
class Done:
    """All was delivered and, as far as it is sound, played. Always the last thing of a turn that isn't cancelled."""

    turn: int
    finish: Finish | None = None
    """None when the model wasn't asked or failed."""
    error: StageError | None = None


TurnOutput: TypeAlias = Reached | Goes | Says | Bridges | Measured | Sound | Calls | Returned | Done
Post: TypeAlias = Callable[[TurnOutput | Adjusted], Awaitable[None]]
"""Reports to the session. What was `Adjusted` concerns all its turns."""
Words: TypeAlias = str | Bridge
"""A clause, or words between clauses."""
Put: TypeAlias = Callable[[Words | ToolCall], Awaitable[None]]
_Sounds: TypeAlias = asyncio.Queue[tuple[Words, Samples] | ToolCall | None]
"""Pieces of sound, each with the words that begin with it; empty where none do."""


async def run_turn(turn: int, brief: Brief, engines: Engines, gate: Gate, post: Post) -> None:
    """Answer `brief`, posting everything under the number `turn`. Never raises for a failing engine."""
    error = brief.error
    if brief.ready is not None:
        error = await brief.ready() or error
    async with asyncio.TaskGroup() as beside:
        answer = _Answer(turn, brief, engines, gate, post, beside=beside)
        error = error or await answer.attempt(partial(answer.recite, brief.words) if brief.words else answer.think)
        if error is not None and brief.apologise and not answer.delivered and error.stage is not Stage.SPEAK:
            # A person who hears nothing can't know why.
            await answer.attempt(partial(answer.recite, APOLOGY))
        await answer.await_tools()
    # What failed before the commit is nobody's business until then.
    await gate.passed()
    await post(Done(turn, answer.finish, error))


class _Answer:
    """The second half of a turn: stages that run side by side, with bounded queues between them."""

    def __init__(  # noqa: PLR0913 - what a turn has
        self, turn: int, brief: Brief, engines: Engines, gate: Gate, post: Post, *, beside: asyncio.TaskGroup
    ) -> None:
        self._turn = turn
        self._brief = brief
        self._engines = engines
        self._gate = gate
        self._post = post
        self._beside = beside  # tools are carried out there
        self._tools: list[asyncio.Task[None]] = []
        self._calls = 0
        self.finish: Finish | None = None
        self.delivered = False
        """Something of the answer was."""
        self._speed = brief.speed
        self._playhead = Playhead()
        self._said = 0  # clauses and bridges whose sound was begun to be sent
        self._sent_s = 0.0  # of the sound of the last of them

    async def attempt(self, produce: Callable[[Put], Awaitable[None]]) -> StageError | None:
        """Deliver what `produce` puts, as the brief asks, and return the error that ended it, if one did."""
        error: StageError | None = None
        try:
            if self._brief.output == "text":
                await produce(self._write)
            else:
                await self._say(produce)
        except* StageError as group:
            # The first stage that fails cancels the others, so there is one.
            error = next(e for e in group.exceptions if isinstance(e, StageError))
        return error

    async def think(self, put: Put) -> None:
        """Put the model's answer: clauses to be spoken, or pieces of text as they come, and then its calls."""
        splitter = ClauseSplitter()
        spoken = self._brief.output == "audio"
        request = self._brief.request(self._gate.committed)
        reached: set[str] = set()
        calls: list[ToolCall] = []
        async with self._at_work() as work, aclosing(self._generate(request)) as pieces:
            async for piece in pieces:
                match piece:
                    case TextDelta(text):
                        await self._reach("token", reached)
                        await self._put_all(splitter.feed(text) if spoken else [text], put, reached)
                    case ToolCall():
                        await self._reach("token", reached)
                        calls.append(piece)
                    case Finish():
                        self.finish = piece
                    case Routed():
                        await self._post(Goes(self._turn, piece))
                        await work(piece.place == "device")
                    case Bridge():
                        if spoken:
                            await put(piece)
                    case TakenBack():
                        splitter.drop()
                    case Adjusted():
                        await self._adjust(piece)
                    case _:
                        assert_never(piece)
        await self._put_all(splitter.flush(), put, reached)
        for call in calls:
            await put(call)

    async def _put_all(self, clauses: Sequence[str], put: Put, reached: set[str]) -> None:
        for clause in clauses:
            await self._reach("clause", reached)
            await put(clause)

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[Callable[[bool], Awaitable[None]]]:
        """Think in the model's lane; yields what leaves it (False) and enters it again (True)."""
        lane = AsyncExitStack()
        works = False

        async def work(here: bool) -> None:
            nonlocal works
            if here and not works:
                await lane.enter_async_context(self._engines.lanes.enter(Lane.THOUGHT))
            elif works and not here:
                await lane.aclose()  # what another machine does takes no core of this one
            works = here

        async with lane:
            await work(True)
            yield work

    async def _adjust(self, adjusted: Adjusted) -> None:
        await self._gate.committed()
        if adjusted.speed is not None:
            self._speed = adjusted.speed
        await self._post(adjusted)

    async def recite(self, text: str, put: Put) -> None:
        """Put words that no model was asked for."""
        if self._brief.output == "text":
            await put(text)
            return
        splitter = ClauseSplitter([_SENTENCE])  # the words are there: nobody waits for the first of them
        for clause in [*splitter.feed(text), *splitter.flush()]:
            await put(clause)

    async def _reach(self, what: Literal["token", "clause"], reached: set[str]) -> None:
        if what not in reached:
            reached.add(what)
            await self._post(Reached(self._turn, what))

    async def _generate(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        try:
            async with aclosing(self._engines.llm.stream(request)) as stream:
                async for piece in stream:
                    yield piece
        except Exception as cause:
            raise failed(Stage.THINK, "The language model failed", cause) from cause

    async def _write(self, piece: Words | ToolCall) -> None:
        await self._gate.passed()
        if isinstance(piece, ToolCall):
            await self._call(piece)
        else:
            await self._post(self._told(piece))
        self.delivered = True

    async def _call(self, call: ToolCall) -> None:
        number, self._calls = self._calls, self._calls + 1
        await self._post(Calls(self._turn, call, number))
        tool = self._brief.toolbox.remote(call.name)
        if tool is not None and not tool.asks:
            self._tools.append(self._beside.create_task(self._carry_out(number, tool, call.arguments)))

    async def _carry_out(self, number: int, tool: RemoteTool, arguments: str) -> None:
        outcome: str | ToolFailure
        try:
            outcome = await self._engines.tools.call(tool.server, tool.name, arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the model is told, and goes on
            outcome = failure_of(error)
        await self._post(Returned(self._turn, number, outcome))

    async def await_tools(self) -> None:
        """Wait for what the tools return. Whoever listens hears that they aren't forgotten."""
        for patience_s, words in PATIENCE if self._brief.output == "audio" else ():
            if not self._tools or not (await asyncio.wait(self._tools, timeout=patience_s))[1]:
                return
            await self.attempt(partial(self._bridge, words))
        if self._tools:
            await asyncio.wait(self._tools)

    async def _bridge(self, words: str, put: Put) -> None:
        await put(Bridge(words))

    def _told(self, piece: Words) -> TurnOutput:
        match piece:
            case Bridge(text):
                return Bridges(self._turn, text)
            case _:
                return Says(self._turn, piece)

    async def _say(self, produce: Callable[[Put], Awaitable[None]]) -> None:
        # Speech is made ahead of its playback, but not without limit: its queue blocks. The model's doesn't, since it
        # would keep the model's lane; it holds one answer at most.
        clauses: asyncio.Queue[Words | ToolCall | None] = asyncio.Queue()
        sounds: _Sounds = asyncio.Queue(maxsize=4)
        if self._said:  # an earlier attempt broke off: no more of its last words will sound
            await self._post(Measured(self._turn, self._said - 1, self._sent_s))

        async def think() -> None:
            await produce(clauses.put)
            await clauses.put(None)

        async with asyncio.TaskGroup() as stages:
            stages.create_task(think())
            stages.create_task(self._speak(clauses, sounds))
            stages.create_task(self._deliver(sounds))

    async def _speak(self, clauses: asyncio.Queue[Words | ToolCall | None], sounds: _Sounds) -> None:
        number = self._said
        while (clause := await clauses.get()) is not None:
            if isinstance(clause, ToolCall):
                await sounds.put(clause)
                continue
            samples = 0
            caption: Words = clause
            try:
                text = spoken_form(clause.text if isinstance(clause, Bridge) else clause)
                stream = self._engines.tts.speak(text, voice=self._brief.voice, speed=self._speed)
                async with aclosing(stream):
                    while (chunk := await self._next_chunk(stream)) is not None:
                        await sounds.put((caption, chunk))
                        samples += len(chunk)
                        caption = ""
            except Exception as cause:
                raise failed(Stage.SPEAK, "The speech could not be made", cause) from cause
            if samples:
                await self._post(Measured(self._turn, number, samples / OUTPUT_RATE))
                number += 1
        await sounds.put(None)

    async def _next_chunk(self, stream: AsyncGenerator[Samples, None]) -> Samples | None:
        async with self._engines.lanes.enter(Lane.SPEECH):
            return await anext(stream, None)

    async def _deliver(self, sounds: _Sounds) -> None:
        await self._gate.passed()
        loop = asyncio.get_running_loop()
        playhead = self._playhead
        answers = False
        frame = int(FRAME_S * OUTPUT_RATE)
        while (sound := await sounds.get()) is not None:
            if isinstance(sound, ToolCall):
                await self._write(sound)
                continue
            caption, samples = sound
            if caption:
                answers = not isinstance(caption, Bridge)
                await self._post(self._told(caption))
                self._said, self._sent_s = self._said + 1, 0.0
            for at in range(0, len(samples), frame):
                piece = samples[at : at + frame]
                seconds = len(piece) / OUTPUT_RATE
                await asyncio.sleep(max(0.0, playhead.ahead_s(loop.time()) + seconds - LEAD_S))
                await self._gate.passed()
                playhead.send(seconds, loop.time())
                await self._post(Sound(self._turn, piece))
                self._sent_s += seconds
                self.delivered |= answers
        await asyncio.sleep(playhead.ahead_s(loop.time()))
