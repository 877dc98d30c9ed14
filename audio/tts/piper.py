"""Speech with Piper (https://github.com/OHF-Voice/piper1-gpl, ONNX)."""

import asyncio
import json
import logging
import unicodedata
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Final

import numpy as np
from piper import PiperVoice
from piper.config import PiperConfig

from audio.pcm import Resampler
from audio.tts.vits import Vits
from audio.types import OUTPUT_RATE, Samples

_SPEEDS: Final = (0.25, 1.5)
_GAIN: Final = np.float32(1.4)
"""The voices are quiet. One gain for all, since the loudness of a word belongs to how it is spoken."""
_KNEE: Final = np.float32(0.75)
_ROOM: Final = np.float32(0.2)
"""Between the loudest sound that stays as it is and the loudest there may be."""
_LEAD_S: Final = 0.02
"""Silence kept before the first word: what comes before is waited for in vain."""
_FRAME_S: Final = 0.005
_AUDIBLE: Final = 0.002
"""Root mean square (-54 dBFS) of a frame that is no longer silence."""
_SHORT: Final = 12
"""Characters of a clause that is worth keeping: "Sure,", "Sorry,", "No," begin every second answer."""
_KEPT: Final = 32
"""Clauses; a megabyte or two."""
_UNSPEAKABLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "So", "Sk"})
"""Unicode categories: controls, what is not assigned, and pictures."""


class Piper:
    """Speaks with one Piper voice. Pieces of several speeches take turns on one thread."""

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load a voice: an .onnx file with its .onnx.json beside it, or a folder with one.

        Raises FileNotFoundError when a file is missing and ValueError when one isn't what it should be.
        """
        logging.getLogger("piper").setLevel(logging.ERROR)  # it warns of every character without a sound
        file = _onnx(model)
        config = _config(file)
        try:
            self._model = Vits(file, threads=threads)
        except ValueError as error:
            raise ValueError(f"{file} is not a Piper voice ({error}). Fetch the voice again.") from error
        self._voice = PiperVoice(session=None, config=config)  # it only knows how words are pronounced
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="piper")
        self._kept: dict[tuple[str, str | None, float], Samples] = {}  # the one used last comes last

    async def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        """Speak plain text at 24 kHz, in pieces of a quarter of a second and longer; without words, yield nothing.

        `voice` names one of the model's speakers, where it has several. `speed` is 0.25..1.5; anything else raises
        ValueError. A piece is made when it is asked for, so that closing loses one at most. A short clause that was
        spoken before is there at once, in one piece.
        """
        slowest, fastest = _SPEEDS
        if not slowest <= speed <= fastest:
            raise ValueError(f"The speed must be {slowest}..{fastest}; this is {speed}.")
        key = (text, voice, speed)
        if key in self._kept:
            self._kept[key] = self._kept.pop(key)
            yield self._kept[key]
            return
        made = []
        async with aclosing(self._make(text, voice, speed)) as pieces:
            async for piece in pieces:
                made.append(piece)
                yield piece
        if made and len(text) <= _SHORT and not any(character.isdigit() for character in text):
            self._kept[key] = np.concatenate(made)
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]

    async def _make(self, text: str, voice: str | None, speed: float) -> AsyncGenerator[Samples, None]:
        loop = asyncio.get_running_loop()
        lead = True
        for phonemes in await loop.run_in_executor(self._executor, self._phonemes, text):
            pieces = self._pieces(phonemes, voice, speed)
            while (piece := await loop.run_in_executor(self._executor, next, pieces, None)) is not None:
                if lead:
                    piece, lead = _without_lead(piece)
                if piece.size:
                    yield piece

    async def warm(self) -> None:
        """Speak once, so that the first real clause isn't slower."""
        async for _ in self.speak("Hello, I am ready."):
            pass

    def close(self) -> None:
        """Stop the thread after the sentence in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _phonemes(self, text: str) -> list[list[str]]:
        text = _speakable(text)
        if not any(character.isalnum() for character in text):
            return []
        return [phonemes for phonemes in self._voice.phonemize(text) if phonemes]

    def _pieces(self, phonemes: list[str], voice: str | None, speed: float) -> Iterator[Samples]:
        config = self._voice.config
        speaker = None
        if config.num_speakers > 1:
            speaker = config.speaker_id_map.get(voice or "", config.default_speaker_id or 0)
        scales = (config.noise_scale, config.length_scale / speed, config.noise_w_scale)
        resampler = Resampler(config.sample_rate, OUTPUT_RATE)
        for sound in self._model.speak(self._voice.phonemes_to_ids(phonemes), scales, speaker):
            yield _loud(resampler.feed(sound))
        yield _loud(resampler.flush())


def _loud(sound: Samples) -> Samples:
    """Raise the voice; what would be too loud then is bent instead of cut off, whatever comes before and after it."""
    raised = sound * _GAIN
    over = np.maximum(np.abs(raised) - _KNEE, 0)
    bent: Samples = np.sign(raised) * (np.minimum(np.abs(raised), _KNEE) + _ROOM * np.tanh(over / _ROOM))
    return bent


def _without_lead(sound: Samples) -> tuple[Samples, bool]:
    """Leave out the silence before the first word; say whether all of the sound was silence."""
    frame = round(_FRAME_S * OUTPUT_RATE)
    frames = sound[: sound.size // frame * frame].reshape(-1, frame)
    audible = np.flatnonzero(np.sqrt(np.square(frames).mean(axis=1)) > _AUDIBLE)
    if audible.size == 0:
        return sound[:0], True
    return sound[max(0, int(audible[0]) * frame - round(_LEAD_S * OUTPUT_RATE)) :], False


def _speakable(text: str) -> str:
    """Leave out what espeak would spell out or choke on: control characters, pictures, and Piper's [[phonemes]]."""
    spoken = "".join(
        character if character == "°" or unicodedata.category(character) not in _UNSPEAKABLE else " "
        for character in text
    )
    return spoken.replace("[[", " ").replace("]]", " ")


def _onnx(model: Path) -> Path:
    file = next(iter(sorted(model.glob("*.onnx"))), None) if model.is_dir() else model
    if file is None or not file.is_file():
        raise FileNotFoundError(f"There is no Piper voice (.onnx) at {model}. Fetch the voice again.")
    return file


def _config(file: Path) -> PiperConfig:
    path = file.with_name(f"{file.name}.json")
    try:
        return PiperConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing beside the Piper voice. Fetch the voice again.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not the description of a Piper voice. Fetch the voice again.") from error
