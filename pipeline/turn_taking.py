"""Who holds the floor: a state machine without clock, asyncio or model.

`step(input, now)` takes what happened and returns what to do about it; `deadline` says when to come back with `Tick`
if nothing else happens first. Voice and silence are counted in seconds of AUDIO, so they are exact however late the
sound arrives; only waits for something that may never come use `now` (seconds of any steady clock).

    ASLEEP    -- wake --------------------------------> LISTENING
    ASLEEP    -- reply that nobody asked for ---------> REPLYING
    LISTENING -- voice >= start_s --------------------> HEARING    SpeechStarted
    LISTENING -- follow_up_s passed, wake ------------> ASLEEP     FellAsleep
    HEARING   -- silence, or a fade, >= pause_s ------> DECIDING   Weigh, Speculate
    HEARING   -- max_utterance_s, stall_s, commit ----> REPLYING   CommitTurn
    DECIDING  -- voice >= resume_s -------------------> HEARING    Discard
    DECIDING  -- silence >= look_again_s, unsure -----> DECIDING   Weigh
    DECIDING  -- sound, words and silence agree ------> REPLYING   CommitTurn
    REPLYING  -- voice >= hold_s ---------------------> CONTESTED  Hold
    REPLYING  -- reply played to its end -------------> LISTENING
    CONTESTED -- voice >= start_s, soon --------------> HEARING    SpeechStarted, Reopen
    CONTESTED -- it ended before that, soon ----------> REPLYING   Resume
    CONTESTED -- voice >= look_s, or it ended --------> CONTESTED  AskWhatWasSaid
    CONTESTED -- words, or voice >= barge_in_s -------> HEARING    SpeechStarted, Interrupt
    CONTESTED -- it ended: backchannel, noise, echo --> REPLYING   Resume
    CONTESTED -- stall_s -----------------------------> REPLYING   Resume
    CONTESTED -- reply played to its end -------------> LISTENING

Whether an utterance is over is decided by three witnesses together: how it sounds (Sounds), what its words say
(Reads), and how long the silence has lasted; see pipeline/endings.py.
"""

from collections.abc import Callable
from typing import Final

from audio.types import INPUT_RATE
from pipeline.endings import needed_silence_s
from pipeline.engines import VAD_WINDOW
from pipeline.moves import (
    Action,
    AskWhatWasSaid,
    Awake,
    Clear,
    Commit,
    CommitTurn,
    Configure,
    Discard,
    FellAsleep,
    Hold,
    IdleTimeout,
    Input,
    Interrupt,
    Reads,
    Reopen,
    ReplyEnded,
    ReplyStarted,
    Resume,
    Said,
    Sounds,
    Speculate,
    SpeechStarted,
    State,
    Tick,
    Wake,
    WasSaid,
    Weigh,
    Window,
)
from pipeline.settings import TurnTaking

