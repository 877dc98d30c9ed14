"""One turn, from the user's words to the last sound of the answer.

`run_turn` is a coroutine that reads from top to bottom: transcribe, think, speak, deliver. It may start before it is
known that the user is done: until `committed` is set, it prepares and nothing of it is delivered. Cancelling its task
is the only way to stop it. It owns no state of the conversation: it posts what it produced, and the session, which
may have moved on, decides what that means.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from audio.types import OUTPUT_RATE, Samples
from pipeline.engines import ChatMessage, Engines, Finish, Generated, SpeechToText, Transcript
from pipeline.errors import Stage, StageError
from pipeline.playhead import Playhead
from pipeline.speech_text import ClauseSplitter

LEAD_S: Final = 0.4
"""Sound is sent at most this far ahead of real time, so that an interruption has little to take back."""

FRAME_S: Final = 0.04
APOLOGY: Final = "Sorry, something went wrong. Please try again."


@dataclass(frozen=True, slots=True)
class Brief:
    """What a turn needs to know."""

    audio: Samples | None
    """The utterance; None when the question is in the conversation already."""
    prompt: Callable[[str | None], Sequence[ChatMessage]]
    """Makes the prompt, given the words of `audio`."""
    answer: bool = True
    """False: only transcribe."""
    ready: Callable[[], Awaitable[object]] | None = None
    """Waits until the words of earlier messages are known; needed where there is no `audio`."""
    output: Literal["audio", "text"] = "audio"
    voice: str | None = None
    speed: float = 1.0
    language: str | None = None
    transcription_prompt: str = ""
    max_tokens: int = 300
    temperature: float = 0.7


# --- What a turn posts; `turn` is its number ---


@dataclass(frozen=True, slots=True)
class Words:
    """The user's words are known, or could not be found out."""

    turn: int
    transcript: Transcript | StageError


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage produced its first result."""

    turn: int
    what: Literal["token", "clause"]


@dataclass(frozen=True, slots=True)
class Says:
    """The next clause, whose sound follows; of a text response the next words."""

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
class Done:
    """All was delivered and, as far as it is sound, played. Always the last thing of a turn that isn't cancelled."""

    turn: int
    finish: Finish | None = None
    """None when the model wasn't asked or failed."""
    error: StageError | None = None


TurnOutput: TypeAlias = Words | Reached | Says | Measured | Sound | Done
Post: TypeAlias = Callable[[TurnOutput], Awaitable[None]]
Put: TypeAlias = Callable[[str], Awaitable[None]]


async def run_turn(turn: int, brief: Brief, engines: Engines, committed: asyncio.Event, post: Post) -> None:
    """Answer `brief`, posting everything under the number `turn`. Never raises for a failing engine."""
    question: str | None = None
    error: StageError | None = None
    if brief.audio is not None:
        words = await transcribe(engines.stt, brief.audio, brief.language, brief.transcription_prompt)
        await post(Words(turn, words))
        if isinstance(words, StageError):
            error = words
        elif not words.text:
            await post(Done(turn))
            return
        else:
            question = words.text
    else:
        assert brief.ready is not None
        await brief.ready()
    if not brief.answer:
        await post(Done(turn, error=error))
        return
    answer = _Answer(turn, brief, engines, committed, post)
    if error is None:
        error = await answer.attempt(lambda put: answer.think(question, put))
    if error is not None and not answer.delivered and error.stage is not Stage.SPEAK:
        # A person who hears nothing can't know why.
        await answer.attempt(answer.recite)
    # What failed before the commit is nobody's business until then.
    await committed.wait()
    await post(Done(turn, answer.finish, error))


async def transcribe(
    engine: SpeechToText, audio: Samples, language: str | None, prompt: str
) -> Transcript | StageError:
    """Return the words in `audio`, or the error that stands in their way."""
    try:
        return await engine.transcribe(audio, language=language, prompt=prompt)
    except Exception as cause:  # noqa: BLE001 - whatever an engine raises becomes one typed error
        return _failed(Stage.TRANSCRIBE, "The speech could not be transcribed", cause)


def _failed(stage: Stage, sentence: str, cause: Exception) -> StageError:
    error = StageError(stage, f"{stage}_failed", f"{sentence}: {type(cause).__name__}: {cause}")
    error.__cause__ = cause
    return error


