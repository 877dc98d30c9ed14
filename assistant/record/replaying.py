"""Engines that answer from a recording: each has the Protocol of the one that it stands for."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from assistant.record.answers import Moments, Scores
from assistant.record.calls import Calls, Trace, error_of, now, tree_of, until
from assistant.record.engines import asked, called, looked, read
from assistant.record.format import Tree, identity
from assistant.record.stored import Call, ReplayError, Stored
from audio.types import Samples
from pipeline.engines import (
    ChatRequest,
    Engines,
    Finish,
    Generated,
    PictureError,
    Sight,
    TextDelta,
    ToolCall,
    Transcript,
    VoiceStream,
)
from pipeline.lanes import Lane, Lanes
from pipeline.tool_servers import ListedTool, ToolError, ToolFailure, ToolServer
from vision.types import Frame, Scene


def replaying(stored: Stored, trace: Trace) -> Engines:
    """Return engines that answer as those of the recording did."""
    calls = Calls(stored, trace)
    return Engines(
        vad=_VoiceDetector(Scores(stored.scores), trace),
        turn=_TurnDetector(calls),
        stt=_SpeechToText("stt.transcribe", calls),
        live=_SpeechToText("live.transcribe", calls) if stored.live else None,
        llm=_LanguageModel(calls, stored.pictures),
        tts=_TextToSpeech(calls),
        lanes=_Lanes(stored),
        eyes=_Eyes(calls) if stored.eyes else None,
        tools=_ToolServers(calls),
    )


class _VoiceDetector:
    def __init__(self, scores: Scores, trace: Trace) -> None:
        self._scores = scores
        self._trace = trace

    def stream(self) -> VoiceStream:
        return self

    def score(self, window: Samples) -> float:
        heard = self._trace.heard
        score = self._scores.same(identity(window)["hash"], heard)
        if score is None:
            self._trace.windows += 1
            score = self._scores.nearest(heard)
        if score is None:
            name = f"the voice detector's window of sound at {now():.3f} s"
            self._trace.unanswered = self._trace.unanswered or name
            raise ReplayError(f"Nothing in the recording answers {name}.")
        if score.probability is None:
            raise error_of(*score.error)
        return score.probability

    def reset(self) -> None:
        pass


class _TurnDetector:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def score(self, audio: Samples) -> float:
        score: float = await self._calls.answer("turn.score", {"audio": audio})
        self._calls.trace.scores.append((now(), score))
        return score


class _SpeechToText:
    def __init__(self, kind: str, calls: Calls) -> None:
        self._kind = kind
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
        transcript: Transcript = await self._calls.answer(self._kind, arguments)
        return transcript


class _LanguageModel:
    def __init__(self, calls: Calls, takes_pictures: bool) -> None:
        self._calls = calls
        self.takes_pictures = takes_pictures

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        tree = tree_of(asked(request))
        call = await self._calls.streaming("llm.stream", tree)
        async for piece in self._calls.pieces(call):
            yield piece
        if call.end == "left" and not isinstance(call.pieces[-1].value, Finish):
            for piece in self._rest(tree, call):
                yield piece

    def _rest(self, tree: Tree, call: Call) -> Iterator[Generated]:
        """Yield what follows after an answer that was stopped in the recording, as far as anything there tells."""
        said = _text(call)
        other = self._calls.nearest("llm.stream", tree, whole=True)
        if other is not None and _text(other).startswith(said):
            self._calls.note("the language model was stopped here in the recording: it goes on as in another answer")
            if rest := _text(other).removeprefix(said):
                yield TextDelta(rest)
            called = {piece.value for piece in call.pieces}
            for piece in other.pieces:
                if isinstance(piece.value, ToolCall | Finish) and piece.value not in called:
                    yield piece.value
            return
        self._calls.note("the language model was stopped here in the recording: its answer ends")
        yield Finish("stop", input_tokens=0, cached_tokens=0, output_tokens=len(call.pieces))

    async def prefill(self, request: ChatRequest) -> float | None:
        probability: float | None = await self._calls.answer("llm.prefill", read(request), needed=False)
        return probability


class _TextToSpeech:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        tree = tree_of({"text": text, "voice": voice, "speed": speed})
        call = await self._calls.streaming("tts.speak", tree)
        scale = _scale(call, text, speed)
        made: list[Samples] = []
        async for piece in self._calls.pieces(call):
            made.append(_stretched(piece, scale))
            yield made[-1]
        if call.end == "left" and (rest := self._rest(tree, made)) is not None:
            self._calls.note("the voice was stopped here in the recording: sound of the likely length stands in")
            yield rest

    def _rest(self, tree: Tree, made: Sequence[Samples]) -> Samples | None:
        """Return sound for the rest of a clause, as long as that is likely to be; None when that can't be known."""
        whole = self._calls.nearest("tts.speak", tree, whole=True)
        if whole is None:
            return None
        sound = np.concatenate([piece.value for piece in whole.pieces] or [np.zeros(0, np.float32)])
        likely = round(len(sound) * _scale(whole, tree["text"], tree["speed"]))
        missing = likely - sum(len(piece) for piece in made)
        return np.resize(sound, missing) if missing > 0 and len(sound) else None


