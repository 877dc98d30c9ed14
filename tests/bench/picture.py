"""Draws the measurement: a median turn, the distribution of latency, and what patience costs.

`python -m tests.bench.picture bench-results/bench.json docs/bench.png` draws it again.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.figures import Row, kept
from tests.bench.targets import target

_WIDTH_IN: Final = 12.0
_HEIGHTS_IN: Final = (4.7, 3.7)
_DPI: Final = 110
_INK, _QUIET, _GRID = "#1f2430", "#6b7280", "#e5e7eb"
_COLOURS: Final = {"default": "#2563eb", "tiny": "#0d9488", "sessions": "#9333ea"}
_MUST, _AIM = "#f59e0b", "#16a34a"
_PLATE: Final = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
_CHAIN: Final = (
    ("transcript_ms", "words", "#60a5fa"),
    ("first_token_ms", "first token", "#34d399"),
    ("first_clause_ms", "first clause", "#a3e635"),
    ("first_audio_ms", "its speech", "#fbbf24"),
)
"""The stages that follow each other: the moment that ends each, its name and its colour."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A bar of the waterfall: milliseconds after the last voiced sample."""

    label: str
    begin_ms: float
    end_ms: float
    colour: str


def stages(medians: Mapping[str, float]) -> list[Stage]:
    """Return the bars of a turn whose stages ended at these moments; what is not known has none.

    Where a stage ends before the one that it needs (their medians come from different turns), it has no length.
    """
    begin = min(0.0, *(medians.values() or [0.0]))
    found = []
    for name, label, colour in _CHAIN:
        if (end := medians.get(name)) is None:
            continue
        found.append(Stage(label, begin, max(begin, end), colour))
        begin = max(begin, end)
    return found


def draw(results: Mapping[str, Any], file: Path) -> bool:
    """Draw what was measured; return False when there is nothing to draw."""
    profiles = {result["profile"]: result for result in results["profiles"]}
    latencies = {name: result["latency"] for name, result in profiles.items() if "latency" in result}
    if not latencies:
        return False
    import matplotlib as mpl  # noqa: PLC0415 - only who draws needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    plt.rcParams.update({"font.size": 11, "axes.edgecolor": _QUIET, "text.color": _INK, "axes.labelcolor": _INK})
    curved = any(result.get("curve") for result in profiles.values())
    size = (_WIDTH_IN, sum(_HEIGHTS_IN[: 1 + curved]))
    figure = plt.figure(figsize=size, dpi=_DPI, layout="constrained")
    grid = figure.add_gridspec(1 + curved, 2, height_ratios=_HEIGHTS_IN[: 1 + curved], width_ratios=(1.12, 1))
    name = next(iter(latencies))
    _waterfall(figure.add_subplot(grid[0, 0]), latencies[name], name)
    _distribution(figure.add_subplot(grid[0, 1]), profiles)
    if curved:
        _trade_off(figure.add_subplot(grid[1, :]), profiles)
    here = results["machine"]
    figure.suptitle(f"Parley on {here['cores']} cores of {here['processor']}", fontsize=13, fontweight="bold")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, facecolor="white")
    plt.close(figure)
    return True


def _waterfall(axes: Any, latency: Row, profile: str) -> None:
    medians = {stage: figures["p50"] for stage, figures in latency["stages_ms"].items() if figures["n"]}
    bars = stages(medians)
    for row, bar in enumerate(bars):
        axes.barh(row, max(bar.end_ms - bar.begin_ms, 4), left=bar.begin_ms, color=bar.colour, height=0.62)
        axes.text(bar.end_ms + 8, row, f"{bar.label}  {bar.end_ms:.0f}", va="center", fontsize=10.5, bbox=_PLATE)
    moments = [
        ("last voiced sample", 0.0, _INK, "-"),
        ("turn decision", medians.get("commit_ms"), "#dc2626", "--"),
        ("heard by the client", latency["voice_to_voice_ms"].get("p50"), _COLOURS["default"], "-"),
    ]
    known = {stage for stage, *_ in _CHAIN} | {"commit_ms"}
    moments += [
        (other.removesuffix("_ms").replace("_", " "), at, _QUIET, ":")
        for other, at in medians.items()
        if other not in known
    ]
    for number, (label, at, colour, style) in enumerate(moment for moment in moments if moment[1] is not None):
        row = len(bars) + number
        axes.plot([at, at], [-0.6, row], color=colour, linestyle=style, linewidth=1.4, zorder=0)
        axes.text(
            at + 8,
            row,
            label if at == 0 else f"{label}  {at:.0f}",
            va="center",
            color=colour,
            fontsize=10.5,
            bbox=_PLATE,
        )
    axes.set_ylim(len(bars) + len(moments) - 0.3, -0.7)
    last = max([bar.end_ms for bar in bars] + [at for _, at, *_ in moments if at is not None])
    axes.set_xlim(min([0.0, *(bar.begin_ms for bar in bars)]) - 20, last * 1.55)
    axes.set_yticks([])
    axes.set_xlabel("ms after the last voiced sample (medians)")
    axes.set_title(f"A turn, profile {profile}", loc="left", fontweight="bold")
    _plain(axes)


