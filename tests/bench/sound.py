"""Sound described in words: stretches of recordings and of a quiet room, put one after the other."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from audio.pcm import read_wav, resample
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples

DATA: Final = Path(__file__).resolve().parent.parent / "data"
FOLDERS: Final = (DATA / "speech", DATA / "turns")
"""Where recordings lie; the first that has one of the name gives it."""

_FADE_S: Final = 0.005  # a cut in the middle of a sound would click
_ROOM_CORNER_HZ: Final = 60.0  # rooms hum more than they hiss


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a recording."""

    clip: str
    begin_s: float
    end_s: float
    gain_db: float = 0.0

    @property
    def length_s(self) -> float:
        """How long it lasts."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True)
class Room:
    """A stretch in which nobody speaks: low noise of `level_db` (RMS, dB of full scale)."""

    length_s: float
    level_db: float


Stretch: TypeAlias = Piece | Room


def decibels(level: float) -> float:
    """Return an amplitude in dB of full scale, at least -120."""
    return 20 * float(np.log10(max(level, 1e-6)))


def amplitude(level_db: float) -> float:
    """Return the amplitude of a level in dB of full scale."""
    return float(10 ** (level_db / 20))


def room(size: int, level_db: float, seed: int = 0, rate: int = INPUT_RATE) -> Samples:
    """Return `size` samples of a quiet room: the same ones for the same arguments."""
    if size == 0:
        return np.zeros(0, np.float32)
    hertz = np.fft.rfftfreq(2 * size, 1 / rate)
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(2 * size))
    hum = np.fft.irfft(white / np.sqrt(1 + (hertz / _ROOM_CORNER_HZ) ** 2), 2 * size)[:size]
    return np.asarray(hum * amplitude(level_db) / np.sqrt(np.mean(hum**2)), np.float32)


def path_of(clip: str) -> Path:
    """Return where a recording lies. Raises FileNotFoundError when it is nowhere."""
    for folder in FOLDERS:
        if (path := folder / f"{clip}.wav").exists():
            return path
    raise FileNotFoundError(f"There is no recording {clip}.wav in {' or '.join(map(str, FOLDERS))}.")


@cache
def read(clip: str) -> Samples:
    """Return a recording at INPUT_RATE."""
    return resample(*read_wav(path_of(clip)), INPUT_RATE)


def render(stretches: Sequence[Stretch], rate: int = OUTPUT_RATE) -> Samples:
    """Return the sound at `rate`; a stretch that goes beyond its recording's end is silent there."""
    return resample(np.concatenate([_stretch(stretch) for stretch in stretches]), INPUT_RATE, rate)


def length_s(stretches: Sequence[Stretch]) -> float:
    """Return how long the sound lasts."""
    return sum(stretch.length_s for stretch in stretches)


def _stretch(stretch: Stretch) -> Samples:
    size = round(stretch.length_s * INPUT_RATE)
    if isinstance(stretch, Room):
        return room(size, stretch.level_db, zlib.crc32(repr(stretch).encode()))
    begin = round(stretch.begin_s * INPUT_RATE)
    sound = np.zeros(size, np.float32)
    there = read(stretch.clip)[begin : begin + size]
    sound[: there.size] = there * np.float32(amplitude(stretch.gain_db))
    fade = min(round(_FADE_S * INPUT_RATE), size // 2)
    slope = np.linspace(0, 1, fade, dtype=np.float32)
    sound[:fade] *= slope
    sound[size - fade :] *= slope[::-1]
    return sound
