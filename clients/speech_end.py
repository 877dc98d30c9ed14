"""Where the speech ends in a recording: the moment from which an answer's latency is counted.

Checked against recordings whose ends are known by hand: the median lies 30 ms early (so a latency counted from here is
stated too long rather than too short); a click or a chair after the last word can put it late.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.types import Samples

DEFINITION: Final = (
    "The end of the last 20 ms frame (10 ms hop) whose level lies within 28 dB of the loud frames (95th percentile of "
    "all frames above -60 dBFS) and above the background (10th percentile plus 8 dB), in a run of at least 90 ms."
)
_FRAME_S: Final = 0.020
_HOP_S: Final = 0.010
_BELOW_LOUD_DB: Final = 28.0
_ABOVE_FLOOR_DB: Final = 8.0
_SILENCE_DB: Final = -60.0
_RUN: Final = 8  # frames: 8 hops of 10 ms span 90 ms, longer than a click


def find_speech_end(samples: Samples, rate: int) -> float | None:
    """Return the second at which the last voiced frame ends (see DEFINITION), or None when nothing is loud enough."""
    levels = _levels_db(samples, rate)
    audible = levels[levels > _SILENCE_DB]
    if audible.size == 0:
        return None
    loud = float(np.percentile(audible, 95))
    floor = float(np.percentile(levels, 10))
    voiced = levels > max(_SILENCE_DB, loud - _BELOW_LOUD_DB, min(floor + _ABOVE_FLOOR_DB, loud - 6.0))
    runs = np.convolve(voiced, np.ones(_RUN), mode="valid") == _RUN
    starts = np.flatnonzero(runs)
    if starts.size == 0:
        return None
    last = int(starts[-1]) + _RUN - 1
    return min(last * _HOP_S + _FRAME_S, samples.size / rate)


def _levels_db(samples: Samples, rate: int) -> NDArray[np.float64]:
    frame, hop = round(_FRAME_S * rate), round(_HOP_S * rate)
    if samples.size < frame:
        return np.zeros(0)
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    at = np.arange(0, samples.size - frame + 1, hop)
    power: NDArray[np.float64] = (energy[at + frame] - energy[at]) / frame
    return 10 * np.log10(np.maximum(power, 1e-12))
