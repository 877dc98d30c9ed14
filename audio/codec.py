"""Sound files of every common format, read and written piece by piece with FFmpeg's libraries (PyAV)."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO, Final, Literal, TypeAlias, get_args

import av
import av.error
import av.filter
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import CodecContext

from audio.pcm import to_pcm16
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples

Format: TypeAlias = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
MEDIA_TYPES: Final[dict[Format, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_WRITTEN: Final[dict[Format, tuple[str, str, dict[str, str]]]] = {
    "mp3": ("mp3", "libmp3lame", {"write_xing": "0"}),  # it would stand at the beginning and know the length
    "opus": ("ogg", "libopus", {"page_duration": "100000"}),  # microseconds: a page is sent when it is full
    "aac": ("adts", "aac", {}),
    "flac": ("flac", "flac", {}),
    "wav": ("wav", "pcm_s16le", {}),
}
_READ: Final = "aac,aiff,amr,au,caf,flac,matroska,mov,mp3,ogg,w64,wav"
"""FFmpeg's readers that may be tried. Playlists are not among them: they make it open other files and addresses."""
_CURE: Final = "Send sound as wav, mp3, m4a, mp4, ogg, opus, flac, aac or webm."


class SoundFileError(ValueError):
    """A file that holds no sound that can be read; the message says why and names the cure."""


def decode(file: BinaryIO) -> Iterator[Samples]:
    """Read the first sound track of a file, mixed to mono, at INPUT_RATE, in pieces of some milliseconds.

    Damaged parts are left out, and a file that is cut short ends early. Raises SoundFileError when it isn't a sound
    file or nothing in it can be read.
    """
    try:
        container = av.open(file, "r", options={"format_whitelist": _READ})
    except (av.error.FFmpegError, ValueError) as error:
        raise SoundFileError(f"The file is no sound file, or its beginning or end is missing. {_CURE}") from error
    with container:
        if not container.streams.audio:
            raise SoundFileError(f"There is no sound in the file. {_CURE}")
        stream = container.streams.audio[0]
        decoder: CodecContext | None = stream.codec_context  # none, where nobody knows the codec
        if decoder is None:
            raise SoundFileError(f"The sound in the file is of an unknown kind, or the file is damaged. {_CURE}")
        decoder.thread_count = 1
        empty = True
        for piece in _resampled(_frames(container.demux(stream))):
            empty = False
            yield piece
    if empty:
        raise SoundFileError(f"The file holds no sound that can be read: it is empty or damaged. {_CURE}")


def _frames(packets: Iterator["av.Packet[Any]"]) -> Iterator[AudioFrame]:
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):  # its end, or where it was cut off
            return
        try:
            for frame in packet.decode():
                if isinstance(frame, AudioFrame) and frame.samples:
                    yield frame
        except av.error.FFmpegError:
            continue


def _resampled(frames: Iterator[AudioFrame]) -> Iterator[Samples]:
    resampler: AudioResampler | None = None
    before: tuple[str, str, int] | None = None
    for frame in frames:
        frame.pts = None  # gaps and jumps in a file's times are no silence
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if layout != before:  # a stream may change within a file
            yield from _pieces(resampler, None)
            # As mono, FFmpeg adds the channels of stereo up to more than either: what is loud would be clipped.
            channels = "mono" if frame.layout.nb_channels == 1 else "stereo"
            resampler, before = AudioResampler("fltp", channels, INPUT_RATE), layout
        yield from _pieces(resampler, frame)
    yield from _pieces(resampler, None)


def _pieces(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[Samples]:
    """Return what the resampler makes of a frame; of None, what it has held back."""
    for made in [] if resampler is None else resampler.resample(frame):
        if made.samples:
            samples = np.nan_to_num(made.to_ndarray()).mean(axis=0, dtype=np.float32)
            yield np.clip(samples, -1, 1)


class Encoder:
    """Writes speech (mono, OUTPUT_RATE) as a file that can be sent while it grows.

    `tempo` (0.5..100) speaks faster without a higher voice.
    """

    def __init__(self, format: Format, tempo: float = 1.0) -> None:  # noqa: A002 - the field's word
        self._sink = _Sink()
        self._stretch = _identity if tempo == 1.0 else _Tempo(tempo)
        self._pts = 0
        self._stream: AudioStream | None = None
        if format != "pcm":
            muxer, codec, options = _WRITTEN[format]
            self._container = av.open(self._sink, "w", format=muxer, options=options)
            stream = self._container.add_stream(codec, rate=OUTPUT_RATE, layout="mono")
            assert isinstance(stream, AudioStream)
            self._stream = stream

    def feed(self, samples: Samples) -> bytes:
        """Return the bytes that are ready with these samples; none, often."""
        if samples.size:  # the filter wants no empty frame
            self._write(self._stretch(samples))
        return self._sink.take()

    def finish(self) -> bytes:
        """Return the rest. Nothing can be fed afterwards."""
        self._write(self._stretch(None))
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        return self._sink.take()

    def _write(self, samples: Samples) -> None:
        if not samples.size:
            return
        if self._stream is None:
            self._sink.write(to_pcm16(samples))
            return
        frame = _frame(samples)
        frame.pts = self._pts
        self._pts += samples.size
        self._container.mux(self._stream.encode(frame))


def _frame(samples: Samples) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono")
    frame.sample_rate = OUTPUT_RATE
    frame.time_base = Fraction(1, OUTPUT_RATE)
    return frame


_Stretch: TypeAlias = Callable[[Samples | None], Samples]


def _identity(samples: Samples | None) -> Samples:
    return np.zeros(0, np.float32) if samples is None else samples


class _Tempo:
    """FFmpeg's atempo filter. None ends the sound, and gives what was held back."""

    def __init__(self, tempo: float) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_abuffer(
            format="fltp", sample_rate=OUTPUT_RATE, layout="mono", time_base=Fraction(1, OUTPUT_RATE)
        )
        self._graph.link_nodes(
            source, self._graph.add("atempo", f"{tempo}"), self._graph.add("abuffersink")
        ).configure()
        self._pts = 0

    def __call__(self, samples: Samples | None) -> Samples:
        frame = None
        if samples is not None:
            frame = _frame(samples)
            frame.pts = self._pts
            self._pts += samples.size
        self._graph.push(frame)
        made = [np.zeros(0, np.float32)]
        while True:
            try:
                pulled = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return np.concatenate(made)
            assert isinstance(pulled, AudioFrame)
            made.append(pulled.to_ndarray().reshape(-1).astype(np.float32))


class _Sink:
    """Takes what a container writes. It can't be rewound, so that nothing is corrected that was sent already."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken
