"""`POST /v1/audio/speech`: text to a sound file, sent while it is being made."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from assistant.config import Config
from assistant.server.api.errors import invalid
from assistant.server.api.exchange import EVENTS, Answer, event
from assistant.server.api.reading import read_json
from assistant.server.api.working import background, engine_errors, in_thread
from assistant.server.wire import encode_base64
from audio.codec import MEDIA_TYPES, Encoder, Format
from audio.types import Samples
from pipeline.engines import Engines
from pipeline.errors import Stage
from pipeline.speech_text import ClauseSplitter
from pipeline.spoken_forms import spoken_form

_MOST_CHARACTERS: Final = 4096
_FASTEST: Final = 1.5
"""What voices can do by themselves; the rest is done to the finished sound."""
_LIMITS: Final = (48, 90)
"""Letters of the first piece and the later ones: a conversation's speech may wait for one that is being made."""
_OPENAI_VOICES: Final = frozenset("alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split())


class _Voice(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str


class SpeechRequest(BaseModel):
    """The body. `Any` marks what is accepted and makes no difference here."""

    model_config = ConfigDict(extra="allow")  # what is unknown is refused by name, as OpenAI does

    model: str
    input: str = Field(min_length=1, max_length=_MOST_CHARACTERS)
    voice: str | _Voice
    response_format: Format = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: Any = None


async def speak(request: Request, config: Config, engines: Engines) -> Answer:
    """Read a request for speech. Raises RequestError where it can't be served."""
    asked = await read_json(request, SpeechRequest)
    voice = asked.voice.id if isinstance(asked.voice, _Voice) else asked.voice
    known = {config.tts.model, "default", *_OPENAI_VOICES}
    if voice not in known:
        message = f"There is no voice {voice[:80]!r}. The voice of this server is {config.tts.model!r}."
        raise invalid(f"{message} OpenAI's names stand for it too.", "voice")
    clauses = list(_clauses(asked.input))
    if not clauses:
        raise invalid("input: there is nothing in it that can be spoken. Send words.", "input")
    sound = _encoded(asked, clauses, engines)
    if asked.stream_format == "sse":
        return Answer(EVENTS, _events(sound), whole=False)
    return Answer(MEDIA_TYPES[asked.response_format], sound, whole=False)


def _clauses(text: str) -> Iterator[str]:
    splitter = ClauseSplitter(_LIMITS)
    yield from splitter.feed(text)
    yield from splitter.flush()


async def _spoken(asked: SpeechRequest, clauses: list[str], engines: Engines) -> AsyncGenerator[Samples, None]:
    for clause in clauses:
        with engine_errors(Stage.SPEAK, "The speech could not be made"):
            stream = engines.tts.speak(spoken_form(clause), speed=min(asked.speed, _FASTEST))
            async with aclosing(stream):
                while True:
                    async with background(engines.lanes):
                        samples = await anext(stream, None)
                    if samples is None:
                        break
                    yield samples


async def _encoded(asked: SpeechRequest, clauses: list[str], engines: Engines) -> AsyncGenerator[bytes, None]:
    encoder = Encoder(asked.response_format, tempo=max(1.0, asked.speed / _FASTEST))
    async with aclosing(_spoken(asked, clauses, engines)) as sound:
        async for samples in sound:
            if data := await in_thread(partial(encoder.feed, samples)):
                yield data
    yield await in_thread(encoder.finish)


async def _events(sound: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(sound):
        async for data in sound:
            yield event({"type": "speech.audio.delta", "audio": encode_base64(data)})
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}  # the voice has none
    yield event({"type": "speech.audio.done", "usage": usage})
