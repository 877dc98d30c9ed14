"""What a client knows of a conversation: the server's events, in order, as replies, utterances and sound."""

from dataclasses import dataclass, field
from typing import Any

from clients.link import Message, decode
from tests.bench.loudspeaker import Loudspeaker, Playback


@dataclass(slots=True)
class Reply:
    """A response. Moments are a clock's seconds."""

    id: str
    created_at: float
    item_id: str = ""
    text: str = ""
    status: str = "in_progress"
    first_text_at: float | None = None
    last_sound_at: float | None = None
    """The last message with sound arrived, played or not."""
    done_at: float | None = None
    stopped_at: float | None = None
    """The client was told to stop it before it was over: the user had begun to speak, or it was cancelled."""

    @property
    def completed(self) -> bool:
        """Whether it ended by itself: said to the end, or cut at the token limit that the client had set."""
        return self.done_at is not None and self.status in ("completed", "incomplete") and self.stopped_at is None


@dataclass(slots=True)
class Utterance:
    """Something that the server took for a message of the user's."""

    item_id: str
    committed_at: float
    transcript: str | None = None
    transcript_at: float | None = None


@dataclass(slots=True)
class Account:
    """Takes events; plays the sound on paper."""

    loudspeaker: Loudspeaker = field(default_factory=Loudspeaker)
    replies: dict[str, Reply] = field(default_factory=dict)
    utterances: dict[str, Utterance] = field(default_factory=dict)
    """Without those that the server deleted."""
    timings: dict[str, dict[str, float]] = field(default_factory=dict)
    """The server's account of each reply, as it came: milliseconds."""
    retrieved: dict[str, str] = field(default_factory=dict)
    """The words of the messages that were asked for."""
    errors: list[str] = field(default_factory=list)
    truncated: int = 0
    _hearing: bool = False
    _answered: set[str] = field(default_factory=set)

    def take(self, event: Message, now: float) -> None:
        """Note one event that arrived at `now`."""
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._hearing = True
                self._stop(now)
            case "input_audio_buffer.cleared":
                self._hearing = False
            case "input_audio_buffer.committed":
                self._hearing = False
                self.utterances[event["item_id"]] = Utterance(event["item_id"], now)
            case "conversation.item.input_audio_transcription.completed":
                self._transcribed(event["item_id"], str(event["transcript"]).strip(), now)
            case "conversation.item.input_audio_transcription.failed":
                self._transcribed(event["item_id"], "", now)
            case "conversation.item.deleted":
                self.utterances.pop(event["item_id"], None)
            case "conversation.item.retrieved":
                self.retrieved[event["item"]["id"]] = words_of(event["item"])
            case "conversation.item.truncated":
                self.truncated += 1
            case "response.created":
                reply = Reply(event["response"]["id"], now)
                self.replies[reply.id] = reply
                self._answered |= set(self.utterances)
            case "response.output_item.added":
                self.replies[event["response_id"]].item_id = event["item"]["id"]
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                reply = self.replies[event["response_id"]]
                reply.text += event["delta"]
                reply.first_text_at = reply.first_text_at or now
            case "response.output_audio.delta":
                self._sound(self.replies[event["response_id"]], event["delta"], now)
            case "response.done":
                self._done(event["response"], now)
            case "parley.turn.timings":
                self.timings[event["response_id"]] = {
                    name: value
                    for name, value in event.items()
                    if isinstance(value, int | float) and not isinstance(value, bool)
                }
            case "error":
                self.errors.append(str((event.get("error") or {}).get("message")))
            case _:
                pass

    @property
    def last_reply(self) -> Reply | None:
        """The reply that began last."""
        return next(reversed(self.replies.values()), None)

    @property
    def busy(self) -> bool:
        """Whether the server hears a voice, speaks, or has an utterance to answer."""
        open_ = (utterance for utterance in self.utterances.values() if utterance.item_id not in self._answered)
        return (
            self._hearing
            or any(reply.done_at is None for reply in self.replies.values())
            or any(utterance.transcript is None or utterance.transcript for utterance in open_)
        )

    @property
    def said(self) -> list[str]:
        """What the server took for the user's spoken messages, empty ones left out."""
        return [utterance.transcript for utterance in self.utterances.values() if utterance.transcript]

    def playback(self, reply: Reply | None) -> Playback | None:
        """Return what was heard of a reply, if anything was received."""
        return None if reply is None else self.loudspeaker.replies.get(reply.id)

    def _transcribed(self, item_id: str, words: str, now: float) -> None:
        if item_id in self.utterances:
            self.utterances[item_id].transcript = words
            self.utterances[item_id].transcript_at = now

    def _sound(self, reply: Reply, audio: str, now: float) -> None:
        reply.last_sound_at = now
        if reply.stopped_at is None:  # a client that was told to stop plays nothing more of it
            self.loudspeaker.take(reply.id, decode(audio), now)

    def _done(self, response: Message, now: float) -> None:
        reply = self.replies[response["id"]]
        reply.done_at, reply.status = now, response["status"]
        if reply.status in ("cancelled", "failed"):
            self.loudspeaker.stop(now)
            reply.stopped_at = reply.stopped_at or now

    def _stop(self, now: float) -> None:
        cut = self.loudspeaker.stop(now)
        for reply in self.replies.values():
            if reply.stopped_at is None and (reply.done_at is None or reply.id in cut):
                reply.stopped_at = now


def words_of(item: dict[str, Any]) -> str:
    """Return the words of a message as the protocol has it."""
    parts = [part.get("transcript") or part.get("text") or "" for part in item.get("content") or []]
    return " ".join(part for part in parts if part)
