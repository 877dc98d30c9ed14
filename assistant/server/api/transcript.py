"""What was said in a file, in the formats that OpenAI knows."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, assert_never

from assistant.server.api.exchange import JSON, dumped
from audio.types import INPUT_RATE, Segment, Transcript, Word
from audio.vad.cutter import Piece

Format: TypeAlias = Literal["json", "text", "srt", "vtt", "verbose_json"]
PLAIN: Final = "text/plain; charset=utf-8"
MEDIA_TYPES: Final[dict[Format, str]] = {
    "json": JSON,
    "verbose_json": JSON,
    "text": PLAIN,
    "srt": PLAIN,
    "vtt": "text/vtt; charset=utf-8",
}
_SPACELESS: Final = frozenset({"ja", "zh", "th", "lo", "my", "yue", "km", "bo"})
"""Languages that put no space between sentences."""


@dataclass(frozen=True, slots=True)
class Details:
    """What `verbose_json` is to hold besides the text."""

    segments: bool = True
    words: bool = False


def placed(transcript: Transcript, piece: Piece) -> Transcript:
    """Return the transcript of a piece with the times of the whole sound; one segment where the engine knows none."""
    whole_s = piece.samples.size / INPUT_RATE
    found = transcript.segments or (Segment(transcript.text, 0.0, whole_s, logprob=transcript.logprob),)
    return replace(transcript, segments=tuple(_moved(segment, piece.start_s) for segment in found if segment.text))


def _moved(segment: Segment, by_s: float) -> Segment:
    words = tuple(Word(word.text, word.start_s + by_s, word.end_s + by_s) for word in segment.words)
    return replace(segment, start_s=segment.start_s + by_s, end_s=segment.end_s + by_s, words=words)


def joined(transcripts: Sequence[Transcript]) -> str:
    """Return the text of all."""
    text = ""
    for transcript in transcripts:
        text += addition(transcript, first=not text)
    return text


def addition(transcript: Transcript, *, first: bool) -> str:
    """Return what this transcript adds to the text before it."""
    return transcript.text if first or transcript.language in _SPACELESS else f" {transcript.text}"


def rendered(
    kind: Format, transcripts: Sequence[Transcript], *, seconds: float, temperature: float, details: Details
) -> bytes:
    """Return the body of a response."""
    segments = [segment for transcript in transcripts for segment in transcript.segments]
    usage = {"type": "duration", "seconds": round(seconds, 2)}
    match kind:
        case "json":
            return dumped({"text": joined(transcripts), "usage": usage})
        case "text":
            return f"{joined(transcripts)}\n".encode()
        case "srt":
            return "".join(_cue(f"{n}\n", segment, ",") for n, segment in enumerate(segments, 1)).encode()
        case "vtt":
            return ("WEBVTT\n\n" + "".join(_cue("", segment, ".") for segment in segments)).encode()
        case "verbose_json":
            return dumped(
                {
                    "task": "transcribe",
                    "language": next((each.language for each in transcripts if each.language), ""),
                    "duration": round(seconds, 2),
                    "text": joined(transcripts),
                }
                | ({"segments": _segments(segments, temperature)} if details.segments else {})
                | ({"words": [_word(word) for segment in segments for word in segment.words]} if details.words else {})
                | {"usage": usage}
            )
        case _ as never:
            assert_never(never)


def _segments(segments: Sequence[Segment], temperature: float) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "seek": 0,
            "start": round(segment.start_s, 2),
            "end": round(segment.end_s, 2),
            "text": segment.text,
            "tokens": list(segment.tokens),
            "temperature": temperature,
            "avg_logprob": segment.logprob,
            "compression_ratio": len(segment.text.encode()) / len(zlib.compress(segment.text.encode())),
            "no_speech_prob": segment.no_speech,
        }
        for number, segment in enumerate(segments)
    ]


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.text, "start": round(word.start_s, 2), "end": round(word.end_s, 2)}


def _cue(number: str, segment: Segment, point: str) -> str:
    # An arrow within a text would be taken for a line of times.
    text = segment.text.replace("-->", "→")
    return f"{number}{_clock(segment.start_s, point)} --> {_clock(segment.end_s, point)}\n{text}\n\n"


def _clock(seconds: float, point: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
