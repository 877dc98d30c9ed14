import asyncio

import numpy as np
import pytest

from audio.types import OUTPUT_RATE, Samples
from tests.bench.microphone import CHUNK, CHUNK_S, Microphone, Mixer

SILENT_DB = -200.0


def test_a_sound_begins_where_it_is_asked_to() -> None:
    mixer = Mixer(SILENT_DB)
    assert mixer.play(np.full(3, 0.5, np.float32), at=4) == 4
    assert np.allclose(mixer.take(5), [0, 0, 0, 0, 0.5], atol=1e-6)
    assert np.allclose(mixer.take(5), [0.5, 0.5, 0, 0, 0], atol=1e-6)


def test_sounds_overlap_and_are_clipped() -> None:
    mixer = Mixer(SILENT_DB)
    mixer.play(np.full(4, 0.75, np.float32))
    mixer.play(np.full(2, 0.75, np.float32))
    assert np.allclose(mixer.take(5), [1, 1, 0.75, 0.75, 0], atol=1e-6)


def test_nothing_begins_in_the_past() -> None:
    mixer = Mixer(SILENT_DB)
    mixer.take(10)
    assert mixer.play(np.ones(2, np.float32), at=3) == 10


def test_a_hushed_sound_leaves_the_room() -> None:
    mixer = Mixer(-60.0)
    mixer.play(np.ones(100, np.float32))
    mixer.take(10)
    mixer.clear()
    assert 0 < np.abs(mixer.take(100)).max() < 0.02


def test_the_room_is_as_loud_as_asked_without_end() -> None:
    mixer = Mixer(-50.0)
    noise = np.concatenate([mixer.take(OUTPUT_RATE) for _ in range(15)])
    assert 20 * np.log10(np.sqrt(np.mean(noise**2))) == pytest.approx(-50, abs=0.2)


class Wire:
    """Keeps what is sent, and stops the microphone after some chunks."""

    def __init__(self, chunks: int) -> None:
        self.sent: list[Samples] = []
        self._chunks = chunks

    async def append_audio(self, samples: Samples) -> None:
        self.sent.append(samples)
        if len(self.sent) == self._chunks:
            raise EOFError


def test_the_echo_is_of_the_time_that_the_chunk_spans() -> None:
    asked: list[tuple[float, float]] = []
    clock = 100.0

    def echo(begin: float, end: float) -> Samples:
        nonlocal clock
        clock += CHUNK_S  # each chunk is filled at once: the test doesn't wait
        asked.append((begin, end))
        return np.full(CHUNK, 0.25, np.float32)

    microphone = Microphone(Mixer(SILENT_DB), lambda: clock + CHUNK_S, echo=echo)
    wire = Wire(3)
    with pytest.raises(EOFError):
        asyncio.run(microphone.run(wire))
    first = asked[0][0]
    assert asked == [pytest.approx((first + k * CHUNK_S, first + (k + 1) * CHUNK_S)) for k in range(3)]
    assert np.allclose(wire.sent, 0.25, atol=1e-6)


def test_a_sample_is_sent_with_its_chunk() -> None:
    microphone = Microphone(Mixer(SILENT_DB), lambda: 0.0)
    microphone.note(1.0, 1.0)
    microphone.note(1.021, 1.02)
    assert microphone.sent_at(CHUNK - 1) == 1.0
    assert microphone.sent_at(CHUNK) == 1.021
    assert microphone.late_s == pytest.approx(0.001)


def test_who_waits_for_a_sample_is_woken_when_it_is_sent() -> None:
    async def scene() -> list[str]:
        microphone = Microphone(Mixer(SILENT_DB), lambda: 0.0)
        order: list[str] = []

        async def wait(position: int) -> None:
            await microphone.sent(position)
            order.append(f"sample {position}")

        async with asyncio.TaskGroup() as group:
            group.create_task(wait(CHUNK))
            group.create_task(wait(CHUNK - 1))
            await asyncio.sleep(0)
            for number in range(2):
                microphone.note(float(number), float(number))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                order.append(f"chunk {number}")
            await wait(0)
        return order

    assert asyncio.run(scene()) == [f"sample {CHUNK - 1}", "chunk 0", f"sample {CHUNK}", "chunk 1", "sample 0"]
