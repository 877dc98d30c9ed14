"""What waits for a session's attention: one line for sound, pictures, requests and the work of its own turns."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from audio.types import INPUT_RATE
from pipeline.events import Audio, CameraFrame

T = TypeVar("T")


class Inbox(Generic[T]):
    """An ordered queue with three policies.

    Sound never waits: when too much of it is in line, the oldest is dropped. Of the camera's pictures only the newest
    is in line. The sender of anything else waits.
    """

    def __init__(self, *, max_audio_s: float = 30.0, max_others: int = 64) -> None:
        self.dropped_s = 0.0
        """Seconds of sound dropped so far."""
        self.dropped_frames = 0
        """Pictures dropped so far."""
        self._max_audio = int(max_audio_s * INPUT_RATE)
        self._max_others = max_others
        self._waiting: deque[Audio | CameraFrame | T] = deque()
        self._audio = 0  # samples that wait
        self._others = 0  # entries that wait and are not sound
        self._changed = asyncio.Condition()

    async def put(self, entry: Audio | CameraFrame | T) -> None:
        """Join the line."""
        async with self._changed:
            if isinstance(entry, Audio):
                self._audio += len(entry.samples)
                self._waiting.append(entry)
                self._drop_oldest_audio()
            elif isinstance(entry, CameraFrame):
                self._drop_frame()
                self._waiting.append(entry)
            else:
                await self._changed.wait_for(lambda: self._others < self._max_others)
                self._others += 1
                self._waiting.append(entry)
            self._changed.notify_all()

    async def get(self) -> Audio | CameraFrame | T:
        """Take the first of the line, waiting for one."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._waiting))
            entry = self._waiting.popleft()
            if isinstance(entry, Audio):
                self._audio -= len(entry.samples)
            elif not isinstance(entry, CameraFrame):
                self._others -= 1
            self._changed.notify_all()
            return entry

    def _drop_frame(self) -> None:
        older = next((at for at, entry in enumerate(self._waiting) if isinstance(entry, CameraFrame)), None)
        if older is not None:
            del self._waiting[older]
            self.dropped_frames += 1

    def _drop_oldest_audio(self) -> None:
        while self._audio > self._max_audio:
            at, oldest = next((at, entry) for at, entry in enumerate(self._waiting) if isinstance(entry, Audio))
            del self._waiting[at]
            self._audio -= len(oldest.samples)
            self.dropped_s += len(oldest.samples) / INPUT_RATE
