"""Functions that the server runs itself, for models that may call them: each is offered where the preset delegates."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.router.parts import Place
from pipeline.engines import Asker, Tool, Toolbox, ToolCall

ASK_EXPERT: Final = "ask_expert"
ASK_LOCAL: Final = "ask_local"

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
