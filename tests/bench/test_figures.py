from typing import Any

import pytest

from tests.bench import figures
from tests.bench.figures import milliseconds, percentile
from tests.bench.picture import stages
from tests.bench.targets import Target, limits, verdict


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1, 0.95, 1), (20, 0.95, 19), (21, 0.95, 20), (22, 0.95, 21), (100, 0.95, 95), (100, 0.5, 50), (3, 0.0, 1)],
)
def test_a_percentile_is_one_of_the_values(count: int, share: float, expected: int) -> None:
    assert percentile([float(value) for value in range(count, 0, -1)], share) == expected


def test_missing_times_are_left_out() -> None:
    assert milliseconds([0.2, None, 0.1, 0.4]) == {"n": 3, "p50": 200, "p95": 400, "min": 100, "max": 400}
    assert milliseconds([None]) == {"n": 0}


def asked(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "a",
        "end_is_sure": True,
        "speech_s": 2.5,
        "status": "completed",
        "answered": True,
        "voice_to_voice_s": 0.3,
        "commit_s": 0.2,
        "transcript_s": 0.2,
        "first_text_s": 0.25,
        "reply": "It is 20.5 degrees.",
        "reply_s": 2.0,
        "longest_gap_s": 0.0,
        "cpu_s": 1.0,
        "late_s": 0.001,
        "server": {"transcript_ms": 90, "commit_ms": 200, "first_token_ms": -40, "discarded": 1},
    }
    return row | changes


def test_only_sure_ends_are_timed_and_all_answers_counted() -> None:
    rows = [
        asked(),
        asked(id="b", end_is_sure=False, voice_to_voice_s=9.0),
        asked(id="c", status="none", answered=False, voice_to_voice_s=None, server={}, reply_s=0.0),
        {"lost": "The connection broke off.", "ids": ["d", "e"]},
    ]
    summed = figures.questions(rows)
    assert summed["voice_to_voice_ms"] == {"n": 1, "p50": 300, "p95": 300, "min": 300, "max": 300}
    assert list(summed["stages_ms"]) == ["first_token_ms", "transcript_ms", "commit_ms"], (
        "in the order of their medians"
    )
    assert (summed["asked"], summed["answered"], summed["unanswered"]) == (3, 2, ["c"])
    assert summed["lost"] == ["d, e: The connection broke off."]
    assert summed["discarded_a_turn"] == 1


def test_a_turn_costs_what_all_did_and_nothing_where_there_was_none() -> None:
    assert figures.cpu_a_turn(8.0, [asked(), asked(), asked()], 1) == 2.0
    assert figures.cpu_a_turn(8.0, [], 1) is None


def test_the_cpu_figure_is_of_questions_of_two_to_three_seconds() -> None:
    rows = [asked(), asked(cpu_s=2.0, speech_s=3.0), asked(cpu_s=9.0, speech_s=1.9), asked(cpu_s=9.0, speech_s=4.0)]
    assert figures.cpu_by_question(rows) == 1.5
    assert figures.cpu_by_question([]) is None


def test_of_these_the_answers_of_one_sentence_are_told_apart() -> None:
    rows = [
        asked(),
        asked(reply="Sure, pour a cup of", cpu_s=2.0),
        asked(reply="Yes, you can! The cup", cpu_s=9.0),
        asked(reply='"No." I said', cpu_s=9.0),
        asked(reply="", cpu_s=9.0),
        asked(speech_s=1.9, cpu_s=9.0),
    ]
    assert figures.cpu_by_sentence(rows) == {"n": 2, "mean": 1.5}
    assert figures.cpu_by_sentence([]) == {"n": 0, "mean": None}


def paused(id_: str, *cut_ins: dict[str, Any], one: bool = True) -> dict[str, Any]:
    return {
        "id": id_,
        "pauses_s": [0.5, 0.7],
        "complete": [True, False],
        "cut_ins": list(cut_ins),
        "one_question": one,
        "voice_to_voice_s": 0.4,
        "late_s": 0.0,
    }


