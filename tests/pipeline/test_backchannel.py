"""Words that take the floor, and signs of listening that don't."""

import pytest

from pipeline.backchannel import what_was_said
from pipeline.engines import Transcript
from pipeline.moves import Said


@pytest.mark.parametrize(
    "text", ["Mm-hmm.", "Yeah.", "Right, right.", "Okay", "Uh-huh,", "I see.", "Oh, got it.", "Ja, genau."]
)
def test_a_sign_of_listening(text: str) -> None:
    assert what_was_said(Transcript(text), ended=True) is Said.BACKCHANNEL


@pytest.mark.parametrize("text", ["Stop.", "Yeah, but why?", "No.", "Wait a moment", "Okay okay okay okay okay", "I"])
def test_words(text: str) -> None:
    assert what_was_said(Transcript(text), ended=True) is Said.WORDS


@pytest.mark.parametrize(("text", "logprob"), [("", 0.0), ("...", 0.0), ("You", -1.5), ("The end", -1.3)])
def test_noise(text: str, logprob: float) -> None:
    assert what_was_said(Transcript(text, "en", logprob), ended=True) is Said.NOTHING


def test_many_words_are_words_however_unsure() -> None:
    assert what_was_said(Transcript("turn the light off", "en", -1.5), ended=True) is Said.WORDS


def test_half_a_word_may_become_anything() -> None:
    assert what_was_said(Transcript("Wha"), ended=False) is Said.UNKNOWN
    assert what_was_said(Transcript("What about"), ended=False) is Said.WORDS
