"""Whether an utterance is over."""

import pytest

from pipeline.endings import WHOLE, eager, finished, needed_silence_s
from pipeline.settings import TurnTaking


@pytest.mark.parametrize(
    ("words", "over"), [("turn on the light", True), ("turn on the", False), ("What's", False), ("...", False)]
)
def test_without_a_model_the_last_word_tells(words: str, over: bool) -> None:
    assert (finished(words, None) > 0.1) is over


def test_the_model_knows_better() -> None:
    assert finished("turn on the", 0.9) == 0.9
    assert finished("", 0.9) == 0.0


@pytest.mark.parametrize("words", ["Computer", "Pico voice,", "Hey, Jarvis!", "okay parley"])
def test_a_name_that_is_called_is_not_all(words: str) -> None:
    assert finished(words, None) == finished(words, 0.4) == 0.0
    assert finished(f"{words} what time is it?", 0.4) == 0.4


@pytest.mark.parametrize("words", ["Okay.", "Hey.", "Alexander.", "Turn off the computer.", "Hello, computer!"])
def test_other_words_with_a_name_in_them_may_be(words: str) -> None:
    assert finished(words, 0.4) == 0.4


@pytest.mark.parametrize("model", [0.001, 0.2, 0.5, 0.9])
def test_after_a_comma_more_is_to_come(model: float) -> None:
    assert 0.0 < finished("Had he married a more amiable woman,", model) < model
    assert finished("one, two", model) == model


def test_a_whole_command_is_one_with_a_comma_too() -> None:
    assert finished("What time is it,", WHOLE) == WHOLE


def test_a_voice_that_goes_on_tells_more_than_one_that_breaks_off() -> None:
    unheard, breaks_off, goes_on = (needed_silence_s(sounds, 0.3, TurnTaking()) for sounds in (None, 0.9, 0.1))
    assert breaks_off < unheard < goes_on
    assert goes_on - unheard > unheard - breaks_off


@pytest.mark.parametrize(("eagerness", "factor"), [("low", 2.0), ("medium", 1.0), ("auto", 1.0), ("high", 0.5)])
def test_eagerness(eagerness: str, factor: float) -> None:
    settings = TurnTaking(min_silence_s=0.2, max_silence_s=1.0)
    changed = eager(settings, eagerness)
    assert (changed.min_silence_s, changed.max_silence_s) == (0.2 * factor, factor)


def test_the_greatest_eagerness_still_waits_for_a_pause() -> None:
    assert eager(TurnTaking(pause_s=0.064, min_silence_s=0.1), "high").min_silence_s == 0.064


@pytest.mark.parametrize(
    ("sounds", "reads", "least", "most"),
    [
        (0.5, 1.0, 0.096, 0.096),  # "What time is it?", which needs no model
        (0.98, 0.8, 0.16, 0.16),  # "Turn on the light."
        (0.98, 0.2, 0.2, 0.4),  # "What time is it?"
        (0.15, 0.5, 0.3, 0.6),  # finished words in a voice that goes on
        (0.98, 0.003, 0.8, 1.18),  # "Would you please", cut off
        (0.02, 0.003, 1.0, 1.3),  # the same, with a voice that goes on
        (None, 0.8, 0.16, 0.3),
        (0.98, None, 1.3, 1.3),
    ],
)
def test_the_silence_that_is_needed(sounds: float | None, reads: float | None, least: float, most: float) -> None:
    assert least <= needed_silence_s(sounds, reads, TurnTaking()) <= most
