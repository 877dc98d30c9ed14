"""What a session hears: its sound, cut into windows for the voice detector and into utterances for the recognisers."""

import logging
from collections.abc import Iterator
from typing import Final

from audio.types import INPUT_RATE, Samples
from pipeline.context import Context, Partial
from pipeline.engines import VAD_WINDOW, SpeechToText, Transcript
from pipeline.lanes import Lane
from pipeline.moves import Window
from pipeline.partials import StablePrefix
from pipeline.recording import Recording

log = logging.getLogger(__name__)

MAX_HELD_S: Final = 300.0
"""Sound that a client in manual mode may gather before it commits."""

_KEEP_S: Final = 1.0  # of sound before the utterance: more than any pre-roll and the voice that starts an utterance
_LIVE_EVERY_S: Final = 0.24  # of new sound between two partial transcripts
_LIVE_SHARE: Final = 10  # a long utterance takes longer to write down: a partial transcript for each such part of it
_VOICE: Final = 0.35  # probability of a window that may belong to a voice


class Listening:
    """The sound of one session."""

    def __init__(self, context: Context) -> None:
        self._voice = context.engines.vad.stream()
        self._recording = Recording()
        self._windowed = 0  # samples that went through the voice detector, or past it
        self._held_from = 0  # where the sound begins that a manual commit takes
        self._utterance_from = 0  # where the utterance begins, the current or the last one
        self._voice_from = 0  # where the voice begins that goes on until now

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
            probability = self._voice.score(self._recording.cut(start, self._windowed))
            if probability < _VOICE:
                self._voice_from = self._windowed
            yield Window(probability, self.now_s)

    def skip_windows(self) -> None:
        """Let the sound pass without looking for a voice in it."""
        self._windowed += (self._recording.end - self._windowed) // VAD_WINDOW * VAD_WINDOW

    def begin_utterance(self, start_s: float) -> None:
        """Note where the utterance begins: its sound is kept."""
        self._utterance_from = int(start_s * INPUT_RATE)

    def utterance(self) -> Samples:
        """Return the utterance so far."""
        return self._recording.cut(self._utterance_from, self._windowed)

    def since(self, start_s: float) -> Samples:
        """Return the sound from `start_s` on, as far as it is still there."""
        return self._recording.cut(int(max(0.0, start_s) * INPUT_RATE), self._windowed)

    def voice(self, most_s: float) -> Samples:
        """Return the unbroken voice up to now; of a long one, the last `most_s`."""
        return self._recording.cut(max(self._voice_from, self._windowed - int(most_s * INPUT_RATE)), self._windowed)

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
        self._item_id: str | None = None
        self._stable = StablePrefix()
        self._next_s = 0.0  # length of the utterance that is worth another transcript
        self._pending: float | None = None

    def begin(self, item_id: str) -> None:
        """Write what is said from now on under `item_id`."""
        self._item_id = item_id
        self._stable = StablePrefix()
        self._next_s = _LIVE_EVERY_S

    def end(self) -> None:
        """Stop: the utterance is over, and what still comes of it counts no more."""
        self._item_id = None

    @property
    def agreed(self) -> str:
        """The words that the last two transcripts of the utterance begin with."""
        return self._stable.agreed

    @property
    def pending(self) -> float | None:
        """Where the sound of the look ends that is under way; None when there is none."""
        return self._pending

    def follow(self, listening: Listening, *, at_once: bool = False) -> None:
        """Look at the utterance again, if there is enough new sound, the last look is over and a core is free.

        `at_once`: the voice is fading, so what was said may be all; this look waits for no more sound.
        """
        if self._pending is not None or self._item_id is None or (listening.utterance_s < self._next_s and not at_once):
            return
        lane = Lane.WORDS if at_once else Lane.PARTIAL
        if not self._context.engines.lanes.free(lane):
            return
        self._pending = listening.now_s
        self._next_s = listening.utterance_s + max(_LIVE_EVERY_S, listening.utterance_s / _LIVE_SHARE)
        self._context.spawn(self._write(self._item_id, listening.utterance(), listening.now_s, lane))

    def take(self, partial: Partial) -> str:
        """Take in a transcript and return the words that became certain."""
        self._pending = None
        return self._stable.feed(partial.transcript.text) if partial.item_id == self._item_id else ""

    async def _write(self, item_id: str, audio: Samples, end_s: float, lane: Lane) -> None:
        words = Transcript("")
        try:
            async with self._context.engines.lanes.enter(lane):
                words = await self._engine.transcribe(audio, language="en")
        except Exception as error:  # noqa: BLE001 - captions are a nicety: the turn goes on without them
            log.warning("No partial transcript: %s", type(error).__name__)
        await self._context.post(Partial(item_id, words, end_s))