def test_a_pause_counts_once_however_often_it_is_broken() -> None:
    rows = [
        paused("a", {"where": "pause", "pause": 0}, {"where": "pause", "pause": 0}, {"where": "words", "pause": None}),
        paused("b", {"where": "pause", "pause": 1}, one=False),
        paused("c"),
    ]
    summed = figures.pauses(rows)
    assert (summed["pauses"], summed["cut_ins"], summed["cut_in_percent"]) == (6, 2, 33.3)
    assert (summed["cut_ins_after_complete_words"], summed["pauses_after_complete_words"]) == (1, 3)
    assert (summed["over_words"], summed["one_question"], summed["utterances"]) == (1, 2, 3)
    assert summed["cut_in_ids"] == ["a (1)", "b (2)"]


def test_a_reply_that_was_silent_anyway_was_stopped_at_once() -> None:
    row = {"id": "a", "stopped": True, "agrees": True, "answered": True, "kept": "a", "kept_after_truncate": "a"}
    rows = [
        row | {"last_sample_s": -0.2, "heard_until_s": 0.1, "late_s": 0.0},
        row | {"id": "b", "stopped": False, "last_sample_s": 9.0, "heard_until_s": 9.1, "late_s": 0.0},
    ]
    summed = figures.barge_ins(rows)
    assert (summed["barge_in_ms"]["min"], summed["barge_in_ms"]["max"]) == (0, 9000)
    assert summed["not_stopped"] == ["b"]
    assert summed["transcripts_agree"] == summed["truncate_agrees"] == 2


def test_nothing_measured_gives_no_share() -> None:
    assert figures.pauses([])["cut_in_percent"] is None
    assert figures.undisturbed([])["ended_percent"] is None


@pytest.mark.parametrize(("value", "word"), [(1.5, "aim"), (1.6, "must"), (2.6, "missed"), (None, "")])
def test_a_value_reaches_a_target(value: float | None, word: str) -> None:
    assert Target(2.5, 1.5).verdict(value) == word


@pytest.mark.parametrize(
    ("figures_", "word"),
    [
        ({"p50": 320, "p95": 600}, "aim"),
        ({"p50": 300, "p95": 601}, "must"),
        ({"p50": 501, "p95": 500}, "missed"),
        ({"n": 0}, ""),
    ],
)
def test_the_worse_of_two_percentiles_counts(figures_: dict[str, float], word: str) -> None:
    assert verdict("voice_to_voice_ms", "default", figures_) == word


def test_targets_are_shown_as_they_are_asked() -> None:
    assert limits("voice_to_voice_ms", "default", "must") == "500 / 900"
    assert limits("voice_to_voice_ms", "tiny", "aim") == "260 / 450"
    assert limits("sessions.voice_to_voice_ms", "default", "must") == "900 / 1800"
    assert limits("barge_in_ms", "tiny", "must") == "250"
    assert limits("self_interruptions", "default", "aim") == "0"
    assert limits("", "default", "must") == ""
    assert verdict("self_interruptions", "default", 1) == "missed"


def test_the_stages_of_a_turn_follow_each_other() -> None:
    moments = {"commit_ms": 200, "transcript_ms": 90, "first_token_ms": 170, "first_clause_ms": 160, "other_ms": 5}
    bars = stages(moments)
    assert [(bar.begin_ms, bar.end_ms) for bar in bars] == [(0, 90), (90, 170), (170, 170)]


def test_a_turn_that_began_before_the_last_word_is_drawn_from_there() -> None:
    bars = stages({"transcript_ms": -120, "first_token_ms": 10, "first_audio_ms": 180})
    assert [(bar.begin_ms, bar.end_ms) for bar in bars] == [(-120, -120), (-120, 10), (10, 180)]
    assert stages({}) == []
