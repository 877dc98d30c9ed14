"""One question and its answer, put together from the server's events."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from audio.types import OUTPUT_RATE, Samples
from clients.link import Message, decode

VOICE_TO_VOICE: Final = (
    "seconds from the moment the last voiced sample was sent, in real time, to the moment the first non-silent sample "
    "of the reply was received"
)
AUDIBLE: Final = 0.003
"""A reply's sample at or above this amplitude (-50 dBFS) is not silent."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked and answered.

    Times are seconds after the reference: the moment the last voiced sample, or the typed question, was sent.
    """

    transcript: str
    reply: str
    samples: Samples
    """The reply's sound, 24 kHz."""
    status: str
    """completed, cancelled, failed or incomplete; none when the server never began to answer."""
    error: str | None = None
    voice_to_voice_s: float | None = None
    """See VOICE_TO_VOICE; None for a typed question, an answer without sound, or one that began before the end."""
    commit_s: float | None = None
    """The server said that it took the utterance for finished."""
    transcript_s: float | None = None
    first_text_s: float | None = None
    first_audio_s: float | None = None
    speech_end_s: float | None = None
    """Where the speech ends in the recording."""
    timings: dict[str, float | None] = field(default_factory=dict)
    """The server's own account of the turn, where it gives one."""

    @property
    def answered(self) -> bool:
        """Whether the server began to answer."""
        return self.status != "none"

    @property
    def reply_s(self) -> float:
        """The length of the reply's sound in seconds."""
        return self.samples.size / OUTPUT_RATE

    def as_json(self) -> Message:
        """Return everything but the sound, with what the numbers mean."""
        plain = asdict(self)
        del plain["samples"]
        rounded: Message = {key: _round(value) for key, value in plain.items()}
        rounded["timings"] = {key: _round(value) for key, value in self.timings.items()}
        return rounded | {"reply_s": _round(self.reply_s), "voice_to_voice_is": VOICE_TO_VOICE}


@dataclass(slots=True)
class _Reply:
    """An answer as far as it has arrived."""

    response_id: str | None = None
    status: str = "none"
    words: list[str] = field(default_factory=list)
    sound: list[Samples] = field(default_factory=list)
    first_text_at: float | None = None
    first_audio_at: float | None = None
    timings: dict[str, float | None] = field(default_factory=dict)

    def take_sound(self, samples: Samples, now: float) -> None:
        self.sound.append(samples)
        if self.first_audio_at is None and samples.size and float(np.abs(samples).max()) >= AUDIBLE:
            self.first_audio_at = now


class Listener:
    """Takes the server's events of one exchange; the answer that counts is the last one that began."""

    def __init__(self) -> None:
        self.committed_at: float | None = None
        self.responding = False
        self.responded_at: float | None = None
        self.timed = False
        self.error: str | None = None
        self._at_work = False
        self._words: dict[str, str] = {}
        self._transcript_at: float | None = None
        self._reply = _Reply()

    def take(self, event: Message, now: float) -> None:
        """Note one event that arrived at `now`."""
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._at_work = True  # until it is known that there were no words
            case "input_audio_buffer.cleared":
                self._at_work = False
            case "input_audio_buffer.committed":
                self.committed_at = now
                self._at_work = False
            case "conversation.item.input_audio_transcription.completed":
                self._words[event["item_id"]] = str(event["transcript"]).strip()
                self._transcript_at = now
            case "conversation.item.input_audio_transcription.failed":
                self._words[event["item_id"]] = ""
                self.error = str(event["error"].get("message"))
            case "conversation.item.deleted":
                self._words.pop(event["item_id"], None)
            case "response.created":
                self._reply = _Reply(event["response"]["id"])
                self.responding, self.responded_at, self.timed = True, now, False
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                self._reply.words.append(event["delta"])
                self._reply.first_text_at = self._reply.first_text_at or now
            case "response.output_audio.delta":
                self._reply.take_sound(decode(event["delta"]), now)
            case "response.done":
                self.responding = False
                self._reply.status = event["response"]["status"]
                self.error = _failure(event["response"]) or self.error
            case "parley.turn.timings" if event.get("response_id") in (None, self._reply.response_id):
                self.timed = True
                self._reply.timings = _seconds(event)
            case _:
                pass

    @property
    def heard(self) -> bool:
        """Whether the words of the last utterance have arrived."""
        return bool(self._words)

    def expects_answer_since(self, moment: float) -> bool:
        """Whether the server is at work on what was said: it hears a voice, or took an utterance after `moment`."""
        understood = not self._words or any(self._words.values())
        committed = self.committed_at is not None and self.committed_at >= moment
        return self._at_work or self.responding or (committed and understood)

    @property
    def finished(self) -> bool:
        """Whether an answer has ended, other than by being interrupted."""
        return not self.responding and self._reply.status not in ("none", "cancelled")

    def exchange(self, reference: float | None, *, spoken: bool, speech_end_s: float | None = None) -> Exchange:
        """Return what has been gathered, with times after `reference` (the same clock as `now`)."""

        def after(moment: float | None) -> float | None:
            return None if moment is None or reference is None else moment - reference

        reply = self._reply
        first_audio = after(reply.first_audio_at)
        return Exchange(
            transcript=" ".join(words for words in self._words.values() if words),
            reply="".join(reply.words).strip(),
            samples=np.concatenate(reply.sound) if reply.sound else np.zeros(0, np.float32),
            status="in_progress" if self.responding else reply.status,
            error=self.error,
            voice_to_voice_s=first_audio if spoken and first_audio is not None and first_audio >= 0 else None,
            commit_s=after(self.committed_at),
            transcript_s=after(self._transcript_at),
            first_text_s=after(reply.first_text_at),
            first_audio_s=first_audio,
            speech_end_s=speech_end_s,
            timings=reply.timings,
        )


def _failure(response: Message) -> str | None:
    if response["status"] != "failed":
        return None
    error = (response.get("status_details") or {}).get("error") or {}
    return str(error.get("message") or error.get("code") or "The server could not answer.")


def _seconds(timings: Message) -> dict[str, float | None]:
    return {
        key.removesuffix("_ms") + "_s": None if value is None else value / 1000
        for key, value in timings.items()
        if key.endswith("_ms")
    }


def _round(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
