"""The rules by which a turn counts as good or bad. Moments are a clock's seconds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tests.bench.loudspeaker import Playback
from tests.bench.words import errors, normalise

CUT_IN_S: Final = 0.3
"""A reply that is heard for longer than this was a cut-in; a shorter one was a false start that hardly anyone hears."""
_HELD: Final = 0.5
_SLACK_WORDS: Final = 2

Where = Literal["pause", "words"]


@dataclass(frozen=True, slots=True)
class CutIn:
    """A reply that began before the utterance was over."""

    where: Where
    """Inside a pause, or while the user was speaking."""
    pause: int | None
    """Which pause, from 0."""
    after_s: float
    """From the beginning of the pause, or of the utterance."""
    audible_s: float


def cut_in(playback: Playback, pauses: Sequence[tuple[float, float]], begin: float, end: float) -> CutIn | None:
    """Return what a reply did to an utterance that lasted from `begin` to `end` and had these pauses.

    It is a cut-in when its first sample that is not silent arrived before `end` and it was heard for over CUT_IN_S.
    """
    first = playback.first_audible_at
    if first is None or not begin <= first < end or playback.audible_s <= CUT_IN_S:
        return None
    for number, (pause_begin, pause_end) in enumerate(pauses):
        if pause_begin <= first < pause_end:
            return CutIn("pause", number, first - pause_begin, playback.audible_s)
    return CutIn("words", None, first - begin, playback.audible_s)


def one_question(messages: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether one of the user's messages holds all parts: of each, at least half of its words were recognised."""
    return any(all(_share(message, part) >= _HELD for part in parts) for message in messages)


def _share(message: str, part: str) -> float:
    wanted = Counter(normalise(part))
    return (wanted & Counter(normalise(message))).total() / max(1, wanted.total())


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a message holds, against what was heard of it."""

    kept: int
    """Words that the conversation keeps."""
    heard: int
    """Words that were played, as a recogniser hears them; the last may be cut in half."""
    different: int
    """Words to change, add or leave out to get from one to the other."""

    @property
    def agrees(self) -> bool:
        """Whether the message ends where the sound ended, give or take a word that was cut and one misheard."""
        return abs(self.kept - self.heard) <= _SLACK_WORDS


def agreement(kept: str, heard: str) -> Agreement:
    """Compare the words of an interrupted message with those in the sound that was played."""
    said, played = normalise(kept), normalise(heard)
    return Agreement(len(said), len(played), errors(said, played))
