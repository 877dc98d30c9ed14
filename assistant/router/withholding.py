"""What was said in confidence earlier in a conversation, and isn't sent along with what comes later."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeline.engines import ChatMessage, ChatRequest


def exchanges(messages: Sequence[ChatMessage], users: Iterable[bool]) -> tuple[bool, ...]:
    """Return for each message what `users` says of each of the user's: of answers, calls and results, the same."""
    told, holds, each = iter(users), False, []
    for message in messages:
        if message.role == "user":
            holds = next(told)
        each.append(holds and message.role != "system")
    return tuple(each)


def without(request: ChatRequest, withheld: Sequence[bool]) -> ChatRequest:
    """Return the request without those of its messages; what it has more than `withheld` is part of this turn."""
    if not any(withheld):
        return request
    kept = [message for message, hide in zip(request.messages, withheld, strict=False) if not hide]
    return replace(request, messages=(*kept, *request.messages[len(withheld) :]))
