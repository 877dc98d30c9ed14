"""Sound files, made on the spot by FFmpeg in every format that people send."""

import contextlib
import io
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.codec import FORMATS, Encoder, Format, SoundFileError, decode
from audio.pcm import to_pcm16
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples

# container: codecs that people put into it
CODECS: Final = {
    "wav": ("pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_u8", "pcm_mulaw", "pcm_alaw", "adpcm_ima_wav"),
    "mp3": ("libmp3lame",),
    "ogg": ("libopus", "flac"),
    "flac": ("flac",),
    "adts": ("aac",),
    "mp4": ("aac", "alac"),
    "webm": ("libopus",),
    "matroska": ("pcm_s16le", "libmp3lame"),
    "aiff": ("pcm_s16be",),
    "au": ("pcm_s16be",),
    "caf": ("pcm_s16le",),
    "w64": ("pcm_s16le",),
}
FILES: Final = [(container, codec) for container, codecs in CODECS.items() for codec in codecs]
WHOLE_ONLY: Final = {("mp4", "aac"), ("mp4", "alac"), ("ogg", "flac")}
"""Files that say at their end what is in them, or a second's sound in one page."""
LOSSLESS: Final = ("pcm", "wav", "flac")
HERTZ: Final = 440.0


def tone(seconds: float, rate: int, hertz: float = HERTZ, level: float = 0.4) -> Samples:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def frames(samples: Samples, rate: int, channels: int) -> Iterable[AudioFrame]:
    layout = {1: "mono", 2: "stereo"}[channels]
    for at in range(0, samples.size, 1024):
        piece = np.repeat(samples[None, at : at + 1024], channels, axis=0)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        yield frame


def file(
    container: str, codec: str, samples: Samples, rate: int, channels: int = 1, *, video: bool = False
) -> io.BytesIO:
    made = io.BytesIO()
    with av.open(made, "w", format=container) as out:
        picture = _video(out) if video else None
        stream = out.add_stream(codec, rate=rate, layout={1: "mono", 2: "stereo"}[channels])
        assert isinstance(stream, AudioStream)
        context = stream.codec_context
        context.options = {"strict": "experimental"}  # FFmpeg's own Vorbis
        context.open()
        resampler = AudioResampler(context.format, context.layout, rate, context.frame_size or None)
        for frame in [*frames(samples, rate, channels), None]:
            for ready in resampler.resample(frame):
                out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
        if picture is not None:
            _film(out, picture)
    made.seek(0)
    return made


def _video(out: Any) -> VideoStream:
    stream = out.add_stream("mpeg4", rate=10)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _film(out: Any, stream: VideoStream) -> None:
    for at in range(5):
        frame = VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * at, np.uint8), format="rgb24")
        frame.pts = at
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def silent_video() -> io.BytesIO:
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as out:
        _film(out, _video(out))
    made.seek(0)
    return made


def heard(data: io.BytesIO | bytes) -> Samples:
    pieces = list(decode(io.BytesIO(data) if isinstance(data, bytes) else data))
    for piece in pieces:
        assert piece.ndim == 1
        assert piece.dtype == np.float32
    sound = np.concatenate(pieces)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 1
    return sound


