"""Prints the figures beside what they are asked to be."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Row
from tests.bench.targets import SESSIONS, limits, verdict

_POINTS = ("n", "p50", "p95", "min", "max")
MARKS = {"aim": "[green]aim[/]", "must": "[yellow]must[/]", "missed": "[red]missed[/]", "": ""}
_DECISION = "turn decision, as the client is told, ms"


def show(result: dict[str, Any], console: Console) -> None:
    """Print one profile's figures."""
    profile = result["profile"]
    console.print(_times(result, profile))
    console.print(_counts(result, profile))
    for part, figures in result.items():
        if isinstance(figures, dict) and (broken := figures.get("lost")):
            console.print(f"{part}: broke off: {'; '.join(broken)}", style="red")
        if isinstance(figures, dict) and figures.get("client_late_ms", 0) > 100:
            late = f"{part}: the client itself was up to {figures['client_late_ms']} ms late: the machine was busy"
            console.print(f"{late}, and these times are not to be trusted", style="yellow")


def table(title: str, *columns: str) -> Table:
    """Return an empty table. Columns without a heading are on the left."""
    empty = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        empty.add_column(column, justify="right" if column else "left")
    return empty


def _times(result: dict[str, Any], profile: str) -> Table:
    rows = table(f"Profile {profile}: times", "", *_POINTS, "must", "aim", "reached")
    for label, name, figures in _rows_of_times(result):
        points = (str(figures.get(point, "-")) for point in _POINTS)
        must, aim = limits(name, profile, "must"), limits(name, profile, "aim")
        rows.add_row(label, *points, must, aim, MARKS[verdict(name, profile, figures)])
    return rows


def _rows_of_times(result: dict[str, Any]) -> Iterator[tuple[str, str, Row]]:
    """Yield label, name of the target, and figures."""
    if latency := result.get("latency"):
        yield "voice to voice, ms", "voice_to_voice_ms", latency["voice_to_voice_ms"]
        yield _DECISION, "", latency["turn_decision_ms"]
        for name, figures in latency["stages_ms"].items():
            yield f"server, after the voice: {name.removesuffix('_ms').replace('_', ' ')}, ms", "", figures
        yield "longest gap inside a reply, ms", "", latency["gap_ms"]
    if reflexes := result.get("reflexes"):
        yield "voice to voice of reflexes, ms", "reflexes.voice_to_voice_ms", reflexes["voice_to_voice_ms"]
        decision = reflexes["turn_decision_ms"]
        yield f"{_DECISION.removesuffix(', ms')}, reflexes, ms", "", decision
    if camera := result.get("camera"):
        yield "voice to voice with the camera on, ms", "camera.voice_to_voice_ms", camera["voice_to_voice_ms"]
    if looking := result.get("looking"):
        yield "voice to voice about what is shown, ms", "looking.voice_to_voice_ms", looking["voice_to_voice_ms"]
    if sessions := result.get("sessions"):
        count = sessions["sessions"]
        name = "sessions.voice_to_voice_ms" if count == SESSIONS else ""
        yield f"voice to voice, {count} sessions at once, ms", name, sessions["voice_to_voice_ms"]
        yield f"{_DECISION.removesuffix(', ms')}, {count} sessions, ms", "", sessions["turn_decision_ms"]
    if barge_ins := result.get("barge-ins"):
        yield "barge-in: last reply sample received, ms", "barge_in_ms", barge_ins["barge_in_ms"]
        yield "barge-in: reply heard until, ms", "", barge_ins["heard_until_ms"]
    if backchannels := result.get("backchannels"):
        yield "backchannel: longest gap in the reply, ms", "", backchannels["gap_ms"]
    for point in result.get("curve", ()):
        yield f"voice to voice, eagerness {point['eagerness']}, ms", "", point["voice_to_voice_ms"]


