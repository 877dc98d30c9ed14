"""Who holds the floor: a state machine without clock, asyncio or model.

`step(input, now)` takes what happened and returns what to do about it; `deadline` says when to come back with `Tick`
if nothing else happens first. Voice and silence are counted in seconds of AUDIO, so they are exact however late the
sound arrives; only waits for something that may never come use `now` (seconds of any steady clock).

    ASLEEP    -- wake --------------------------------> LISTENING
    LISTENING -- voice >= start_s --------------------> HEARING    SpeechStarted
    LISTENING -- follow_up_s passed, wake ------------> ASLEEP     FellAsleep
    HEARING   -- silence >= pause_s ------------------> DECIDING   AskTurnDetector, Speculate
    HEARING   -- max_utterance_s, stall_s, commit ----> REPLYING   CommitTurn
    DECIDING  -- voice >= resume_s -------------------> HEARING    Discard
    DECIDING  -- sure, or silent for long, or commit -> REPLYING   CommitTurn
    REPLYING  -- voice, soon, nothing heard yet ------> HEARING    Reopen, SpeechStarted
    REPLYING  -- voice >= barge_in_s -----------------> HEARING    Interrupt, SpeechStarted
    REPLYING  -- reply played to its end -------------> LISTENING
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from audio.types import INPUT_RATE
from pipeline.engines import VAD_WINDOW
from pipeline.settings import TurnTaking

WINDOW_S: Final = VAD_WINDOW / INPUT_RATE
_HYSTERESIS: Final = 0.15
_ROUNDING: Final = 1e-6  # sums of 0.032 must not miss a limit by a rounding error


class State(Enum):
    """Who holds the floor."""

    ASLEEP = auto()
    LISTENING = auto()
    HEARING = auto()
    DECIDING = auto()
    REPLYING = auto()


# --- Inputs ---


@dataclass(frozen=True, slots=True)
class Window:
    """The voice detector heard one window, which ends at `end_s` of the session's audio."""

    probability: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Score:
    """The turn detector answered the question that AskTurnDetector asked with this `pause`."""

    pause: int
    score: float


@dataclass(frozen=True, slots=True)
class Wake:
    """A wake word was heard or a button pressed."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The client says that the user is done."""


@dataclass(frozen=True, slots=True)
class Clear:
    """The client takes back what was heard."""


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """A reply that no utterance asked for has begun."""


@dataclass(frozen=True, slots=True)
class ReplyHeard:
    """The reply became audible."""


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The turn is over and its sound has been played."""


@dataclass(frozen=True, slots=True)
class Configure:
    """New settings."""

    settings: TurnTaking


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; worth a step when `deadline` was reached."""


Input: TypeAlias = Window | Score | Wake | Commit | Clear | ReplyStarted | ReplyHeard | ReplyEnded | Configure | Tick

# --- Actions ---


@dataclass(frozen=True, slots=True)
class Awake:
    """The session listens."""


@dataclass(frozen=True, slots=True)
class FellAsleep:
    """The session listens no more."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance began; its sound counts from `start_s`, pre-roll included."""

    start_s: float


@dataclass(frozen=True, slots=True)
class AskTurnDetector:
    """Ask whether the utterance sounds finished, and answer with Score(pause, …)."""

    pause: int


@dataclass(frozen=True, slots=True)
class Speculate:
    """The utterance may be over: prepare its answer, unheard."""


@dataclass(frozen=True, slots=True)
class Discard:
    """What was prepared is void."""


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """The utterance is over: answer it. Its voice ended at `voice_end_s`."""

    voice_end_s: float


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user took the floor: stop the reply."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """The user goes on with the utterance that was just committed: its reply, still unheard, is void.

    The SpeechStarted that follows has the utterance's old start: its parts become one.
    """


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody spoke for idle_timeout_s."""


