"""The reply that is under way: what of it was sent, heard, and when."""

from dataclasses import dataclass
from typing import Literal

from audio.types import OUTPUT_RATE, Samples
from pipeline.history import Clause, Item, Spoken, Text, heard
from pipeline.playhead import Playhead
from pipeline.timings import Timings


@dataclass(slots=True)
class Moments:
    """When the stages of a turn produced their first results; seconds of the session's clock."""

    voice_end: float
    commit: float | None = None
    transcript: float | None = None
    token: float | None = None
    clause: float | None = None
    bridge: float | None = None
    audio: float | None = None
    discarded: int = 0
    """Speculative answers that were thrown away before this one."""

    @property
    def heard(self) -> bool:
        """Whether anything of the reply has sounded."""
        return self.bridge is not None or self.audio is not None

    def timings(self) -> Timings:
        """Return them as seconds after the user's voice ended."""

        def after(moment: float | None) -> float | None:
            return None if moment is None else moment - self.voice_end

        return Timings(
            after(self.commit),
            after(self.transcript),
            after(self.token),
            after(self.clause),
            after(self.bridge),
            after(self.audio),
            self.discarded,
        )


class Reply:
    """An assistant's message in the making; or, where it `may_call` functions, perhaps none."""

    def __init__(
        self, response_id: str, item_id: str, output: Literal["audio", "text"], *, may_call: bool = False
    ) -> None:
        self.response_id = response_id
        self.item_id = item_id
        self.output: Literal["audio", "text"] = output
        self.may_call = may_call
        self.begun = False
        """The message stands in the history."""
        self.called = False
        """A function was called."""
        self.text = ""
        """The words sent so far."""
        self._clauses: list[str] = []
        self._bridges: set[int] = set()  # the numbers of those that are no part of the text
        self._seconds: dict[int, float] = {}
        self._playhead = Playhead()
        self._told: str | None = None  # the heard words that the client knows of

    def say(self, text: str) -> str:
        """Count words that are sent now and return them as they continue the text."""
        lead = " " if self.output == "audio" and self.text else ""
        self._clauses.append(text)
        self.text += lead + text
        return lead + text

    def bridge(self, text: str) -> float:
        """Count words that are sent now and are no part of the text; return where in the reply's sound they begin."""
        self._bridges.add(len(self._clauses))
        self._clauses.append(text)
        return self._playhead.sent_s

    @property
    def bridging(self) -> bool:
        """Whether what was said last is a bridge."""
        return len(self._clauses) - 1 in self._bridges

    def last_words(self) -> str:
        """Return the words that are being spoken now, or were a moment ago."""
        return " ".join(self._clauses[-2:])

    def measure(self, clause: int, seconds: float) -> None:
        """Note how long clause number `clause` sounds; possibly before it is said."""
        self._seconds[clause] = seconds

    def send(self, samples: Samples, now: float) -> None:
        """Count sound that is sent now."""
        self._playhead.send(len(samples) / OUTPUT_RATE, now)

    def missed(self, seconds: float, now: float) -> None:
        """Note that the last `seconds` of what was sent begin to be played only now."""
        self._playhead.correct(self._playhead.sent_s - seconds, now)

    def played(self, seconds: float, now: float) -> None:
        """Note the client's own position."""
        self._playhead.correct(seconds, now)

    def played_s(self, now: float) -> float:
        """Return the position in the reply's sound that has been heard."""
        return self._playhead.played_s(now)

    def newly_heard(self, now: float) -> str | None:
        """Return the words heard so far; None when they are the same as the last time."""
        words = heard(self._spoken(), self.played_s(now))
        if words == self._told or not (words or self._told):
            return None
        self._told = words
        return words

    def item(self, status: Literal["in_progress", "completed", "incomplete"], now: float) -> Item:
        """Return the message as it stands in the history: of a reply that was cut short, what was heard."""
        if self.output == "text":
            return Item(self.item_id, "assistant", (Text(self.text),), status)
        clauses = self._spoken()
        transcript = self.text if status == "completed" else heard(clauses, self.played_s(now))
        return Item(self.item_id, "assistant", (Spoken(transcript, clauses=clauses),), status)

    def _spoken(self) -> tuple[Clause, ...]:
        return tuple(self._clause(number, text) for number, text in enumerate(self._clauses))

    def _clause(self, number: int, text: str) -> Clause:
        clause = Clause(text, self._seconds.get(number))
        return Clause("", clause.length_s) if number in self._bridges else clause
