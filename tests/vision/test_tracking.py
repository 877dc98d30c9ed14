"""Tracks: the same number for the same thing, and no news from a detector's flicker."""

from hypothesis import given
from hypothesis import strategies as st

from vision.detect.detection import Detection
from vision.tracking import Tracked, Tracker
from vision.types import Box


def thing(label: str, left: float, score: float = 0.9, size: float = 0.2, top: float = 0.4) -> Detection:
    return Detection(label, Box(left, top, left + size, top + size), score)


CUP = thing("cup", 0.1)
CAT = thing("cat", 0.6)
FAINT = thing("chair", 0.4, score=0.35, top=0.0)


def seen(tracked: Tracked) -> list[tuple[str, int]]:
    return [(one.label, one.track) for one in tracked.things]


def news(tracked: Tracked) -> tuple[list[str], list[str]]:
    return [one.label for one in tracked.appeared], [one.label for one in tracked.left]


def follow(*frames: list[Detection]) -> list[Tracked]:
    tracker = Tracker()
    return [tracker.update(frame) for frame in frames]


def test_what_is_there_at_first_has_not_appeared() -> None:
    (first,) = follow([CUP, FAINT])
    assert seen(first) == [("cup", 1), ("chair", 2)]
    assert news(first) == ([], [])


def test_a_thing_keeps_its_number_while_it_moves() -> None:
    frames = follow(*([thing("cup", 0.1 + 0.07 * step), CAT] for step in range(6)))
    assert all(seen(frame) == [("cup", 1), ("cat", 2)] for frame in frames)
    assert all(news(frame) == ([], []) for frame in frames)


def test_a_thing_that_jumps_is_still_the_nearest_of_its_kind() -> None:
    _, jumped = follow([thing("cup", 0.1, size=0.1)], [thing("cup", 0.27, size=0.1)])
    assert seen(jumped) == [("cup", 1)]


def test_two_of_a_kind_are_not_confused() -> None:
    left, right = thing("bottle", 0.2), thing("bottle", 0.45)
    _, second, third = follow([left, right], [right, left], [thing("bottle", 0.47), thing("bottle", 0.22)])
    assert {one.track: one.box.left for one in second.things} == {1: 0.2, 2: 0.45}
    assert {one.track: one.box.left for one in third.things} == {1: 0.22, 2: 0.47}


def test_a_sure_thing_appears_at_once() -> None:
    _, second = follow([CUP], [CUP, CAT])
    assert news(second) == (["cat"], [])
    assert seen(second) == [("cup", 1), ("cat", 2)]


def test_a_faint_thing_is_believed_the_second_time() -> None:
    _, second, third = follow([CUP], [CUP, FAINT], [CUP, FAINT])
    assert seen(second) == [("cup", 1)]
    assert news(third) == (["chair"], [])


def test_a_flicker_is_no_news() -> None:
    for frame in follow([CUP], [CUP, FAINT], [CUP], [CUP, FAINT], [CUP]):
        assert seen(frame) == [("cup", 1)]
        assert news(frame) == ([], [])


def test_a_miss_is_survived_and_the_second_is_a_farewell() -> None:
    _, missed, back, gone, farewell, after = follow([CUP, CAT], [CUP], [CUP, CAT], [CUP], [CUP], [CUP])
    assert seen(missed) == [("cup", 1), ("cat", 2)]
    assert seen(back) == [("cup", 1), ("cat", 2)]
    assert news(gone) == ([], [])
    assert news(farewell) == ([], ["cat"])
    assert seen(farewell) == [("cup", 1)]
    assert news(after) == ([], [])


def test_a_faint_thing_of_the_first_frame_goes_without_a_word() -> None:
    assert [news(frame) for frame in follow([CUP, FAINT], [CUP], [CUP])] == [([], [])] * 3


def test_what_comes_back_has_a_new_number() -> None:
    *_, back = follow([CUP], [], [], [CUP])
    assert seen(back) == [("cup", 2)]


def test_a_cut_ends_and_begins_everything_at_once() -> None:
    tracker = Tracker()
    tracker.update([CUP])
    after = tracker.update([CAT, FAINT], cut=True)
    assert news(after) == (["cat", "chair"], ["cup"])
    assert seen(after) == [("cat", 2), ("chair", 3)]


def test_a_thing_taken_for_another_kind_once_is_what_it_was() -> None:
    dog = thing("dog", 0.6, score=0.6)
    _, once, twice, thrice = follow([CAT], [dog], [dog], [dog])
    assert seen(once) == [("cat", 1)]
    assert seen(twice) == [("dog", 1)]
    assert seen(thrice) == [("dog", 1)]
    assert news(thrice) == ([], [])


def test_it_is_settled_when_nothing_is_in_doubt() -> None:
    tracker = Tracker()
    states = []
    for frame in ([CUP], [CUP, FAINT], [CUP, FAINT], [CUP], [CUP]):
        tracker.update(frame)
        states.append(tracker.settled)
    assert states == [True, False, True, False, True]
    assert Tracker().settled


DETECTIONS = st.builds(
    thing,
    st.sampled_from(["cup", "cat", "person"]),
    st.floats(0, 0.8),
    st.floats(0.3, 1),
    st.floats(0.01, 0.2),
    st.floats(0, 0.8),
)


@given(st.lists(st.tuples(st.lists(DETECTIONS, max_size=5), st.booleans()), max_size=12))
def test_numbers_are_unique_and_news_add_up(frames: list[tuple[list[Detection], bool]]) -> None:
    tracker = Tracker()
    there: set[int] = set()
    ever: set[int] = set()
    for index, (frame, cut) in enumerate(frames):
        tracked = tracker.update(frame, cut=cut)
        now = [one.track for one in tracked.things]
        came = {one.track for one in tracked.appeared}
        went = {one.track for one in tracked.left}
        assert len(now) == len(set(now))
        assert came.isdisjoint(ever)
        assert came <= set(now)
        assert went <= there
        assert went.isdisjoint(now)
        if index:
            assert set(now) - there == came
        there = set(now)
        ever |= there


@given(st.lists(DETECTIONS, max_size=6), st.lists(DETECTIONS, max_size=6))
def test_the_same_picture_again_and_again_settles(before: list[Detection], still: list[Detection]) -> None:
    tracker = Tracker()
    tracker.update(before)
    for _ in range(3):
        tracked = tracker.update(still)
    assert tracker.settled
    assert len(tracked.things) == len(still)
