import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.pcm import Resampler, from_pcm16, resample, to_pcm16
from audio.types import Samples

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])


def tone(seconds: float, rate: int, hertz: float = 440.0) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@given(st.binary(max_size=2000).filter(lambda data: len(data) % 2 == 0))
def test_pcm16_survives_the_round_trip(data: bytes) -> None:
    assert to_pcm16(from_pcm16(data)) == data


@given(st.lists(st.floats(-4, 4, width=32), max_size=200))
def test_samples_come_back_within_half_a_step(values: list[float]) -> None:
    samples = np.array(values, np.float32)
    back = from_pcm16(to_pcm16(samples))
    assert back.dtype == np.float32
    assert np.abs(back - np.clip(samples, -1, 32767 / 32768)).max(initial=0) <= 0.5 / 32768


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"odd number of bytes \(3\)"):
        from_pcm16(b"abc")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        to_pcm16(np.array([0, bad], np.float32))


@settings(deadline=None)
@given(RATES, RATES, st.integers(0, 5000))
def test_a_stream_is_as_long_as_one_shot(from_rate: int, to_rate: int, length: int) -> None:
    sound = np.ones(length, np.float32)
    stream = Resampler(from_rate, to_rate)
    streamed = stream.feed(sound).size + stream.flush().size
    assert abs(streamed - resample(sound, from_rate, to_rate).size) <= 1
    assert abs(streamed - length * to_rate / from_rate) <= 1


@settings(deadline=None)
@given(RATES, RATES, st.lists(st.integers(0, 1500), min_size=1, max_size=8))
def test_cutting_into_chunks_changes_nothing(from_rate: int, to_rate: int, lengths: list[int]) -> None:
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, sum(lengths)).astype(np.float32)
    whole, cut = Resampler(from_rate, to_rate), Resampler(from_rate, to_rate)
    expected = np.concatenate([whole.feed(sound), whole.flush()])
    pieces = [cut.feed(piece) for piece in np.split(sound, np.cumsum(lengths)[:-1])]
    np.testing.assert_allclose(np.concatenate([*pieces, cut.flush()]), expected, atol=1e-6)


def test_a_tone_keeps_its_pitch() -> None:
    stream = Resampler(24_000, 16_000)
    changed = np.concatenate([stream.feed(tone(1, 24_000)), stream.flush()])
    assert changed.dtype == np.float32
    np.testing.assert_allclose(changed[500:-500], tone(1, 16_000)[500 : changed.size - 500], atol=1e-3)


def test_equal_rates_pass_the_sound_through() -> None:
    sound = tone(0.1, 16_000)
    stream = Resampler(16_000, 16_000)
    assert stream.feed(sound) is sound
    assert stream.flush().size == 0
    assert resample(sound, 16_000, 16_000) is sound


def test_a_flushed_stream_starts_afresh() -> None:
    stream = Resampler(48_000, 16_000)
    first = np.concatenate([stream.feed(tone(0.2, 48_000)), stream.flush()])
    second = np.concatenate([stream.feed(tone(0.2, 48_000)), stream.flush()])
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("rates", [(0, 16_000), (16_000, -1)])
def test_a_rate_must_be_positive(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Resampler(*rates)
    with pytest.raises(ValueError, match="above 0"):
        resample(np.zeros(8, np.float32), *rates)