class _Eyes:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def open(self) -> Sight:
        return self

    async def look(self, frame: Frame, *, closely: bool = False) -> Scene:
        try:
            scene: Scene = await self._calls.answer("eyes.look", looked(frame, closely))
        except Exception as error:
            if type(error).__name__ == PictureError.__name__:  # it only looks like one
                raise PictureError("invalid_image", str(error)) from error
            raise
        return replace(scene, at=frame.at)  # by the clock of this session

    async def picture(self, frame: Frame, *, longest: int, blur_faces: bool) -> bytes:
        raise PictureError("invalid_image", "A recording has no pictures.")


class _ToolServers:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def tools(self, server: ToolServer) -> tuple[ListedTool, ...]:
        found: tuple[ListedTool, ...] = _outcome(await self._calls.answer("tools.list", {"text": server.label}))
        return found

    async def call(self, server: ToolServer, name: str, arguments: str) -> str:
        returned: str = _outcome(await self._calls.answer("tools.call", called(server, name, arguments)))
        return returned


def _outcome(result: Any) -> Any:
    if isinstance(result, ToolFailure):
        raise ToolError(result)
    return result


class _Lanes(Lanes):
    """As busy as they were. At other moments the session has the machine for itself."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(1)  # its own counts stay at zero
        self._alone = Lanes(stored.cores)
        self._looks = Moments(stored.looks, lambda look: look.at)
        self._waits = Moments(stored.waits, lambda wait: wait.asked)

    def free(self, lane: Lane) -> bool:
        look = self._looks.take(now(), lambda look: look.lane == lane.name)
        return self._alone.free(lane) if look is None else look.free

    @asynccontextmanager
    async def enter(self, lane: Lane, patience_s: float | None = None) -> AsyncIterator[None]:
        wait = self._waits.take(now(), lambda wait: wait.lane == lane.name)
        if wait is not None:
            await until(wait.at)
        async with self._alone.enter(lane, patience_s if wait is None else 0.0):
            yield


def _scale(call: Call, text: str, speed: float) -> float:
    """Return how much longer `text` is likely to sound than the clause of `call`."""
    other, other_speed = call.arguments["text"], call.arguments["speed"]
    return float(len(text) / max(1, len(other)) * other_speed / speed)


def _stretched(samples: Samples, scale: float) -> Samples:
    return samples if scale == 1.0 else np.resize(samples, round(len(samples) * scale))


def _text(call: Call) -> str:
    return "".join(piece.value.text for piece in call.pieces if isinstance(piece.value, TextDelta))
