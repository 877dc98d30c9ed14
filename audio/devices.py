"""The microphone and the loudspeaker of this machine, through PortAudio."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any, Final, Self

import numpy as np

from audio.pcm import Resampler, from_pcm16, to_pcm16
from audio.types import OUTPUT_RATE, Samples

BLOCK_S: Final = 0.02
_KEPT_BLOCKS: Final = 50
_QUEUED_S: Final = 60.0
_STALL_S: Final = 2.0
_START_S: Final = 10.0  # PulseAudio may take 2 s to the first block, a Bluetooth headset longer


class DeviceError(Exception):
    """The sound device can't be used; the message names the cause and the cure."""


def list_devices() -> str:
    """Return PortAudio's table of devices, with the numbers and names that can be asked for. Raises DeviceError."""
    return str(_portaudio().query_devices())


class Microphone:
    """Sound from a microphone in blocks of BLOCK_S, at OUTPUT_RATE; `async with` opens it, `read` waits for a block.

    The queue holds a second; when the reader is slower, the oldest block is dropped and counted in `dropped`.
    """

    def __init__(self, device: str | None = None) -> None:
        self.dropped = 0
        self._device = device
        self._blocks: deque[Samples] = deque(maxlen=_KEPT_BLOCKS)
        self._ready = asyncio.Event()
        self._heard = False
        self._gone = False

    async def __aenter__(self) -> Self:
        sounddevice = _portaudio()
        loop = asyncio.get_running_loop()
        device = _find(sounddevice, self._device, "input")
        rate = _rate(sounddevice.check_input_settings, device)
        self._resampler = Resampler(rate, OUTPUT_RATE)

        def heard(data: Any, _frames: int, _time: Any, _status: Any) -> None:
            samples = from_pcm16(bytes(data))
            loop.call_soon_threadsafe(self._take, samples)

        def ended() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._end)

        self._stream = _open(
            sounddevice,
            "microphone",
            sounddevice.RawInputStream,
            rate,
            device=device["index"],
            callback=heard,
            finished_callback=ended,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close(ignore_errors=True)

    async def read(self) -> Samples:
        """Return the next block. Raises DeviceError when the device is unplugged or falls silent for good."""
        try:
            async with asyncio.timeout(_STALL_S if self._heard else _START_S):
                while not self._blocks and not self._gone:
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            self._gone = True
        if not self._blocks:
            raise DeviceError(
                "The microphone stopped delivering sound. Plug it in again, or name another with --input."
                if self._heard
                else "The microphone delivers no sound. Another program may hold it: close that, or name another with "
                "--input (`parley talk --devices` lists them)."
            )
        self._heard = True
        return self._blocks.popleft()

    def _take(self, samples: Samples) -> None:
        fresh = self._resampler.feed(samples)
        if fresh.size:
            self.dropped += len(self._blocks) == _KEPT_BLOCKS
            self._blocks.append(fresh)
            self._ready.set()

    def _end(self) -> None:
        self._gone = True
        self._ready.set()


class Speaker:
    """Sound to a loudspeaker, at OUTPUT_RATE; `async with` opens it.

    The queue holds a minute, since some servers send a whole reply at once: `write` blocks while it is full, for speech
    must not lose a word. `flush` empties it at once.
    """

    def __init__(self, device: str | None = None) -> None:
        self._device = device
        self._lock = (
            threading.Lock()
        )  # between the loop and PortAudio's thread; held for a copy of a few hundred samples
        self._queue: deque[Samples] = deque()
        self._queued = 0
        self._taken = 0
        self._gone = False
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        sounddevice = _portaudio()
        self._loop = asyncio.get_running_loop()
        device = _find(sounddevice, self._device, "output")
        self._rate = _rate(sounddevice.check_output_settings, device)
        self._resampler = Resampler(OUTPUT_RATE, self._rate)

        def wanted(data: Any, frames: int, _time: Any, _status: Any) -> None:
            data[:] = to_pcm16(self._give(frames))

        def ended() -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._end)

        self._stream = _open(
            sounddevice,
            "loudspeaker",
            sounddevice.RawOutputStream,
            self._rate,
            device=device["index"],
            callback=wanted,
            finished_callback=ended,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close(ignore_errors=True)

    async def write(self, samples: Samples) -> None:
        """Queue sound; waits while the queue is full. Raises DeviceError when the device is gone."""
        while self._queued > _QUEUED_S * self._rate and not self._gone:
            self._room.clear()
            await self._room.wait()
        if self._gone:
            raise DeviceError("The loudspeaker went away. Plug it in again, or name another with --output.")
        self._append(self._resampler.feed(samples))

    def finish(self) -> None:
        """Queue what the resampler held back: the message is whole."""
        self._append(self._resampler.flush())

    def flush(self) -> float:
        """Be silent now: drop what was not played. Return how many seconds of sound the device has taken in all."""
        with self._lock:
            self._queue.clear()
            self._queued = 0
            taken = self._taken
        self._resampler.flush()
        self._room.set()
        return taken / self._rate

    @property
    def queued_s(self) -> float:
        """Seconds that wait for the device."""
        with self._lock:
            return self._queued / self._rate

    @property
    def latency_s(self) -> float:
        """Seconds between the device's taking a sample and its sounding."""
        return float(self._stream.latency)

    def _append(self, samples: Samples) -> None:
        if samples.size:
            with self._lock:
                self._queue.append(samples)
                self._queued += samples.size

    def _give(self, frames: int) -> Samples:
        """Take the next samples off the queue, in PortAudio's thread; silence where there are none."""
        out = np.zeros(frames, np.float32)
        filled = 0
        with self._lock:
            while filled < frames and self._queue:
                first = self._queue.popleft()
                part = first[: frames - filled]
                out[filled : filled + part.size] = part
                filled += part.size
                if part.size < first.size:
                    self._queue.appendleft(first[part.size :])
            self._queued -= filled
            self._taken += filled
        if filled and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)
        return out

    def _end(self) -> None:
        self._gone = True
        self._room.set()


