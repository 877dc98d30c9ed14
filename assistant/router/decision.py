"""What a policy is told and what it says, in types."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from assistant.router.kinds import Guess, Kind
from assistant.router.parts import Place

FAR: Final[dict[Place, int]] = {"device": 0, "lan": 1, "cloud": 2}
"""How far away a place is."""

FIRST_TOKEN_S: Final[dict[Place, float]] = {"device": 0.3, "lan": 0.5, "cloud": 0.9}
"""The wait for the first token, where it hasn't been measured."""

_CLAUSE_S: Final = 0.15
"""From the first token to the first sound."""


class Constraint(StrEnum):
    """What a backend must meet, in the order in which it is asked."""

    PRIVACY = "privacy"
    ABILITIES = "abilities"
    CONTEXT = "context"
    BUDGET = "budget"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class Preset:
    """What the owner values."""

    name: str
    floor: Place = "cloud"
    """The farthest place that words may go to."""
    personal_floor: Place = "device"
    """The same for turns that are personal, and for facts that are remembered of a person."""
    quality: float = 1.0
    """What the best answer is worth against the worst, where it matters."""
    speed: float = 0.25
    """What a second of waiting weighs."""
    cost: float = 10.0
    """What a unit of money weighs, for one turn: 10 is 0.1 a cent."""
    leaving: float = 0.1
    """What it weighs that words leave this machine for the cloud; half as much for a machine in the house."""
    hedge: Literal["never", "free", "always"] = "free"
    """Whether a second backend is asked when the first is slow: only one that costs nothing, or any."""
    delegate: bool = False
    """Whether models ask each other: the small one an expert, the large one the small one and the server's tools."""


PRESETS: Final = {
    preset.name: preset
    for preset in (
        Preset("private", floor="device"),
        Preset("balanced"),
        Preset("best", personal_floor="lan", speed=0.05, cost=0.0, leaving=0.0, hedge="always", delegate=True),
        Preset("cheap", speed=0.1, cost=200.0, hedge="never"),
    )
}


@dataclass(frozen=True, slots=True)
class Need:
    """What a turn needs."""

    guess: Guess
    tokens: int
    """Of the conversation and its answer."""
    vision: bool = False
    tools: bool = False
    json: bool = False
    private: bool = False
    """The person wants it to stay on this machine."""
    big: bool = False
    """The person wants the best model."""
    named: str = ""
    """The backend that was asked for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend, as it is at this moment."""

    name: str
    place: Place
    vision: bool
    tools: bool
    json: bool
    context_tokens: int
    quality: float
    first_token_s: float | None
    """Measured; None where it isn't known."""
    cost: float = 0.0
    """Of this turn, as far as it can be expected."""
    weight: float = 1.0
    outstanding: int = 0
    over_budget: str | None = None
    """Why it costs too much."""
    unwell: str | None = None
    """Why it can't be asked now."""
    embedded: bool = False
    """It is the model in this process."""

    @property
    def first_audio_s(self) -> float:
        """The expected wait for the first sound."""
        return (FIRST_TOKEN_S[self.place] if self.first_token_s is None else self.first_token_s) + _CLAUSE_S


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend that may answer."""

    candidate: Candidate
    reason: str
    """Why it and no other, in plain words."""
    score: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """A backend that may not answer."""

    candidate: Candidate
    constraint: Constraint
    reason: str
    """Why not, in plain words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who is asked, the first first; nobody, where no backend meets all constraints."""

    order: tuple[Choice, ...]
    refused: tuple[Refusal, ...]

    def missed(self, constraint: Constraint) -> tuple[Candidate, ...]:
        """Return the backends elsewhere that only this constraint, or a later one, kept from being asked."""
        return tuple(
            refusal.candidate
            for refusal in self.refused
            if refusal.constraint is constraint and refusal.candidate.place != "device"
        )


def floor(need: Need, preset: Preset) -> Place:
    """Return the farthest place that this turn's words may go to."""
    if need.private:
        return "device"
    if need.guess.kind is Kind.PERSONAL:
        return min(preset.floor, preset.personal_floor, key=FAR.__getitem__)
    return preset.floor
