"""Measures sight on this machine: how quick it is, what it finds on photos, and what an hour of frames leaves behind.

Everything runs in this process. Pictures are JPEG files of 640x480, as a camera sends them.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np
from rich.console import Console

from assistant.config import load
from assistant.factory import build_eyes
from assistant.models import Store
from pipeline.engines import Eyes
from tests.bench.cpu import Meter
from tests.bench.figures import milliseconds
from tests.bench.report import MARKS, table
from tests.bench.targets import limits, verdict
from tests.vision.files import jpeg
from tests.vision.pictures import IMAGES, photo
from tests.vision.test_codes import PHOTOS as CODES
from tests.vision.test_text import TEXTS, label, letters, lost
from tests.vision.things import LISTED, score
from vision.change import ChangeGate
from vision.codes import read_codes
from vision.detect.yolox import Yolox
from vision.frames import decode_small
from vision.text import TextReader
from vision.types import Frame, Pixels

_SIZE: Final = (640, 480)
_ROUNDS: Final = 4
_STILL_S: Final = 60
_STILL_RATE: Final = 2
_NOISE: Final = 5.0
"""Grey levels that a webcam's pixels tremble by."""
_HOUR_S: Final = 3600
_RATE: Final = 5
_READ_EVERY_S: Final = 30
_GROWTH: Final = 1 / 10
"""The part of the hour after which everything has its size."""

_TIMES: Final = {
    "gate_ms": "change gate, ms",
    "detection_ms": "things, ms",
    "line_ms": "one line of text, ms",
    "scene_ms": "whole scene with its text, ms",
}

Figures = dict[str, Any]
_T = TypeVar("_T")


