"""`POST /v1/audio/transcriptions`: a sound file to text, whole or as it is heard.

The file waits on disk. It is decoded a few seconds at a time, cut at its silences, and each piece is written down in
the background's lane: so memory stays the same however long it is, and conversations go first.
"""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Annotated, Any, BinaryIO, Final, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request

from assistant.config import Config
from assistant.server.api.errors import invalid, unsupported
from assistant.server.api.exchange import EVENTS, Answer, event
from assistant.server.api.reading import read_form
from assistant.server.api.transcript import MEDIA_TYPES, Details, Format, addition, joined, placed, rendered
from assistant.server.api.working import background, engine_errors, in_thread
from audio.codec import SoundFileError, decode
from audio.types import INPUT_RATE, Samples, Transcript
from audio.vad.cutter import Cutter, Piece
from pipeline.engines import Engines
from pipeline.errors import Stage

_STEP_S: Final = 10.0
"""Sound that is decoded, and searched for voices, at a time: a few hundredths of a second of work."""
_LEAST_S: Final = 0.1
_LANGUAGE: Final = re.compile(r"([a-zA-Z]{2,3})(-[a-zA-Z0-9]+)*")
_Granularity = Literal["word", "segment"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class TranscriptionRequest(BaseModel):
    """The form's fields. `Any` marks what is accepted and makes no difference here."""

    model_config = ConfigDict(extra="allow")  # what is unknown is refused by name, as OpenAI does

    model: str
    language: str | None = None
    prompt: str = ""
    response_format: Format = "json"
    temperature: float = Field(0.0, ge=0, le=1)
    timestamp_granularities: Annotated[list[_Granularity], BeforeValidator(_listed)] = Field(default_factory=list)
    stream: bool = False
    keywords: Annotated[list[str], BeforeValidator(_listed)] = Field(default_factory=list)
    languages: Any = None
    include: Annotated[list[str], BeforeValidator(_listed)] = Field(default_factory=list)
    chunking_strategy: Any = None

    def check(self) -> None:
        """Raise ApiError for what this server can't do and would be missed."""
        if self.language and not _LANGUAGE.fullmatch(self.language):
            raise invalid('language is an ISO 639-1 code, such as "en".', "language")
        if self.include:
            raise unsupported("include: the tokens' probabilities can't be had. Leave it out.", "include")
        if self.timestamp_granularities and self.response_format != "verbose_json":
            message = "timestamp_granularities needs response_format verbose_json."
            raise invalid(message, "timestamp_granularities")
        if self.stream and self.response_format in {"srt", "vtt"}:
            message = f"{self.response_format} can't be streamed: use json, or verbose_json to have the times too."
            raise invalid(message, "response_format")

    @property
    def details(self) -> Details:
        """What `verbose_json` is to hold."""
        asked = self.timestamp_granularities or ["segment"]
        return Details("segment" in asked, "word" in asked)


async def transcribe(request: Request, config: Config, engines: Engines) -> Answer:
    """Read a request for a transcription. Raises RequestError where it can't be served."""
    asked, upload = await read_form(request, TranscriptionRequest, "file")
    asked.check()
    hearing = _Hearing(asked, upload.file, config.stt.language or None, engines)
    if asked.stream:
        return Answer(EVENTS, _events(asked, hearing), whole=False)
    return Answer(MEDIA_TYPES[asked.response_format], _whole(asked, hearing))


async def _whole(asked: TranscriptionRequest, hearing: "_Hearing") -> AsyncGenerator[bytes, None]:
    async with aclosing(hearing.transcripts()) as heard:
        transcripts = [transcript async for transcript in heard]
    yield rendered(
        asked.response_format,
        transcripts,
        seconds=hearing.heard_s,
        temperature=asked.temperature,
        details=asked.details,
    )


async def _events(asked: TranscriptionRequest, hearing: "_Hearing") -> AsyncGenerator[bytes, None]:
    """Yield `transcript.text.delta`s as pieces are done, with verbose_json also their segments, and the end of them."""
    transcripts: list[Transcript] = []
    number = 0
    async with aclosing(hearing.transcripts()) as heard:
        async for transcript in heard:
            delta = addition(transcript, first=not transcripts)
            transcripts.append(transcript)
            yield event({"type": "transcript.text.delta", "delta": delta})
            for segment in transcript.segments if asked.response_format == "verbose_json" else ():
                yield event(
                    {
                        "type": "transcript.text.segment",
                        "id": f"seg_{number}",
                        "start": round(segment.start_s, 2),
                        "end": round(segment.end_s, 2),
                        "text": segment.text,
                        "speaker": "",  # required there; voices aren't told apart here
                    }
                )
                number += 1
    yield event({"type": "transcript.text.done", "text": joined(transcripts)})


class _Hearing:
    """One file on its way to text."""

    def __init__(self, asked: TranscriptionRequest, file: BinaryIO, language: str | None, engines: Engines) -> None:
        self._asked = asked
        self._engines = engines
        self._sound = decode(file)
        self._cutter = Cutter(engines.vad.stream().score)
        self._language = asked.language.split("-")[0].lower() if asked.language else language
        self._words = ", ".join(filter(None, (asked.prompt, *asked.keywords)))

    @property
    def heard_s(self) -> float:
        """How much sound there has been."""
        return self._cutter.heard_s

    async def transcripts(self) -> AsyncGenerator[Transcript, None]:
        """Yield what was said, piece by piece. Raises ApiError when the file can't be read or is too short."""
        over = False
        while not over:
            async with background(self._engines.lanes):
                pieces, over = await in_thread(self._read)
            for piece in pieces:
                transcript = await self._write_down(piece)
                if transcript.text:
                    self._language = self._language or transcript.language  # a file has one
                    yield placed(transcript, piece)
        if self.heard_s < _LEAST_S:
            message = f"The file is too short: it has {self.heard_s:.2f} s of sound, and the least is {_LEAST_S} s."
            raise invalid(message, "file", "audio_too_short")

    def _read(self) -> tuple[list[Piece], bool]:
        """Return the next pieces, and whether they are the last."""
        try:
            sound = np.concatenate([np.zeros(0, np.float32), *_some(self._sound)])
        except SoundFileError as error:
            raise invalid(str(error), "file", "invalid_file_format") from None
        if sound.size:
            return self._cutter.feed(sound), False
        return self._cutter.flush(), True

    async def _write_down(self, piece: Piece) -> Transcript:
        asked = self._asked
        with engine_errors(Stage.TRANSCRIBE, "The sound could not be transcribed"):
            async with background(self._engines.lanes):
                try:
                    transcript = await self._engines.stt.transcribe(
                        piece.samples,
                        language=self._language,
                        prompt=self._words,
                        temperature=asked.temperature,
                        words=asked.details.words,
                    )
                except ValueError as error:  # what an engine says of its arguments: only the language is the client's
                    raise invalid(str(error), "language") from None
        if asked.details.words and transcript.text and not any(segment.words for segment in transcript.segments):
            message = "This recogniser can't tell when each word was said. Ask for segments, or use faster-whisper."
            raise unsupported(message, "timestamp_granularities")
        return transcript


def _some(sound: Iterator[Samples]) -> Iterator[Samples]:
    samples = 0
    for piece in sound:
        yield piece
        samples += piece.size
        if samples >= _STEP_S * INPUT_RATE:
            return
