"""How often a model calls the right function: `python -m tests.bench.tool_calls [model …]`.

The prompt and the threshold of assistant/llm were made with other functions and other phrases than these.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import Final

from assistant.config import load
from assistant.llm.embedded import EmbeddedLlm
from assistant.models import Store
from pipeline.engines import ChatMessage, ChatRequest, TextDelta, Tool, Toolbox, ToolCall


def _tool(name: str, description: str, **properties: dict[str, object]) -> Tool:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return Tool(name, description, json.dumps(schema))


TOOLBOX: Final = Toolbox(
    (
        _tool("get_weather", "Get the current weather of a city.", city={"type": "string", "description": "Its name"}),
        _tool("set_timer", "Start a timer.", seconds={"type": "integer", "description": "How long, in seconds"}),
        _tool(
            "switch_light",
            "Switch a light on or off.",
            room={"type": "string", "description": "Which room"},
            state={"type": "string", "enum": ["on", "off"]},
        ),
    )
)
CASES: Final[tuple[tuple[str, str, dict[str, object]], ...]] = (
    ("What is the weather in New York?", "get_weather", {"city": "new york"}),
    ("Is it raining in London?", "get_weather", {"city": "london"}),
    ("How warm is it in Madrid right now?", "get_weather", {"city": "madrid"}),
    ("Do I need an umbrella in Hamburg?", "get_weather", {"city": "hamburg"}),
    ("Tell me the weather for Tokyo.", "get_weather", {"city": "tokyo"}),
    ("What's it like outside in Berlin today?", "get_weather", {"city": "berlin"}),
    ("Set a timer for 30 seconds.", "set_timer", {"seconds": 30}),
    ("Set a timer for five minutes.", "set_timer", {"seconds": 300}),
    ("Start a 10 minute timer.", "set_timer", {"seconds": 600}),
    ("Wake me in two minutes.", "set_timer", {"seconds": 120}),
    ("Count down from 45 seconds.", "set_timer", {"seconds": 45}),
    ("I need a timer for an hour.", "set_timer", {"seconds": 3600}),
    ("Can you time ninety seconds for me?", "set_timer", {"seconds": 90}),
    ("Turn off the lights in the office.", "switch_light", {"room": "office", "state": "off"}),
    ("Turn on the kitchen light.", "switch_light", {"room": "kitchen", "state": "on"}),
    ("Please switch the bedroom lamp off.", "switch_light", {"room": "bedroom", "state": "off"}),
    ("Lights on in the living room.", "switch_light", {"room": "living room", "state": "on"}),
    ("It's too dark in the hallway.", "switch_light", {"room": "hallway", "state": "on"}),
    ("Make it dark in the garage.", "switch_light", {"room": "garage", "state": "off"}),
    ("I'm leaving the bathroom, kill the light.", "switch_light", {"room": "bathroom", "state": "off"}),
)
OTHERS: Final = (
    "What is the capital of France?",
    "Who wrote Hamlet?",
    "Tell me something funny.",
    "How are you today?",
    "What is two plus two?",
    "Thank you, that is all.",
    "Why do birds sing?",
    "What is a timer?",
    "Who invented the light bulb?",
    "Is London bigger than Paris?",
)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model made of a request; times are seconds."""

    call: ToolCall | None
    text: str
    first_s: float
    """Until the first words, or the call."""


async def ask(llm: EmbeddedLlm, system: ChatMessage, text: str) -> Answered:
    """Ask as a conversation does: the words have been read before they are to be answered."""
    request = ChatRequest((system, ChatMessage("user", text)), max_tokens=60, temperature=0.3, toolbox=TOOLBOX)
    await llm.prefill(request)
    began, firsts, call, said = time.monotonic(), [], None, ""
    async for piece in llm.stream(request):
        firsts.append(time.monotonic() - began)
        if isinstance(piece, ToolCall):
            call = piece
        elif isinstance(piece, TextDelta):
            said += piece.text
    return Answered(call, said, firsts[0])


def fits(call: ToolCall | None, name: str, arguments: dict[str, object]) -> bool:
    """Tell whether it is the right call; of a text, whether it holds what is wanted."""
    if call is None or call.name != name:
        return False
    given = json.loads(call.arguments)
    return given.keys() == arguments.keys() and all(
        wanted in str(given[key]).lower() if isinstance(wanted, str) else given[key] == wanted
        for key, wanted in arguments.items()
    )


async def measure(model: str) -> None:
    """Print what the model does with every request."""
    config = load()
    llm = EmbeddedLlm(Store().pull(model), threads=1, context_tokens=2048, parallel=1)
    system = ChatMessage("system", config.assistant.tool_instructions)
    try:
        asked = [(name, arguments, await ask(llm, system, text)) for text, name, arguments in CASES]
        others = [await ask(llm, system, text) for text in OTHERS]
    finally:
        llm.close()
    for (text, *_), (name, arguments, answer) in zip(CASES, asked, strict=True):
        if not fits(answer.call, name, arguments):
            print(f"  {text} -> {answer.call or answer.text}")
    named = sum(answer.call is not None and answer.call.name == name for name, _, answer in asked)
    right = sum(fits(answer.call, name, arguments) for name, arguments, answer in asked)
    called = sum(answer.call is not None for answer in others)
    print(f"{model}: right function {named}/{len(asked)}, with right arguments {right}/{len(asked)}")
    print(f"  other questions that called something: {called}/{len(others)}")
    calls = [answer.first_s for _, _, answer in asked if answer.call]
    if calls:
        print(f"  a call takes {1000 * median(calls):.0f} ms (median)")
    print(f"  first words of other answers after {1000 * median(answer.first_s for answer in others):.0f} ms (median)")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ["qwen2.5-coder-0.5b", "smollm2-135m"]:
        asyncio.run(measure(chosen))