def report(console: Console, *, quick: bool = False) -> Figures:
    """Measure all of it, print the tables, and return the figures."""
    config = load()
    folders = {name: Store().pull(name) for name in config.vision.models()}
    finder, reader = Yolox(folders[config.vision.model]), TextReader()
    one_line = label("PARLEY 2026")
    figures = {
        "gate_ms": _gate(),
        "detection_ms": _timed(finder.find),
        "line_ms": _timed(lambda _: reader.read(one_line)),
        "found": _found(finder, reader),
    }
    with ExitStack() as closing:
        eyes = build_eyes(config, folders, closing)
        assert eyes is not None
        figures["scene_ms"] = asyncio.run(_scenes(eyes))
        figures["still_percent"] = asyncio.run(_still(eyes))
        figures["hour"] = asyncio.run(_hour(eyes, _HOUR_S // (20 if quick else 1)))
    _show(figures, console)
    return figures


def _photos() -> list[Pixels]:
    """Return the photos of things and of text, each filling 640x480."""
    return [cv2.resize(photo(name), _SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8) for name in LISTED]


def _timed(work: Callable[[Pixels], object]) -> Figures:
    return milliseconds([_took(work, picture) for picture in _photos() * _ROUNDS])


def _took(work: Callable[[_T], object], given: _T) -> float:
    began = time.perf_counter()
    work(given)
    return time.perf_counter() - began


def _gate() -> Figures:
    """Time what every frame passes, to a hundredth of a millisecond."""
    gate = ChangeGate()
    files = [jpeg(picture) for picture in _photos() * _ROUNDS]
    took = milliseconds([100 * _took(lambda data: gate.compare(decode_small(data)), data) for data in files])
    return {point: value if point == "n" else value / 100 for point, value in took.items()}


async def _scenes(eyes: Eyes) -> Figures:
    """Time a close look at one new picture after another: objects, faces, a line of text, codes."""
    sight = eyes.open()
    took = []
    files = []
    for picture in _photos() * _ROUNDS:
        picture[-100:, 120:520] = label("PARLEY 2026")[190:290, 120:520]
        files.append(jpeg(picture))
    await sight.look(Frame(files[-1], 0.0), closely=True)
    for at, data in enumerate(files, 1):
        began = time.perf_counter()
        await sight.look(Frame(data, float(at)), closely=True)
        took.append(time.perf_counter() - began)
    return milliseconds(took)


async def _still(eyes: Eyes) -> float:
    """Return the percentage of a core that a still scene at 2 frames a second takes, of a webcam with some noise."""
    dice = np.random.default_rng(1)
    picture = _photos()[6]
    files = [
        jpeg(np.clip(picture + dice.normal(0, _NOISE, picture.shape), 0, 255).astype(np.uint8))
        for _ in range(_STILL_S * _STILL_RATE)
    ]
    sight = eyes.open()
    await sight.look(Frame(files[0], 0.0))
    began = time.process_time()
    for index, data in enumerate(files):
        await sight.look(Frame(data, index / _STILL_RATE))
    return 100 * (time.process_time() - began) / _STILL_S


async def _hour(eyes: Eyes, seconds: int) -> Figures:
    """Look at as many frames of real videos as an hour has, at 5 a second, as fast as they go; now and then, closely.

    What is resident after a tenth of them is compared with the most after that.
    """
    files = [jpeg(picture) for path in sorted(IMAGES.glob("*.mp4")) for picture in _frames(path)]
    meter = Meter(os.getpid())
    sight = eyes.open()
    frames = seconds * _RATE
    warm = most = 0.0
    for index, data in enumerate(islice(cycle(files), frames)):
        await sight.look(Frame(data, index / _RATE), closely=index % (_READ_EVERY_S * _RATE) == 0)
        if index >= frames * _GROWTH and index % 100 == 0:
            resident, _ = meter.resident_gb()
            warm = warm or resident
            most = max(most, resident)
    return {"frames": frames, "growth_mb": round(1000 * (most - warm), 1), "resident_gb": round(most, 2)}


def _frames(path: Path) -> Iterator[Pixels]:
    video = cv2.VideoCapture(str(path))
    step = max(1, round(video.get(cv2.CAP_PROP_FPS) / _RATE))
    index = 0
    while True:
        done, picture = video.read()
        if not done:
            return
        if index % step == 0:
            yield cv2.resize(picture, _SIZE).astype(np.uint8)
        index += 1


def _found(finder: Yolox, reader: TextReader) -> Figures:
    """Return what is found and read on the photos."""
    things = score(finder.find)
    rows = []
    missed = total = 0
    for name, text in TEXTS.items():
        found = letters("".join(line.text for line in reader.read(photo(name))))
        pieces = [letters(piece) for piece in text.split(";")]
        wanted, wrong = sum(map(len, pieces)), sum(lost(piece, found) for piece in pieces)
        rows.append({"photo": name, "characters": wanted, "read": wanted - wrong})
        missed, total = missed + wrong, total + wanted
    read = {name: [(code.kind, code.text) for code in read_codes(photo(name))] == [CODES[name]] for name in CODES}
    return {
        "things": [{"photo": name, "there": there, "found": found} for name, there, found in things.rows],
        "recall_percent": round(100 * things.recall, 1),
        "precision_percent": round(100 * things.precision, 1),
        "text": rows,
        "characters_percent": round(100 * (1 - missed / total), 1),
        "codes": read,
    }


def _show(figures: Figures, console: Console) -> None:
    times = table("Sight: times", "", "p50", "p95", "max", "must", "reached")
    for name, said in _TIMES.items():
        points = (str(figures[name][point]) for point in ("p50", "p95", "max"))
        times.add_row(said, *points, limits(name, "sight", "must"), MARKS[verdict(name, "sight", figures[name])])
    console.print(times)
    costs = table("Sight: costs", "", "", "must", "reached")
    still, hour = round(figures["still_percent"], 2), figures["hour"]
    grown = f"{hour['growth_mb']} (resident {hour['resident_gb']} GB)"
    for name, said, shown, value in (
        ("still_percent", "still scene, 2 frames a second, % of a core", str(still), still),
        ("growth_mb", f"growth over {hour['frames']} frames, MB", grown, hour["growth_mb"]),
    ):
        costs.add_row(said, shown, limits(name, "sight", "must"), MARKS[verdict(name, "sight", value)])
    console.print(costs)
    found = figures["found"]
    things = table("Sight: things on photos", "photo", "there", "found")
    for row in found["things"]:
        things.add_row(row["photo"], row["there"], row["found"])
    console.print(things)
    text = table("Sight: text and codes on photos", "photo", "characters", "read")
    for row in found["text"]:
        text.add_row(row["photo"], str(row["characters"]), str(row["read"]))
    for name, right in found["codes"].items():
        text.add_row(name, "a code", "read" if right else "[red]not read[/]")
    console.print(text)
    console.print(
        f"Things: {found['recall_percent']} % found (must 70), {found['precision_percent']} % right (must 80); "
        f"characters: {found['characters_percent']} % (must 90)"
    )
