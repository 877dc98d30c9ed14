"""The devices over a PortAudio that is faked: its callbacks are called by the tests, as its thread would."""

import asyncio
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audio.devices import DeviceError, Microphone, Speaker, list_devices


class FakePortAudioError(Exception):
    pass


class FakeStream:
    def __init__(self, **options: Any) -> None:
        self.options = options
        self.latency = 0.03
        self.closed = False
        if options["device"] == 9:
            raise FakePortAudioError("Device unavailable [PaErrorCode -9985]")

    def start(self) -> None:
        pass

    def close(self, ignore_errors: bool = True) -> None:
        self.closed = True
        self.options["finished_callback"]()


class FakePortAudio(SimpleNamespace):
    """One microphone and one loudspeaker, number 0, and a device that can't be opened, number 9."""

    PortAudioError = FakePortAudioError

    def __init__(self, rate: int = 24_000, *, empty: bool = False) -> None:
        super().__init__(streams=[], rate=rate, empty=empty)

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        if kind is None:
            return "  0 Fake, ALSA (1 in, 1 out)"
        if self.empty:
            raise FakePortAudioError("Error querying device -1")
        if device not in (None, 0, 9, "Fake"):
            raise ValueError(f"No input device matching {device!r}")
        return {"index": 9 if device == 9 else 0, "default_samplerate": 48_000.0}

    def _check(self, *, samplerate: int, **_: Any) -> None:
        if samplerate != self.rate:
            raise FakePortAudioError("Invalid sample rate")

    check_input_settings = check_output_settings = _check

    def _open(self, **options: Any) -> FakeStream:
        self.streams.append(FakeStream(**options))
        return self.streams[-1]

    RawInputStream = RawOutputStream = _open


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakePortAudio]:
    def install(**options: Any) -> FakePortAudio:
        fake = FakePortAudio(**options)
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        return fake

    return install


def hear(fake: FakePortAudio, samples: np.ndarray) -> None:
    fake.streams[-1].options["callback"]((samples * 32768).astype("<i2").tobytes(), samples.size, None, None)


def play(fake: FakePortAudio, frames: int) -> np.ndarray:
    out = bytearray(2 * frames)
    fake.streams[-1].options["callback"](memoryview(out), frames, None, None)
    return np.frombuffer(out, "<i2") / 32768


def test_the_microphone_delivers_blocks(portaudio) -> None:
    fake = portaudio()

    async def main() -> None:
        async with Microphone() as microphone:
            hear(fake, np.full(480, 0.25))
            assert np.allclose(await microphone.read(), 0.25)
        assert fake.streams[0].closed
        assert fake.streams[0].options["blocksize"] == 480

    asyncio.run(main())


def test_a_slow_reader_loses_the_oldest_block_and_can_tell(portaudio) -> None:
    fake = portaudio()

    async def main() -> None:
        async with Microphone() as microphone:
            for n in range(53):
                hear(fake, np.full(480, n / 64))
            await asyncio.sleep(0)
            assert np.allclose(await microphone.read(), 3 / 64)
            assert microphone.dropped == 3

    asyncio.run(main())


def test_a_device_of_another_rate_is_resampled(portaudio) -> None:
    fake = portaudio(rate=0)

    async def main() -> None:
        async with Microphone() as microphone:
            for _ in range(20):
                hear(fake, np.full(960, 0.25))
            await asyncio.sleep(0)
            heard = np.concatenate([await microphone.read() for _ in range(len(microphone._blocks))])
            assert 7_000 < heard.size <= 9_600
        async with Speaker() as speaker:
            await speaker.write(np.full(4_800, 0.25, np.float32))
            speaker.finish()
            assert speaker.queued_s == pytest.approx(0.2, abs=0.002)

    asyncio.run(main())


