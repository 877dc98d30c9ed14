"""Which of two recognisers' words are answered."""

import pytest

from pipeline.engines import Transcript
from pipeline.errors import Stage, StageError
from pipeline.settings import Settings
from pipeline.utterance import Utterance, same_words

SURE, UNSURE = Transcript("what time is it", "en", -0.1), Transcript("what tide is it", "en", -0.9)
CHECKED, NOTHING = Transcript("what time is it", "en"), Transcript("", "en")
FAILED = StageError(Stage.TRANSCRIBE, "transcribe_failed", "no")


def utterance(fast: Transcript | None, checked: Transcript | StageError | None, *, checkable: bool = True) -> Utterance:
    return Utterance("item", Settings(trust_logprob=-0.3), 0.0, checkable=checkable, fast=fast, checked=checked)


@pytest.mark.parametrize(
    ("fast", "checked", "words"),
    [
        (None, None, None),
        (SURE, None, SURE),
        (UNSURE, None, None),
        (NOTHING, None, None),
        (UNSURE, CHECKED, CHECKED),
        (None, CHECKED, CHECKED),
        (SURE, NOTHING, SURE),
        (UNSURE, NOTHING, NOTHING),
        (SURE, FAILED, SURE),
        (UNSURE, FAILED, FAILED),
    ],
)
def test_what_is_answered(fast: Transcript | None, checked: Transcript | StageError | None, words: object) -> None:
    assert utterance(fast, checked).words is words


def test_words_that_nobody_can_check_are_answered() -> None:
    assert utterance(UNSURE, None, checkable=False).words is UNSURE
    assert utterance(UNSURE, None, checkable=False).settled
    assert not utterance(SURE, None).settled


def test_words_are_void_when_there_are_more() -> None:
    spoken = utterance(SURE, CHECKED)
    spoken.goes_on()
    assert (spoken.words, spoken.hearing) == (None, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What's the date?", "whats the date"),
        ("Set a timer for thirty seconds.", "set timer for 30 seconds"),
        ("A 20-ounce mocha", "a 20 ounce mocha"),
        ("a 20oz mocha", "20 oz mocha"),
        ("Okay", "okay."),
        ("So, turn it off please", "turn it off"),
        ("", ""),
    ],
)
def test_the_same_to_whoever_answers(one: str, other: str) -> None:
    assert same_words(one, other)


@pytest.mark.parametrize(("one", "other"), [("a dog or a cat", "a dog or a cow"), ("the", "a"), ("", "yes")])
def test_not_the_same(one: str, other: str) -> None:
    assert not same_words(one, other)