def _distribution(axes: Any, profiles: Mapping[str, Row]) -> None:
    lines = [(name, "latency", name, f"{name}.voice_to_voice_ms") for name in profiles]
    lines.insert(1, ("default", "sessions", "sessions", "default.sessions.voice_to_voice_ms"))
    drawn = [line for line in lines if line[1] in profiles.get(line[0], {})]
    for row, (profile, part, colour, asked) in enumerate(drawn):
        figures = profiles[profile][part]["voice_to_voice_ms"]
        there = kept(profiles[profile]["rows"][part])
        dots = [1000 * one["voice_to_voice_s"] for one in there if one["end_is_sure"] and one["voice_to_voice_s"]]
        spread = [row + 0.17 * ((7 * number) % 11 - 5) / 5 for number in range(len(dots))]
        axes.scatter(dots, spread, s=16, color=_COLOURS[colour], alpha=0.55, linewidths=0)
        title = profile if part == "latency" else f"{profile}, {profiles[profile][part]['sessions']} at once"
        axes.text(0.995, row - 0.3, f"{title}  p50 {figures['p50']}, p95 {figures['p95']} ms", ha="right",
                  transform=axes.get_yaxis_transform(), fontsize=10.5, color=_COLOURS[colour])  # fmt: skip
        for point in ("p50", "p95"):
            axes.plot([figures[point]] * 2, [row - 0.2, row + 0.2], color=_COLOURS[colour], linewidth=3)
            if (limit := target(f"{asked}.{point}")) is not None:
                axes.plot([limit.must], [row + 0.3], marker="^", color=_MUST, markersize=7)
                axes.plot([limit.aim], [row + 0.3], marker="^", color=_AIM, markersize=7)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_yticks([])
    axes.set_xlabel("ms; bars: p50 and p95; triangles: must (amber), aim (green)")
    axes.set_title("Voice to voice", loc="left", fontweight="bold")
    _plain(axes)


def _trade_off(axes: Any, profiles: Mapping[str, Row]) -> None:
    axes.set_title("What patience costs", loc="left", fontweight="bold")
    axes.set_xlabel("pauses inside an utterance in which the assistant cut in, %")
    axes.set_ylabel("median voice to voice, ms")
    limit = target("cut_in_percent")
    assert limit is not None
    for word, at, colour in (("must", limit.must, _MUST), ("aim", limit.aim, _AIM)):
        axes.axvline(at, color=colour, linestyle="--", linewidth=1.2)
        axes.text(at + 0.05, 0.03, word, color=colour, transform=axes.get_xaxis_transform(), fontsize=10.5)
    most = 0.0
    for profile, result in profiles.items():
        points = [one for one in result.get("curve", ()) if one["voice_to_voice_ms"]["n"] and one["pauses"]]
        across = [one["cut_in_percent"] for one in points]
        up = [one["voice_to_voice_ms"]["p50"] for one in points]
        axes.plot(across, up, marker="o", color=_COLOURS[profile], label=profile)
        most = max([most, *up])
        for one, x, y in zip(points, across, up, strict=True):
            label = f"{one['eagerness']}: {one['cut_ins']} of {one['pauses']}"
            axes.annotate(label, (x, y), xytext=(8, 6), textcoords="offset points", fontsize=10.5)
    axes.set_xlim(-0.5, max([limit.must * 2, *axes.get_xlim()[1:]]) * 1.08)
    axes.set_ylim(0, most * 1.25 if most else 1)
    _plain(axes)


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