def test_an_unplugged_microphone_is_a_sentence(portaudio) -> None:
    fake = portaudio()

    async def main() -> None:
        async with Microphone() as microphone:
            hear(fake, np.full(480, 0.25))
            await asyncio.sleep(0)
            fake.streams[0].options["finished_callback"]()
            await microphone.read()
            with pytest.raises(DeviceError, match="Plug it in again"):
                await microphone.read()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("blocks", "patience", "why"), [(1, "_STALL_S", "stopped delivering sound"), (0, "_START_S", "delivers no sound")]
)
def test_a_microphone_that_is_silent_for_good_is_a_sentence(
    portaudio, monkeypatch, blocks: int, patience: str, why: str
) -> None:
    fake = portaudio()
    monkeypatch.setattr(f"audio.devices.{patience}", 0.01)

    async def main() -> None:
        async with Microphone() as microphone:
            for _ in range(blocks):
                hear(fake, np.full(480, 0.25))
                await microphone.read()
            with pytest.raises(DeviceError, match=why):
                await microphone.read()

    asyncio.run(main())


def test_a_microphone_may_take_its_time_to_begin(portaudio, monkeypatch) -> None:
    fake = portaudio()
    monkeypatch.setattr("audio.devices._STALL_S", 0.0)

    async def main() -> None:
        async with Microphone() as microphone:
            first = asyncio.create_task(microphone.read())
            for _ in range(5):
                await asyncio.sleep(0)
            hear(fake, np.full(480, 0.25))
            assert np.allclose(await first, 0.25)

    asyncio.run(main())


def test_the_loudspeaker_plays_in_order_and_then_silence(portaudio) -> None:
    fake = portaudio()

    async def main() -> None:
        async with Speaker() as speaker:
            await speaker.write(np.full(300, 0.25, np.float32))
            await speaker.write(np.full(300, 0.5, np.float32))
            assert speaker.queued_s == pytest.approx(600 / 24_000)
            out = play(fake, 480)
            assert np.allclose(out[:300], 0.25)
            assert np.allclose(out[300:], 0.5)
            out = play(fake, 480)
            assert np.allclose(out[:120], 0.5)
            assert not out[120:].any()
            assert speaker.flush() == pytest.approx(600 / 24_000)
            assert speaker.latency_s == 0.03

    asyncio.run(main())


def test_a_flush_silences_at_once(portaudio) -> None:
    fake = portaudio()

    async def main() -> None:
        async with Speaker() as speaker:
            await speaker.write(np.full(4_800, 0.25, np.float32))
            play(fake, 480)
            assert speaker.flush() == pytest.approx(0.02)
            assert not play(fake, 480).any()
            assert speaker.queued_s == 0

    asyncio.run(main())


def test_a_full_queue_makes_the_writer_wait(portaudio, monkeypatch) -> None:
    fake = portaudio()
    monkeypatch.setattr("audio.devices._QUEUED_S", 0.05)

    async def main() -> None:
        async with Speaker() as speaker:
            await speaker.write(np.full(2_400, 0.25, np.float32))
            waiting = asyncio.ensure_future(speaker.write(np.full(480, 0.25, np.float32)))
            await asyncio.sleep(0)
            assert not waiting.done()
            play(fake, 2_400)
            await waiting
            assert speaker.queued_s == pytest.approx(0.02)

    asyncio.run(main())


def test_an_unplugged_loudspeaker_is_a_sentence(portaudio) -> None:
    fake = portaudio()

    async def main() -> None:
        async with Speaker() as speaker:
            fake.streams[0].options["finished_callback"]()
            await asyncio.sleep(0)
            with pytest.raises(DeviceError, match="loudspeaker went away"):
                await speaker.write(np.zeros(480, np.float32))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("device", "options", "says"),
    [
        (None, {"empty": True}, "There is no microphone. Plug one in"),
        ("3", {}, "There is no microphone '3'."),
        ("9", {}, "can't be opened"),
    ],
)
def test_what_is_wrong_with_a_device_is_a_sentence(portaudio, device: str | None, options: Any, says: str) -> None:
    portaudio(**options)

    async def main() -> None:
        async with Microphone(device):
            pass

    with pytest.raises(DeviceError, match=says):
        asyncio.run(main())


def test_no_portaudio_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(DeviceError, match="sudo apt install libportaudio2"):
        list_devices()


def test_the_devices_can_be_listed(portaudio) -> None:
    portaudio()
    assert "Fake" in list_devices()