def pitch(sound: Samples, rate: int = INPUT_RATE) -> float:
    """Return the strongest frequency of the middle of the sound."""
    middle = sound[sound.size // 4 : -sound.size // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    return float(spectrum.argmax() * rate / middle.size)


def level(sound: Samples) -> float:
    return float(np.sqrt(np.square(sound[sound.size // 4 : -sound.size // 4]).mean()))


# --- Reading ---


@pytest.mark.parametrize(("container", "codec"), FILES)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_reads_as_it_sounds(container: str, codec: str, channels: int) -> None:
    sound = heard(file(container, codec, tone(1.0, 48_000), 48_000, channels))
    assert sound.size / INPUT_RATE == pytest.approx(1.0, abs=0.08)  # codecs add their delay
    assert pitch(sound) == pytest.approx(HERTZ, abs=3)
    assert level(sound) == pytest.approx(0.4 / np.sqrt(2), rel=0.1)


@settings(max_examples=40)
@given(
    count=st.integers(200, 60_000),
    rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]),
    channels=st.sampled_from([1, 2]),
    codec=st.sampled_from(["pcm_s16le", "pcm_s24le", "pcm_f32le"]),
)
def test_nothing_of_a_wav_is_lost_or_added(count: int, rate: int, channels: int, codec: str) -> None:
    sound = heard(file("wav", codec, tone(count / rate, rate)[:count], rate, channels))
    assert sound.size == pytest.approx(count * INPUT_RATE / rate, abs=2)


def test_vorbis_is_read() -> None:
    sound = heard(file("ogg", "vorbis", tone(1.0, 48_000), 48_000, 2))  # FFmpeg's own writes stereo only
    assert sound.size / INPUT_RATE == pytest.approx(1.0, abs=0.08)
    assert pitch(sound) == pytest.approx(HERTZ, abs=3)


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_stereo_is_as_loud_as_its_channels(container: str) -> None:
    codec = "pcm_s16le" if container == "wav" else "flac"
    loud = tone(0.5, INPUT_RATE, level=0.99)
    assert np.abs(heard(file(container, codec, loud, INPUT_RATE, 2)) - loud).max() < 0.01


def test_channels_are_mixed() -> None:
    samples = tone(0.5, INPUT_RATE)
    made = io.BytesIO()
    with av.open(made, "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=INPUT_RATE, layout="stereo")
        assert isinstance(stream, AudioStream)
        both = np.stack([samples, np.zeros_like(samples)], axis=1).reshape(1, -1)
        frame = AudioFrame.from_ndarray((both * 32767).astype(np.int16), format="s16", layout="stereo")
        frame.sample_rate = INPUT_RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert level(heard(made.getvalue())) == pytest.approx(0.5 * level(samples), rel=0.05)


def test_loud_floats_are_clipped_and_what_is_no_number_is_silence() -> None:
    samples = np.concatenate([tone(0.2, INPUT_RATE, level=4.0), np.full(1600, np.nan, np.float32)])
    made = io.BytesIO()
    with av.open(made, "w", format="wav") as out:
        stream = out.add_stream("pcm_f32le", rate=INPUT_RATE, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = INPUT_RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    sound = heard(made.getvalue())
    assert np.abs(sound).max() == 1
    assert not sound[-1500:].any()


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_of_a_film_the_sound_is_taken(container: str) -> None:
    codec = "aac" if container == "mp4" else "libmp3lame"
    sound = heard(file(container, codec, tone(0.5, 48_000), 48_000, video=True))
    assert sound.size / INPUT_RATE == pytest.approx(0.5, abs=0.08)


def test_a_stream_whose_format_changes_is_read_to_its_end() -> None:
    """Radio recordings and joined MP3s do so."""
    first = file("mp3", "libmp3lame", tone(1.0, 44_100, 440.0), 44_100, 2).getvalue()
    second = file("mp3", "libmp3lame", tone(1.0, 24_000, 880.0), 24_000, 1).getvalue()
    sound = heard(first + second)
    assert sound.size / INPUT_RATE == pytest.approx(2.0, abs=0.2)
    assert pitch(sound[: INPUT_RATE * 8 // 10]) == pytest.approx(440, abs=3)
    assert pitch(sound[-INPUT_RATE * 8 // 10 :]) == pytest.approx(880, abs=3)


# --- What can't be read ---


@pytest.mark.parametrize(("container", "codec"), [row for row in FILES if row not in WHOLE_ONLY])
def test_a_file_that_is_cut_short_ends_early(container: str, codec: str) -> None:
    whole = file(container, codec, tone(2.0, 48_000), 48_000).getvalue()
    sound = heard(whole[: len(whole) // 2])
    assert 0.3 < sound.size / INPUT_RATE < 1.7
    assert pitch(sound) == pytest.approx(HERTZ, abs=4)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no sound file"),
        (b"This is not sound at all. " * 100, "no sound file"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "no sound file"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n", "no sound file"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no sound file"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\0\0\0\0", "empty or damaged"),
    ],
)
def test_what_is_no_sound_is_refused_with_a_cure(data: bytes, says: str) -> None:
    with pytest.raises(SoundFileError, match=says) as refused:
        heard(data)
    assert "Send sound as wav" in str(refused.value)


def test_an_mp4_without_its_end_is_refused() -> None:
    whole = file("mp4", "aac", tone(1.0, 48_000), 48_000).getvalue()
    with pytest.raises(SoundFileError, match="missing"):
        heard(whole[: len(whole) // 2])


def test_a_film_without_sound_is_refused() -> None:
    with pytest.raises(SoundFileError, match="There is no sound in the file"):
        heard(silent_video())


@settings(max_examples=60)
@given(st.binary(max_size=400), st.integers(0, 4000), st.sampled_from([("wav", "pcm_s16le"), ("flac", "flac")]))
def test_damage_is_read_or_refused_and_never_anything_else(noise: bytes, at: int, kind: tuple[str, str]) -> None:
    whole = bytearray(file(*kind, tone(0.2, INPUT_RATE), INPUT_RATE).getvalue())
    whole[at : at + len(noise)] = noise
    with contextlib.suppress(SoundFileError):
        heard(bytes(whole))


# --- Writing ---


def encoded(format: Format, samples: Samples, *, tempo: float = 1.0, piece: int = 960) -> bytes:  # noqa: A002
    encoder = Encoder(format, tempo)
    parts = [encoder.feed(samples[at : at + piece]) for at in range(0, samples.size, piece)]
    return b"".join([*parts, encoder.finish()])


def read_back(format: Format, data: bytes) -> Samples:  # noqa: A002 - the field's word
    if format == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768
    return heard(data)


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_reads_as_it_sounds(format: Format) -> None:  # noqa: A002 - the field's word
    rate = OUTPUT_RATE if format == "pcm" else INPUT_RATE
    sound = read_back(format, encoded(format, tone(1.0, OUTPUT_RATE)))
    assert sound.size / rate == pytest.approx(1.0, abs=0.08)
    assert pitch(sound, rate) == pytest.approx(HERTZ, abs=3)
    assert level(sound) == pytest.approx(0.4 / np.sqrt(2), rel=0.1)


@settings(max_examples=40)
@given(st.integers(200, 30_000), st.integers(1, 4_000), st.sampled_from(LOSSLESS))
def test_of_what_is_fed_every_sample_is_written(count: int, piece: int, format: Format) -> None:  # noqa: A002
    samples = tone(count / OUTPUT_RATE, OUTPUT_RATE)[:count]
    data = encoded(format, samples, piece=piece)
    if format == "pcm":
        assert data == to_pcm16(samples)
    else:
        assert read_back(format, data).size == pytest.approx(count * INPUT_RATE / OUTPUT_RATE, abs=2)


@pytest.mark.parametrize("format", FORMATS)
def test_it_can_be_sent_while_it_grows(format: Format) -> None:  # noqa: A002 - the field's word
    encoder = Encoder(format)
    early = b"".join(encoder.feed(tone(0.02, OUTPUT_RATE)) for _ in range(100))
    encoder.finish()
    assert len(early) > 1000


@pytest.mark.parametrize("format", ["wav", "mp3"])
@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.25, 2.0, 4.0])
def test_the_tempo_changes_the_length_and_not_the_voice(format: Format, tempo: float) -> None:  # noqa: A002
    sound = read_back(format, encoded(format, tone(2.0, OUTPUT_RATE), tempo=tempo))
    assert sound.size / INPUT_RATE == pytest.approx(2.0 / tempo, abs=0.1)
    assert pitch(sound) == pytest.approx(HERTZ, rel=0.03)


@pytest.mark.parametrize("tempo", [1.0, 2.0])
@pytest.mark.parametrize("format", FORMATS)
def test_no_sound_makes_a_file_without_sound(format: Format, tempo: float) -> None:  # noqa: A002 - the field's word
    encoder = Encoder(format, tempo)
    data = encoder.feed(np.zeros(0, np.float32)) + encoder.finish()
    if format == "pcm":
        assert data == b""
        return
    with pytest.raises(SoundFileError):
        heard(data)


def test_a_file_that_is_read_in_pieces_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made = file("wav", "pcm_s16le", tone(20.0, INPUT_RATE), INPUT_RATE)
    size = len(made.getvalue())
    read: Callable[[int], bytes] = made.read
    taken = 0

    def count(most: int = -1) -> bytes:
        nonlocal taken
        data = read(most)
        taken += len(data)
        return data

    monkeypatch.setattr(made, "read", count, raising=False)
    next(iter(decode(made)))
    assert taken < size / 2
