"""Measures the recognisers on the recordings: word error rate, time, and words made up from noise.

`python -m tests.bench.wer [--json FILE]`. Speech is cut as the conversation cuts it (tests.bench.utterances).
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.table import Table

from assistant.cpu import share_machine
from assistant.models import Store
from audio.stt.faster_whisper import FasterWhisper
from audio.stt.moonshine import Moonshine
from audio.types import Samples, Transcript
from audio.vad.silero import SileroVad
from tests.bench.recordings import NO_SPEECH, recordings
from tests.bench.utterances import utterances
from tests.bench.words import errors, normalise

SPOKEN = frozenset({"query", "command", "read"})
TAIL_S = 0.3


class Recogniser(Protocol):
    async def transcribe(self, audio: Samples, *, language: str | None = None, prompt: str = "") -> Transcript: ...
    async def warm(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Speech:
    """What a recording says, and its sound as the conversation would cut it."""

    id: str
    words: tuple[str, ...]
    """Empty for noise, music and silence."""
    pieces: tuple[Samples, ...]
    """Of speech: the utterances. Of anything else: the whole clip, and the utterances if there are any."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one way of recognising achieved."""

    engine: str
    words: int
    errors: int
    wer_percent: float
    p50_s: float
    p95_s: float
    """Of one utterance of speech."""
    lost: tuple[str, ...]
    """Spoken recordings that gave no words."""
    made_up: tuple[str, ...]
    """Recordings without speech that gave words."""


def measure(*, language: str | None = None) -> list[Measured]:
    """Measure Whisper with the short and with the full window, and Moonshine."""
    store = Store()
    speech = _utterances(SileroVad(store.pull("silero-vad")))
    engines: list[tuple[str, Recogniser]] = [
        ("Whisper base, short window", FasterWhisper(store.pull("whisper-base"), threads=1)),
        ("Whisper base, 30 s window", FasterWhisper(store.pull("whisper-base"), threads=1, short_window=False)),
        ("Moonshine tiny", Moonshine(store.pull("moonshine-tiny-en"))),
    ]
    measured = []
    for name, engine in engines:
        measured.append(asyncio.run(_measure(name, engine, speech, language)))
        engine.close()
    return measured


async def _measure(name: str, engine: Recogniser, speech: Sequence[Speech], language: str | None) -> Measured:
    await engine.warm()
    words = wrong = 0
    took: list[float] = []
    lost, made_up = [], []
    for recording in speech:
        texts = []
        for piece in recording.pieces:
            began = time.perf_counter()
            texts.append((await engine.transcribe(piece, language=language)).text)
            if recording.words:
                took.append(time.perf_counter() - began)
        heard = normalise(" ".join(texts))
        if recording.words:
            words += len(recording.words)
            wrong += errors(recording.words, heard)
            if not heard:
                lost.append(recording.id)
        elif heard:
            made_up.append(recording.id)
    return Measured(
        engine=name,
        words=words,
        errors=wrong,
        wer_percent=round(100 * wrong / words, 2),
        p50_s=round(float(np.quantile(took, 0.5)), 3),
        p95_s=round(float(np.quantile(took, 0.95)), 3),
        lost=tuple(lost),
        made_up=tuple(made_up),
    )


def _utterances(vad: SileroVad) -> list[Speech]:
    speech = []
    for recording in recordings(*SPOKEN, *NO_SPEECH):
        spoken = recording.kind in SPOKEN
        if spoken and (recording.lang != "en" or not recording.text_is_sure):
            continue
        audio = recording.heard()
        pieces = tuple(utterances(vad, audio, tail_s=TAIL_S))
        words = tuple(normalise(recording.text)) if spoken else ()
        speech.append(Speech(recording.id, words, pieces if spoken else (audio, *pieces)))
    return speech


def report(console: Console, language: str | None = None) -> list[dict[str, Any]]:
    """Measure, print the table and return its rows."""
    measured = measure(language=language)
    table = Table(title=f"Recognition, {measured[0].words} English words", title_justify="left")
    for column in ("", "word error rate", "p50", "p95", "spoken clips lost", "non-speech clips with words"):
        table.add_column(column, justify="right" if column else "left")
    for row in measured:
        table.add_row(
            row.engine,
            f"{row.wer_percent} %",
            f"{1000 * row.p50_s:.0f} ms",
            f"{1000 * row.p95_s:.0f} ms",
            str(len(row.lost)),
            str(len(row.made_up)),
        )
    console.print(table)
    return [asdict(row) for row in measured]


def main() -> None:
    """Print the table, and write it as JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--language", help="tell Whisper the language instead of letting it detect it")
    given = parser.parse_args()
    share_machine()
    rows = report(Console(width=120), given.language)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
