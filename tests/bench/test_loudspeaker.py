import numpy as np
import pytest

from audio.types import OUTPUT_RATE, Samples
from tests.bench.loudspeaker import Loudspeaker, first_audible


def tone(seconds: float, level: float = 0.1) -> Samples:
    return np.full(round(seconds * OUTPUT_RATE), level, np.float32)


def test_what_comes_early_waits_for_its_turn() -> None:
    speaker = Loudspeaker()
    speaker.take("r", tone(0.5), 10.0)
    speaker.take("r", tone(0.5), 10.1)
    reply = speaker.replies["r"]
    assert (reply.heard_from, reply.heard_until, reply.received_s) == (10.0, 11.0, 1.0)
    assert reply.longest_gap_s == 0
    assert speaker.playing(10.9)
    assert not speaker.playing(11.0)


def test_what_comes_late_leaves_a_gap() -> None:
    speaker = Loudspeaker()
    speaker.take("r", tone(0.5), 10.0)
    speaker.take("r", tone(0.5), 10.7)
    speaker.take("r", tone(0.5), 11.3)
    assert speaker.replies["r"].longest_gap_s == pytest.approx(0.2)
    assert speaker.replies["r"].heard_until == pytest.approx(11.8)


def test_silence_before_the_first_word_is_not_heard() -> None:
    speaker = Loudspeaker()
    speaker.take("r", tone(0.2, 0.0), 10.0)
    assert speaker.replies["r"].heard_from is None
    assert speaker.replies["r"].audible_s == 0
    speaker.take("r", np.concatenate([tone(0.1, 0.001), tone(0.4)]), 10.05)
    reply = speaker.replies["r"]
    assert reply.first_at == 10.0
    assert reply.first_audible_at == 10.05
    assert reply.heard_from == pytest.approx(10.3)
    assert reply.audible_s == pytest.approx(0.4)


def test_a_stop_drops_what_has_not_been_played() -> None:
    speaker = Loudspeaker()
    speaker.take("r", tone(0.5), 10.0)
    speaker.take("r", tone(0.5), 10.0)
    assert speaker.stop(10.2) == ["r"]
    reply = speaker.replies["r"]
    assert reply.audible_s == pytest.approx(0.2)
    assert reply.played.size == round(0.2 * OUTPUT_RATE)
    assert reply.received_s == 1.0, "it was received all the same"
    assert not speaker.playing(10.2)


def test_a_stop_before_the_first_sample_leaves_nothing() -> None:
    speaker = Loudspeaker()
    speaker.take("a", tone(1.0), 10.0)
    speaker.take("b", tone(1.0), 10.1)
    assert speaker.stop(10.5) == ["b", "a"]
    assert speaker.replies["b"].played.size == 0
    assert speaker.replies["b"].audible_s == 0
    assert speaker.replies["a"].audible_s == pytest.approx(0.5)


def test_a_stop_after_the_end_changes_nothing() -> None:
    speaker = Loudspeaker()
    speaker.take("r", tone(0.5), 10.0)
    assert speaker.stop(10.6) == []
    assert speaker.replies["r"].audible_s == pytest.approx(0.5)
    speaker.take("r", tone(0.5), 10.7)
    assert speaker.replies["r"].heard_until == pytest.approx(11.2)


def test_the_echo_is_what_was_played_then() -> None:
    speaker = Loudspeaker()
    speaker.take("r", tone(0.1, 0.5), 10.0)
    speaker.take("r", tone(0.1, 0.25), 10.2)
    heard = speaker.between(9.9, 10.35)
    assert heard.size == round(0.45 * OUTPUT_RATE)
    edges = [0, *(np.flatnonzero(np.diff(heard)) + 1), heard.size]
    lengths_s = np.diff(edges) / OUTPUT_RATE
    assert lengths_s == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05], abs=1e-4)
    assert [heard[edge] for edge in edges[:-1]] == [0, 0.5, 0, 0.25, 0]


def test_the_echo_ends_with_a_stop() -> None:
    speaker = Loudspeaker()
    speaker.take("r", tone(1.0), 10.0)
    speaker.stop(10.3)
    assert np.flatnonzero(speaker.between(10.0, 11.0)).size == round(0.3 * OUTPUT_RATE)


def test_silence_has_no_audible_sample() -> None:
    assert first_audible(tone(1.0, 0.0029)) is None
    assert first_audible(np.array([0.0, -0.004], np.float32)) == 1
