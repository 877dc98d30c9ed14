"""Engines that are quick and predictable. They stand for the models only: everything around them is the real thing.

Loud sound is voice, each utterance reads "what time is it", each answer is the same two sentences, and speech is
a tone.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np

from audio.types import INPUT_RATE, OUTPUT_RATE, Samples, Token
from pipeline.engines import (
    ChatMessage,
    ChatRequest,
    Engines,
    Finish,
    Generated,
    TextDelta,
    ToolCall,
    Transcript,
)

HEARD = "what time is it"
HEARD_TOKENS = (Token("what", -0.5), Token(" time", -0.25), Token(" is it", -0.125))
ANSWER = "It is half past nine. You have plenty of time left."


class LoudnessDetector:
    """Stands for the voice detector."""

    def stream(self) -> "LoudnessDetector":
        return self

    def score(self, window: Samples) -> float:
        return 0.99 if float(np.abs(window).mean()) > 0.02 else 0.01

    def reset(self) -> None:
        pass


class SureTurnDetector:
    """Stands for the turn detector: every pause is the end."""

    async def score(self, audio: Samples) -> float:
        return 0.9


class OneSentenceRecogniser:
    """Stands for the recogniser."""

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
    ) -> Transcript:
        await asyncio.sleep(0)
        return Transcript(HEARD, "en", -0.5, HEARD_TOKENS)


class OneAnswerModel:
    """Stands for the language model; remembers what it was asked."""

    takes_pictures = False

    def __init__(self) -> None:
        self.prompts: list[Sequence[ChatMessage]] = []

    async def stream(self, request: ChatRequest) -> AsyncIterator[Generated]:
        self.prompts.append(request.messages)
        words = ANSWER.split(" ")
        for at, word in enumerate(words):
            await asyncio.sleep(0)
            yield TextDelta(word if at == 0 else f" {word}")
        yield Finish("stop", input_tokens=20, cached_tokens=5, output_tokens=len(words))

    async def prefill(self, request: ChatRequest) -> None:
        pass


class BrokenModel(OneAnswerModel):
    """Stands for a language model that fails."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[Generated]:
        yield TextDelta("It")
        raise RuntimeError("out of memory")


class CallingModel(OneAnswerModel):
    """Stands for a language model that calls the first function there is, and then answers with what it returned."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[Generated]:
        await asyncio.sleep(0)
        if request.messages[-1].role == "tool":
            yield TextDelta(f"It returned {request.messages[-1].content}.")
        else:
            yield ToolCall("mine", request.toolbox.tools[0].name, '{"city": "Rome"}')
        yield Finish("stop", input_tokens=20, cached_tokens=5, output_tokens=9)


class ToneSpeaker:
    """Stands for the voice: 30 ms of a 220 Hz tone for each character."""

    async def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncIterator[Samples]:
        tone = _tone(0.03 * len(text) / speed, OUTPUT_RATE)
        for start in range(0, len(tone), OUTPUT_RATE // 10):
            await asyncio.sleep(0)
            yield tone[start : start + OUTPUT_RATE // 10]


def fake_engines(llm: OneAnswerModel | None = None) -> Engines:
    return Engines(
        vad=LoudnessDetector(),
        turn=SureTurnDetector(),
        stt=OneSentenceRecogniser(),
        live=None,
        llm=llm or OneAnswerModel(),
        tts=ToneSpeaker(),
    )


def voice(seconds: float) -> Samples:
    """Sound that the fake detector takes for a voice, and that is no echo of the fake speaker's."""
    return np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * INPUT_RATE)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * INPUT_RATE), np.float32)


def _tone(seconds: float, rate: int) -> Samples:
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)
