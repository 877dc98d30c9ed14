"""How a request works beside the conversations: after them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final, TypeVar

from assistant.llm.endpoint_errors import BackendError
from assistant.router.answering import NobodyAnsweredError
from pipeline.errors import RequestError, Stage, StageError, failed
from pipeline.lanes import Lane, Lanes

T = TypeVar("T")

PATIENCE_S: Final = 10.0
"""A step of a request waits at most so long for the conversations: they may go on all day."""


def background(lanes: Lanes) -> AbstractAsyncContextManager[None]:
    """Wait until nobody in a conversation needs the machine."""
    return lanes.enter(Lane.BACKGROUND, PATIENCE_S)


@contextmanager
def engine_errors(stage: Stage, sentence: str) -> Iterator[None]:
    """Turn whatever an engine raises into a StageError, but for what it says of the request, or of another server."""
    try:
        yield
    except (RequestError, StageError, BackendError, NobodyAnsweredError):
        raise
    except Exception as cause:
        raise failed(stage, sentence, cause) from cause


async def in_thread(work: Callable[[], T]) -> T:
    """Do `work` in a thread; when cancelled, wait until it is done, so that nothing is closed that it still uses."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
