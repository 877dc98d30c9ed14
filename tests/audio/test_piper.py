import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from audio.pcm import resample
from audio.stt.moonshine import Moonshine
from audio.tts import piper as piper_module
from audio.tts.piper import Piper
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples
from tests.bench.words import normalise

SENTENCE = "The weather is nice today, and we will walk to the river."
NOTHING = ["", "   ", "...", "?!", "-", "***", "😀🎉", "\x00\x07"]
ODD = [
    "naïve café",
    "日本語",
    "مرحبا",
    "a\x00b",
    "[[x",
    "x]] y [[",
    "It is 20°C — 50% & $3.",
    "😀 Hello 😀",
    "🏳️‍🌈 ok",
    "A" * 300,
]


@pytest.fixture(scope="module")
def piper(model_path: Callable[[str], Path]) -> Iterator[Piper]:
    piper = Piper(model_path("piper-joe"))
    asyncio.run(piper.warm())
    yield piper
    piper.close()


def spoken(piper: Piper, text: str, speed: float = 1.0) -> Samples:
    async def collect() -> list[Samples]:
        return [chunk async for chunk in piper.speak(text, speed=speed)]

    return np.concatenate([np.zeros(0, np.float32), *asyncio.run(collect())])


@pytest.mark.models
class TestSpeech:
    @pytest.mark.parametrize("text", [SENTENCE, "Yes.", "How are you?", "Hmm.", "Sure! Here is one. Why not?"])
    def test_it_sounds_as_it_should(self, piper: Piper, text: str) -> None:
        sound = spoken(piper, text)
        audible = np.flatnonzero(np.abs(sound) > 0.01)
        words = sound[audible[0] : audible[-1]]
        assert sound.dtype == np.float32
        assert 0.03 < sound.size / OUTPUT_RATE / len(text) < 0.2
        assert np.abs(sound).max() <= 0.96
        assert 0.03 < np.sqrt(np.square(words).mean()) < 0.4
        assert audible[0] / OUTPUT_RATE < 0.045  # 20 ms, a frame, and the breath that begins a word
        assert 0.05 < (sound.size - audible[-1]) / OUTPUT_RATE < 0.4

    def test_a_recogniser_understands_it(self, piper: Piper, moonshine: Moonshine) -> None:
        # The voice never says it the same way twice: now and then "weather" sounds like "water", or "the" like "but".
        sounds = [resample(spoken(piper, SENTENCE), OUTPUT_RATE, INPUT_RATE) for _ in range(4)]
        heard = [asyncio.run(moonshine.transcribe(sound)).text for sound in sounds]
        assert normalise(SENTENCE) in [normalise(text) for text in heard], heard

    def test_the_first_piece_is_short_however_long_the_sentence(self, piper: Piper) -> None:
        async def seconds() -> list[float]:
            return [piece.size / OUTPUT_RATE async for piece in piper.speak(f"Well, {SENTENCE}")]

        first, *others = asyncio.run(seconds())
        assert 0.05 < first < 0.3
        assert sum(others) > 2

    def test_a_short_clause_is_made_once(self, piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
        first = spoken(piper, "Certainly,")
        assert not np.array_equal(spoken(piper, "Certainly,", 1.2), first)
        monkeypatch.setattr(piper, "_make", None)
        assert np.array_equal(spoken(piper, "Certainly,"), first)

    @pytest.mark.parametrize("text", ["Yours is 42,", "That is a longer clause,"])
    def test_what_is_long_or_holds_a_number_is_not_kept(self, piper: Piper, text: str) -> None:
        # Its melody is another one each time.
        assert not np.array_equal(spoken(piper, text), spoken(piper, text))

    def test_a_short_clause_that_broke_off_is_not_kept(self, piper: Piper) -> None:
        async def begin() -> None:
            async with aclosing(piper.speak("Naturally!")) as pieces:
                await anext(pieces)

        asyncio.run(begin())
        assert spoken(piper, "Naturally!").size > OUTPUT_RATE // 2

    def test_only_the_clauses_used_last_are_kept(self, piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
        piper._kept.clear()
        monkeypatch.setattr(piper_module, "_KEPT", 2)
        for text in ["Ah,", "Oh,", "Ah,", "Eh,"]:
            spoken(piper, text)
        assert [text for text, _, _ in piper._kept] == ["Ah,", "Eh,"]

    def test_speed_changes_the_duration(self, piper: Piper) -> None:
        slow, normal, fast = (sum(spoken(piper, SENTENCE, speed).size for _ in range(3)) for speed in (0.5, 1.0, 1.5))
        assert slow > 1.6 * normal
        assert fast < 0.8 * normal

    @pytest.mark.parametrize("speed", [0.0, 0.24, 1.51, float("nan")])
    def test_a_speed_out_of_range_is_refused(self, piper: Piper, speed: float) -> None:
        with pytest.raises(ValueError, match=r"The speed must be 0\.25\.\.1\.5"):
            spoken(piper, SENTENCE, speed)

    @pytest.mark.parametrize("text", NOTHING)
    def test_text_without_words_says_nothing(self, piper: Piper, text: str) -> None:
        assert spoken(piper, text).size == 0

    @pytest.mark.parametrize("text", ODD)
    def test_odd_text_is_spoken_quietly_as_far_as_logs_go(
        self, piper: Piper, text: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            assert spoken(piper, text).size > 0
        assert capfd.readouterr() == ("", "")
        assert caplog.records == []

    def test_pictures_are_not_spelled_out(self, piper: Piper) -> None:
        assert spoken(piper, "😀 Hello 😀").size < 1.4 * spoken(piper, "Hello").size

    def test_an_unknown_voice_is_the_default_one(self, piper: Piper) -> None:
        async def speak() -> list[Samples]:
            return [chunk async for chunk in piper.speak("Yes.", voice="alloy")]

        assert sum(piece.size for piece in asyncio.run(speak())) > 0.3 * OUTPUT_RATE

    def test_a_loud_voice_is_bent_not_cut_off(self, piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(piper_module, "_GAIN", np.float32(4))
        sound = spoken(piper, "Stop!")
        loud = np.abs(sound)[np.abs(sound) > 0.8]
        assert loud.size > 100
        assert loud.max() <= 0.95
        assert np.unique(loud).size > 0.5 * loud.size  # a sound that is cut off has one value there


@pytest.mark.models
class TestStopping:
    def test_closing_drops_the_sentences_to_come(self, piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
        begun: list[object] = []
        pieces = piper._pieces
        monkeypatch.setattr(piper, "_pieces", lambda *given: [begun.append(given), pieces(*given)][1])

        async def first_only() -> None:
            async with aclosing(piper.speak("One. " * 20)) as chunks:
                await anext(chunks)

        asyncio.run(first_only())
        assert len(begun) == 1
        assert spoken(piper, "Yes.").size > 0

    def test_cancelling_leaves_the_voice_usable(self, piper: Piper) -> None:
        async def cancel() -> None:
            task = asyncio.create_task(anext(piper.speak(SENTENCE)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancel())
        assert spoken(piper, "Yes.").size > 0

    def test_two_speakers_take_turns(self, piper: Piper) -> None:
        async def both() -> list[str]:
            order: list[str] = []

            async def speak(name: str) -> None:
                async for _ in piper.speak("One. Two. Three."):
                    order.append(name)

            await asyncio.gather(speak("a"), speak("b"))
            return order

        order = asyncio.run(both())
        assert order == ["a", "b"] * (len(order) // 2)


class TestBadModels:
    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no Piper voice"):
            Piper(tmp_path)

    def test_no_description(self, tmp_path: Path) -> None:
        (tmp_path / "voice.onnx").write_bytes(b"")
        with pytest.raises(FileNotFoundError, match=r"voice\.onnx\.json is missing"):
            Piper(tmp_path)

    @pytest.mark.parametrize("text", ["", "{}", "[1]", "null"])
    def test_another_description(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "voice.onnx").write_bytes(b"")
        (tmp_path / "voice.onnx.json").write_text(text)
        with pytest.raises(ValueError, match="not the description of a Piper voice"):
            Piper(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file", b"\x08\x07", b"<html>Not found</html>"])
    def test_another_file(self, tmp_path: Path, model_path: Callable[[str], Path], content: bytes) -> None:
        (tmp_path / "voice.onnx").write_bytes(content)
        description = next(model_path("piper-joe").glob("*.json"))
        (tmp_path / "voice.onnx.json").write_text(description.read_text())
        with pytest.raises(ValueError, match=r"voice\.onnx is not a Piper voice .*Fetch the voice again"):
            Piper(tmp_path)
