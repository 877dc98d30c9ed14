"""One request to a backend elsewhere: the only way that words leave this machine.

It waits for the commit, masks, writes the departure down, and only then sends. What comes back is unmasked, and its
cost is written down however it ends.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Literal

from assistant.router.parts import Arrival, Backend, Departure, Ledger, Masks, Unmask
from pipeline.engines import ChatMessage, ChatRequest, Finish, Generated, TextDelta, Toolbox, ToolCall

_CHARS_A_TOKEN: Final = 3.5
_PICTURE_TOKENS: Final = 800
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Errand:
    """Why a request is sent."""

    kind: str
    reason: str
    delegated: bool = False
    """A sub-task that one model gave to another."""


class Sender:
    """Sends requests; without `masks` as they are, without a `ledger` unrecorded."""

    def __init__(self, masks: Masks | None = None, ledger: Ledger | None = None) -> None:
        self._masks = masks
        self._ledger = ledger

    async def send(self, backend: Backend, request: ChatRequest, errand: Errand) -> AsyncGenerator[Generated, None]:
        """Ask the backend, and yield its answer. Raises what the backend raises. On this machine, nothing leaves."""
        if backend.place == "device":
            async with aclosing(backend.stream(request)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        await request.committed()
        unmask: Unmask | None = None
        if self._masks is not None and backend.place == "cloud":
            request, unmask = self._masks.mask_request(request)
        departure = Departure(
            asker=request.asker,
            backend=backend.name,
            place=backend.place,
            host=backend.host,
            kind=errand.kind,
            reason=errand.reason,
            messages=request.messages,
            sent_bytes=size(request),
            masked=0 if unmask is None else unmask.masked,
            delegated=errand.delegated,
        )
        number = None if self._ledger is None else await self._ledger.opened(departure)
        account = _Account(backend, request)
        try:
            async with aclosing(account.watch(backend.stream(request))) as pieces:
                if unmask is None:
                    async for piece in pieces:
                        yield piece
                else:
                    async with aclosing(_unmasked(pieces, unmask)) as plain:
                        async for piece in plain:
                            yield piece
        finally:
            if self._ledger is not None and number is not None:
                # However often this is cancelled: what was spent is written down.
                await asyncio.shield(self._ledger.closed(number, account.arrival()))


class _Account:
    """Counts what came of a request."""

    def __init__(self, backend: Backend, request: ChatRequest) -> None:
        self._backend = backend
        self._request = request
        self._began = asyncio.get_running_loop().time()
        self._first_s: float | None = None
        self._received = ""
        self._finish: Finish | None = None
        self._error = ""
        self._outcome: Literal["answered", "failed", "cancelled"] = "cancelled"

    async def watch(self, stream: AsyncGenerator[Generated, None]) -> AsyncGenerator[Generated, None]:
        """Pass the answer on."""
        try:
            async with aclosing(stream):
                async for piece in stream:
                    if self._first_s is None:
                        self._first_s = asyncio.get_running_loop().time() - self._began
                    match piece:
                        case TextDelta(text):
                            self._received += text
                        case ToolCall():
                            self._received += piece.name + piece.arguments
                        case Finish():
                            self._finish = piece
                            self._outcome = "answered"
                        case _:
                            pass
                    yield piece
        except Exception as error:
            self._outcome, self._error = "failed", type(error).__name__
            raise

    def arrival(self) -> Arrival:
        """Return what came of it, so far."""
        finish = self._finish
        tokens_in = tokens(self._request.messages, self._request.toolbox) if finish is None else finish.input_tokens
        tokens_out = text_tokens(self._received) if finish is None else finish.output_tokens
        if self._outcome == "failed" and self._first_s is None:
            tokens_in = 0  # it was refused: that costs nothing
        return Arrival(
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            estimated=finish is None,
            received_bytes=len(self._received.encode()),
            cost=price(self._backend, tokens_in, tokens_out),
            outcome=self._outcome,
            error=self._error,
            first_token_s=self._first_s,
        )


async def _unmasked(pieces: AsyncGenerator[Generated, None], unmask: Unmask) -> AsyncGenerator[Generated, None]:
    async for piece in pieces:
        match piece:
            case TextDelta(text):
                if known := unmask.feed(text):
                    yield TextDelta(known)
                continue
            case ToolCall():
                if held := unmask.flush():
                    yield TextDelta(held)
                yield replace(piece, arguments=unmask.arguments(piece.arguments))
                continue
            case Finish():
                if held := unmask.flush():
                    yield TextDelta(held)
            case _:
                pass
        yield piece


def price(backend: Backend, tokens_in: int, tokens_out: int) -> float:
    """Return what so many tokens cost."""
    return (tokens_in * backend.price_in + tokens_out * backend.price_out) / _MILLION


def text_tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return round(len(text) / _CHARS_A_TOKEN)


def tokens(messages: Iterable[ChatMessage], toolbox: Toolbox) -> int:
    """Return about how many tokens a prompt has."""
    messages = tuple(messages)
    chars = sum(map(len, _texts(messages))) + sum(map(len, _tool_texts(toolbox)))
    pictures = sum(len(message.pictures) for message in messages)
    return round(chars / _CHARS_A_TOKEN) + 4 * len(messages) + _PICTURE_TOKENS * pictures


def size(request: ChatRequest) -> int:
    """Return how many bytes of the person's, and of the tools, a request holds."""
    pictures = (picture.url for message in request.messages for picture in message.pictures)
    texts = (*_texts(request.messages), *_tool_texts(request.toolbox), *pictures)
    return sum(len(text.encode()) for text in texts)


def _texts(messages: Sequence[ChatMessage]) -> list[str]:
    calls = [call for message in messages for call in message.calls]
    return [*(message.content for message in messages), *(f"{call.name}{call.arguments}" for call in calls)]


def _tool_texts(toolbox: Toolbox) -> list[str]:
    return [json.dumps([tool.name, tool.description]) + tool.parameters for tool in toolbox.tools]
