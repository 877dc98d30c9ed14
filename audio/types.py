"""The shapes that sound, and what was said in it, have everywhere in Parley."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""Mono sound, shape [n], values in -1..1. The rate is the constant of the place it is used in."""

INPUT_RATE: Final = 16_000
"""Samples a second of everything that is heard: what every recogniser here was trained on."""

OUTPUT_RATE: Final = 24_000
"""Samples a second of everything that is spoken: what the Realtime protocol sends."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a transcript that the engine chose at once, and the natural logarithm of its probability."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said. An empty `text` means that no words were found."""

    text: str
    language: str | None = None
    """ISO 639-1, where the engine knows it."""
    logprob: float = 0.0
    """Natural logarithm of its least probable token's probability: how sure the engine is. 0 where it doesn't say."""
    tokens: tuple[Token, ...] = ()
    """They spell the text. Empty where the engine doesn't tell them apart."""
    segments: tuple["Segment", ...] = ()
    """Its parts and when they were said, where the engine knows."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, and when it was said, in seconds from the beginning of the sound."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A phrase, and when it was said, in seconds from the beginning of the sound."""

    text: str
    start_s: float
    end_s: float
    tokens: tuple[int, ...] = ()
    logprob: float = 0.0
    """Mean natural logarithm of its tokens' probabilities."""
    no_speech: float = 0.0
    """Probability that there is no speech."""
    words: tuple[Word, ...] = ()
    """Only where they were asked for."""
