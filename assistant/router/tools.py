"""Functions that the server runs itself, for models that may call them: they are offered where the preset says so."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from assistant.router.looking import told
from assistant.router.parts import Place
from pipeline.engines import Asker, Tool, Toolbox, ToolCall, View
from vision.types import Scene

ASK_EXPERT: Final = "ask_expert"
ASK_LOCAL: Final = "ask_local"
LOOK: Final = "look"
READ_TEXT: Final = "read_text"
WATCH_FOR: Final = "watch_for"

MOST_ROUNDS: Final = 4
"""How often one answer may call the server's functions before it has to do without."""

_ASK: Final = json.dumps(
    {
        "type": "object",
        "properties": {
            "question": {"type": "string", "description": "Complete: the one who answers knows nothing else."}
        },
        "required": ["question"],
    }
)

_WATCH: Final = json.dumps(
    {
        "type": "object",
        "properties": {"event": {"type": "string", "description": "In English, such as “a cat appears”."}},
        "required": ["event"],
    }
)


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A function that the server runs."""

    tool: Tool
    run: Callable[[str, Asker], Awaitable[str]]
    """Takes the arguments, a JSON object as text. What it raises becomes the result: the model can say what's wrong."""
    places: tuple[Place, ...] = ("lan", "cloud")
    """Where the models are that it is offered to. A small model reads few tools well, and each costs it time."""


def asking(
    name: str, description: str, ask: Callable[[str, Asker], Awaitable[str]], places: Sequence[Place]
) -> ServerTool:
    """Return a function that puts one question to somebody."""

    async def run(arguments: str, asker: Asker) -> str:
        question = str(json.loads(arguments).get("question", "")).strip()
        return await ask(question, asker) if question else "The question is missing: pass it as “question”."

    return ServerTool(Tool(name, description, _ASK), run, tuple(places))


WatchFor: TypeAlias = Callable[[str, Asker], Awaitable[str]]
"""Watches for what is described in words, on behalf of somebody; returns what the model is told of it."""


def eyes(view: View, watch_for: WatchFor | None) -> tuple[ServerTool, ...]:
    """Return the functions by which a model sees what the camera shows: for as long as it is on."""

    async def look(_: str, __: Asker) -> str:
        return told(await view.look())

    async def read_text(_: str, __: Asker) -> str:
        scene = await view.look(closely=True)
        if not isinstance(scene, Scene):
            return told(scene)
        read = [line.text for line in scene.text or ()] + [f"{code.kind}: {code.text}" for code in scene.codes or ()]
        return "\n".join(read) or "Nothing can be read."

    async def watch(arguments: str, asker: Asker) -> str:
        event = str(json.loads(arguments).get("event", "")).strip()
        assert watch_for is not None
        return await watch_for(event, asker) if event else "The event is missing: pass it as “event”."

    seen = ServerTool(Tool(LOOK, "What the user's camera shows now, in words."), look)
    read = ServerTool(Tool(READ_TEXT, "The text and codes that the user's camera shows now."), read_text)
    if watch_for is None:
        return seen, read
    tells = (
        "Tell the user when their camera shows something: a thing appears or is gone, somebody comes, text, movement."
    )
    return seen, read, ServerTool(Tool(WATCH_FOR, tells, _WATCH), watch)


def offered(toolbox: Toolbox, tools: Iterable[ServerTool], place: Place) -> Toolbox:
    """Return the client's functions and those of the server for a model at this place; a client's name comes first."""
    taken = {tool.name for tool in toolbox.tools}
    more = tuple(each.tool for each in tools if place in each.places and each.tool.name not in taken)
    # A client that wants no calls, or a certain one, wants none of ours.
    free = toolbox.choice == "auto" or not toolbox.tools
    return replace(toolbox, tools=toolbox.tools + more, choice="auto") if more and free else toolbox


async def result(call: ToolCall, tools: Iterable[ServerTool], asker: Asker) -> str:
    """Run a call, and return what the model is told of it."""
    tool = next(each for each in tools if each.tool.name == call.name)
    try:
        return await tool.run(call.arguments, asker)
    except Exception as error:  # noqa: BLE001 - whatever it is, the conversation goes on
        return f"It failed: {error}"
