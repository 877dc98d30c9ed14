"""What the conversation asks of its engines, on one page.

An engine's MODEL is shared by all sessions and is safe to call from all of them at once; a STREAM belongs to one
session. Each engine hops to its own thread inside its own file. Cancelling an awaiting task may leave that thread
running to its end: its late result goes nowhere. Engines raise whatever their libraries raise; a turn wraps it once.

Sound that is heard is `Samples` at `INPUT_RATE`; sound that is spoken is `Samples` at `OUTPUT_RATE`.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from audio.types import Samples, Transcript
from pipeline.lanes import Lanes

__all__ = [
    "VAD_WINDOW",
    "ChatMessage",
    "Engines",
    "Finish",
    "Generated",
    "LanguageModel",
    "Picture",
    "SpeechToText",
    "TextDelta",
    "TextToSpeech",
    "Transcript",
    "TurnDetector",
    "VoiceDetector",
    "VoiceStream",
]

VAD_WINDOW = 512
"""Samples in a voice detector's window: 32 ms."""


class VoiceStream(Protocol):
    """One session's voice detector: it remembers what it heard."""

    def score(self, window: Samples) -> float:
        """Return the probability (0..1) that `window` (exactly VAD_WINDOW samples) holds a voice. About 0.1 ms."""
        ...

    def reset(self) -> None:
        """Forget what was heard."""
        ...


class VoiceDetector(Protocol):
    """Tells voice from everything else."""

    def stream(self) -> VoiceStream:
        """Return a fresh stream for one session."""
        ...


class TurnDetector(Protocol):
    """Tells a finished utterance from a pause, by its sound."""

    async def score(self, audio: Samples) -> float:
        """Return the probability (0..1) that the speaker is done; only the last 8 s of `audio` count."""
        ...


class SpeechToText(Protocol):
    """Writes down what was said."""

    async def transcribe(self, audio: Samples, *, language: str | None = None, prompt: str = "") -> Transcript:
        """Return the words in `audio`; `language` is a hint (ISO 639-1), `prompt` holds words to expect."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that the user shows: a data URL of a PNG, JPEG or WebP image."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"
    """How closely it is to be looked at."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the prompt."""

    role: Literal["system", "user", "assistant"]
    content: str
    pictures: tuple[Picture, ...] = ()
    """What belongs to the words; empty for a model that takes no pictures."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, as it is generated."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of the answer, always the last thing of a stream."""

    reason: Literal["stop", "length"]
    input_tokens: int
    cached_tokens: int
    """Those of `input_tokens` whose work an earlier request had done."""
    output_tokens: int


Generated: TypeAlias = TextDelta | Finish


class LanguageModel(Protocol):
    """Answers a conversation."""

    @property
    def takes_pictures(self) -> bool:
        """Whether it understands the pictures of a message. One that doesn't is never given any."""
        ...

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[Generated, None]:
        """Generate the next assistant message. Closing the iterator (or cancelling) stops the work soon."""
        ...

    async def prefill(self, messages: Sequence[ChatMessage]) -> float | None:
        """Do the work for this prefix of a prompt now, so that a `stream` that begins with it starts sooner.

        Where the last message is the user's, return how probable it is (0..1) that it ends here; None where the model
        can't tell.
        """
        ...


class TextToSpeech(Protocol):
    """Speaks."""

    def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        """Speak one clause of plain text, in chunks at OUTPUT_RATE; `speed` is 0.25..1.5, 1 is normal.

        `voice` is a wish: an engine that has no voice of that name uses its default one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Engines:
    """All that a conversation needs.

    `live` is a fast recogniser of English: with it words are known while the user speaks, and answers are prepared
    from its words; `stt` then only checks them. Without it everything waits for `stt`.
    """

    vad: VoiceDetector
    turn: TurnDetector
    stt: SpeechToText
    live: SpeechToText | None
    llm: LanguageModel
    tts: TextToSpeech
    lanes: Lanes = field(default_factory=lambda: Lanes(2))
    """Who may work now."""
