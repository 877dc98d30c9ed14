"""Counts what a program's request costs, and stops it before it costs what it may not."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from assistant.config import Config
from assistant.router.sending import text_tokens, tokens
from assistant.server.api.programs import Program, Programs
from pipeline.engines import ChatRequest, Finish, Generated, Routed, TextDelta, ToolCall

_MILLION: Final = 1_000_000


def prices_of(config: Config) -> Mapping[str, tuple[float, float]]:
    """Return what a million tokens cost of each backend, in and out, where they cost something."""
    return {
        backend.name: (backend.price_in, backend.price_out)
        for backend in config.backends
        if backend.price_in or backend.price_out
    }


async def metered(
    stream: AsyncGenerator[Generated, None],
    request: ChatRequest,
    prices: Mapping[str, tuple[float, float]],
    program: Program | None,
    programs: Programs,
) -> AsyncGenerator[Generated, None]:
    """Pass an answer on. Raises ApiError before a backend is asked that the program can't pay any more."""
    if program is None:
        async with aclosing(stream):
            async for piece in stream:
                yield piece
        return
    price: tuple[float, float] | None = None
    finish: Finish | None = None
    said = ""

    def settle() -> None:
        if price is None:
            return
        # What broke off, or was called off, isn't told by the backend: then it is estimated.
        sent = tokens(request.messages, request.toolbox) if finish is None else finish.input_tokens
        received = text_tokens(said) if finish is None else finish.output_tokens
        programs.spend(program, (sent * price[0] + received * price[1]) / _MILLION)

    try:
        async with aclosing(stream):
            async for piece in stream:
                match piece:
                    case Routed():
                        settle()
                        said, finish, price = "", None, None
                        if (asked := prices.get(piece.backend)) is not None:
                            programs.check_cost(program)
                            price = asked
                    case TextDelta():
                        said += piece.text
                    case ToolCall():
                        said += piece.name + piece.arguments
                    case Finish():
                        finish = piece
                    case _:
                        pass
                yield piece
    finally:
        settle()