Action: TypeAlias = (
    Awake
    | FellAsleep
    | SpeechStarted
    | AskTurnDetector
    | Speculate
    | Discard
    | CommitTurn
    | Interrupt
    | Reopen
    | IdleTimeout
)


class TurnTaker:
    """Decides who holds the floor in one session."""

    def __init__(self, settings: TurnTaking) -> None:
        self._settings = settings
        self.state = State.ASLEEP if settings.wake else State.LISTENING
        self.deadline: float | None = None
        """When to step with Tick, if nothing happens before."""
        self._voiced = False
        self._voice_s = 0.0  # of unbroken voice up to now
        self._silence_s = 0.0  # since the last voice of the utterance
        self._now_s = 0.0  # position in the session's audio
        self._start_s = 0.0  # of the utterance, pre-roll included
        self._voice_end_s = 0.0  # of the utterance
        self._commit_s = 0.0  # where the last utterance was committed: the next one can't begin before it
        self._reopens = False  # whether voice can still go on with the utterance committed last
        self._pause = 0  # numbers the pauses, so that late scores are known as such
        self._score: float | None = None

    def step(self, happened: Input, now: float) -> list[Action]:
        """Take in what happened at `now` and return what to do, in order. What means nothing in a state is ignored."""
        rule = _RULES.get((self.state, type(happened)))
        return rule(self, happened, now) if rule is not None else []

    # --- Rules: one for each row of the table ---

    def _wake(self, _happened: Input, now: float) -> list[Action]:
        self._listen(now)
        return [Awake()]

    def _listening_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        if self._settings.mode == "manual" or not _reached(self._voice_s, self._settings.start_s):
            return []
        return [self._start(now)]

    def _listening_tick(self, _tick: Tick, now: float) -> list[Action]:
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = None
        if self._settings.wake:
            self.state = State.ASLEEP
            return [FellAsleep()]
        return [IdleTimeout()]

    def _hearing_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        self._expect_more(now)
        if self._too_long():
            return [self._commit(reopens=False)]
        if not _reached(self._silence_s, min(self._settings.pause_s, self._settings.max_silence_s)):
            return []
        self.state = State.DECIDING
        self._pause += 1
        self._score = None
        actions: list[Action] = []
        if self._settings.mode == "semantic":
            actions.append(AskTurnDetector(self._pause))
        if self._settings.speculate:
            actions.append(Speculate())
        return actions + self._decide()

    def _deciding_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        self._expect_more(now)
        if self._too_long():
            return [self._commit(reopens=False)]
        if _reached(self._voice_s, self._settings.resume_s):
            self.state = State.HEARING
            self._silence_s = 0.0
            return [Discard()]
        return self._decide()

    def _deciding_score(self, answer: Score, _now: float) -> list[Action]:
        if answer.pause != self._pause:
            return []
        self._score = answer.score
        return self._decide()

    def _utterance_tick(self, _tick: Tick, now: float) -> list[Action]:
        return [self._commit()] if self.deadline is not None and now >= self.deadline else []

    def _utterance_commit(self, _commit: Commit, _now: float) -> list[Action]:
        return [self._commit()]

    def _utterance_clear(self, _clear: Clear, now: float) -> list[Action]:
        self._commit_s = self._now_s
        self._listen(now)
        return [Discard()]

    def _reply_started(self, _started: ReplyStarted, _now: float) -> list[Action]:
        self.state = State.REPLYING
        self.deadline = None
        self._reopens = False
        return []

    def _reply_heard(self, _heard: ReplyHeard, _now: float) -> list[Action]:
        self._reopens = False
        return []

    def _replying_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        if self._settings.mode == "manual":
            return []
        first_voice_s = self._now_s - self._voice_s
        soon = _reached(self._settings.reopen_s, first_voice_s - self._commit_s)
        if self._reopens and soon:
            return self._reopen(now) if _reached(self._voice_s, self._settings.start_s) else []
        if not _reached(self._voice_s, self._settings.barge_in_s):
            return []
        return [Interrupt(), self._start(now)] if self._settings.interrupt_response else [self._start(now)]

    def _reply_ended(self, _ended: ReplyEnded, now: float) -> list[Action]:
        self._listen(now)
        return []

    def _configure(self, new: Configure, now: float) -> list[Action]:
        self._settings = new.settings
        if self.state in _UTTERANCE and new.settings.mode == "manual":
            self._listen(now)
            return [Discard()]
        return []

    # --- What the rules share ---

    def _count(self, window: Window) -> None:
        limit = self._settings.vad_threshold - (_HYSTERESIS if self._voiced else 0.0)
        self._voiced = window.probability >= limit
        self._now_s = window.end_s
        if self._voiced:
            self._voice_s += WINDOW_S
            self._voice_end_s = window.end_s
            if self.state is State.HEARING:
                self._silence_s = 0.0
        else:
            self._voice_s = 0.0
            self._silence_s += WINDOW_S

    def _listen(self, now: float) -> None:
        self.state = State.LISTENING
        wait = self._settings.follow_up_s if self._settings.wake else self._settings.idle_timeout_s
        self.deadline = None if wait is None else now + wait

    def _start(self, now: float) -> SpeechStarted:
        self.state = State.HEARING
        self._silence_s = 0.0
        first_voice_s = self._now_s - self._voice_s
        self._start_s = max(first_voice_s - self._settings.prefix_s, self._commit_s, 0.0)
        self._expect_more(now)
        return SpeechStarted(self._start_s)

    def _reopen(self, now: float) -> list[Action]:
        start_s = self._start_s
        self._start(now)
        self._start_s = start_s
        return [Reopen(), SpeechStarted(start_s)]

    def _expect_more(self, now: float) -> None:
        self.deadline = now + self._settings.stall_s

    def _too_long(self) -> bool:
        return _reached(self._now_s - self._start_s, self._settings.max_utterance_s)

    def _decide(self) -> list[Action]:
        settings = self._settings
        sure = settings.mode == "semantic" and self._score is not None and self._score >= settings.threshold
        enough_s = min(settings.min_silence_s, settings.max_silence_s) if sure else settings.max_silence_s
        return [self._commit()] if _reached(self._silence_s, enough_s) else []

    def _commit(self, *, reopens: bool = True) -> CommitTurn:
        self.state = State.REPLYING
        self.deadline = None
        self._reopens = reopens
        self._commit_s = self._now_s
        self._voice_s = 0.0
        return CommitTurn(self._voice_end_s)


