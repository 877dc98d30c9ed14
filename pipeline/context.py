"""What every part of a session works with."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.engines import Engines, Transcript
from pipeline.errors import StageError
from pipeline.events import Event, Request
from pipeline.turn import TurnOutput
from pipeline.turn_taking import Score


@dataclass(frozen=True, slots=True)
class Partial:
    """What the live recogniser makes of the utterance so far."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """The words of a message that came as sound."""

    item_id: str
    transcript: Transcript | StageError
    audio_s: float


Entry: TypeAlias = Request | TurnOutput | Score | Partial | Written
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
