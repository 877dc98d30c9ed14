"""Engines that note what they are asked and what they answer; the real ones do the work.

A call is a line when it begins ({"call": number, "kind": …}), one for each piece of a streamed answer ("piece") and
one when it ends ("end": returned, raised or left). "at" is when that happened and "asked" when the session began to
wait for it, in seconds since the session began. A call is left when it is cancelled, or its rest isn't wanted any more.
The voice detector's calls take no time and have one line each; so has each look at the lanes, and each wait for one,
because they tell of the other sessions.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

from assistant.record.format import CALLS, SPEECH, identity, inline, picture_name
from assistant.record.tape import Tape
from audio.types import Samples
from pipeline.engines import (
    ChatRequest,
    Engines,
    Eyes,
    Generated,
    LanguageModel,
    Sight,
    SpeechToText,
    TextToSpeech,
    Transcript,
    TurnDetector,
    VoiceDetector,
    VoiceStream,
)
from pipeline.lanes import Lane, Lanes
from pipeline.tool_servers import ListedTool, ToolError, ToolFailure, ToolServer, ToolServers
from vision.types import Frame, Scene

T = TypeVar("T")


def recorded(engines: Engines, tape: Tape) -> Engines:
    """Return the same engines, with every call noted on the tape."""
    calls = _Calls(tape)
    return replace(
        engines,
        vad=_VoiceDetector(engines.vad, tape),
        turn=_TurnDetector(engines.turn, calls),
        stt=_SpeechToText("stt.transcribe", engines.stt, calls),
        live=None if engines.live is None else _SpeechToText("live.transcribe", engines.live, calls),
        llm=_LanguageModel(engines.llm, calls),
        tts=_TextToSpeech(engines.tts, calls),
        lanes=_Lanes(engines.lanes, tape),
        eyes=None if engines.eyes is None else _Eyes(engines.eyes, calls),
        tools=_ToolServers(engines.tools, calls),
    )


def asked(request: ChatRequest) -> dict[str, object]:
    """Return what is noted of a request for an answer: all that the answer hangs on, as far as it isn't empty."""
    limits = {"max_tokens": request.max_tokens, "temperature": request.temperature}
    return read(request) | limits | ({"route": request.asker.route} if request.asker.route else {})


def read(request: ChatRequest) -> dict[str, object]:
    """Return what is noted of a request to read ahead."""
    return {"messages": request.messages} | ({"toolbox": request.toolbox} if request.toolbox.tools else {})


def looked(frame: Frame, closely: bool) -> dict[str, object]:
    """Return what is noted of a look at a picture."""
    return {"text": f"{picture_name(frame.data)}{' closely' if closely else ''}"}


def called(server: ToolServer, name: str, arguments: str) -> dict[str, object]:
    """Return what is noted of a call of a server's tool."""
    return {"text": f"{server.label}: {name} {arguments}"}


@dataclass(slots=True)
class _Call:
    number: int
    asked: float
    """When the session began to wait for what comes next of it."""


