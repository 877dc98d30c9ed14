import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from audio.tts.halves import Halves, split
from audio.tts.vits import Vits
from audio.types import Samples

QUIET = (0.0, 1.0, 0.0)
"""Scales without noise: with it, every utterance is another one."""
SENTENCE = "ðə wˈɛðɚ ɪz nˈaɪs tədˈeɪ, ænd wiː wɪl wˈɔːk tə ðə ɹˈɪvɚ."


@pytest.fixture(scope="module")
def voice(model_path: Callable[[str], Path]) -> Path:
    return next(model_path("piper-joe").glob("*.onnx"))


@pytest.fixture(scope="module")
def ids(voice: Path) -> list[int]:
    numbers = json.loads(Path(f"{voice}.json").read_text(encoding="utf-8"))["phoneme_id_map"]
    # As Piper does: a blank after every phoneme.
    return [number for sign in f"^{SENTENCE}$" for number in (*numbers[sign], *numbers["_"])]


def whole(voice: Path, ids: list[int]) -> Samples:
    session = onnxruntime.InferenceSession(voice)
    given = {"input": [ids], "input_lengths": [len(ids)], "scales": np.array(QUIET, np.float32)}
    sound: Samples = session.run(None, given)[0].reshape(-1)
    return sound


@pytest.mark.models
class TestPieces:
    def test_together_they_are_the_whole_sentence(self, voice: Path, ids: list[int]) -> None:
        pieces = list(Vits(voice, threads=1).speak(ids, QUIET, None))
        assert len(pieces) > 3
        np.testing.assert_allclose(np.concatenate(pieces), whole(voice, ids), atol=1e-4)

    def test_the_first_is_short_and_none_is_tiny(self, voice: Path, ids: list[int]) -> None:
        model = Vits(voice, threads=1)
        for length in range(8, len(ids), 9):
            first, *others = (piece.size for piece in model.speak(ids[:length], QUIET, None))
            assert first <= 32 * 256
            assert min(others, default=first) > 10 * 256

    def test_a_voice_without_a_marked_decoder_speaks_all_at_once(
        self, voice: Path, ids: list[int], tmp_path: Path
    ) -> None:
        other = tmp_path / "other.onnx"
        other.write_bytes(voice.read_bytes().replace(b"dec.conv_pre.weight", b"dec.conv_pre.wwwwww"))
        (only,) = Vits(other, threads=1).speak(ids, QUIET, None)
        np.testing.assert_allclose(only, whole(voice, ids), atol=1e-4)


@pytest.mark.models
class TestSplit:
    def test_each_half_has_its_own_weights_only(self, voice: Path) -> None:
        model = voice.read_bytes()
        halves = split(model)
        assert isinstance(halves, Halves)
        assert len(halves.encoder) + len(halves.decoder) < 1.01 * len(model)
        assert min(len(halves.encoder), len(halves.decoder)) > 5_000_000

    def test_a_file_that_ends_too_soon_is_refused(self, voice: Path) -> None:
        with pytest.raises(ValueError, match="no ONNX model"):
            split(voice.read_bytes()[:1_000_000])
