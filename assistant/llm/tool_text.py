"""How functions, their calls and their results stand in a prompt, in the way of Hermes and Qwen.

A conversation with them becomes one of plain messages: so the template, the slots and the judgement whether a message
ends need to know nothing of functions, and what has been read of a conversation stays worth something.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from pipeline.engines import ChatMessage, Tool, Toolbox, ToolCall

CALL_MARK: Final = "<tool_call>"
CALL_MARKS: Final = ('{"', "<")
"""What small models begin a call with."""
CALL_OPEN: Final = f'{CALL_MARK}\n{{"name": "'
"""What a call begins with, up to the function's name."""
CALL_MIDDLE: Final = '", "arguments": '
"""Between the name and the arguments."""
CALL_END: Final = "}\n</tool_call>"

GREETING: Final = "Good"
"""The token that the first example's answer begins with."""

_TOOLS: Final = f"""# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
%s
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
{CALL_MARK}
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>
Otherwise answer in plain words, without a function:
Good morning. - {GREETING} morning! How can I help?
Tell me a joke. - Why did the tomato blush? It saw the salad dressing.
How many days has a week? - A week has seven days."""
"""The first part is what models were trained with; without the examples, small ones call at a greeting."""

_ASK: Final = "Now tell me what it says, in one short, plain sentence."
"""Small models say JSON, or call again, unless they are asked for words."""


def plain(messages: Sequence[ChatMessage], toolbox: Toolbox) -> list[ChatMessage]:
    """Return the conversation in messages of the system, the user and the assistant that have nothing but text."""
    written: list[ChatMessage] = []
    for message in messages:
        match message.role:
            case "tool":
                before = written[-1]
                results = before.content.removesuffix(f"\n{_ASK}") + "\n" if before.role == "user" else ""
                if results:
                    written.pop()
                text = f"{results}<tool_response>\n{message.content or 'done'}\n</tool_response>\n{_ASK}"
                written.append(ChatMessage("user", text))
            case "user" if written and written[-1].role == "user":
                results = written.pop().content.removesuffix(f"\n{_ASK}")
                written.append(replace(message, content=f"{results}\n{message.content}"))
            case "assistant":
                words = [message.content] if message.content else []
                text = "\n".join([*words, *map(call_text, message.calls)])
                written.append(ChatMessage("assistant", text))
            case _:
                written.append(message)
    if toolbox.tools:
        system = written.pop(0).content + "\n\n" if written and written[0].role == "system" else ""
        written.insert(0, ChatMessage("system", system + _TOOLS % "\n".join(map(_signature, toolbox.tools))))
    return written


def call_text(call: ToolCall) -> str:
    """Return a call as the model writes it."""
    return f"{CALL_OPEN}{call.name}{CALL_MIDDLE}{call.arguments}{CALL_END}"


def call_grammar(tools: Iterable[Tool]) -> str:
    """Return the grammar (llguidance's, which knows JSON Schema) of a call's text from the name to before CALL_END.

    The brace that ends the call belongs to it: models write it in one token with the brace that ends the arguments.
    """
    spacing = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": True}
    rules = [
        f'call_{number}: {json.dumps(tool.name + CALL_MIDDLE)} arguments_{number} "}}"\n'
        f"arguments_{number}: %json {json.dumps(_closed(tool.parameters) | {'x-guidance': spacing})}"
        for number, tool in enumerate(tools)
    ]
    start = " | ".join(f"call_{number}" for number in range(len(rules)))
    return "\n".join(["%llguidance {}", f"start: {start}", *rules])


def _closed(parameters: str) -> dict[str, Any]:
    """Return the schema without room for arguments that it doesn't name, unless it asks for them."""
    schema: dict[str, Any] = json.loads(parameters)
    return {"additionalProperties": False} | schema


WORDS_GRAMMAR: Final = '%llguidance {}\nstart: /[^{}\\[<`\\s"](.|\\n)*/'
"""Anything but what a call may begin with."""


class Words:
    """Tells words from a call while they stream, and keeps nothing back that can't be a call."""

    def __init__(self) -> None:
        self.called = False
        """A call has begun; nothing after that is words."""
        self._begun = False
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what is sure to be words."""
        if self.called:
            return ""
        self._held += text
        if not self._begun:
            self._held = self._held.lstrip()
            if not self._held:
                return ""
            self._begun = True
            if self._held[0] in "{[<`":
                self.called = True
                return ""
        words, mark, _ = self._held.partition(CALL_MARK)
        if mark:
            self.called = True
            return words.rstrip()
        kept = next((n for n in range(len(CALL_MARK) - 1, 0, -1) if words.endswith(CALL_MARK[:n])), 0)
        self._held = words[len(words) - kept :]
        return words[: len(words) - kept]

    def flush(self) -> str:
        """Return what was kept back: the text is over."""
        rest, self._held = ("" if self.called else self._held), ""
        return rest


def _signature(tool: Tool) -> str:
    function = {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)}
    return json.dumps({"type": "function", "function": function}, ensure_ascii=False)
