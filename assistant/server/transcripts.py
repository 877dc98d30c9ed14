"""What the user said, as the protocol's messages: deltas, and in the end all of it."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, assert_never

from assistant.server.session_config import SessionConfig, Tree
from assistant.server.wire import Message
from audio.types import Token
from pipeline import events

Heard: TypeAlias = events.TranscriptDelta | events.TranscriptCompleted | events.TranscriptFailed

_TYPE: Final = "conversation.item.input_audio_transcription"
_REMEMBERED: Final = 8
"""Utterances whose deltas count until they are completed; those without words never are."""


class Transcripts:
    """Turns the words of one session into messages.

    In a transcription session the deltas spell the whole transcript, wherever what was said in them has stood the
    check: a client that only reads deltas misses nothing. In a conversation they are a foretaste.
    """

    def __init__(self) -> None:
        self._told: dict[str, str] = {}  # by item: what its deltas said so far

    def messages(self, heard: Heard, config: SessionConfig) -> Iterator[Message]:
        """Yield the messages that tell the client of `heard`."""
        place = {"item_id": heard.item_id, "content_index": 0}
        match heard:
            case events.TranscriptDelta(item_id, text):
                self._told[item_id] = self._told.get(item_id, "") + text
                if len(self._told) > _REMEMBERED:
                    del self._told[next(iter(self._told))]
                yield {"type": f"{_TYPE}.delta", **place, "delta": text}
            case events.TranscriptCompleted(item_id, text, audio_s, tokens):
                told = self._told.pop(item_id, "")
                logprobs: Tree = {"logprobs": _logprobs(tokens)} if config.logprobs and tokens else {}
                if config.transcribes and text.startswith(told) and text != told:
                    whole = {} if told else logprobs
                    yield {"type": f"{_TYPE}.delta", **place, "delta": text.removeprefix(told), **whole}
                usage = {"type": "duration", "seconds": round(audio_s, 3)}
                yield {"type": f"{_TYPE}.completed", **place, "transcript": text, "usage": usage, **logprobs}
            case events.TranscriptFailed(item_id, code, message):
                self._told.pop(item_id, None)
                error = {"type": "transcription_error", "code": code, "message": message, "param": ""}
                yield {"type": f"{_TYPE}.failed", **place, "error": error}
            case _:
                assert_never(heard)


def _logprobs(tokens: Sequence[Token]) -> list[Tree]:
    return [
        {"token": token.text, "bytes": list(token.text.encode("utf-8", "replace")), "logprob": token.logprob}
        for token in tokens
    ]
