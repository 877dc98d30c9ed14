import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audio.types import INPUT_RATE, Samples
from audio.vad.silero import SileroStream, SileroVad
from tests.bench.sound import room

pytestmark = pytest.mark.models


def scores(stream: SileroStream, audio: Samples) -> list[float]:
    return [stream.score(audio[at : at + 512]) for at in range(0, audio.size - 511, 512)]


@pytest.mark.parametrize("name", ["en_s2p_garage_door_open", "en_v2j_please_lamp", "en_rhino_americano", "en_sc_yes"])
def test_voice_is_found_where_it_is(
    vad: SileroVad, clip: Callable[[str], Samples], clips: list[dict[str, Any]], name: str
) -> None:
    row = next(row for row in clips if row["id"] == name)
    heard = np.array(scores(vad.stream(), clip(name)))
    at = (np.arange(heard.size) + 0.5) * 512 / INPUT_RATE
    inside = (at > row["speech_start_s"] + 0.1) & (at < row["speech_end_s"] - 0.2)
    outside = (at < row["speech_start_s"] - 0.2) | (at > row["speech_end_s"] + 0.4)
    assert np.mean(heard[inside] >= 0.5) > 0.8
    assert np.all(heard[outside] < 0.5)


@pytest.mark.parametrize("name", ["x_silence_1s", "x_tflm_silence_1s", "x_tflm_noise_1s", "x_koala_noise"])
def test_silence_and_noise_hold_no_voice(vad: SileroVad, clip: Callable[[str], Samples], name: str) -> None:
    assert max(scores(vad.stream(), clip(name))) < 0.5


@pytest.mark.parametrize("name", ["en_s2p_what_time_is_it", "en_s2p_whats_the_date", "en_s2p_lights_off_office"])
def test_a_voice_is_noticed_after_a_long_silence_as_after_a_short_one(
    vad: SileroVad, clip: Callable[[str], Samples], name: str
) -> None:
    def voiced(silence_s: float) -> int:
        quiet = room(round(silence_s * INPUT_RATE), -75.0, rate=INPUT_RATE)
        stream = vad.stream()
        scores(stream, np.concatenate([clip("en_goog_brooklyn_bridge"), quiet]).astype(np.float32))
        return sum(score >= 0.5 for score in scores(stream, clip(name)))

    assert voiced(15.0) >= 0.75 * voiced(0.7)


def test_streams_share_nothing_and_reset_forgets(vad: SileroVad, clip: Callable[[str], Samples]) -> None:
    audio = clip("en_sc_yes")
    first, second = vad.stream(), vad.stream()
    alone = scores(first, audio)
    assert scores(second, audio) == alone
    assert scores(first, audio) != alone
    first.reset()
    assert scores(first, audio) == alone


@pytest.mark.parametrize(
    ("window", "says"),
    [
        (np.zeros(511, np.float32), r"\(512,\)"),
        (np.zeros(512, np.float64), "float64"),
        (np.full(512, np.nan, np.float32), "not finite"),
    ],
)
def test_a_wrong_window_is_refused(vad: SileroVad, window: Samples, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        vad.stream().score(window)


def test_it_warms(vad: SileroVad) -> None:
    asyncio.run(vad.warm())
