"""Measures Parley as a user meets it: `make bench`.

The server runs as `parley serve`; clients in other processes play real recordings to it in real time. Voice to voice is
the time from the last voiced sample that the client sent to the first non-silent reply sample that it received; only
recordings whose end of speech is known to within 30 ms count for it. What else is measured, and by which rules, stands
in tests/bench: questions, pauses, interruptions, judging, sight. Everything takes about 35 minutes; --only and --quick
take less. The machine should have nothing else to do.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from assistant.cpu import share_machine
from tests.bench import sight, wer
from tests.bench.measure import PARTS, Plan, machine, measure
from tests.bench.picture import draw
from tests.bench.report import show
from tests.bench.targets import SESSIONS

PROFILES: Final = ("default", "tiny")
WORDS: Final = "words"
VISION: Final = "vision"
_APART: Final = (WORDS, VISION)
"""What is measured in this process, apart from any profile."""
_NOT_OF_TINY: Final = frozenset({"sessions", "curve"})
"""What is asked of the default profile only, and measured of the other when it is named."""


def plans(given: argparse.Namespace) -> list[Plan]:
    """Return what to measure, profile by profile."""
    named = given.only or PARTS
    found = []
    for profile in given.profile or PROFILES:
        spared = _NOT_OF_TINY if profile != "default" and given.only is None else frozenset()
        # The other profile's patience and manners are the same code: half of the cases show whether they hold.
        step = 1 if profile == "default" else 2
        found.append(
            Plan(
                profile,
                tuple(part for part in PARTS if part in named and part not in spared),
                given.sessions,
                sure=profile != "default",
                question_step=6 if given.quick else 1,
                case_step=8 if given.quick else step,
            )
        )
    return [plan for plan in found if plan.parts]


def only(text: str) -> list[str]:
    """Read a list of parts. Raises ArgumentTypeError."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if wrong := sorted(set(parts) - {*PARTS, *_APART}):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(wrong)}; choose from {', '.join([*PARTS, *_APART])}")
    return parts


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="append", choices=PROFILES, help="default: both")
    parser.add_argument("--only", type=only, metavar="PART,…", help=f"of {', '.join([*PARTS, *_APART])}; default: all")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"conversations at once; default: {SESSIONS}")
    parser.add_argument("--no-wer", action="store_true", help="leave out the word error rates")
    parser.add_argument("--quick", action="store_true", help="a few cases of each, to see that all is well")
    parser.add_argument("--json", type=Path, default=Path("bench-results/bench.json"), help="where all figures go")
    parser.add_argument("--picture", type=Path, default=Path("bench-results/bench.png"), help="where the picture goes")
    return parser.parse_args()


def main() -> None:
    """Run what the command line asks for."""
    given = arguments()
    console = Console(width=120)
    here = machine()
    console.print(
        f"{here['cores']} cores of {here['processor']}, {here['memory_gb']} GB, Python {here['python']}, "
        f"load {here['load_before']}"
    )
    if here["load_before"] > 0.5:
        console.print("Something else is running: the times will be too long.", style="yellow")
    results: dict[str, Any] = {"machine": here, "quick": given.quick, "profiles": []}
    for plan in plans(given):
        result = measure(plan, lambda line: console.print(line, style="dim"))
        show(result, console)
        results["profiles"].append(result)
    apart = given.only or _APART
    if set(apart) & set(_APART):
        share_machine()  # as the server does
    if not given.no_wer and WORDS in apart:
        results["recognition"] = wer.report(console)
    if VISION in apart:
        results["sight"] = sight.report(console, quick=given.quick)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(results, indent=1))
    console.print(f"All figures: {given.json}")
    if draw(results, given.picture):
        console.print(f"Picture: {given.picture}")


if __name__ == "__main__":
    main()
