"""An answer that comes in by itself, so that it can be waited for with patience, and beside another."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, TypeAlias

from pipeline.engines import Generated

_PIECES: Final = 256

_Piece: TypeAlias = Generated | Exception | None
"""None: the answer is over."""


class Pump:
    """Takes the pieces of a stream as they come, until it is closed."""

    def __init__(self, stream: AsyncGenerator[Generated, None]) -> None:
        self.first: asyncio.Future[_Piece] = asyncio.get_running_loop().create_future()
        """The first piece, or why there is none; never fails itself."""
        self._rest: asyncio.Queue[_Piece] = asyncio.Queue(_PIECES)  # full: the backend waits until somebody reads
        self._task = asyncio.create_task(self._take(stream))

    async def pieces(self) -> AsyncGenerator[Generated, None]:
        """Yield the pieces, and raise what the stream raised. Closes the stream at the end."""
        try:
            piece = await self.first
            while piece is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                piece = await self._rest.get()
        finally:
            await self.close()

    async def close(self) -> None:
        """End the answer, and wait until it has."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _take(self, stream: AsyncGenerator[Generated, None]) -> None:
        last: Exception | None = None
        try:
            async with aclosing(stream):
                async for piece in stream:
                    await self._put(piece)
        except Exception as error:  # noqa: BLE001 - it is raised where the pieces are taken
            last = error
        await self._put(last)

    async def _put(self, piece: _Piece) -> None:
        if self.first.done():
            await self._rest.put(piece)
        else:
            self.first.set_result(piece)
