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
