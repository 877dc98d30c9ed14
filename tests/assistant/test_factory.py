import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from assistant.config import Config, load
from assistant.factory import build
from assistant.models import MissingModel, Store
from audio.types import INPUT_RATE, Samples
from pipeline.engines import ChatMessage, ChatRequest, Engines, TextDelta
from tests.vision.files import photo_file
from vision.types import Frame


def names(engines: Engines) -> list[str]:
    parts = (engines.vad, engines.turn, engines.stt, engines.live, engines.llm, engines.tts)
    return [type(part).__name__ for part in parts]


def changed(config: Config, section: str, **keys: Any) -> Config:
    part = getattr(config, section).model_copy(update=keys)
    return config.model_copy(update={section: part})


@pytest.fixture
def store(model_path: Callable[[str], Path]) -> Callable[[Config], Store]:
    """A store that has what the configuration needs."""

    def stocked(config: Config) -> Store:
        for name in config.models():
            model_path(name)
        return Store()

    return stocked


async def use(engines: Engines, question: Samples) -> tuple[str, str]:
    """Run each engine once; return what was heard and what was answered."""
    assert 0 <= engines.vad.stream().score(question[:512]) <= 1
    assert 0 <= await engines.turn.score(question) <= 1
    heard = await engines.stt.transcribe(question, language="en")
    request = ChatRequest((ChatMessage("user", heard.text),), max_tokens=12, temperature=0.0)
    await engines.llm.prefill(request)
    pieces = [piece async for piece in engines.llm.stream(request)]
    answer = "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))
    speech = np.concatenate([chunk async for chunk in engines.tts.speak(answer)])
    assert speech.size > 0
    if engines.live is not None:
        assert (await engines.live.transcribe(question)).text
    if engines.eyes is not None:
        seen = await engines.eyes.open().look(Frame(photo_file("astronaut.jpg"), 0.0), closely=True)
        assert seen.summary.startswith("One person facing you")
    return heard.text, answer


@pytest.mark.models
class TestBuild:
    def test_the_default_engines_work_and_are_closed(
        self, store: Callable[[Config], Store], clip: Callable[[str], Samples]
    ) -> None:
        async def session() -> tuple[list[str], str, Engines]:
            config = load()
            async with build(config, store(config)) as engines:
                heard, _ = await use(engines, clip("en_goog_brooklyn_bridge"))
                return names(engines), heard, engines

        kinds, heard, engines = asyncio.run(session())
        assert kinds == ["SileroVad", "SmartTurn", "FasterWhisper", "Moonshine", "Judged", "Piper"]
        assert "Brooklyn Bridge" in heard
        assert engines.eyes is not None
        with pytest.raises(RuntimeError, match="after shutdown"):
            asyncio.run(engines.eyes.open().look(Frame(b"", 0.0)))
        with pytest.raises(RuntimeError, match="after shutdown"):
            asyncio.run(engines.turn.score(np.zeros(INPUT_RATE, np.float32)))
        with pytest.raises(RuntimeError, match="after shutdown"):
            asyncio.run(engines.llm.prefill(ChatRequest((ChatMessage("user", "Hello"),))))

    def test_one_model_in_two_roles_is_one_engine(
        self, store: Callable[[Config], Store], clip: Callable[[str], Samples]
    ) -> None:
        async def session() -> tuple[list[str], bool]:
            config = changed(load(profile="tiny"), "turn_detector", engine="none")
            async with build(config, store(config)) as engines:
                await use(engines, clip("en_goog_brooklyn_bridge"))
                return names(engines), engines.live is engines.stt

        kinds, same = asyncio.run(session())
        assert kinds == ["SileroVad", "Silence", "Moonshine", "Moonshine", "EmbeddedLlm", "Piper"]
        assert same

    def test_partial_transcripts_and_eyes_can_be_done_without(self, store: Callable[[Config], Store]) -> None:
        async def session() -> Engines:
            config = changed(changed(load(profile="tiny"), "live", engine="none"), "vision", engine="none")
            async with build(config, store(config)) as engines:
                return engines

        engines = asyncio.run(session())
        assert engines.live is engines.eyes is None

    def test_an_engine_that_fails_stops_the_others(self, model_path: Callable[[str], Path]) -> None:
        config = load(profile="tiny")
        folders = {name: model_path(name) for name in config.models()}
        folders[config.tts.model] = folders[config.llm.model]
        store: Any = SimpleNamespace(path=folders.__getitem__)

        async def session() -> None:
            async with build(config, store):
                pytest.fail("it was built")

        with pytest.raises(ExceptionGroup) as caught:
            asyncio.run(session())
        assert caught.group_contains(FileNotFoundError, match="no Piper voice")


def test_a_missing_model_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    async def session() -> None:
        async with build(load(), Store(tmp_path)):
            pytest.fail("it was built")

    with pytest.raises(MissingModel, match="parley models pull silero-vad"):
        asyncio.run(session())


def test_importing_the_factory_imports_no_engine() -> None:
    heavy = {
        "ai_edge_litert",
        "cv2",
        "ctranslate2",
        "faster_whisper",
        "onnxruntime",
        "piper",
        "rapidocr",
        "xllamacpp",
        "zxingcpp",
    }
    code = f"import sys, assistant.factory, assistant.llm.embedded; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
