"""The engines that a configuration asks for: the one place that knows their classes.

Each `case` imports its engine, so that nobody pays for, or needs, the libraries of an engine that isn't chosen.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, assert_never

import platformdirs

from assistant.config import Config
from assistant.cpu import cores, give_back_memory
from assistant.llm import kernels
from assistant.models import Store
from pipeline.engines import Engines, Eyes, LanguageModel, SpeechToText, TextToSpeech, TurnDetector, VoiceDetector
from pipeline.history import prompt
from pipeline.lanes import Lanes
from vision.types import Code, Pixels

if TYPE_CHECKING:
    from assistant.llm.embedded import EmbeddedLlm

# ruff: noqa: PLC0415 - see above


class _Lifetime(Protocol):
    async def warm(self) -> None: ...

    def close(self) -> None: ...


class _Vad(VoiceDetector, _Lifetime, Protocol): ...


class _Turn(TurnDetector, _Lifetime, Protocol): ...


class _Stt(SpeechToText, _Lifetime, Protocol): ...


class _Llm(LanguageModel, _Lifetime, Protocol): ...


class _Tts(TextToSpeech, _Lifetime, Protocol): ...


_E = TypeVar("_E", bound=_Lifetime)


@asynccontextmanager
async def build(config: Config, store: Store) -> AsyncIterator[Engines]:
    """Load the engines side by side, run each once, and close them at the end. Takes a few seconds.

    Raises MissingModel when a model isn't on this machine, before anything is loaded.
    """
    folders = await asyncio.to_thread(lambda: {name: store.path(name) for name in config.models()})
    closing = ExitStack()
    try:
        yield await _start_all(config, folders, closing)
    finally:
        await asyncio.to_thread(closing.close)


@asynccontextmanager
async def language_model(config: Config, store: Store) -> AsyncIterator[LanguageModel]:
    """Load the language model alone. Raises MissingModel when it isn't on this machine."""
    folder = await asyncio.to_thread(store.path, config.llm.model)
    model = await asyncio.to_thread(_embedded, config, folder)
    try:
        yield model
    finally:
        await asyncio.to_thread(model.close)


async def _start_all(config: Config, folders: dict[str, Path], closing: ExitStack) -> Engines:
    async def start(make: Callable[[], _E]) -> _E:
        engine = await asyncio.to_thread(make)
        closing.callback(engine.close)
        await engine.warm()
        return engine

    async with asyncio.TaskGroup() as group:
        vad = group.create_task(start(lambda: _vad(config, folders)))
        turn = group.create_task(start(lambda: _turn(config, folders)))
        stt = group.create_task(start(lambda: _stt(config, folders)))
        tts = group.create_task(start(lambda: _tts(config, folders)))
        match config.live.engine:
            case "none":
                live = None
            case "moonshine" if (config.stt.engine, config.stt.model) == ("moonshine", config.live.model):
                live = stt
            case "moonshine":
                live = group.create_task(start(lambda: _moonshine(folders[config.live.model], threads=1)))
            case _ as never:
                assert_never(never)
        # Last, because llama.cpp keeps the interpreter to itself while it loads.
        llm = group.create_task(start(lambda: _llm(config, folders)))
    return Engines(
        vad=vad.result(),
        turn=turn.result(),
        stt=stt.result(),
        live=None if live is None else live.result(),
        llm=llm.result(),
        tts=tts.result(),
        lanes=Lanes(cores(), spare=kernels.share),
        eyes=build_eyes(config, folders, closing),
    )


def _vad(config: Config, folders: dict[str, Path]) -> _Vad:
    match config.vad.engine:
        case "silero":
            from audio.vad.silero import SileroVad

            return SileroVad(folders[config.vad.model])
        case _ as never:
            assert_never(never)


def _turn(config: Config, folders: dict[str, Path]) -> _Turn:
    match config.turn_detector.engine:
        case "smart-turn":
            from audio.turn.smart_turn import SmartTurn

            return SmartTurn(folders[config.turn_detector.model])
        case "none":
            from audio.turn.silence import Silence

            return Silence()
        case _ as never:
            assert_never(never)


def _stt(config: Config, folders: dict[str, Path]) -> _Stt:
    settings = config.stt
    match settings.engine:
        case "faster-whisper":
            from audio.stt.faster_whisper import FasterWhisper

            return FasterWhisper(folders[settings.model], threads=settings.threads, short_window=settings.short_window)
        case "moonshine":
            return _moonshine(folders[settings.model], threads=settings.threads)
        case _ as never:
            assert_never(never)


def _moonshine(folder: Path, *, threads: int) -> _Stt:
    from audio.stt.moonshine import Moonshine

    return Moonshine(folder, threads=threads)


def _llm(config: Config, folders: dict[str, Path]) -> _Llm:
    settings = config.llm
    match settings.engine:
        case "llama.cpp":
            model = _embedded(config, folders[settings.model])
            if settings.judge in {"none", settings.model}:
                return model
            from assistant.llm.judged import Judged, load_judge

            return Judged(model, load_judge(folders[settings.judge], _beginnings()))
        case _ as never:
            assert_never(never)


def _embedded(config: Config, folder: Path) -> "EmbeddedLlm":
    from assistant.llm.embedded import EmbeddedLlm

    settings, first = config.llm, config.settings()
    return EmbeddedLlm(
        folder,
        threads=settings.threads or _model_threads(),
        context_tokens=settings.context_tokens,
        parallel=settings.parallel,
        beginning=prompt([], first.instructions, max_chars=first.max_history_chars),
        keep=_beginnings(),
    )


def _beginnings() -> Path:
    return platformdirs.user_cache_path("parley") / "beginnings"


def _model_threads() -> int:
    """Return how many threads the language model gets: of two cores both, of more all but one."""
    return max(min(2, cores()), cores() - 1)


def _tts(config: Config, folders: dict[str, Path]) -> _Tts:
    match config.tts.engine:
        case "piper":
            from audio.tts.piper import Piper

            return Piper(folders[config.tts.model], threads=config.tts.threads)
        case _ as never:
            assert_never(never)


def build_eyes(config: Config, folders: dict[str, Path], closing: ExitStack) -> Eyes | None:
    """Return the eyes, of which nothing is loaded yet, and have `closing` close them."""
    settings = config.vision
    match settings.engine:
        case "none":
            return None
        case "local":
            from vision.eyes import LocalEyes
            from vision.finders import FaceFinder, Finders, HandFinder, Lazy, ObjectFinder, TextReader

            # The first picture loads what looks for things in it, so the classes come as late.
            def objects() -> ObjectFinder:
                from vision.detect.yolox import Yolox

                return Yolox(folders[settings.model], threads=settings.threads)

            def faces() -> FaceFinder:
                from vision.faces import FaceFinder

                return FaceFinder(folders[settings.faces], threads=settings.threads)

            def hands() -> HandFinder:
                from vision.hands import HandFinder

                return HandFinder(folders[settings.hands], threads=settings.threads)

            def text() -> TextReader:
                from vision.text import TextReader

                return TextReader(threads=settings.threads)

            def codes(picture: Pixels) -> tuple[Code, ...]:
                from vision.codes import read_codes

                return read_codes(picture)

            finders = Finders(
                objects=Lazy(objects),
                faces=None if settings.faces == "none" else Lazy(faces),
                hands=None if settings.hands == "none" else Lazy(hands),
                text=Lazy(text),
                codes=codes,
                tidy=give_back_memory,
            )
            eyes = LocalEyes(finders)
            closing.callback(eyes.close)
            return eyes
        case _ as never:
            assert_never(never)