def _portaudio() -> ModuleType:
    try:
        import sounddevice  # noqa: PLC0415 - loads PortAudio, which a server without sound hardware may lack
    except OSError as error:
        raise DeviceError(
            "The PortAudio library is missing. Install it: `sudo apt install libportaudio2` on Debian and Ubuntu, "
            "`sudo dnf install portaudio` on Fedora; or use Parley's page in a browser."
        ) from error
    module: ModuleType = sounddevice
    return module


def _find(sounddevice: ModuleType, wanted: str | None, kind: str) -> dict[str, Any]:
    """Return PortAudio's description of a device that was asked for by number, by a part of its name, or not at all."""
    name = "microphone" if kind == "input" else "loudspeaker"
    try:
        device: str | int | None = int(wanted) if wanted is not None and wanted.isdecimal() else wanted
        found: dict[str, Any] = sounddevice.query_devices(device, kind)
    except (ValueError, sounddevice.PortAudioError) as error:
        if wanted is None:
            raise DeviceError(
                f"There is no {name}. Plug one in (`parley talk --devices` lists what there is), or use Parley's page "
                "in a browser on a machine that has one."
            ) from error
        raise DeviceError(f"There is no {name} {wanted!r}. `parley talk --devices` lists what there is.") from error
    return found


def _rate(check: Callable[..., None], device: dict[str, Any]) -> int:
    """Return OUTPUT_RATE where the device can do it, else the rate that it prefers."""
    try:
        check(device=device["index"], channels=1, dtype="int16", samplerate=OUTPUT_RATE)
    except Exception:  # noqa: BLE001 - PortAudio has one error for all, and opening will tell
        return int(device["default_samplerate"])
    return OUTPUT_RATE


def _open(sounddevice: ModuleType, name: str, kind: Callable[..., Any], rate: int, **options: Any) -> Any:
    try:
        stream = kind(
            samplerate=rate, channels=1, dtype="int16", blocksize=round(rate * BLOCK_S), latency="low", **options
        )
        stream.start()
    except sounddevice.PortAudioError as error:
        raise DeviceError(
            f"The {name} can't be opened ({error}). Another program may hold it: close that, or name another device "
            "(`parley talk --devices` lists them)."
        ) from error
    return stream
