"""Measures Parley as a user meets it: `make bench`.

The server runs as `parley serve`; a client in another process plays real recordings to it in real time. Voice to voice
is the time from the last voiced sample that the client sent to the first non-silent reply sample that it received.
Only recordings whose end of speech is known to within 30 ms count for it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from assistant.cpu import share_machine
from tests.bench import wer
from tests.bench.recordings import NO_SPEECH
from tests.bench.server import Served

ASKED = {"default": (1.0, 1.7, 1.6), "tiny": (1.0, 1.7, 0.7)}
"""Voice to voice p50 and p95 in seconds, resident GB."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0..1) of the values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]


def milliseconds(values: Sequence[float | None]) -> dict[str, float]:
    """Return count, p50, p95, min and max of the values that are there, in milliseconds."""
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


def play(url: str, *kinds: str) -> list[dict[str, Any]]:
    """Let the client process ask all recordings of these kinds."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.client", url, *kinds], stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def measure(profile: str) -> dict[str, Any]:
    """Measure one profile with one session at a time."""
    with Served(None if profile == "default" else profile) as server:
        before_s = server.cpu_s
        rows = play(server.url, "query", "command")
        cpu_s = (server.cpu_s - before_s) / len(rows)
        noise = play(server.url, *sorted(NO_SPEECH))
        resident, peak = server.resident_gb
        ready_s = server.ready_s
    sure = [row for row in rows if row["end_is_sure"]]
    stages = sorted({name for row in sure for name in row["server"]})
    return {
        "profile": profile,
        "ready_s": round(ready_s, 2),
        "resident_gb": round(resident, 2),
        "peak_gb": round(peak, 2),
        "cpu_s_per_turn": round(cpu_s, 2),
        "asked": len(rows),
        "answered": sum(row["status"] in ("completed", "incomplete") for row in rows),
        "voice_to_voice_ms": milliseconds([row["voice_to_voice_s"] for row in sure]),
        "turn_decision_ms": milliseconds([row["commit_s"] for row in sure]),
        "stages_ms": {name: milliseconds([_seconds(row["server"], name) for row in sure]) for name in stages},
        "replies_to_non_speech": [row["id"] for row in noise if row["answered"] or row["transcript"]],
        "non_speech": len(noise),
        "rows": rows + noise,
    }


def _seconds(timings: dict[str, float | None], name: str) -> float | None:
    value = timings.get(name)
    return None if value is None else value / 1000 if name.endswith("_ms") else value


def show(result: dict[str, Any], console: Console) -> None:
    """Print one profile's figures beside the targets."""
    p50, p95, gigabytes = ASKED[result["profile"]]
    table = Table(title=f"Profile {result['profile']}", title_justify="left")
    for column in ("", "n", "p50", "p95", "min", "max", "target"):
        table.add_column(column, justify="left" if not column else "right")
    wanted = f"p50 <= {1000 * p50:.0f}, p95 <= {1000 * p95:.0f}"
    lines = [
        ("voice to voice, ms", result["voice_to_voice_ms"], wanted),
        ("turn decision", result["turn_decision_ms"], ""),
    ]
    lines += [(f"server: {name}", figures, "") for name, figures in result["stages_ms"].items()]
    for name, figures, asked in lines:
        table.add_row(name, *(str(figures.get(key, "-")) for key in ("n", "p50", "p95", "min", "max")), asked)
    console.print(table)
    wrong = result["replies_to_non_speech"]
    console.print(
        f"answered {result['answered']} of {result['asked']}; "
        f"words or replies for non-speech: {len(wrong)} of {result['non_speech']} (target: 0) {wrong or ''}\n"
        f"ready in {result['ready_s']} s (target: 6); "
        f"resident {result['resident_gb']} GB, peak {result['peak_gb']} GB (target: {gigabytes}); "
        f"CPU {result['cpu_s_per_turn']} core-seconds a turn\n"
    )


def machine() -> str:
    """Describe this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())
    return f"{len(os.sched_getaffinity(0))} cores of {name}, Python {platform.python_version()}"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="append", choices=sorted(ASKED), help="default: both")
    parser.add_argument(
        "--json", type=Path, default=Path("bench-results/bench.json"), help="where to write all figures"
    )
    parser.add_argument("--no-wer", action="store_true", help="leave out the word error rates")
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(machine())
    share_machine()  # for the word error rates, which are measured in this process
    results: dict[str, Any] = {"machine": machine(), "profiles": []}
    for profile in arguments.profile or ["default", "tiny"]:
        result = measure(profile)
        show(result, console)
        results["profiles"].append(result)
    if not arguments.no_wer:
        results["recognition"] = wer.report(console)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(results, indent=1))
    console.print(f"All figures: {arguments.json}")


if __name__ == "__main__":
    main()
