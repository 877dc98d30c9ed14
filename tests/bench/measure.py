"""Runs the parts of a measurement: for each profile a server of its own, for each scenario a client of its own."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench import figures
from tests.bench.figures import Row
from tests.bench.recordings import IMAGES
from tests.bench.server import Served

PARTS: Final = (
    *("latency", "reflexes", "camera", "looking", "sessions"),
    *("pauses", "barge-ins", "backchannels", "echoes", "noise", "curve"),
)
"""What is measured of a profile; words are measured apart from it."""
EAGERNESS: Final = ("low", "high", "medium")
"""The points of the trade-off; the last is what a session has unless it says otherwise."""

_AT_ONCE: Final = {"pauses": 2, "barge-ins": 1, "backchannels": 4, "echoes": 4, "noise": 6}
"""Conversations at the same time. What is timed in milliseconds has the server to itself."""
_FILM: Final = IMAGES / "video_bottles.mp4"
_SHOWN: Final = IMAGES / "coffee_cup.jpg"
_ORDER: Final = ("low", "medium", "high")
_ASKED_EACH: Final = 12
"""Questions of each of several sessions."""
_CURVE_STEP: Final = 2
"""A point of the trade-off takes each second case, so that it lasts two minutes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure of one profile."""

    profile: str
    parts: tuple[str, ...]
    sessions: int
    sure: bool = False
    """Only questions whose end is known to within 30 ms."""
    question_step: int = 1
    """Take each n-th question."""
    case_step: int = 1
    """Take each n-th of the other cases."""


class Clients:
    """Starts clients and keeps their rows."""

    def __init__(self, server: Served, plan: Plan, say: Callable[[str], None]) -> None:
        self._server = server
        self._plan = plan
        self._say = say
        self.rows: dict[str, list[Row]] = {}

    def play(self, name: str, scenario: str, *options: str) -> list[Row]:
        """Play one scenario; return its rows."""
        begin = time.perf_counter()
        step = self._plan.question_step if scenario == "questions" else self._plan.case_step
        every = [] if "--every" in options else ["--every", str(step)]
        spoken = scenario in ("questions", "reflexes", "pauses")
        english = ["--english"] if self._plan.profile == "tiny" and spoken else []
        command = [sys.executable, "-m", "tests.bench.client", self._server.url, scenario]
        fixed = ["--pid", str(self._server.pid), *every, *english]
        run = subprocess.run([*command, *fixed, *options], stdout=subprocess.PIPE, text=True, check=True)
        rows = [json.loads(line) for line in run.stdout.splitlines()]
        self.rows[name] = rows
        self._say(f"{self._plan.profile}: {name}, {len(rows)} in {time.perf_counter() - begin:.0f} s")
        return rows


def measure(plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure one profile; the result has a key for each part that was asked for, and the rows."""
    result: dict[str, Any] = {"profile": plan.profile}
    with Served(None if plan.profile == "default" else plan.profile) as server:
        clients = Clients(server, plan, say)
        for part in plan.parts:
            match part:
                case "latency":
                    before_s = server.meter.spent_s()
                    rows = clients.play(part, "questions", *(["--sure"] if plan.sure else []))
                    spent_s = server.meter.spent_s() - before_s
                    result[part] = figures.questions(rows) | {
                        "cpu_s_per_turn": figures.cpu_a_turn(spent_s, rows, 1),
                        "cpu_s_of_2_to_3_s_questions": figures.cpu_by_question(rows),
                        "cpu_s_of_one_sentence": figures.cpu_by_sentence(rows),
                        "resident_gb": round(server.meter.resident_gb()[0], 2),
                    }
                case "reflexes":
                    result[part] = figures.questions(clients.play(part, "reflexes"))
                case "camera":
                    result[part] = figures.questions(clients.play(part, "questions", "--sure", "--camera", str(_FILM)))
                case "looking":
                    result[part] = figures.questions(clients.play(part, "looking", "--camera", str(_SHOWN)))
                case "sessions" if plan.sessions > 1:
                    result[part] = _sessions(server, clients, plan)
                case "pauses" | "barge-ins" | "backchannels" | "echoes" | "noise":
                    rows = clients.play(part, part, "--at-once", str(_AT_ONCE[part]))
                    result[part] = _SUMS[part](rows)
                case "curve":
                    result[part] = _curve(clients, plan)
        resident, peak = server.meter.resident_gb()
        result |= {"ready_s": round(server.ready_s, 2), "resident_gb": round(resident, 2), "peak_gb": round(peak, 2)}
    return result | {"rows": clients.rows}


_SUMS: Final[dict[str, Callable[[list[Row]], Row]]] = {
    "pauses": figures.pauses,
    "barge-ins": figures.barge_ins,
    "backchannels": figures.undisturbed,
    "echoes": figures.undisturbed,
    "noise": figures.noise,
}


def _sessions(server: Served, clients: Clients, plan: Plan) -> Row:
    before_s = server.meter.spent_s()
    most = str(max(1, _ASKED_EACH // plan.question_step))
    many = ("--at-once", str(plan.sessions), "--most", most, "--every", "1")
    rows = clients.play("sessions", "questions", *many)
    spent_s = server.meter.spent_s() - before_s
    return figures.questions(rows) | {
        "sessions": plan.sessions,
        "cpu_s_per_turn": figures.cpu_a_turn(spent_s, rows, plan.sessions),
    }


def _curve(clients: Clients, plan: Plan) -> list[Row]:
    """Measure how quick and how patient each eagerness is: the same questions and the same pauses for all."""
    points = []
    every = ("--every", str(_CURVE_STEP * plan.case_step))
    asked: list[Row] = []
    paused: list[Row] = []
    for eagerness in EAGERNESS:
        usual = _same(clients.rows.get("latency", []), asked), _same(clients.rows.get("pauses", []), paused)
        if eagerness == EAGERNESS[-1] and all(usual):
            asked, paused = usual
        else:
            how = (*every, "--eagerness", eagerness)
            asked = clients.play(f"curve {eagerness}, questions", "questions", "--sure", "--short", *how)
            paused = clients.play(f"curve {eagerness}, pauses", "pauses", "--at-once", str(_AT_ONCE["pauses"]), *how)
        latency, patience = figures.questions(asked), figures.pauses(paused)
        point = {"eagerness": eagerness} | {key: latency[key] for key in ("voice_to_voice_ms", "turn_decision_ms")}
        points.append(point | {key: patience[key] for key in ("pauses", "cut_ins", "cut_in_percent")})
    return sorted(points, key=lambda point: _ORDER.index(point["eagerness"]))


def _same(rows: list[Row], others: list[Row]) -> list[Row]:
    """Return the rows with the ids that the others have; none unless all of those are there."""
    wanted = {row["id"] for row in figures.kept(others)}
    found = [row for row in figures.kept(rows) if row["id"] in wanted]
    return found if {row["id"] for row in found} == wanted else []


def machine() -> dict[str, Any]:
    """Describe this machine, and how busy it is."""
    cpu = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in cpu if "model name" in line), platform.machine())
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": name,
        "memory_gb": round(total, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }
