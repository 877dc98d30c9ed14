"""What the turn-taker is told, and what it says to do: the vocabulary of pipeline/turn_taking.py."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from pipeline.settings import TurnTaking


class State(Enum):
    """Who holds the floor."""

    ASLEEP = auto()
    LISTENING = auto()
    HEARING = auto()
    DECIDING = auto()
    REPLYING = auto()
    CONTESTED = auto()


# --- Inputs ---


@dataclass(frozen=True, slots=True)
class Window:
    """The voice detector heard one window, which ends at `end_s` of the session's audio."""

    probability: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Sounds:
    """How finished the utterance sounds (0..1), asked by Weigh with this `pause`."""

    pause: int
    finished: float


@dataclass(frozen=True, slots=True)
class Reads:
    """How finished the utterance's words are (0..1), asked by Weigh with this `pause`; None: not known (any more)."""

    pause: int
    finished: float | None


class Said(Enum):
    """What a sound of the user's during a reply was."""

    WORDS = auto()
    BACKCHANNEL = auto()
    NOTHING = auto()
    """Noise, or the reply's own echo."""
    UNKNOWN = auto()
    """Nobody can tell: there is no recogniser for it."""


@dataclass(frozen=True, slots=True)
class WasSaid:
    """The answer to AskWhatWasSaid of this `contest`; `ended` as it was asked."""

    contest: int
    ended: bool
    what: Said


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
class ReplyEnded:
    """The turn is over and its sound has been played."""


@dataclass(frozen=True, slots=True)
class Configure:
    """New settings."""

    settings: TurnTaking


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; worth a step when `deadline` was reached."""


Input: TypeAlias = (
    Window | Sounds | Reads | WasSaid | Wake | Commit | Clear | ReplyStarted | ReplyEnded | Configure | Tick
)

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
class Weigh:
    """Find out whether the utterance is finished, and answer with Sounds(pause, …) and Reads(pause, …)."""

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
class Hold:
    """The user may be taking the floor: send no more of the reply for now."""


@dataclass(frozen=True, slots=True)
class AskWhatWasSaid:
    """Find out what is being said during the reply, from `start_s` on, and answer with WasSaid(contest, ended, …)."""

    contest: int
    ended: bool
    """The voice has stopped."""
    start_s: float


@dataclass(frozen=True, slots=True)
class Resume:
    """The user leaves the floor to the reply: go on where it was held."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user took the floor: stop the reply."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """The user goes on with the utterance that was just committed: its reply is void.

    The SpeechStarted before it has the utterance's old start: its parts become one.
    """


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody spoke for idle_timeout_s."""


Contest: TypeAlias = Hold | AskWhatWasSaid | Resume | Interrupt | Reopen
"""What a voice during a reply asks for."""

Action: TypeAlias = (
    Awake | FellAsleep | SpeechStarted | Weigh | Speculate | Discard | CommitTurn | IdleTimeout | Contest
)
