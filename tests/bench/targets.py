"""What the figures are asked to be: what must hold, and what is aimed at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Target:
    """Upper limits of one figure: what must hold and what is aimed at."""

    must: float
    aim: float

    def verdict(self, value: float | None) -> str:
        """Say which of the two a value reaches."""
        if value is None:
            return ""
        return "aim" if value <= self.aim else "must" if value <= self.must else "missed"


TARGETS: Final[Mapping[str, Target]] = {
    "default.voice_to_voice_ms.p50": Target(500, 320),
    "default.voice_to_voice_ms.p95": Target(900, 600),
    "tiny.voice_to_voice_ms.p50": Target(350, 260),
    "tiny.voice_to_voice_ms.p95": Target(600, 450),
    "default.sessions.voice_to_voice_ms.p50": Target(900, 600),
    "default.sessions.voice_to_voice_ms.p95": Target(1800, 1200),
    "reflexes.voice_to_voice_ms.p50": Target(300, 300),
    "looking.voice_to_voice_ms.p50": Target(700, 700),
    "cut_in_percent": Target(5, 2),
    "barge_in_ms.p95": Target(250, 150),
    "backchannels_ended_percent": Target(10, 0),
    "self_interruptions": Target(0, 0),
    "cpu_s_per_turn": Target(2.5, 1.5),
    "noise_answered": Target(0, 0),
    "ready_s": Target(6, 6),
    "sight.gate_ms.p95": Target(3, 3),
    "sight.detection_ms.p95": Target(80, 80),
    "sight.line_ms.p95": Target(250, 250),
    "sight.scene_ms.p50": Target(400, 400),
    "sight.still_percent": Target(5, 5),
    "sight.growth_mb": Target(20, 20),
    "default.resident_gb": Target(1.6, 1.6),
    "tiny.resident_gb": Target(0.7, 0.7),
}
"""By figure; where the profile matters, its name comes first. Sessions are four."""

SESSIONS: Final = 4


def target(name: str, profile: str = "") -> Target | None:
    """Return the target of a figure, if it has one."""
    return TARGETS.get(f"{profile}.{name}") or TARGETS.get(name)


def limits(name: str, profile: str, part: str = "") -> str:
    """Return a target as the table shows it; of p50 and p95 together for a figure with percentiles."""
    found = [target(f"{name}.{point}", profile) for point in ("p50", "p95")]
    pairs = [one for one in found if one is not None] or [one for one in [target(name, profile)] if one is not None]
    return " / ".join(f"{getattr(one, part):g}" for one in pairs)


def verdict(name: str, profile: str, value: Any) -> str:
    """Say which target a figure reaches: the worse of p50 and p95."""
    if isinstance(value, Mapping):
        reached = [
            one.verdict(value.get(point))
            for point in ("p50", "p95")
            if (one := target(f"{name}.{point}", profile)) is not None
        ]
    else:
        one = target(name, profile)
        reached = [] if one is None else [one.verdict(value)]
    order = ("missed", "must", "aim")
    return min((word for word in reached if word), key=order.index, default="")
