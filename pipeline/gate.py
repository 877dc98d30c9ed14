"""What holds a turn back."""

import asyncio


class Gate:
    """Shut at first: what a turn prepares reaches nobody. It opens once the turn is committed, and may shut again."""

    def __init__(self) -> None:
        self._committed = asyncio.Event()
        self._open = asyncio.Event()

    def commit(self) -> None:
        """Say that this turn is the answer: from now on it may change something, and ask other machines."""
        self._committed.set()

    def open(self) -> None:
        """Let what is ready be delivered."""
        self._open.set()

    def shut(self) -> None:
        """Hold what follows."""
        self._open.clear()

    async def committed(self) -> None:
        """Wait until it is sure that this is the answer; a turn that is held meanwhile stays committed."""
        await self._committed.wait()

    async def passed(self) -> None:
        """Wait until it is open."""
        await self._open.wait()
