"""What a recording holds, once it has been read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.record.format import Tree
from pipeline.errors import ParleyError
from pipeline.events import Request
from pipeline.settings import Settings


class ReplayError(ParleyError):
    """A recording that can't be replayed; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a streamed answer: when it was wanted, when it came, and what it was."""

    asked: float
    at: float
    value: Any


@dataclass(slots=True)
class Call:
    """What an engine was asked, and what came of it. Times are seconds since the session began."""

    kind: str
    arguments: Mapping[str, Tree]
    """As JSON; a sound is there by its length and hash."""
    heard: int
    """Samples that the session had been given by then."""
    begin: float
    pieces: list[Piece] = field(default_factory=list)
    end: str = "left"
    """returned, raised, or left: cancelled, or the rest of it wasn't wanted."""
    asked: float = 0.0
    at: float = float("inf")
    """When it ended."""
    value: Any = None
    error: tuple[str, str] = ("", "")
    """The type and the text of what was raised."""


@dataclass(frozen=True, slots=True)
class Score:
    """What the voice detector made of one window of sound."""

    heard: int
    hash: str
    probability: float | None
    """None when it failed."""
    error: tuple[str, str] = ("", "")
    """The type and the text of what was raised."""


@dataclass(frozen=True, slots=True)
class Look:
    """Whether a lane was free."""

    at: float
    lane: str
    free: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Being let into a lane: when that was asked for, and when it came."""

    asked: float
    at: float
    lane: str


@dataclass(frozen=True, slots=True)
class Busy:
    """A time in which the client took no event, after it had taken so many."""

    start: float
    end: float
    taken: int


@dataclass(slots=True)
class Stored:
    """All of a recording."""

    folder: Path
    settings: Settings
    live: bool
    """Whether there was a recogniser of partial transcripts."""
    cores: int
    """Of the machine that it was recorded on."""
    requests: list[tuple[float, Request]] = field(default_factory=list)
    made: list[tuple[str, str]] = field(default_factory=list)
    """The ids that the session gave, in their order, with their kind."""
    busy: list[Busy] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    events: list[tuple[float, Tree]] = field(default_factory=list)
    end_s: float = 0.0
    whole: bool = False
    """Whether the recording has its end; otherwise it was cut off."""
    failure: str | None = None
    """The kind of error that ended the session."""
    pictures: bool = False
    """Whether the language model took pictures."""
    eyes: bool = False
    """Whether the server could see."""
    remarks: list[str] = field(default_factory=list)
    """What a reader should know: what is missing, what this version doesn't know."""
