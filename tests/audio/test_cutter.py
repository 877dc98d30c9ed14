"""Long sounds are cut at their silences; nothing that was said is lost."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio.types import INPUT_RATE
from audio.vad.cutter import LONGEST_S, WINDOW, Cutter


def score(window):
    return float(np.abs(window).mean() * 2)


def sound(*stretches):
    """Stretches of (seconds, loudness), numbered sample by sample so that each can be found again."""
    made = np.concatenate([np.full(int(seconds * INPUT_RATE), level, np.float32) for seconds, level in stretches])
    return made + np.arange(made.size, dtype=np.float32) * np.float32(1e-8)


def cut(samples, step=4000):
    cutter = Cutter(score)
    pieces = [piece for at in range(0, samples.size, step) for piece in cutter.feed(samples[at : at + step])]
    pieces += cutter.flush()
    assert abs(cutter.heard_s - samples.size / INPUT_RATE) < 1e-9
    return [(piece.start_s, piece.start_s + piece.samples.size / INPUT_RATE) for piece in pieces]


def test_a_piece_ends_at_a_pause_and_keeps_a_little_silence() -> None:
    ((first, first_end), (second, _)) = cut(sound((2, 0), (3, 1), (2, 0), (3, 1), (1, 0)))
    assert 1.7 < first < 2
    assert 5 < first_end < 5.4
    assert 6.7 < second < 7


def test_a_short_pause_does_not_cut_a_short_piece() -> None:
    assert len(cut(sound((1, 1), (0.4, 0), (1, 1)))) == 1


def test_a_short_pause_cuts_a_long_piece() -> None:
    assert len(cut(sound((7, 1), (0.4, 0), (1, 1)))) == 2


def test_a_voice_that_never_pauses_is_cut_where_it_is_softest() -> None:
    (_, end), (start, _) = cut(sound((15, 1), (0.05, 0.6), (15, 1)))
    assert start == end
    assert 14.9 < end < 15.2


def test_silence_has_no_pieces() -> None:
    assert cut(sound((3, 0))) == []
    assert cut(np.zeros(0, np.float32)) == []


@given(
    stretches=st.lists(st.tuples(st.floats(0.01, 9), st.sampled_from([0.0, 0.3, 0.6, 1.0])), min_size=1, max_size=8),
    step=st.integers(100, 50_000),
)
def test_no_voice_is_lost_and_no_piece_is_too_long(stretches, step) -> None:
    samples = sound(*stretches)
    pieces = cut(samples, step)
    assert pieces == cut(samples, samples.size or 1)
    for start, end in pieces:
        assert 0 <= start < end
        assert end - start <= LONGEST_S + 1e-9
    for (_, before), (after, _) in pairwise(pieces):
        assert before <= after + 1e-9
    for at in range(0, samples.size - WINDOW + 1, WINDOW):
        if score(samples[at : at + WINDOW]) >= 0.5:
            assert any(start <= at / INPUT_RATE and (at + WINDOW) / INPUT_RATE <= end + 1e-9 for start, end in pieces)
