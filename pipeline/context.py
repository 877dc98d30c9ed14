"""What every part of a session works with."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.engines import Adjusted, Asker, Engines, Transcript
from pipeline.errors import StageError
from pipeline.events import Event, Request
from pipeline.moves import Sounds, Tick, WasSaid
from pipeline.tool_servers import ListedTool, ToolFailure, ToolServer
from pipeline.turn import TurnOutput
from vision.types import Frame, Scene


@dataclass(frozen=True, slots=True)
class Partial:
    """What the live recogniser makes of the utterance so far."""

    item_id: str
    transcript: Transcript
    end_s: float
    """Where the sound ends that it was made from."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser makes of an utterance in a pause; `hearing` numbers the attempts."""

    item_id: str
    hearing: int
    transcript: Transcript | StageError
    audio_s: float
    checked: bool
    """By the reference recogniser; otherwise by the fast one."""


@dataclass(frozen=True, slots=True)
class Read:
    """The language model has read these words of the utterance, and how probable it finds that they end here."""

    item_id: str
    text: str
    finished: float | None


@dataclass(frozen=True, slots=True)
class Written:
    """The words of a message that came as sound."""

    item_id: str
    transcript: Transcript | StageError
    audio_s: float


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The client that came back has played what it had missed; `absence` numbers its absences."""

    absence: int


@dataclass(frozen=True, slots=True)
class Listed:
    """What a server's tools are, or why that can't be known."""

    server: ToolServer
    tools: tuple[ListedTool, ...] | ToolFailure


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """What came of a call that the user was asked to allow."""

    item_id: str
    outcome: str | ToolFailure


@dataclass(frozen=True, slots=True)
class Looked:
    """What a frame shows, or why that can't be known; `period` numbers the times that the camera was on."""

    period: int
    frame: Frame
    seen: Scene | StageError


Note: TypeAlias = Partial | Heard | Read | Written | CaughtUp | Listed | CarriedOut | Looked
"""What the session's own tasks have found out."""

Entry: TypeAlias = Request | TurnOutput | Adjusted | Tick | Sounds | WasSaid | Note
"""Whatever a session deals with, one after the other."""


@dataclass(frozen=True, slots=True)
class Context:
    """The engines, and the session's own ways in and out."""

    engines: Engines
    emit: Callable[[Event], Awaitable[None]]
    """Tells the client."""
    post: Callable[[Entry], Awaitable[None]]
    """Reports the result of a task to the session's inbox."""
    spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[None]]
    """Starts a task that ends with the session at the latest."""
    new_id: Callable[[str], str]
    """Makes an id of a kind: "item", "resp"."""
    asker: Asker
    """The session, and its user."""
