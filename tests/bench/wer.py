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

from assistant.models import Store
from audio.pcm import read_wav
from audio.stt.faster_whisper import FasterWhisper
from audio.stt.moonshine import Moonshine
from audio.types import INPUT_RATE, Samples, Transcript
from audio.vad.silero import SileroVad
from tests.bench.utterances import utterances
from tests.bench.words import errors, normalise

SPEECH = Path(__file__).parent.parent / "data" / "speech"
SPOKEN = frozenset({"query", "command", "read"})
TAIL_S = 0.3


class Recogniser(Protocol):
    async def transcribe(self, audio: Samples, *, language: str | None = None, prompt: str = "") -> Transcript: ...
    async def warm(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Recording:
    """A row of the index with its utterances."""

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
    recordings = _recordings(SileroVad(store.pull("silero-vad")))
    engines: list[tuple[str, Recogniser]] = [
        ("Whisper base, short window", FasterWhisper(store.pull("whisper-base"), threads=2)),
        ("Whisper base, 30 s window", FasterWhisper(store.pull("whisper-base"), threads=2, short_window=False)),
        ("Moonshine tiny", Moonshine(store.pull("moonshine-tiny-en"))),
    ]
    measured = []
    for name, engine in engines:
        measured.append(asyncio.run(_measure(name, engine, recordings, language)))
        engine.close()
    return measured


async def _measure(name: str, engine: Recogniser, recordings: Sequence[Recording], language: str | None) -> Measured:
    await engine.warm()
    words = wrong = 0
    took: list[float] = []
    lost, made_up = [], []
    for recording in recordings:
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


def _recordings(vad: SileroVad) -> list[Recording]:
    rows: list[dict[str, Any]] = [json.loads(line) for line in (SPEECH / "index.jsonl").read_text().splitlines()]
    recordings = []
    for row in rows:
        spoken = row["kind"] in SPOKEN
        if spoken and (row["lang"] != "en" or row["text_conf"] not in {"high", "medium"}):
            continue
        audio, rate = read_wav(SPEECH / row["file"])
        assert rate == INPUT_RATE
        pieces = tuple(utterances(vad, audio, tail_s=TAIL_S))
        recordings.append(
            Recording(
                id=row["id"],
                words=tuple(normalise(row["text"])) if spoken else (),
                pieces=pieces if spoken else (audio, *pieces),
            )
        )
    return recordings


def main() -> None:
    """Print the table, and write it as JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--language", help="tell Whisper the language instead of letting it detect it")
    given = parser.parse_args()
    measured = measure(language=given.language)
    table = Table("", "WER %", "errors/words", "p50 s", "p95 s", "speech lost", "words made up")
    for row in measured:
        table.add_row(
            row.engine,
            f"{row.wer_percent:.1f}",
            f"{row.errors}/{row.words}",
            f"{row.p50_s:.2f}",
            f"{row.p95_s:.2f}",
            ", ".join(row.lost) or "0",
            ", ".join(row.made_up) or "0",
        )
    Console().print(table)
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row) for row in measured], indent=2) + "\n")


if __name__ == "__main__":
    main()