class _Calls:
    """Numbers the calls of one session and notes them."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._numbers = count(1)

    async def answer(self, kind: str, arguments: Mapping[str, object], work: Awaitable[T]) -> T:
        """Await `work`, and note how it went."""
        with self._call(kind, arguments) as call:
            value = await work
        self._end(call, "returned", value=value)
        return value

    async def stream(
        self, kind: str, arguments: Mapping[str, object], work: AsyncGenerator[T, None]
    ) -> AsyncGenerator[T, None]:
        """Pass on what `work` yields, and note it."""
        with self._call(kind, arguments) as call:
            async with aclosing(work):
                async for piece in work:
                    at = self._tape.now()
                    self._tape.note(CALLS, SPEECH, call=call.number, asked=call.asked, at=at, piece=piece)
                    yield piece
                    call.asked = self._tape.now()
        self._end(call, "returned")

    @contextmanager
    def _call(self, kind: str, arguments: Mapping[str, object]) -> Iterator[_Call]:
        """Note that a call begins and, if that is so, that it failed or was left."""
        tape = self._tape
        call = _Call(next(self._numbers), tape.now())
        tape.note(CALLS, identity, call=call.number, at=call.asked, kind=kind, heard=tape.heard, arguments=arguments)
        try:
            yield call
        except Exception as error:
            self._end(call, "raised", error=type(error).__name__, message=str(error))
            raise
        except BaseException:
            self._end(call, "left")
            raise

    def _end(self, call: _Call, end: str, **result: object) -> None:
        self._tape.note(CALLS, inline, call=call.number, asked=call.asked, at=self._tape.now(), end=end, **result)


class _VoiceStream:
    def __init__(self, stream: VoiceStream, tape: Tape) -> None:
        self._stream = stream
        self._tape = tape

    def score(self, window: Samples) -> float:
        tape = self._tape
        try:
            probability = self._stream.score(window)
        except Exception as error:
            failure = {"error": type(error).__name__, "message": str(error)}
            tape.note(CALLS, identity, at=tape.now(), heard=tape.heard, window=window, probability=None, **failure)
            raise
        tape.note(CALLS, identity, at=tape.now(), heard=tape.heard, window=window, probability=probability)
        return probability

    def reset(self) -> None:
        self._stream.reset()


class _VoiceDetector:
    def __init__(self, detector: VoiceDetector, tape: Tape) -> None:
        self._detector = detector
        self._tape = tape

    def stream(self) -> VoiceStream:
        return _VoiceStream(self._detector.stream(), self._tape)


class _TurnDetector:
    def __init__(self, detector: TurnDetector, calls: _Calls) -> None:
        self._detector = detector
        self._calls = calls

    async def score(self, audio: Samples) -> float:
        return await self._calls.answer("turn.score", {"audio": audio}, self._detector.score(audio))


class _SpeechToText:
    def __init__(self, kind: str, engine: SpeechToText, calls: _Calls) -> None:
        self._kind = kind
        self._engine = engine
        self._calls = calls

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
    ) -> Transcript:
        arguments = {"audio": audio, "language": language, "prompt": prompt}
        work = self._engine.transcribe(audio, language=language, prompt=prompt, temperature=temperature, words=words)
        return await self._calls.answer(self._kind, arguments, work)


class _LanguageModel:
    def __init__(self, model: LanguageModel, calls: _Calls) -> None:
        self._model = model
        self._calls = calls

    @property
    def takes_pictures(self) -> bool:
        return self._model.takes_pictures

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        return self._calls.stream("llm.stream", asked(request), self._model.stream(request))

    async def prefill(self, request: ChatRequest) -> float | None:
        return await self._calls.answer("llm.prefill", read(request), self._model.prefill(request))


class _TextToSpeech:
    def __init__(self, engine: TextToSpeech, calls: _Calls) -> None:
        self._engine = engine
        self._calls = calls

    def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        arguments = {"text": text, "voice": voice, "speed": speed}
        return self._calls.stream("tts.speak", arguments, self._engine.speak(text, voice=voice, speed=speed))


class _Eyes:
    def __init__(self, eyes: Eyes, calls: _Calls) -> None:
        self._eyes = eyes
        self._calls = calls

    def open(self) -> Sight:
        return _Sight(self._eyes.open(), self._calls)


class _Sight:
    def __init__(self, sight: Sight, calls: _Calls) -> None:
        self._sight = sight
        self._calls = calls

    async def look(self, frame: Frame, *, closely: bool = False) -> Scene:
        return await self._calls.answer("eyes.look", looked(frame, closely), self._sight.look(frame, closely=closely))

    async def picture(self, frame: Frame, *, longest: int, blur_faces: bool) -> bytes:
        return await self._sight.picture(frame, longest=longest, blur_faces=blur_faces)  # it is no answer to anything


class _ToolServers:
    def __init__(self, servers: ToolServers, calls: _Calls) -> None:
        self._servers = servers
        self._calls = calls

    async def tools(self, server: ToolServer) -> tuple[ListedTool, ...]:
        return await self._note("tools.list", {"text": server.label}, self._servers.tools(server))

    async def call(self, server: ToolServer, name: str, arguments: str) -> str:
        work = self._servers.call(server, name, arguments)
        return await self._note("tools.call", called(server, name, arguments), work)

    async def _note(self, kind: str, arguments: Mapping[str, object], work: Awaitable[T]) -> T:
        # Why a tool fails is a result like any other: all of it is noted, and not only its words.
        result = await self._calls.answer(kind, arguments, _settled(work))
        if isinstance(result, ToolFailure):
            raise ToolError(result)
        return result


async def _settled(work: Awaitable[T]) -> T | ToolFailure:
    try:
        return await work
    except ToolError as error:
        return error.failure


class _Lanes(Lanes):
    """The lanes that all sessions share, as one of them sees them."""

    def __init__(self, lanes: Lanes, tape: Tape) -> None:
        super().__init__(1)  # its own counts stay at zero: the shared ones count
        self._shared = lanes
        self._tape = tape

    def free(self, lane: Lane) -> bool:
        free = self._shared.free(lane)
        self._tape.note(CALLS, inline, at=self._tape.now(), lane=lane.name, free=free)
        return free

    @asynccontextmanager
    async def enter(self, lane: Lane, patience_s: float | None = None) -> AsyncIterator[None]:
        asked = self._tape.now()
        async with self._shared.enter(lane, patience_s):
            self._tape.note(CALLS, inline, at=self._tape.now(), lane=lane.name, asked=asked)
            yield
