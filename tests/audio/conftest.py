from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audio.stt.faster_whisper import FasterWhisper
from audio.stt.moonshine import Moonshine
from audio.turn.smart_turn import SmartTurn
from audio.vad.silero import SileroVad


@pytest.fixture(scope="session")
def vad(model_path: Callable[[str], Path]) -> Iterator[SileroVad]:
    engine = SileroVad(model_path("silero-vad"))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def smart_turn(model_path: Callable[[str], Path]) -> Iterator[SmartTurn]:
    engine = SmartTurn(model_path("smart-turn"))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def whisper(model_path: Callable[[str], Path]) -> Iterator[FasterWhisper]:
    engine = FasterWhisper(model_path("whisper-base"), threads=2)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def moonshine(model_path: Callable[[str], Path]) -> Iterator[Moonshine]:
    engine = Moonshine(model_path("moonshine-tiny-en"))
    yield engine
    engine.close()
