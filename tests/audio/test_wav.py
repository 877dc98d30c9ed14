import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.pcm import WavError, read_wav, write_wav

SOUND = np.array([0.0, 0.5, -0.5, 0.25, -1.0], np.float32)


def wav(  # noqa: PLR0917 - the fields of the header, in its order
    data: bytes, code: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, size: int | None = None
) -> bytes:
    frame = channels * ((bits + 7) // 8)
    header = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)
    return riff(b"fmt " + struct.pack("<I", 16) + header, data, size)


def extensible(data: bytes, code: int, bits: int) -> bytes:
    frame = bits // 8
    header = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 48_000, 48_000 * frame, frame, bits, 22, bits, 4)
    guid = struct.pack("<H", code) + bytes.fromhex("000000001000800000aa00389b71")
    return riff(b"fmt " + struct.pack("<I", 40) + header + guid, data, None)


def riff(layout: bytes, data: bytes, size: int | None) -> bytes:
    body = b"WAVE" + layout + b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm16(samples: NDArray[np.float32] = SOUND) -> bytes:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()


def pcm24(samples: NDArray[np.float32] = SOUND) -> bytes:
    return (samples * 2**23).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


FILES = {
    "8-bit": wav((SOUND * 128 + 128).astype(np.uint8).tobytes(), bits=8),
    "16-bit": wav(pcm16()),
    "24-bit": wav(pcm24(), bits=24),
    "32-bit": wav((SOUND.astype(np.float64) * 2**31).astype("<i4").tobytes(), bits=32),
    "float32": wav(SOUND.tobytes(), code=3, bits=32),
    "float64": wav(SOUND.astype("<f8").tobytes(), code=3, bits=64),
    "extensible 24-bit": extensible(pcm24(), 1, 24),
    "extensible float": extensible(SOUND.tobytes(), 3, 32),
    "stereo": wav(pcm16(np.repeat(SOUND, 2)), channels=2),
    "5.1": wav(pcm16(np.repeat(SOUND, 6)), channels=6),
    "44.1 kHz": wav(pcm16(), rate=44_100),
    "piped by ffmpeg": wav(pcm16(), size=0xFFFFFFFF),
    "piped by sox": wav(pcm16(), size=0x7FFFF000),
    "size never filled in": wav(pcm16(), size=0),
    "a chunk after the data": wav(pcm16()) + b"LIST" + struct.pack("<I", 4) + b"INFO",
    "half a frame too much": wav(pcm16() + b"\x01"),
    "a chunk of odd length first": wav(pcm16()).replace(b"WAVE", b"WAVEodd \x03\x00\x00\x00abc\x00"),
}


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "recording.wav"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_pcm_is_read(name: str, save: Callable[[bytes], Path]) -> None:
    samples, rate = read_wav(save(FILES[name]))
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, SOUND, atol=1e-4)
    assert rate == {"44.1 kHz": 44_100, "extensible 24-bit": 48_000, "extensible float": 48_000}.get(name, 16_000)


def test_channels_are_mixed(save: Callable[[bytes], Path]) -> None:
    samples, _ = read_wav(save(wav(pcm16(np.array([0.5, 0.0, 0.5, -0.5], np.float32)), channels=2)))
    np.testing.assert_allclose(samples, [0.25, 0.0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: it has no bytes"),
        (b"ID3\x04 this is an MP3 file", "is not a WAV file. Convert it"),
        (wav(b""), "is empty: it holds no sound. Record it again"),
        (wav(b"") + b"LIST\x04\x00\x00\x00INFO", "is empty: it holds no sound"),
        (wav(pcm16(), size=40), "is cut short: its header promises 40 bytes of sound and there are 10"),
        (wav(pcm16())[:30], "damaged header"),
        (wav(pcm16())[:38], "ends before its data begins"),
        (wav(pcm16(), code=7, bits=8), "format code 0x0007, mu-law). Convert it"),
        (wav(pcm16(), code=0x1234), "format code 0x1234). Convert it"),
        (wav(pcm16(), bits=64), "64 bits a sample"),
        (wav(pcm16(), code=3, bits=16), "16 bits a sample"),
        (wav(pcm16(), rate=0), "contradicts itself"),
        (wav(pcm16(), channels=0), "contradicts itself"),
        (riff(b"", pcm16(), None), "no format before its data"),
        (wav(np.array([np.nan], "<f4").tobytes(), code=3, bits=32), "not finite"),
        (wav(np.array([1e300], "<f8").tobytes(), code=3, bits=64), "not finite"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, says: str, save: Callable[[bytes], Path]) -> None:
    with pytest.raises(WavError) as caught:
        read_wav(save(content))
    assert says in str(caught.value)
    assert "recording.wav" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(WavError, match=r"missing\.wav: No such file"):
        read_wav(tmp_path / "missing.wav")
    with pytest.raises(WavError, match=r"Cannot read .*directory"):
        read_wav(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(save: Callable[[bytes], Path], noise: bytes) -> None:
    for content in (
        noise,
        b"RIFF\x00\x00\x00\x00WAVE" + noise,
        b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + noise,
    ):
        try:
            samples, rate = read_wav(save(content))
        except WavError:
            continue
        assert samples.size > 0
        assert rate > 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(sorted(FILES)), st.integers(0, 60), st.binary(min_size=1, max_size=4))
def test_a_damaged_file_raises_nothing_else(save: Callable[[bytes], Path], name: str, at: int, damage: bytes) -> None:
    content = FILES[name]
    try:
        samples, _ = read_wav(save(content[:at] + damage + content[at + len(damage) :]))
    except WavError:
        return
    assert np.isfinite(samples).all()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "written.wav"
    write_wav(path, SOUND, 24_000)
    samples, rate = read_wav(path)
    np.testing.assert_allclose(samples, SOUND, atol=1 / 32768)
    assert rate == 24_000
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getnframes()) == (1, 2, SOUND.size)
