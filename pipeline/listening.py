"""What a session hears: its sound, cut into windows for the voice detector and into utterances for the recognisers."""

import logging
from collections.abc import Iterator
from typing import Final

from audio.types import INPUT_RATE, Samples
from pipeline.context import Context, Partial
from pipeline.engines import VAD_WINDOW, SpeechToText
from pipeline.partials import StablePrefix
from pipeline.recording import Recording
from pipeline.turn_taking import Window

log = logging.getLogger(__name__)

MAX_HELD_S: Final = 300.0
"""Sound that a client in manual mode may gather before it commits."""

_KEEP_S: Final = 1.0  # of sound before the utterance: more than any pre-roll and the voice that starts an utterance
_LIVE_EVERY_S: Final = 0.3  # of new sound between two partial transcripts


class Listening:
    """The sound of one session."""

    def __init__(self, context: Context) -> None:
        self._voice = context.engines.vad.stream()
        self._recording = Recording()
        self._windowed = 0  # samples that went through the voice detector, or past it
        self._held_from = 0  # where the sound begins that a manual commit takes
        self._utterance_from = 0  # where the utterance begins, the current or the last one

    @property
    def now_s(self) -> float:
        """The end of the sound that was dealt with, in seconds since the session began."""
        return self._windowed / INPUT_RATE

    def append(self, samples: Samples) -> None:
        """Take in sound."""
        self._recording.append(samples)

    def windows(self) -> Iterator[Window]:
        """Score the windows that have become complete, one by one."""
        while self._recording.end - self._windowed >= VAD_WINDOW:
            start = self._windowed
            self._windowed += VAD_WINDOW
            yield Window(self._voice.score(self._recording.cut(start, self._windowed)), self.now_s)

    def skip_windows(self) -> None:
        """Let the sound pass without looking for a voice in it."""
        self._windowed += (self._recording.end - self._windowed) // VAD_WINDOW * VAD_WINDOW

    def begin_utterance(self, start_s: float) -> None:
        """Note where the utterance begins: its sound is kept."""
        self._utterance_from = int(start_s * INPUT_RATE)

    def utterance(self) -> Samples:
        """Return the utterance so far."""
        return self._recording.cut(self._utterance_from, self._windowed)

    @property
    def utterance_s(self) -> float:
        """How long the utterance is so far."""
        return (self._windowed - self._utterance_from) / INPUT_RATE

    def forget(self, *, utterance: bool) -> None:
        """Let go of sound that nobody can need any more; `utterance`: keep the last one, which may go on."""
        self._held_from = self._windowed
        recent = self._windowed - int(_KEEP_S * INPUT_RATE)
        self._recording.forget(min(recent, self._utterance_from) if utterance else recent)

    def reset(self) -> None:
        """Begin anew with the voice detector, and drop what a manual commit would take."""
        self._held_from = self._recording.end
        self._voice.reset()

    def held(self) -> Samples:
        """Return the sound since the last `release`, for a client that commits by itself."""
        return self._recording.cut(self._held_from)

    def release(self) -> None:
        """Let go of the held sound."""
        self._held_from = self._recording.end
        self._recording.forget(self._held_from)

    def overflows(self) -> bool:
        """Tell whether more is held than MAX_HELD_S."""
        return self._recording.end - self._held_from > MAX_HELD_S * INPUT_RATE


class Captions:
    """Words while the user speaks: transcripts of the growing utterance, one at a time."""

    def __init__(self, context: Context, engine: SpeechToText) -> None:
        self._context = context
        self._engine = engine
        self.certain = ""
        """The words of the utterance that will not change any more."""
        self._item_id: str | None = None
        self._stable = StablePrefix()
        self._next_s = 0.0  # length of the utterance that is worth another transcript
        self._running = False

    def begin(self, item_id: str) -> None:
        """Write what is said from now on under `item_id`."""
        self.certain = ""
        self._item_id = item_id
        self._stable = StablePrefix()
        self._next_s = _LIVE_EVERY_S

    def end(self) -> None:
        """Stop: the utterance is over, and what still comes of it counts no more."""
        self._item_id = None

    def follow(self, listening: Listening) -> None:
        """Look at the utterance again, if there is enough new sound and the last look is over."""
        if self._running or self._item_id is None or listening.utterance_s < self._next_s:
            return
        self._running = True
        self._next_s = listening.utterance_s + _LIVE_EVERY_S
        self._context.spawn(self._write(self._item_id, listening.utterance()))

    def take(self, partial: Partial) -> str:
        """Take in a transcript and return the words that became certain."""
        self._running = False
        fresh = self._stable.feed(partial.text) if partial.item_id == self._item_id else ""
        self.certain += fresh
        return fresh

    async def _write(self, item_id: str, audio: Samples) -> None:
        text = ""
        try:
            text = (await self._engine.transcribe(audio, language="en")).text
        except Exception as error:  # noqa: BLE001 - captions are a nicety: the turn goes on without them
            log.warning("No partial transcript: %s", type(error).__name__)
        await self._context.post(Partial(item_id, text))