def _counts(result: dict[str, Any], profile: str) -> Table:
    rows = table(f"Profile {profile}: counts and costs", "", "", "must", "aim", "reached")
    for label, shown, name, value in _rows_of_counts(result):
        must, aim = limits(name, profile, "must"), limits(name, profile, "aim")
        rows.add_row(label, shown, must, aim, MARKS[verdict(name, profile, value)])
    return rows


def _rows_of_counts(result: dict[str, Any]) -> Iterator[tuple[str, str, str, float | None]]:
    """Yield label, what is shown, name of the target, and its value."""
    if latency := result.get("latency"):
        yield "questions answered", f"{latency['answered']} of {latency['asked']}", "", None
        yield "CPU a turn, core-s", f"{latency['cpu_s_per_turn']}", "cpu_s_per_turn", latency["cpu_s_per_turn"]
        short = latency["cpu_s_of_2_to_3_s_questions"]
        yield "  of questions of 2 to 3 s, core-s", f"{short}", "cpu_s_per_turn", short
        sentence = latency["cpu_s_of_one_sentence"]
        label = f"  of these, answered in one sentence (n = {sentence['n']}), core-s"
        yield label, f"{sentence['mean']}", "cpu_s_per_turn", sentence["mean"]
        yield "speculative answers discarded a turn", f"{latency['discarded_a_turn']}", "", None
    if sessions := result.get("sessions"):
        answered = f"{sessions['answered']} of {sessions['asked']}"
        yield f"questions answered, {sessions['sessions']} sessions at once", answered, "", None
        yield f"CPU a turn, {sessions['sessions']} sessions, core-s", f"{sessions['cpu_s_per_turn']}", "", None
    if pauses := result.get("pauses"):
        percent = pauses["cut_in_percent"]
        yield "pauses with a false cut-in, %", _of(percent, pauses, "cut_ins", "pauses"), "cut_in_percent", percent
        hard = f"{pauses['cut_ins_after_complete_words']} of {pauses['pauses_after_complete_words']}"
        yield "  after words that could be all", hard, "", None
        yield "replies over the user's words", f"{pauses['over_words']} of {pauses['utterances']}", "", None
        yield "parts that became one question", f"{pauses['one_question']} of {pauses['utterances']}", "", None
    if barge_ins := result.get("barge-ins"):
        stopped = barge_ins["barge_ins"] - len(barge_ins["not_stopped"])
        for label, count in (
            ("barge-ins that stopped the reply", stopped),
            ("barge-ins that were answered", barge_ins["answered"]),
            ("interrupted messages that say what was heard", barge_ins["transcripts_agree"]),
            ("interrupted messages that a truncate leaves as they are", barge_ins["truncate_agrees"]),
        ):
            yield label, f"{count} of {barge_ins['barge_ins']}", "", None
    if backchannels := result.get("backchannels"):
        percent = backchannels["ended_percent"]
        shown = _of(percent, backchannels, "ended", "replies")
        yield "backchannels that end a reply, %", shown, "backchannels_ended_percent", percent
        answered = f"{backchannels['answered']} of {backchannels['replies']}"
        yield "  that got an answer of their own", answered, "", None
    if echoes := result.get("echoes"):
        shown = f"{echoes['ended']} of {echoes['replies']}"
        yield "self-interruptions by an echo", shown, "self_interruptions", echoes["ended"]
        yield "  messages made up from an echo", f"{echoes['made_up']} of {echoes['replies']}", "", None
    if noise := result.get("noise"):
        shown = f"{noise['answered']} of {noise['clips']}"
        yield "noise, music, silence that got words or a reply", shown, "noise_answered", noise["answered"]
    yield "start of the process to ready, s", f"{result['ready_s']}", "ready_s", result["ready_s"]
    resident = f"{result['resident_gb']} (peak {result['peak_gb']})"
    yield "resident memory at the end, GB", resident, "resident_gb", result["resident_gb"]


def _of(percent: float | None, figures: Row, part: str, whole: str) -> str:
    return f"{percent} ({figures[part]} of {figures[whole]})"
