"""Makes the synthetic sounds of `tests/data/turns`: words and hums that say “I am listening”, and coughs.

`python -m tests.bench.make_backchannels`. Words are spoken by Piper, at other speeds and pitches than the assistant's;
its speech differs a little each time, so what is in the repository was made once and is kept. Hums and coughs, which
Piper can't say, are made of a source (a glottis, or breath) and a throat's formants.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from assistant.cpu import share_machine
from assistant.models import Store
from audio.pcm import resample, write_wav
from audio.tts.piper import Piper
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples
from tests.bench.align import levels_db
from tests.bench.sound import DATA

Wave: TypeAlias = NDArray[np.float64]

_PEAK: Final = 0.35  # about what the recordings of questions have
_BELOW_LOUD_DB: Final = 30.0
_MARGIN_S: Final = 0.03


@dataclass(frozen=True, slots=True)
class Word:
    """What is said, and how: `pitch` 1.2 is that much higher than the voice's own."""

    name: str
    text: str
    speed: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Formant:
    """A resonance of the throat."""

    hertz: float
    width_hz: float
    strength: float


NOSE: Final = (Formant(270, 60, 1.0), Formant(1000, 150, 0.08), Formant(2200, 200, 0.05), Formant(3100, 250, 0.03))
UH: Final = (Formant(640, 90, 1.0), Formant(1190, 110, 0.6), Formant(2390, 170, 0.3), Formant(3400, 250, 0.15))


@dataclass(frozen=True, slots=True)
class Hum:
    """Voiced sounds in a row, with breath between: how long each is, and from which pitch to which it goes."""

    name: str
    throat: tuple[Formant, ...]
    sounds: tuple[tuple[float, float, float], ...]
    """Each: seconds, the pitch in hertz at its beginning, and at its end."""


@dataclass(frozen=True, slots=True)
class Cough:
    """Bursts of breath: when each begins, in which throat, and how much voice follows."""

    name: str
    bursts_s: tuple[float, ...]
    formants_hz: tuple[float, ...]
    voice: float = 0.0


WORDS: Final = (
    Word("yeah_slow", "Yeah.", 0.9, 1.15),
    Word("yeah_quick", "Yeah.", 1.3, 1.3),
    Word("right_low", "Right.", 1.0, 0.88),
    Word("right_high", "Right.", 0.9, 1.25),
    Word("okay_low", "Okay.", 1.1, 0.92),
    Word("okay_high", "Okay.", 0.95, 1.3),
    Word("i_see", "I see.", 1.1, 1.2),
    Word("sure", "Sure.", 1.0, 1.2),
    Word("yes", "Yes.", 1.0, 0.9),
)
HUMS: Final = (
    Hum("mm_hm_low", NOSE, ((0.18, 105, 100), (0.26, 116, 142))),
    Hum("mm_hm_middle", NOSE, ((0.18, 150, 142), (0.26, 165, 202))),
    Hum("mm_hm_high", NOSE, ((0.18, 210, 200), (0.26, 231, 284))),
    Hum("mm_hm_quick", NOSE, ((0.12, 120, 114), (0.18, 132, 162))),
    Hum("uh_huh_low", UH, ((0.18, 110, 104), (0.26, 121, 148))),
    Hum("uh_huh_high", UH, ((0.18, 200, 190), (0.26, 220, 270))),
    Hum("hmm", NOSE, ((0.35, 126, 94),)),
)
COUGHS: Final = (
    Cough("cough_once", (0.0,), (620.0, 1450.0, 2600.0), 0.5),
    Cough("cough_twice", (0.0, 0.21), (550.0, 1300.0, 2400.0)),
    Cough("cough_high", (0.0,), (800.0, 1800.0, 3100.0)),
    Cough("throat_clearing", (0.0, 0.11, 0.2), (420.0, 1100.0, 2300.0), 1.0),
)


async def speak(voice: Piper, word: Word) -> Samples:
    """Return the word at INPUT_RATE, without silence around it."""
    # Played faster by `pitch`, it is higher and shorter: so it is spoken slower by as much.
    speed = min(1.5, max(0.25, word.speed / word.pitch))
    said = np.concatenate([part async for part in voice.speak(word.text, speed=speed)])
    return _level(_trim(resample(said, round(OUTPUT_RATE * word.pitch), INPUT_RATE)))


