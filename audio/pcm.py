"""Sound as numbers: PCM16 bytes, sample rates and WAV files."""

import struct
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from audio.types import Samples

_FULL_SCALE: Final = np.float32(32768)
_NOT_FINITE: Final = "The sound holds values that are not finite numbers (NaN or infinity)."

_PCM: Final = 0x0001
_FLOAT: Final = 0x0003
_EXTENSIBLE: Final = 0xFFFE
_CODECS: Final = {
    0x0002: "Microsoft ADPCM",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0055: "MP3",
}
_ENDLESS: Final = 0x7FFF_F000
"""Data sizes from here up are what programs write that stream to a pipe and can't know the length (sox: this one)."""
_AFTER_DATA: Final = frozenset({b"LIST", b"id3 ", b"ID3 ", b"cue ", b"fact", b"smpl"})
_CONVERT: Final = "Convert it: ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav"


def from_pcm16(data: bytes) -> Samples:
    """Turn little-endian 16-bit PCM into samples. Raises ValueError when the last sample is cut in half."""
    if len(data) % 2:
        raise ValueError(f"16-bit sound has two bytes a sample, but this has an odd number of bytes ({len(data)}).")
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / _FULL_SCALE


def to_pcm16(samples: Samples) -> bytes:
    """Turn samples into little-endian 16-bit PCM; what is outside -1..1 is clipped. Raises ValueError on NaN."""
    if not np.isfinite(samples).all():
        raise ValueError(_NOT_FINITE)
    numbers: NDArray[np.int16] = np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767).astype("<i2")
    return numbers.tobytes()


def check_heard(audio: Samples) -> None:
    """Raise ValueError unless `audio` is what recognisers take: mono float32 of finite numbers."""
    if audio.ndim != 1 or audio.dtype != np.float32:
        raise ValueError(f"A recogniser takes mono float32 sound of shape [n]; this is {audio.dtype} {audio.shape}.")
    if not np.isfinite(audio).all():
        raise ValueError(_NOT_FINITE)


class Resampler:
    """Changes the rate of a stream of sound, chunk by chunk; how it is cut into chunks doesn't change the result."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        _check_rates(from_rate, to_rate)
        self._stream = None if from_rate == to_rate else soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")

    def feed(self, samples: Samples) -> Samples:
        """Return what is ready; the filter holds back some milliseconds until more comes or `flush`."""
        return samples if self._stream is None else _run(self._stream, samples, last=False)

    def flush(self) -> Samples:
        """Return what was held back, and be ready for a new stream."""
        empty = np.zeros(0, np.float32)
        if self._stream is None:
            return empty
        rest = _run(self._stream, empty, last=True)
        self._stream.clear()
        return rest


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Change the rate of a whole sound."""
    _check_rates(from_rate, to_rate)
    if from_rate == to_rate or samples.size == 0:
        return samples
    changed: Samples = soxr.resample(np.ascontiguousarray(samples), from_rate, to_rate)
    return changed


class WavError(ValueError):
    """A WAV file that can't be used; the message names the file, what is wrong and the cure."""


def read_wav(path: Path | str) -> tuple[Samples, int]:
    """Return a PCM WAV file's sound, mixed to mono, and its rate.

    Reads 8 to 32-bit integers and 32 or 64-bit floats, any rate, any number of channels, and the headers of streams of
    unknown length. Raises WavError for everything else.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise WavError(f"Cannot read {path}: {error.strerror or error}. Check the name and its permissions.") from error
    layout, data = _parse(path, content)
    frames = len(data) // layout.frame_bytes
    if frames == 0:
        raise _refusal(path, "is empty: it holds no sound", "Record it again.")
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = _decode(data[: frames * layout.frame_bytes], layout)
        mono: Samples = np.ascontiguousarray(numbers.reshape(frames, layout.channels).mean(axis=1), dtype=np.float32)
    if not np.isfinite(mono).all():
        raise _refusal(path, "holds values that are not finite numbers", "Export it again, as 16-bit PCM.")
    return mono, layout.rate


def write_wav(path: Path | str, samples: Samples, rate: int) -> None:
    """Write mono sound as a 16-bit WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_pcm16(samples))


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a WAV header says of the numbers that follow it."""

    is_float: bool
    channels: int
    rate: int
    width: int
    """Bytes in one channel's sample."""

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.width


def _parse(path: Path | str, content: bytes) -> tuple[_Layout, bytes]:
    if len(content) == 0:
        raise _refusal(path, "is empty: it has no bytes", "Record it again.")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise _refusal(path, "is not a WAV file", _CONVERT)
    layout = None
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + size]
        if name == b"fmt ":
            layout = _parse_layout(path, body)
        elif name == b"data":
            if layout is None:
                raise _refusal(path, "has no format before its data", _CONVERT)
            return layout, _data(path, content[at + 8 :], size)
        at += 8 + size + size % 2
    raise _refusal(path, "ends before its data begins", "Record or copy it again.")


def _data(path: Path | str, rest: bytes, size: int) -> bytes:
    if size >= _ENDLESS or (size == 0 and rest[:4] not in _AFTER_DATA):
        return rest
    if size > len(rest):
        raise _refusal(
            path,
            f"is cut short: its header promises {size} bytes of sound and there are {len(rest)}",
            "Record or copy it again.",
        )
    return rest[:size]


def _parse_layout(path: Path | str, body: bytes) -> _Layout:
    if len(body) < 16:
        raise _refusal(path, "has a damaged header", _CONVERT)
    code, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if code == _EXTENSIBLE and len(body) >= 40:
        code = int.from_bytes(body[24:26], "little")
    if code not in (_PCM, _FLOAT):
        named = f", {_CODECS[code]}" if code in _CODECS else ""
        raise _refusal(path, f"is compressed (format code 0x{code:04x}{named})", _CONVERT)
    width = (bits + 7) // 8
    if width not in ((4, 8) if code == _FLOAT else (1, 2, 3, 4)):
        raise _refusal(path, f"has {bits} bits a sample, which is not supported", _CONVERT)
    if channels == 0 or rate == 0 or frame_bytes != channels * width:
        raise _refusal(path, "has a header that contradicts itself", _CONVERT)
    return _Layout(is_float=code == _FLOAT, channels=channels, rate=rate, width=width)


def _decode(data: bytes, layout: _Layout) -> NDArray[np.float32] | NDArray[np.float64]:
    if layout.is_float:
        return np.frombuffer(data, dtype=f"<f{layout.width}")
    match layout.width:
        case 1:  # the one unsigned width
            return (np.frombuffer(data, dtype=np.uint8).astype(np.float32) - 128) / np.float32(128)
        case 3:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
            return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        case width:
            return np.frombuffer(data, dtype=f"<i{width}").astype(np.float32) / np.float32(2 ** (8 * width - 1))


def _refusal(path: Path | str, what: str, cure: str) -> WavError:
    return WavError(f"{path} {what}. {cure}")


def _check_rates(*rates: int) -> None:
    for rate in rates:
        if rate <= 0:
            raise ValueError(f"A sample rate must be above 0; this is {rate}.")


def _run(stream: "soxr.ResampleStream", samples: Samples, *, last: bool) -> Samples:
    ready: Samples = stream.resample_chunk(np.ascontiguousarray(samples), last=last)
    return ready
