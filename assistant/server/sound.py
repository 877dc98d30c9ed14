"""Sound between the wire's formats and ours: PCM16 at 24 kHz, and G.711 (mu-law, A-law) at 8 kHz."""

from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from audio.pcm import Resampler, from_pcm16, to_pcm16
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples
from pipeline.errors import RequestError

SoundFormat: TypeAlias = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
RATES: Final[dict[SoundFormat, int]] = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}

_CODES: Final = np.arange(256, dtype=np.int32)


def _mu_law_levels() -> NDArray[np.int16]:
    code = ~_CODES & 0xFF
    size = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size).astype("<i2")


def _a_law_levels() -> NDArray[np.int16]:
    code = _CODES ^ 0x55
    step, segment = (code & 0x0F) << 4, (code & 0x70) >> 4
    size = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, size, -size).astype("<i2")


def _nearest(levels: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Return the code of the level nearest to each 16-bit number, indexed by number + 32768."""
    order = np.argsort(levels, kind="stable")
    ascending = levels[order].astype(np.int32)
    middles = (ascending[1:] + ascending[:-1]) / 2
    return order[np.searchsorted(middles, np.arange(-32768, 32768))].astype(np.uint8)


_LEVELS: Final = {"audio/pcmu": _mu_law_levels(), "audio/pcma": _a_law_levels()}
_NEAREST: Final = {name: _nearest(levels) for name, levels in _LEVELS.items()}


def bytes_per_second(form: SoundFormat) -> int:
    """Return how many bytes a second of sound takes."""
    return RATES[form] * (2 if form == "audio/pcm" else 1)


class SoundIn:
    """One stream of a client's sound, to samples at INPUT_RATE."""

    def __init__(self, form: SoundFormat) -> None:
        self._format = form
        self._resampler = Resampler(RATES[form], INPUT_RATE)

    def feed(self, data: bytes, param: str) -> Samples:
        """Return what is ready. Raises RequestError naming `param` when a sample is cut in half."""
        if self._format != "audio/pcm":
            return self._resampler.feed(from_pcm16(_LEVELS[self._format][np.frombuffer(data, np.uint8)].tobytes()))
        try:
            return self._resampler.feed(from_pcm16(data))
        except ValueError as error:
            raise RequestError("invalid_value", f"{param}: {error}", param) from None

    def flush(self) -> Samples:
        """Return what the filter held back, and begin a new stream."""
        return self._resampler.flush()


class SoundOut:
    """One stream of our speech (samples at OUTPUT_RATE), to a client's format."""

    def __init__(self, form: SoundFormat) -> None:
        self._format = form
        self._resampler = Resampler(OUTPUT_RATE, RATES[form])

    def feed(self, samples: Samples) -> bytes:
        """Return the bytes that are ready."""
        return self._bytes(self._resampler.feed(samples))

    def flush(self) -> bytes:
        """Return the bytes that the filter held back, and begin a new stream."""
        return self._bytes(self._resampler.flush())

    def _bytes(self, samples: Samples) -> bytes:
        pcm = to_pcm16(samples)
        if self._format == "audio/pcm":
            return pcm
        numbers = np.frombuffer(pcm, "<i2").astype(np.int32)
        return _NEAREST[self._format][numbers + 32768].tobytes()
