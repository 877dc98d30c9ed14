"""A microphone on paper: a quiet room without end, into which sounds are mixed, sent in real time."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from audio.types import OUTPUT_RATE, Samples
from tests.bench.sound import room

CHUNK: Final = OUTPUT_RATE // 50  # 20 ms, as a microphone delivers it
CHUNK_S: Final = CHUNK / OUTPUT_RATE
ROOM_DB: Final = -75.0
_LOOP_S: Final = 7  # of the room's noise


class Wire(Protocol):
    """Where the sound goes."""

    async def append_audio(self, samples: Samples) -> None:
        """Send sound from the microphone: mono, 24 kHz."""
        ...


class Mixer:
    """The room and what is heard in it, as one stream of samples at OUTPUT_RATE."""

    def __init__(self, room_db: float = ROOM_DB) -> None:
        self._room = room(_LOOP_S * OUTPUT_RATE, room_db, rate=OUTPUT_RATE)
        self._sounds: list[tuple[int, Samples]] = []
        self.position = 0
        """Samples taken so far."""

    def play(self, samples: Samples, at: int | None = None) -> int:
        """Mix in a sound from sample `at` of the stream, at once by default; return where it begins."""
        begin = self.position if at is None else max(at, self.position)
        self._sounds.append((begin, samples))
        return begin

    def clear(self) -> None:
        """Play no more of what has been mixed in."""
        self._sounds = []

    def take(self, size: int) -> Samples:
        """Return the next samples."""
        noise = np.take(self._room, range(self.position, self.position + size), mode="wrap")
        for begin, samples in self._sounds:
            at = begin - self.position
            part = samples[max(0, -at) : max(0, size - at)]
            noise[max(0, at) : max(0, at) + part.size] += part
        self.position += size
        self._sounds = [sound for sound in self._sounds if sound[0] + sound[1].size > self.position]
        return np.clip(noise, -1, 1)


class Microphone:
    """Sends a mixer's stream: each chunk at the moment at which a microphone would have filled it."""

    def __init__(
        self, mixer: Mixer, clock: Callable[[], float], *, echo: Callable[[float, float], Samples] | None = None
    ) -> None:
        """`echo` returns what the loudspeaker adds between two moments."""
        self._mixer = mixer
        self._clock = clock
        self._echo = echo
        self._begin = 0.0
        self._sent_at: list[float] = []
        self._waiting: list[tuple[int, asyncio.Event]] = []
        self.late_s = 0.0
        """The longest delay of a chunk: a client that can't keep up measures itself."""

    async def run(self, wire: Wire) -> None:
        """Send without end."""
        self._begin = self._clock()
        while True:
            due = self._begin + (self._mixer.position + CHUNK) / OUTPUT_RATE
            await asyncio.sleep(due - self._clock())
            chunk = self._mixer.take(CHUNK)
            if self._echo is not None:
                chunk = np.clip(chunk + self._echo(due - CHUNK_S, due), -1, 1)
            await wire.append_audio(chunk.astype(np.float32))
            self.note(self._clock(), due)

    def note(self, sent_at: float, due: float) -> None:
        """Note that the next chunk was sent."""
        self._sent_at.append(sent_at)
        self.late_s = max(self.late_s, sent_at - due)
        sent = len(self._sent_at) * CHUNK
        for position, event in self._waiting:
            if position <= sent:
                event.set()
        self._waiting = [waiting for waiting in self._waiting if waiting[0] > sent]

    def play(self, samples: Samples, after_s: float = 0.0) -> int:
        """Play a sound into the room, `after_s` from now; return the stream position at which it begins."""
        return self._mixer.play(samples, self._mixer.position + round(after_s * OUTPUT_RATE))

    def hush(self) -> None:
        """Leave out what hasn't been sent of the sounds that were played."""
        self._mixer.clear()

    def position_at(self, moment: float) -> int:
        """Return the stream position of a moment."""
        return round((moment - self._begin) * OUTPUT_RATE)

    def play_at(self, samples: Samples, moment: float) -> int:
        """Play a sound into the room so that it begins at `moment`, or at once if that is past."""
        return self._mixer.play(samples, self.position_at(moment))

    async def sent(self, position: int) -> None:
        """Wait until the sample at `position` of the stream has been sent."""
        event = asyncio.Event()
        if position < len(self._sent_at) * CHUNK:
            return
        self._waiting.append((position + 1, event))
        await event.wait()

    def sent_at(self, position: int) -> float:
        """Return when the sample at `position` was sent: with the chunk that holds it."""
        return self._sent_at[position // CHUNK]