def _reached(amount: float, limit: float) -> bool:
    return amount >= limit - _ROUNDING


_UTTERANCE: Final = (State.HEARING, State.DECIDING)

# Any: each rule takes the one kind of input that its key names.
_RULES: Final[dict[tuple[State, type[Input]], Callable[..., list[Action]]]] = {
    (State.ASLEEP, Wake): TurnTaker._wake,
    (State.LISTENING, Window): TurnTaker._listening_window,
    (State.LISTENING, Tick): TurnTaker._listening_tick,
    (State.LISTENING, ReplyStarted): TurnTaker._reply_started,
    (State.HEARING, Window): TurnTaker._hearing_window,
    (State.DECIDING, Window): TurnTaker._deciding_window,
    (State.DECIDING, Score): TurnTaker._deciding_score,
    (State.REPLYING, Window): TurnTaker._replying_window,
    (State.REPLYING, ReplyHeard): TurnTaker._reply_heard,
    (State.REPLYING, ReplyEnded): TurnTaker._reply_ended,
    **{(state, Tick): TurnTaker._utterance_tick for state in _UTTERANCE},
    **{(state, Commit): TurnTaker._utterance_commit for state in _UTTERANCE},
    **{(state, Clear): TurnTaker._utterance_clear for state in _UTTERANCE},
    **{(state, Configure): TurnTaker._configure for state in State},
}
