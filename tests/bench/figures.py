"""Rows of a measurement, summed up."""

import math
import re
import statistics
from collections.abc import Sequence
from typing import Any, Final

Row = dict[str, Any]

_NEXT: Final = re.compile(r"[.?!…]\W*\s")
"""What stands between two sentences."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0..1) of the values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(share * len(ordered), 9)) - 1)]


def milliseconds(values: Sequence[float | None]) -> dict[str, float]:
    """Return count, p50, p95, min and max of the values in seconds that are there, in milliseconds."""
    known = [1000 * value for value in values if value is not None]
    if not known:
        return {"n": 0}
    return {
        "n": len(known),
        "p50": round(statistics.median(known)),
        "p95": round(percentile(known, 0.95)),
        "min": round(min(known)),
        "max": round(max(known)),
    }


def kept(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of conversations that didn't break off."""
    return [row for row in rows if "lost" not in row]


def lost(rows: Sequence[Row]) -> list[str]:
    """Return what broke off, and why."""
    return [f"{', '.join(row['ids'])}: {row['lost']}" for row in rows if "lost" in row]


def questions(rows: Sequence[Row]) -> Row:
    """Sum up questions: only those whose end is known to within 30 ms count for the times."""
    there = kept(rows)
    sure = [row for row in there if row["end_is_sure"]]
    stages = sorted({name for row in sure for name in row["server"] if name.endswith("_ms")})
    return {
        "asked": len(there),
        "answered": sum(row["status"] in ("completed", "incomplete", "cancelled") for row in there),
        "unanswered": [row["id"] for row in there if not row["answered"]],
        "lost": lost(rows),
        "voice_to_voice_ms": milliseconds([row["voice_to_voice_s"] for row in sure]),
        "turn_decision_ms": milliseconds([row["commit_s"] for row in sure]),
        "transcription_ms": milliseconds([row["transcript_s"] for row in sure]),
        "first_text_ms": milliseconds([row["first_text_s"] for row in sure]),
        "stages_ms": {
            name: milliseconds([value / 1000 for row in sure if (value := row["server"].get(name)) is not None])
            for name in sorted(stages, key=lambda name: _median(sure, name))
        },
        "discarded_a_turn": mean([row["server"]["discarded"] for row in there if "discarded" in row["server"]]),
        "gap_ms": milliseconds([row["longest_gap_s"] for row in there if row["reply_s"]]),
        "reply_s": mean([row["reply_s"] for row in there if row["reply_s"]]),
        "client_late_ms": round(1000 * max((row["late_s"] for row in there), default=0)),
    }


def cpu_a_turn(spent_s: float, rows: Sequence[Row], warm: int) -> float | None:
    """Return the mean core-seconds of a turn, of which `warm` more than are kept were taken to warm up."""
    turns = len(kept(rows))
    return round(spent_s / (turns + warm), 2) if turns else None


def cpu_by_question(rows: Sequence[Row]) -> float | None:
    """Return the mean core-seconds of questions of two to three seconds."""
    return mean([row["cpu_s"] for row in _short_questions(rows)])


def cpu_by_sentence(rows: Sequence[Row]) -> Row:
    """Return the same of those whose answer is one sentence, or a part of one, and how many these are."""
    spent = [row["cpu_s"] for row in _short_questions(rows) if row["reply"] and not _NEXT.search(row["reply"].strip())]
    return {"n": len(spent), "mean": mean(spent)}


def _short_questions(rows: Sequence[Row]) -> list[Row]:
    return [row for row in kept(rows) if 2 <= row["speech_s"] <= 3]


def pauses(rows: Sequence[Row]) -> Row:
    """Sum up utterances with pauses inside."""
    there = kept(rows)
    cut = [(row, one) for row in there for one in row["cut_ins"] if one["where"] == "pause"]
    count = sum(len(row["pauses_s"]) for row in there)
    hard = sum(complete for row in there for complete in row["complete"])
    inside = {(row["id"], one["pause"]): row["complete"][one["pause"]] for row, one in cut}
    return {
        "pauses": count,
        "cut_ins": len(inside),
        "cut_in_percent": share_percent(len(inside), count),
        "cut_ins_after_complete_words": sum(inside.values()),
        "pauses_after_complete_words": hard,
        "cut_in_ids": sorted(f"{id_} ({pause + 1})" for id_, pause in inside),
        "over_words": sum(one["where"] == "words" for row in there for one in row["cut_ins"]),
        "utterances": len(there),
        "one_question": sum(row["one_question"] for row in there),
        "voice_to_voice_ms": milliseconds([row["voice_to_voice_s"] for row in there]),
        "client_late_ms": round(1000 * max((row["late_s"] for row in there), default=0)),
        "lost": lost(rows),
    }


def barge_ins(rows: Sequence[Row]) -> Row:
    """Sum up words spoken into replies.

    A reply that was not stopped counts with the moment of its natural end; one that happened to be silent when the
    voice began, with 0.
    """
    there = kept(rows)
    return {
        "barge_ins": len(there),
        "not_stopped": [row["id"] for row in there if not row["stopped"]],
        "barge_in_ms": milliseconds([max(0.0, row["last_sample_s"]) for row in there]),
        "heard_until_ms": milliseconds([max(0.0, row["heard_until_s"]) for row in there]),
        "transcripts_agree": sum(row["agrees"] for row in there),
        "truncate_agrees": sum(row["kept"] == row["kept_after_truncate"] for row in there),
        "answered": sum(row["answered"] for row in there),
        "client_late_ms": round(1000 * max((row["late_s"] for row in there), default=0)),
        "lost": lost(rows),
    }


def undisturbed(rows: Sequence[Row]) -> Row:
    """Sum up replies that nothing should have stopped."""
    there = kept(rows)
    ended = [row["id"] for row in there if row["ended"]]
    return {
        "replies": len(there),
        "ended": len(ended),
        "ended_percent": share_percent(len(ended), len(there)),
        "ended_ids": ended,
        "made_up": sum(bool(row["messages"]) for row in there),
        "answered": sum(row["answered"] for row in there),
        "shortest_reply_s": min((row["reply_s"] for row in there), default=0),
        "gap_ms": milliseconds([row["longest_gap_s"] for row in there]),
        "client_late_ms": round(1000 * max((row["late_s"] for row in there), default=0)),
        "lost": lost(rows),
    }


def noise(rows: Sequence[Row]) -> Row:
    """Sum up recordings without speech."""
    there = kept(rows)
    wrong = [row["id"] for row in there if row["answered"] or row["transcript"]]
    return {"clips": len(there), "answered": len(wrong), "answered_ids": wrong, "lost": lost(rows)}


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, or None of nothing."""
    return round(statistics.fmean(values), 2) if values else None


def share_percent(part: int, whole: int) -> float | None:
    """Return the share, or None of nothing."""
    return round(100 * part / whole, 1) if whole else None


def _median(rows: Sequence[Row], name: str) -> float:
    return float(statistics.median(row["server"][name] for row in rows if row["server"].get(name) is not None))
