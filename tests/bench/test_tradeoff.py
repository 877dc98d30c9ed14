from dataclasses import replace

import pytest

from pipeline.settings import TurnTaking
from tests.bench.tradeoff import Pause, patience, points, silence_s

SURE = Pause(0.1, None, (0.99, 0.99), 0.9)
UNSURE = Pause(0.0, 0.9, (0.02, 0.02), 0.001)


def test_the_turn_ends_on_a_whole_window() -> None:
    assert silence_s(SURE, TurnTaking(min_silence_s=0.16)) == pytest.approx(0.16)
    assert silence_s(SURE, TurnTaking(min_silence_s=0.17)) == pytest.approx(0.192)


def test_the_second_look_counts_where_the_first_left_doubt() -> None:
    settled = replace(UNSURE, sounds=(0.02, 0.99), reads=0.8)
    assert silence_s(settled, TurnTaking()) == pytest.approx(0.192)


def test_patience_is_the_price_of_no_cut_ins() -> None:
    quick, slow = points([SURE], [UNSURE], (0.5, 2.0))
    assert quick[1] < slow[1]
    assert (quick[3], slow[3]) == (100.0, 0.0)


def test_patience_scales_both_silences() -> None:
    changed = patience(TurnTaking(min_silence_s=0.2, max_silence_s=1.0), 2.0)
    assert (changed.min_silence_s, changed.max_silence_s) == (0.4, 2.0)
