from dataclasses import replace

import pytest

from audio.stt.guards import Attempt, Guards, loops, too_fast

GUARDS = Guards(min_logprob=-0.7, max_no_speech=0.6, max_repeats=2)
REAL = Attempt(text="What time is it?", language="en", seconds=1.5, word_logprob=-0.2, no_speech=0.1)


def test_real_words_are_believed() -> None:
    assert GUARDS.doubt(REAL) is None


@pytest.mark.parametrize(
    ("attempt", "doubt"),
    [
        (replace(REAL, text=""), "no words"),
        (replace(REAL, text="... !"), "no words"),
        (replace(REAL, text="♪ la la ♪"), "no words"),
        (replace(REAL, text="© transcript Someone"), "no words"),
        (replace(REAL, finished=False), "ran on"),
        (replace(REAL, text="Go on. Go on. Go on."), "loops"),
        (replace(REAL, text="one two three four five six seven eight nine", seconds=0.5), "too fast"),
        (replace(REAL, no_speech=0.7), "no speech"),
        (replace(REAL, word_logprob=-0.8), "unlikely"),
        (replace(REAL, text="Thank you.", word_logprob=-0.5), "unlikely"),
        (replace(REAL, text="I'm sorry.", word_logprob=-0.5), "unlikely"),
        (replace(REAL, text="Thank you.", word_logprob=-0.3), None),
        (replace(REAL, text="Yes.", seconds=0.4), None),
        (replace(REAL, text="何時ですか"), None),
    ],
)
def test_each_doubt(attempt: Attempt, doubt: str | None) -> None:
    assert GUARDS.doubt(attempt) == doubt


@pytest.mark.parametrize(
    "text",
    [
        "What time is it? What time is it? What time is it? What",
        "stop stop stop stop stop",
        "1,5,5,5,5,5,5",
        "and so my friend Ann and so my friend Ann and so my friend Ann",
        "ڈڑڑڑڑڑڑڑڑڑ",
        "バターバターバターバターバターバターバターバターバター",
    ],
)
def test_loops_are_found(text: str) -> None:
    assert loops(text, 2)


@pytest.mark.parametrize(
    "text",
    [
        "no, no, no!",
        "Wait, wait, wait, wait.",
        "bye bye",
        "set it to 100000000",
        "ask not what you can, ask what you can",
    ],
)
def test_people_repeat_themselves_too(text: str) -> None:
    assert not loops(text, 2)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("", False),
        ("What time", False),
        ("♪", True),
        ("© transcript", True),
        ("no, no, no, no, no", False),  # "nobody" may come of the last one
        ("no, no, no, no, no, n", True),
        ("a bit of a bit of a bit of", False),
        ("a bit of a bit of a bit of a", True),
    ],
)
def test_an_attempt_is_lost_when_nothing_behind_it_can_help(text: str, lost: bool) -> None:
    assert GUARDS.is_lost(text) == lost
    if lost:
        for more in ("", "obody", " and then it ends well."):
            assert GUARDS.doubt(replace(REAL, text=text + more, seconds=60.0)) is not None


def test_speed_allows_for_a_short_word() -> None:
    assert not too_fast("stop", 0.1)
    assert too_fast("I am going to get a little bit of water", 0.7)
    assert not too_fast("I am going to get a little bit of water", 1.5)
