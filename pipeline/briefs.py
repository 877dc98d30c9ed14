"""What a turn is told to do: by the session's settings, and by a client that asked for the response."""

from collections.abc import Iterable
from dataclasses import replace

from pipeline.events import CreateResponse
from pipeline.history import Item, prompt
from pipeline.response_input import ResponseInput
from pipeline.settings import Settings
from pipeline.turn import Brief


def brief(settings: Settings, instructions: str, known: Iterable[Item], question: str | None = None) -> Brief:
    """Return the brief of a turn that answers `known` and then `question`, as the settings have it."""
    return Brief(
        prompt=lambda: prompt(
            known,
            instructions,
            question,
            max_chars=settings.max_history_chars,
            retention=settings.history_retention,
        ),
        output=settings.output,
        voice=settings.voice,
        speed=settings.speed,
        max_tokens=settings.max_output_tokens,
        temperature=settings.temperature,
        toolbox=settings.toolbox,
    )


def requested(asked: CreateResponse, known: ResponseInput, settings: Settings, question: str | None = None) -> Brief:
    """Return the brief of a turn that a client asked for: what it left open is as in the settings."""
    instructions = settings.instructions if asked.instructions is None else asked.instructions
    return replace(
        brief(settings, instructions, known, question),
        ready=known.ready,
        output=asked.output or settings.output,
        voice=asked.voice or settings.voice,
        max_tokens=asked.max_output_tokens or settings.max_output_tokens,
        toolbox=settings.toolbox if asked.toolbox is None else asked.toolbox,
    )
