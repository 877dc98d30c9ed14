"""How a model's chat template writes a conversation down, learnt from examples.

llama.cpp renders whole conversations only. To ask what a model expects after the user's words so far, the prompt must
end in the middle of a message, and be token for token what the whole one begins with.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from pipeline.engines import ChatMessage

Render: TypeAlias = Callable[[Sequence[ChatMessage]], str]

_OTHERS: Final = {"user": ("assistant", "user"), "assistant": ("user", "assistant"), "system": ("", "system")}
"""After which message an example shows one of this role."""


class Template:
    """What stands before, between and behind messages."""

    def __init__(self, render: Render) -> None:
        """Learn from `render`, which writes a whole conversation down."""
        system, user, assistant, more = (
            ChatMessage("system", "Aleph"),
            ChatMessage("user", "Beth"),
            ChatMessage("assistant", "Gimel"),
            ChatMessage("user", "Daleth"),
        )
        self._joints: dict[tuple[str, str], str] = {}
        for messages in ([user, assistant, more], [system, user]):
            self._learn(render(messages), messages)

    def open_ended(self, messages: Sequence[ChatMessage]) -> str | None:
        """Return the prompt up to the last message's last word; None where no example showed such an order."""
        text, before = "", ""
        for message in messages:
            joint = self._joints.get((before, message.role))
            if joint is None:
                return None
            text += joint + message.content.strip()
            before = message.role
        return text

    def answered(self, messages: Sequence[ChatMessage]) -> str:
        """Return the prompt up to where the assistant's answer to these messages begins."""
        if not messages or messages[-1].role != "user":
            messages = [*messages, ChatMessage("user", "")]
        text, before = "", ""
        for message in [*messages, ChatMessage("assistant", "")]:
            # Where no example showed such an order, a message ends as others do.
            joint = self._joints.get((before, message.role)) or self._joints[_OTHERS[message.role]]
            text += joint + message.content.strip()
            before = message.role
        return text

    def _learn(self, text: str, messages: Sequence[ChatMessage]) -> None:
        before = ""
        for message in messages:
            joint, found, text = text.partition(message.content)
            if found:
                self._joints[before, message.role] = joint
            before = message.role
