"""The shapes that sound has everywhere in Parley."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""Mono sound, shape [n], values in -1..1. The rate is the constant of the place it is used in."""

INPUT_RATE: Final = 16_000
"""Samples a second of everything that is heard: what every recogniser here was trained on."""

OUTPUT_RATE: Final = 24_000
"""Samples a second of everything that is spoken: what the Realtime protocol sends."""