WINDOW_S: Final = VAD_WINDOW / INPUT_RATE
_HYSTERESIS: Final = 0.1
_FULL: Final = 0.9
_FADING: Final = 0.75
"""A voice that falls below this, from above the other, mostly ends: in an echoing room up to 0.1 s before its silence.

So much sooner its answer can be prepared. When it ended, and whether it is over, only its silence tells.
"""
_ROUNDING: Final = 1e-6  # sums of 0.032 must not miss a limit by a rounding error
_SOUNDS_FINISHED: Final = 0.85
"""Score of the turn detector that leaves nothing to ask again."""
_LOOK_EVERY_S: Final = 0.128
"""New voice during a reply that is worth another look at its words."""


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
        self._full = False  # whether there was a voice that can fade
        self._fade_s = 0.0  # since it began to
        self._now_s = 0.0  # position in the session's audio
        self._start_s = 0.0  # of the utterance, pre-roll included
        self._voice_end_s = 0.0  # of the utterance
        self._commit_s = 0.0  # where the last utterance was committed: the next one can't begin before it
        self._reopens = False  # whether voice can still go on with the utterance committed last
        self._pause = 0  # numbers the pauses, so that late answers are known as such
        self._sounds: float | None = None  # how finished the utterance is, as far as it is known
        self._reads: float | None = None
        self._looks_again = False  # whether the pause will be weighed once more
        self._contest = 0  # numbers the user's sounds during replies
        self._contest_start_s = 0.0
        self._contest_voice_s = 0.0  # with all its breaks
        self._look_s = 0.0  # voice of the contest that is worth the next look
        self._said = Said.UNKNOWN
        self._asked_end = False

    def step(self, happened: Input, now: float) -> list[Action]:
        """Take in what happened at `now` and return what to do, in order. What means nothing in a state is ignored."""
        rule = _RULES.get((self.state, type(happened)))
        return rule(self, happened, now) if rule is not None else []

    @property
    def fades(self) -> bool:
        """Whether the voice has begun to fade with the last window."""
        return 0 < self._fade_s <= WINDOW_S

    # --- Rules: one for each row of the table ---

    def _wake(self, _happened: Input, now: float) -> list[Action]:
        self._listen(now)
        return [Awake()]

    def _listening_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        if self._settings.mode == "manual" or not self._voice_lasts(self._settings.start_s):
            return []
        return [self._start(now, self._now_s - self._voice_s)]

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
        quiet_s = max(self._silence_s, self._fade_s)
        if not _reached(quiet_s, min(self._settings.pause_s, self._settings.max_silence_s)):
            return []
        self.state = State.DECIDING
        self._voice_s = 0.0  # what is left of a fading voice doesn't go on with the utterance
        self._full = False
        self._pause += 1
        self._sounds = self._reads = None
        self._looks_again = self._settings.mode == "semantic"
        actions: list[Action] = []
        if self._settings.mode == "semantic":
            actions.append(Weigh(self._pause))
        if self._settings.speculate:
            actions.append(Speculate())
        return actions + self._decide()

    def _deciding_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        self._expect_more(now)
        if self._too_long():
            return [self._commit(reopens=False)]
        if self._voice_lasts(self._settings.resume_s):
            self.state = State.HEARING
            self._silence_s = 0.0
            return [Discard()]
        actions = self._decide()
        doubtful = self._sounds is None or self._sounds < _SOUNDS_FINISHED
        if not actions and self._looks_again and doubtful and _reached(self._silence_s, self._settings.look_again_s):
            # A voice that dies away sounds more finished a little later.
            self._looks_again = False
            return [Weigh(self._pause)]
        return actions

    def _deciding_sounds(self, answer: Sounds, _now: float) -> list[Action]:
        if answer.pause != self._pause:
            return []
        self._sounds = answer.finished
        return self._decide()

    def _deciding_reads(self, answer: Reads, _now: float) -> list[Action]:
        if answer.pause != self._pause:
            return []
        self._reads = answer.finished
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

    def _replying_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        settings = self._settings
        if settings.mode == "manual":
            return []
        if not settings.interrupt_response:
            return [self._start(now, self._now_s - self._voice_s)] if self._voice_lasts(settings.start_s) else []
        if not self._voice_lasts(settings.hold_s):
            return []
        self.state = State.CONTESTED
        self._contest += 1
        self._contest_start_s = self._now_s - self._voice_s
        self._contest_voice_s = self._voice_s
        self._silence_s = 0.0
        self._look_s = settings.look_s
        self._said = Said.UNKNOWN
        self._asked_end = False
        return [Hold(), *self._contend(now)]

    def _contested_window(self, window: Window, now: float) -> list[Action]:
        self._count(window)
        if self._voiced:
            self._contest_voice_s += WINDOW_S
            self._silence_s = 0.0
            self._asked_end = False
        return self._contend(now)

    def _contend(self, now: float) -> list[Action]:
        self._expect_more(now)
        settings, voice_s = self._settings, self._contest_voice_s
        soon = self._reopens and _reached(settings.reopen_s, self._contest_start_s - self._commit_s)
        if soon and _reached(voice_s, settings.start_s):
            return self._reopen(now)
        if soon and not self._voiced and _reached(self._silence_s, settings.pause_s):
            # The utterance's own last sound, too short for a word. Its words must not be looked for: what comes right
            # before it are the question's.
            return self._resume()
        # A long "mm-hm, yeah, right" may be more than a backchannel.
        patience = 2 if self._said is Said.BACKCHANNEL else 1
        if _reached(voice_s, patience * settings.barge_in_s):
            return self._interrupt(now)
        if not self._voiced and not self._asked_end and _reached(self._silence_s, settings.yield_s):
            self._asked_end = True
            return [AskWhatWasSaid(self._contest, True, self._contest_start_s)]
        if self._voiced and _reached(voice_s, self._look_s):
            self._look_s = voice_s + _LOOK_EVERY_S
            return [AskWhatWasSaid(self._contest, False, self._contest_start_s)]
        return []

    def _contested_said(self, answer: WasSaid, now: float) -> list[Action]:
        if answer.contest != self._contest:
            return []
        self._said = answer.what
        if answer.what is Said.WORDS:
            return self._interrupt(now)
        return self._resume() if answer.ended and self._asked_end else []

    def _contested_tick(self, _tick: Tick, now: float) -> list[Action]:
        return self._resume() if self.deadline is not None and now >= self.deadline else []

    def _contested_reply_ended(self, _ended: ReplyEnded, now: float) -> list[Action]:
        # Who speaks into the reply's last sound has the floor now; what was said so far is the pre-roll's.
        self._listen(now)
        return []

    def _reply_ended(self, _ended: ReplyEnded, now: float) -> list[Action]:
        self._listen(now)
        return []

    def _configure(self, new: Configure, now: float) -> list[Action]:
        self._settings = new.settings
        if self.state is State.CONTESTED and (new.settings.mode == "manual" or not new.settings.interrupt_response):
            return self._resume()
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
        self._full |= window.probability >= _FULL
        fades = self._full and window.probability < _FADING
        self._fade_s = self._fade_s + WINDOW_S if fades else 0.0

    def _listen(self, now: float) -> None:
        self.state = State.LISTENING
        wait = self._settings.follow_up_s if self._settings.wake else self._settings.idle_timeout_s
        self.deadline = None if wait is None else now + wait

    def _voice_lasts(self, limit_s: float) -> bool:
        return _reached(self._voice_s, limit_s)

    def _resume(self) -> list[Action]:
        self.state = State.REPLYING
        self.deadline = None
        self._voice_s = 0.0
        return [Resume()]

    def _interrupt(self, now: float) -> list[Action]:
        silence_s = self._silence_s
        # The client hears of the voice first: one that learns of the reply's end before takes it for played out.
        actions: list[Action] = [self._start(now, self._contest_start_s), Interrupt()]
        self._silence_s = silence_s  # a word may be over by the time it is understood
        return actions

    def _start(self, now: float, first_voice_s: float) -> SpeechStarted:
        self.state = State.HEARING
        self._silence_s = 0.0
        self._full = False
        self._start_s = max(first_voice_s - self._settings.prefix_s, self._commit_s, 0.0)
        self._expect_more(now)
        return SpeechStarted(self._start_s)

    def _reopen(self, now: float) -> list[Action]:
        start_s = self._start_s
        self._start(now, self._contest_start_s)
        self._start_s = start_s
        return [SpeechStarted(start_s), Reopen()]  # in this order, as for every interruption

    def _expect_more(self, now: float) -> None:
        self.deadline = now + self._settings.stall_s

    def _too_long(self) -> bool:
        return _reached(self._now_s - self._start_s, self._settings.max_utterance_s)

    def _decide(self) -> list[Action]:
        settings = self._settings
        needed_s = settings.max_silence_s
        if settings.mode == "semantic":
            needed_s = needed_silence_s(self._sounds, self._reads, settings)
        return [self._commit()] if _reached(self._silence_s, needed_s) else []

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
    (State.ASLEEP, ReplyStarted): TurnTaker._reply_started,
    (State.LISTENING, Window): TurnTaker._listening_window,
    (State.LISTENING, Tick): TurnTaker._listening_tick,
    (State.LISTENING, ReplyStarted): TurnTaker._reply_started,
    (State.HEARING, Window): TurnTaker._hearing_window,
    (State.DECIDING, Window): TurnTaker._deciding_window,
    (State.DECIDING, Sounds): TurnTaker._deciding_sounds,
    (State.DECIDING, Reads): TurnTaker._deciding_reads,
    (State.REPLYING, Window): TurnTaker._replying_window,
    (State.REPLYING, ReplyEnded): TurnTaker._reply_ended,
    (State.CONTESTED, Window): TurnTaker._contested_window,
    (State.CONTESTED, WasSaid): TurnTaker._contested_said,
    (State.CONTESTED, Tick): TurnTaker._contested_tick,
    (State.CONTESTED, ReplyEnded): TurnTaker._contested_reply_ended,
    **{(state, Tick): TurnTaker._utterance_tick for state in _UTTERANCE},
    **{(state, Commit): TurnTaker._utterance_commit for state in _UTTERANCE},
    **{(state, Clear): TurnTaker._utterance_clear for state in _UTTERANCE},
    **{(state, Configure): TurnTaker._configure for state in State},
}
