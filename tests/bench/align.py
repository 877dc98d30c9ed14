"""Where the words of a recording lie: Whisper's alignment of what is known to be said, and the quiet spots nearby."""

from functools import cache
from typing import Any, Final

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from assistant.models import Store
from audio.types import INPUT_RATE, Samples
from tests.bench.sound import decibels
from tests.bench.words import normalise

_HOP_S: Final = 0.01
_NEAR_S: Final = 0.06
"""Whisper's boundaries are about so sure."""
_PULL_DB_PER_S: Final = 100.0
_FRAME_S: Final = 0.02


@cache
def _whisper() -> WhisperModel:
    return WhisperModel(
        str(Store().pull("whisper-base")), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )


def words(audio: Samples, text: str, language: str) -> list[tuple[str, float, float]]:
    """Return each word of `text` with the seconds at which it begins and ends in `audio` (16 kHz, up to 30 s)."""
    whisper: Any = _whisper()
    tokenizer = Tokenizer(whisper.hf_tokenizer, multilingual=True, task="transcribe", language=language)
    features = whisper.feature_extractor(audio)
    encoded = whisper.encode(pad_or_trim(features))
    frames = min(features.shape[-1], 3000)
    aligned = whisper.find_alignment(tokenizer, [tokenizer.encode(f" {text}")], encoded, frames)[0]
    return [
        (word["word"].strip(), float(word["start"]), float(word["end"])) for word in aligned if word["word"].strip()
    ]


def levels_db(audio: Samples) -> NDArray[np.float64]:
    """Return the level of each frame of 20 ms, every 10 ms."""
    frame, hop = round(_FRAME_S * INPUT_RATE), round(_HOP_S * INPUT_RATE)
    starts = range(0, max(1, audio.size - frame + 1), hop)
    return np.array([decibels(float(np.sqrt(np.mean(np.square(audio[at : at + frame]))))) for at in starts])


def quiet_spot_s(audio: Samples, near_s: float) -> float:
    """Return the middle of the quietest frame around `near_s`."""
    levels = levels_db(audio)
    first = max(0, round((near_s - _NEAR_S - _FRAME_S / 2) / _HOP_S))
    last = round((near_s + _NEAR_S - _FRAME_S / 2) / _HOP_S) + 1
    window = levels[first:last]
    # A slight pull towards the alignment decides between spots that are about as quiet.
    distance = np.abs(np.arange(first, first + window.size) * _HOP_S + _FRAME_S / 2 - near_s)
    return float((first + int(np.argmin(window + _PULL_DB_PER_S * distance))) * _HOP_S + _FRAME_S / 2)


def boundary_s(audio: Samples, text: str, before: str, language: str) -> float:
    """Return where the words `before`, with which `text` begins, end in `audio`. Raises ValueError if it doesn't."""
    wanted = normalise(before)
    count, ahead = 0, 0
    placed = words(audio, text, language)
    while ahead < len(wanted) and count < len(placed):
        ahead += len(normalise(placed[count][0]))
        count += 1
    if [word for placed_word, *_ in placed[:count] for word in normalise(placed_word)] != wanted:
        raise ValueError(f"“{text}” does not begin with “{before}”.")
    _, _, end_s = placed[count - 1]
    _, next_s, _ = placed[count]
    return quiet_spot_s(audio, (end_s + next_s) / 2)


def room_level_db(audio: Samples) -> float:
    """Return the level of the quietest tenth of a second, between -75 and -55 dB: what the room sounds like."""
    power = 10 ** (levels_db(audio) / 10)
    smooth = np.convolve(power, np.ones(9) / 9, mode="valid") if power.size >= 9 else power
    return round(float(np.clip(10 * np.log10(smooth.min()), -75, -55)), 1)
