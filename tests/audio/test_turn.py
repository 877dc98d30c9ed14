import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from audio import onnx_file
from audio.mel import log_mel
from audio.turn.any_length import any_length
from audio.turn.silence import Silence
from audio.turn.smart_turn import SmartTurn
from audio.types import INPUT_RATE, Samples

CUT = {  # at which part of its speech the sentence plainly goes on
    "en_s2p_weather_new_york": 0.6,
    "en_azure_kws_weather": 0.7,
    "en_v2j_please_lamp": 0.6,
    "en_s2i_dark_roast": 0.6,
    "en_s2i_20oz_mocha": 0.8,
    "en_s2i_cappuccino_milk": 0.6,
    "en_librivox_had_he_married": 0.6,
    "en_jfk": 0.7,
}


@pytest.mark.models
@pytest.mark.parametrize("name", CUT)
def test_a_finished_sentence_scores_higher_than_its_half(
    smart_turn: SmartTurn, clip: Callable[[str], Samples], clips: list[dict[str, Any]], name: str
) -> None:
    row = next(row for row in clips if row["id"] == name)
    start, end = row["speech_start_s"], row["speech_end_s"]
    audio = clip(name)
    finished = asyncio.run(smart_turn.score(audio[: int((end + 0.2) * INPUT_RATE)]))
    half = asyncio.run(smart_turn.score(audio[: int((start + CUT[name] * (end - start)) * INPUT_RATE)]))
    assert finished > 0.5 > half


@pytest.mark.models
def test_only_the_last_8_seconds_count(smart_turn: SmartTurn, clip: Callable[[str], Samples]) -> None:
    audio = clip("en_jfk")
    assert asyncio.run(smart_turn.score(audio)) == asyncio.run(smart_turn.score(audio[-8 * INPUT_RATE :]))


@pytest.mark.models
def test_any_length_is_taken(smart_turn: SmartTurn) -> None:
    asyncio.run(smart_turn.warm())
    assert asyncio.run(smart_turn.score(np.zeros(0, np.float32))) == 0
    assert 0 <= asyncio.run(smart_turn.score(np.full(1, 0.1, np.float32))) <= 1


@pytest.mark.models
@pytest.mark.parametrize("seconds", [3.1, 5.5, 8.0])
def test_of_a_longer_utterance_it_says_what_the_published_model_says(
    smart_turn: SmartTurn, clip: Callable[[str], Samples], model_path: Callable[[str], Path], seconds: float
) -> None:
    audio = clip("en_jfk")[: int(seconds * INPUT_RATE)]
    heard = np.zeros(8 * INPUT_RATE, np.float32)
    heard[heard.size - audio.size :] = audio
    heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
    published = onnxruntime.InferenceSession(next(model_path("smart-turn").glob("*.onnx")))
    (expected,) = published.run(None, {"input_features": log_mel(heard)[None]})
    assert asyncio.run(smart_turn.score(audio)) == pytest.approx(float(expected[0, 0]), abs=1e-4)


@pytest.mark.models
def test_a_model_that_is_built_otherwise_hears_8_seconds(
    model_path: Callable[[str], Path], clip: Callable[[str], Samples], tmp_path: Path
) -> None:
    file = next(model_path("smart-turn").glob("*.onnx"))
    (tmp_path / "other.onnx").write_bytes(file.read_bytes().replace(b"embed_positions", b"embed_placement"))
    other = SmartTurn(tmp_path)
    audio = clip("en_s2p_weather_new_york")
    assert asyncio.run(other.score(audio)) > 0.5
    assert asyncio.run(other.score(np.tile(audio, 8))) > 0.5
    other.close()


@pytest.mark.parametrize("constants", [0, 2])
def test_a_model_whose_length_stands_nowhere_or_twice_is_left_alone(constants: int) -> None:
    table = onnx_file.write([(1, 400), (1, 2), (2, 1), (8, b"embed_positions.weight"), (9, bytes(3200))])
    length = (400).to_bytes(8, "little")
    shapes = [onnx_file.write([(1, 1), (2, 7), (8, bytes([65 + at])), (9, length)]) for at in range(constants)]
    graph: onnx_file.Fields = [(5, table), *((5, shape) for shape in shapes)]
    assert any_length(onnx_file.write([(7, onnx_file.write(graph))])) is None


@pytest.mark.models
def test_wrong_sound_is_refused(smart_turn: SmartTurn) -> None:
    with pytest.raises(ValueError, match="int16"):
        asyncio.run(smart_turn.score(np.zeros(100, np.int16)))
    with pytest.raises(ValueError, match="not finite"):
        asyncio.run(smart_turn.score(np.array([np.inf], np.float32)))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no \.onnx file"):
        SmartTurn(tmp_path)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "smart.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"smart\.onnx is no turn detector \(.*no ONNX model.*Fetch"):
        SmartTurn(tmp_path)


def test_silence_never_thinks_that_you_are_done() -> None:
    engine = Silence()

    async def use() -> float:
        await engine.warm()
        return await engine.score(np.zeros(10, np.float32))

    assert asyncio.run(use()) == 0
    engine.close()


def test_the_spectrogram_is_the_one_whisper_was_trained_on(clip: Callable[[str], Samples]) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415 - only the reference needs it

    audio = clip("en_v2j_please_lamp")
    np.testing.assert_allclose(log_mel(audio), FeatureExtractor()(audio, padding=0), atol=1e-4)
