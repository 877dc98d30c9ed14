"""Where the time of one turn went."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """Moments of a turn, in seconds after the user's last voiced sample arrived; None is what did not happen.

    A stage that speculation finished before the commit has a moment before `commit_s`; one that it finished while the
    user was still speaking has a negative one.
    """

    commit_s: float | None = None
    transcript_s: float | None = None
    first_token_s: float | None = None
    first_clause_s: float | None = None
    bridge_s: float | None = None
    """The first sample of a bridge was handed to the connection: the answer took its time."""
    first_audio_s: float | None = None
    """The first sample of the answer was handed to the connection."""
    discarded: int = 0
    """Speculative answers to this utterance that were begun and thrown away."""
