"""What a turn is told to do, and what the model is told to read before: by the settings, and by the client."""

from collections.abc import Iterable
from dataclasses import replace

from pipeline.engines import Asker, ChatRequest, View
from pipeline.events import CreateResponse
from pipeline.history import Item, prompt
from pipeline.settings import Settings
from pipeline.turn import Brief


def brief(
    settings: Settings, instructions: str, known: Iterable[Item], asker: Asker, question: str | None = None
) -> Brief:
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
        asker=asker,
    )


def requested(
    asked: CreateResponse, known: Iterable[Item], settings: Settings, asker: Asker, question: str | None = None
) -> Brief:
    """Return the brief of a turn that a client asked for: what it left open is as in the settings."""
    instructions = settings.instructions if asked.instructions is None else asked.instructions
    return replace(
        brief(settings, instructions, known, asker, question),
        output=asked.output or settings.output,
        voice=asked.voice or settings.voice,
        max_tokens=asked.max_output_tokens or settings.max_output_tokens,
        toolbox=settings.toolbox if asked.toolbox is None else asked.toolbox,
    )


def announcement(settings: Settings, text: str, asker: Asker) -> Brief:
    """Return the brief of a turn that says this, whatever the conversation is about."""
    return Brief(tuple, asker, output=settings.output, voice=settings.voice, speed=settings.speed, words=text)


def reading(
    settings: Settings, known: Iterable[Item], asker: Asker, words: str | None = None, view: View | None = None
) -> ChatRequest:
    """Return what the model reads ahead of a turn: the prompt up to `words`, which aren't all of the question yet."""
    return ChatRequest(
        tuple(prompt(known, settings.instructions, words, max_chars=settings.max_history_chars)),
        toolbox=settings.toolbox,
        spoken=settings.output == "audio",
        asker=asker,
        view=view,
    )
