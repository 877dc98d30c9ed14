import pytest

from tests.bench.judging import agreement, cut_in, one_question
from tests.bench.loudspeaker import Playback

PAUSES = [(11.0, 11.5), (12.0, 13.0)]


def playback(first_audible_at: float | None, audible_s: float, heard_from: float | None = None) -> Playback:
    begin = first_audible_at if heard_from is None else heard_from
    until = 0.0 if begin is None else begin + audible_s
    return Playback(10.0, 10.0, first_audible_at=first_audible_at, heard_from=begin, heard_until=until)


@pytest.mark.parametrize(
    ("first", "audible_s", "expected"),
    [
        (11.2, 0.35, ("pause", 0)),
        (12.9, 2.0, ("pause", 1)),
        (11.0, 0.35, ("pause", 0)),
        (11.5, 0.35, ("words", None)),  # the pause is over
        (10.2, 0.35, ("words", None)),
        (11.2, 0.299, None),  # no longer than 0.3 s
        (14.0, 5.0, None),  # after the last word: an answer
        (9.0, 5.0, None),  # before the first: of the turn before
        (None, 0.0, None),  # never heard
    ],
)
def test_a_cut_in_begins_early_and_is_heard(
    first: float | None, audible_s: float, expected: tuple[str, int | None] | None
) -> None:
    found = cut_in(playback(first, audible_s), PAUSES, 10.0, 14.0)
    assert (None if found is None else (found.where, found.pause)) == expected


def test_a_cut_in_says_how_long_it_was_heard() -> None:
    found = cut_in(playback(11.2, 0.5, heard_from=11.25), PAUSES, 10.0, 14.0)
    assert found is not None
    assert (found.where, found.pause) == ("pause", 0)
    assert (found.after_s, found.audible_s) == pytest.approx((0.2, 0.5))


@pytest.mark.parametrize(
    ("messages", "together"),
    [
        (["Set a timer for 30 seconds."], True),
        (["Set a timer for", "thirty seconds"], False),
        (["hello", "Set a time of thirty seconds"], True),
        (["Set a timer for"], False),
        (["thirty seconds"], False),
        ([], False),
    ],
)
def test_one_message_must_hold_all_parts(messages: list[str], together: bool) -> None:
    assert one_question(messages, ["set a timer for", "thirty seconds"]) is together


@pytest.mark.parametrize(
    ("kept", "heard", "different", "agrees"),
    [
        ("Once upon a time,", "once upon a time", 0, True),
        ("Once upon a time, there was", "Once upon a time there w", 1, True),
        ("Once upon a time, there was a ship", "Once upon a time", 4, False),
        ("", "Once upon a time", 4, False),
        ("", "", 0, True),
    ],
)
def test_what_is_kept_is_compared_with_what_was_heard(kept: str, heard: str, different: int, agrees: bool) -> None:
    compared = agreement(kept, heard)
    assert (compared.different, compared.agrees) == (different, agrees)