def hum(sort: Hum) -> Samples:
    """Return a hum at INPUT_RATE; the breath between its sounds overlaps both a little."""
    gap_s = 0.07
    sounds = [_voiced(*sound, sort.throat) for sound in sort.sounds]
    loud = max(float(np.abs(sound).max()) for sound in sounds)
    breath = 0.15 * loud * _coloured(_noise(gap_s + 0.04, seed=2), sort.throat)
    breath *= np.hanning(breath.size)
    whole = np.zeros(round((sum(sound[0] for sound in sort.sounds) + gap_s * len(sounds)) * INPUT_RATE) + 10)
    at = round(gap_s * INPUT_RATE) if len(sounds) == 1 else 0
    for number, sound in enumerate(sounds):
        if number or len(sounds) == 1:  # a lone sound has its breath before it
            begin = max(0, at - round((gap_s + 0.02) * INPUT_RATE))
            whole[begin : begin + breath.size] += breath
        whole[at : at + sound.size] += sound
        at += sound.size + round(gap_s * INPUT_RATE)
    return _level(_trim(whole.astype(np.float32)))


def cough(sort: Cough) -> Samples:
    """Return a cough at INPUT_RATE: each burst is noise with a sharp beginning."""
    throat = tuple(Formant(hertz, 180, 1.0) for hertz in sort.formants_hz)
    length_s = sort.bursts_s[-1] + 0.24
    sound = np.zeros(round(length_s * INPUT_RATE))
    for number, begin_s in enumerate(sort.bursts_s):
        at = round(begin_s * INPUT_RATE)
        t = np.arange(sound.size - at) / INPUT_RATE
        burst = _unit(_coloured(_noise(length_s - begin_s, seed=len(sort.name)), throat))[: t.size]
        voice = _unit(_voiced(length_s - begin_s, 150, 95, throat))[: t.size]
        shape = np.minimum(t / 0.006, 1) * np.exp(-t / 0.06)
        sound[at:] += 0.8**number * (burst * shape + sort.voice * voice * np.sqrt(shape) * (t > 0.02))
    return _level(sound.astype(np.float32))


def _voiced(length_s: float, from_hz: float, to_hz: float, throat: Sequence[Formant]) -> Wave:
    t = np.arange(round(length_s * INPUT_RATE)) / INPUT_RATE
    pitch = (from_hz + (to_hz - from_hz) * np.sin(np.pi / 2 * t / length_s)) * (1 + 0.012 * np.sin(2 * np.pi * 5 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / INPUT_RATE
    sound = np.zeros(t.size)
    for harmonic in range(1, int(0.47 * INPUT_RATE / pitch.max())):
        sound += _gain(pitch * harmonic, throat) * np.cos(harmonic * phase + harmonic) / harmonic
    ends: Wave = np.clip(np.minimum(t / 0.03, (length_s - t) / 0.05), 0, 1)
    return sound * ends


def _coloured(noise: Wave, throat: Sequence[Formant]) -> Wave:
    hertz: Wave = np.asarray(np.fft.rfftfreq(noise.size, 1 / INPUT_RATE), np.float64)
    return np.asarray(np.fft.irfft(np.fft.rfft(noise) * _gain(hertz, throat), noise.size))


def _gain(hertz: Wave, throat: Sequence[Formant]) -> Wave:
    gain = np.full(hertz.shape, 0.003)
    for formant in throat:
        gain += formant.strength / np.sqrt(1 + ((hertz - formant.hertz) / formant.width_hz) ** 2)
    return gain


def _noise(length_s: float, seed: int) -> Wave:
    return np.random.default_rng(seed).standard_normal(round(length_s * INPUT_RATE))


def _unit(sound: Wave) -> Wave:
    return np.asarray(sound / np.abs(sound).max())


def _trim(sound: Samples) -> Samples:
    levels = levels_db(sound)
    loud = np.flatnonzero(levels > levels.max() - _BELOW_LOUD_DB) * 0.01
    begin, end = max(0.0, loud[0] - _MARGIN_S), loud[-1] + 0.02 + _MARGIN_S
    return sound[round(begin * INPUT_RATE) : round(end * INPUT_RATE)]


def _level(sound: Samples) -> Samples:
    return np.asarray(sound * (_PEAK / np.abs(sound).max()), np.float32)


async def main() -> None:
    """Write the sounds."""
    share_machine()
    voice = Piper(Store().pull("piper-joe"))
    sounds = {word.name: await speak(voice, word) for word in WORDS}
    voice.close()
    sounds |= {sort.name: hum(sort) for sort in HUMS} | {sort.name: cough(sort) for sort in COUGHS}
    for name, sound in sounds.items():
        write_wav(DATA / "turns" / f"synthetic_{name}.wav", sound, INPUT_RATE)


if __name__ == "__main__":
    asyncio.run(main())
