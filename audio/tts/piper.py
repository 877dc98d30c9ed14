"""Speech with Piper (https://github.com/OHF-Voice/piper1-gpl, ONNX)."""

import asyncio
import json
import logging
import unicodedata
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from audio.pcm import resample
from audio.types import OUTPUT_RATE, Samples

_SPEEDS: Final = (0.25, 1.5)
_GAIN: Final = 1.4
"""The voices are quiet. One gain for all, since the loudness of a word belongs to how it is spoken."""
_PEAK: Final = 0.95
_LEAD_S: Final = 0.02
"""Silence kept before the first word: what comes before is waited for in vain."""
_FRAME_S: Final = 0.005
_AUDIBLE: Final = 0.002
"""Root mean square (-54 dBFS) of a frame that is no longer silence."""
_UNSPEAKABLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "So", "Sk"})
"""Unicode categories: controls, what is not assigned, and pictures."""


class Piper:
    """Speaks with one Piper voice. Sentences of several speeches take turns on one thread."""

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load a voice: an .onnx file with its .onnx.json beside it, or a folder with one.

        Raises FileNotFoundError when a file is missing and ValueError when one isn't what it should be.
        """
        logging.getLogger("piper").setLevel(logging.ERROR)  # it warns of every character without a sound
        file = _onnx(model)
        config = _config(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The arena keeps what the longest clause ever took, 350 MB for one of 15 s; without it short ones are as quick.
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._voice = PiperVoice(session=session, config=config)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="piper")

    async def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        """Speak plain text at 24 kHz, a chunk for each sentence; text without words yields nothing.

        `voice` names one of the model's speakers, where it has several. `speed` is 0.25..1.5; anything else raises
        ValueError. The next sentence is synthesised when it is asked for, so that closing loses one at most.
        """
        slowest, fastest = _SPEEDS
        if not slowest <= speed <= fastest:
            raise ValueError(f"The speed must be {slowest}..{fastest}; this is {speed}.")
        config = self._voice.config
        how = SynthesisConfig(
            speaker_id=config.speaker_id_map.get(voice) if voice else None, length_scale=config.length_scale / speed
        )
        loop = asyncio.get_running_loop()
        first = True
        for phonemes in await loop.run_in_executor(self._executor, self._phonemes, text):
            samples = await loop.run_in_executor(self._executor, self._synthesise, phonemes, how)
            yield _without_lead(samples) if first else samples
            first = False

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

    def _synthesise(self, phonemes: list[str], how: SynthesisConfig) -> Samples:
        made = self._voice.phoneme_ids_to_audio(self._voice.phonemes_to_ids(phonemes), how)
        sound: NDArray[np.float32] = np.atleast_1d(np.asarray(made, np.float32))
        sound = resample(sound, self._voice.config.sample_rate, OUTPUT_RATE)
        peak = float(np.abs(sound).max(initial=0.0))
        return sound * np.float32(min(_GAIN, _PEAK / peak) if peak > 0 else 1.0)


def _without_lead(sound: Samples) -> Samples:
    frame = round(_FRAME_S * OUTPUT_RATE)
    frames = sound[: sound.size // frame * frame].reshape(-1, frame)
    audible = np.flatnonzero(np.sqrt(np.square(frames).mean(axis=1)) > _AUDIBLE)
    if audible.size == 0:
        return sound
    return sound[max(0, int(audible[0]) * frame - round(_LEAD_S * OUTPUT_RATE)) :]


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
