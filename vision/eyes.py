"""Sight on this machine: what is looked for runs on one thread of its own, for all sessions."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from vision.finders import Finders
from vision.types import Frame, Scene

if TYPE_CHECKING:
    from vision.stream import Stream


class LocalEyes:
    """Understands pictures. Nothing is loaded before the first one is shown, which then takes half a second longer."""

    def __init__(self, finders: Finders) -> None:
        self._finders = finders
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="eyes")

    def open(self) -> "LocalSight":
        """Begin a stream of pictures that belong together."""
        return LocalSight(self._finders, self._executor)

    def close(self) -> None:
        """Stop the thread after the look in progress, and close what was loaded."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._finders.close()


class LocalSight:
    """One session's eyes."""

    def __init__(self, finders: Finders, executor: ThreadPoolExecutor) -> None:
        self._finders = finders
        self._executor = executor
        self._stream: Stream | None = None
        self._looked = False

    async def look(self, frame: Frame, *, closely: bool = False) -> Scene:
        """Return what `frame` shows; `closely` also reads text and codes.

        Raises PictureError where the frame isn't a picture that may be looked at; the stream goes on with the next one.
        """
        looking = asyncio.get_running_loop().run_in_executor(self._executor, self._look, frame, closely)
        if not self._looked:
            self._looked = True
            self._executor.submit(self._finders.prepare)  # behind the first look
        return await looking

    def _look(self, frame: Frame, closely: bool) -> Scene:
        if self._stream is None:
            from vision.stream import Stream  # noqa: PLC0415 - OpenCV, for who has a camera

            self._stream = Stream(self._finders)
        return self._stream.look(frame, closely=closely)