class _Answer:
    """The second half of a turn: stages that run side by side, with bounded queues between them."""

    def __init__(self, turn: int, brief: Brief, engines: Engines, committed: asyncio.Event, post: Post) -> None:
        self._turn = turn
        self._brief = brief
        self._engines = engines
        self._committed = committed
        self._post = post
        self.finish: Finish | None = None
        self.delivered = False

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

    async def think(self, question: str | None, put: Put) -> None:
        """Put the model's answer: clauses to be spoken, or pieces of text as they come."""
        splitter = ClauseSplitter()
        spoken = self._brief.output == "audio"
        prompt = self._brief.prompt(question)
        reached: set[str] = set()
        async with aclosing(self._generate(prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    self.finish = piece
                    continue
                await self._reach("token", reached)
                for text in splitter.feed(piece.text) if spoken else [piece.text]:
                    await self._reach("clause", reached)
                    await put(text)
        for text in splitter.flush():
            await self._reach("clause", reached)
            await put(text)

    async def recite(self, put: Put) -> None:
        """Put a fixed sentence that asks for patience."""
        await put(APOLOGY)

    async def _reach(self, what: Literal["token", "clause"], reached: set[str]) -> None:
        if what not in reached:
            reached.add(what)
            await self._post(Reached(self._turn, what))

    async def _generate(self, prompt: Sequence[ChatMessage]) -> AsyncGenerator[Generated, None]:
        brief = self._brief
        try:
            stream = self._engines.llm.stream(prompt, max_tokens=brief.max_tokens, temperature=brief.temperature)
            async with aclosing(stream):
                async for piece in stream:
                    yield piece
        except Exception as cause:
            raise _failed(Stage.THINK, "The language model failed", cause) from cause

    async def _write(self, text: str) -> None:
        await self._committed.wait()
        await self._post(Says(self._turn, text))
        self.delivered = True

    async def _say(self, produce: Callable[[Put], Awaitable[None]]) -> None:
        # Both queues block their producer: speech is made ahead of its playback, but not without limit.
        clauses: asyncio.Queue[str | None] = asyncio.Queue(maxsize=2)
        sounds: asyncio.Queue[tuple[str, Samples] | None] = asyncio.Queue(maxsize=4)

        async def think() -> None:
            await produce(clauses.put)
            await clauses.put(None)

        async with asyncio.TaskGroup() as stages:
            stages.create_task(think())
            stages.create_task(self._speak(clauses, sounds))
            stages.create_task(self._deliver(sounds))

    async def _speak(
        self, clauses: asyncio.Queue[str | None], sounds: asyncio.Queue[tuple[str, Samples] | None]
    ) -> None:
        number = 0
        while (clause := await clauses.get()) is not None:
            samples = 0
            caption = clause
            try:
                stream = self._engines.tts.speak(clause, voice=self._brief.voice, speed=self._brief.speed)
                async with aclosing(stream):
                    async for chunk in stream:
                        await sounds.put((caption, chunk))
                        samples += len(chunk)
                        caption = ""
            except Exception as cause:
                raise _failed(Stage.SPEAK, "The speech could not be made", cause) from cause
            if samples:
                await self._post(Measured(self._turn, number, samples / OUTPUT_RATE))
                number += 1
        await sounds.put(None)

    async def _deliver(self, sounds: asyncio.Queue[tuple[str, Samples] | None]) -> None:
        await self._committed.wait()
        loop = asyncio.get_running_loop()
        playhead = Playhead()
        frame = int(FRAME_S * OUTPUT_RATE)
        while (sound := await sounds.get()) is not None:
            caption, samples = sound
            if caption:
                await self._post(Says(self._turn, caption))
            for at in range(0, len(samples), frame):
                piece = samples[at : at + frame]
                seconds = len(piece) / OUTPUT_RATE
                await asyncio.sleep(max(0.0, playhead.ahead_s(loop.time()) + seconds - LEAD_S))
                playhead.send(seconds, loop.time())
                await self._post(Sound(self._turn, piece))
                self.delivered = True
        await asyncio.sleep(playhead.ahead_s(loop.time()))
