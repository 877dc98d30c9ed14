"""Makes `tests/data/turns/cases.json` from the recordings: `python -m tests.bench.make_cases`.

What to take is chosen by hand in case_tables; this finds the places. A word's end comes from Whisper's alignment of
the known words, moved to the quietest spot nearby. Nothing is drawn by chance: the same recordings give the same cases.
"""

import itertools
import json
from typing import Any, Final

import numpy as np

from assistant.cpu import share_machine
from audio.types import INPUT_RATE, Samples
from tests.bench import case_tables as tables
from tests.bench.align import boundary_s, levels_db, room_level_db
from tests.bench.cases import Backchannel, BackchannelKind, BargeIn, Cases, Echo, InnerPause, save
from tests.bench.sound import FOLDERS, Piece, Room, length_s, read
from tests.bench.words import normalise

_LEAD_S: Final = 0.3
_TRAIL_S: Final = 0.1
_ECHO_DB: Final = -12.0
_BELOW_LOUD_DB: Final = 30.0
_ABOVE_ROOM_DB: Final = 4.0
_SEARCH_S: Final = 0.45


def index() -> dict[str, dict[str, Any]]:
    """Return what is known of each recording."""
    files = [folder / "index.jsonl" for folder in FOLDERS]
    rows = [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]
    return {row["id"]: row for row in rows}


def spoken_pause(row: dict[str, Any], utterance: str) -> InnerPause:
    """Return an utterance with the pauses that its speaker made."""
    parts, complete = tables.split(utterance)
    audio = read(row["id"])
    begin_s = max(0.0, row["speech_start_s"] - _LEAD_S)
    end_s = min(row["seconds"], row["speech_end_s"] + _TRAIL_S)
    found = [_gap(audio, row, boundary_s(audio, _text(row, parts), before, row["lang"])) for before in _befores(parts)]
    return InnerPause(
        id=row["id"].removeprefix("en_"),
        lang=row["lang"],
        sound=(Piece(row["id"], begin_s, end_s),),
        parts=parts,
        pauses_s=tuple((first - begin_s, last - begin_s) for first, last in found),
        speech_end_s=row["speech_end_s"] - begin_s,
        spliced=False,
        complete=complete,
    )


def excerpt_pause(row: dict[str, Any], begin_s: float, end_s: float, gain_db: float, utterance: str) -> InnerPause:
    """Return an utterance out of a longer recording, with the pause that its speaker made."""
    parts, complete = tables.split(utterance)
    audio = read(row["id"])[round(begin_s * INPUT_RATE) : round(end_s * INPUT_RATE)]
    inside = [
        (first - begin_s, last - begin_s) for first, last in row["pauses_s"] if begin_s + 0.2 < first and last < end_s
    ]
    if len(inside) != len(parts) - 1:
        raise ValueError(f"{row['id']} has {len(inside)} pauses there.")
    loud = np.flatnonzero(levels_db(audio) > levels_db(audio).max() - _BELOW_LOUD_DB)
    return InnerPause(
        id=row["id"].removeprefix("en_"),
        lang=row["lang"],
        sound=(Piece(row["id"], begin_s, end_s, gain_db),),
        parts=parts,
        pauses_s=tuple(inside),
        speech_end_s=float(loud[-1] * 0.01 + 0.02),
        spliced=False,
        complete=complete,
    )


def spliced_pause(row: dict[str, Any], utterance: str, pause_s: float) -> InnerPause:
    """Return an utterance with a quiet room put in where its speaker could have hesitated."""
    parts, complete = tables.split(utterance)
    audio = read(row["id"])
    begin_s = max(0.0, row["speech_start_s"] - _LEAD_S)
    end_s = min(row["seconds"], row["speech_end_s"] + _TRAIL_S)
    at_s = boundary_s(audio, _text(row, parts), parts[0], row["lang"])
    sound = (Piece(row["id"], begin_s, at_s), Room(pause_s, room_level_db(audio)), Piece(row["id"], at_s, end_s))
    last_word = normalise(parts[0])[-1]
    return InnerPause(
        id=f"{row['id'].removeprefix('en_')}_{last_word}_{round(1000 * pause_s)}",
        lang=row["lang"],
        sound=sound,
        parts=parts,
        pauses_s=((at_s - begin_s, at_s - begin_s + pause_s),),
        speech_end_s=row["speech_end_s"] - begin_s + pause_s,
        spliced=True,
        complete=complete,
    )


def barge_in(row: dict[str, Any], offset_s: float, prompt: str) -> BargeIn:
    """Return a recording, cut where its voice begins, that is said into a reply."""
    begin_s = max(0.0, row["speech_start_s"] - 0.1)
    end_s = min(row["seconds"], row["speech_end_s"] + _TRAIL_S)
    return BargeIn(
        id=row["id"].removeprefix("en_"),
        sound=(Piece(row["id"], begin_s, end_s),),
        text=row["text"],
        speech_start_s=row["speech_start_s"] - begin_s,
        speech_end_s=row["speech_end_s"] - begin_s,
        offset_s=offset_s,
        prompt=prompt,
    )


def backchannel(  # noqa: PLR0917 - a row of the table
    clip: str, begin_s: float, end_s: float, gain_db: float, kind: BackchannelKind, real: bool, number: int
) -> Backchannel:
    """Return a sign of listening, or a noise, that comes during a reply."""
    whole = (0.0, read(clip).size / INPUT_RATE)
    begin_s, end_s = (begin_s, end_s) if end_s else whole
    name = clip.removeprefix("synthetic_").removeprefix("en_").removeprefix("x_")
    return Backchannel(
        id=f"{name}_{round(10 * begin_s)}" if kind == "noise" else name,
        sound=(Piece(clip, begin_s, end_s, gain_db),),
        kind=kind,
        real=real,
        offset_s=0.9 + 0.3 * (number % 5),
        prompt=tables.STORIES[number % len(tables.STORIES)],
    )


def _text(row: dict[str, Any], parts: tuple[str, ...]) -> str:
    text = " ".join(parts)
    if normalise(text) != normalise(row["text"]):
        raise ValueError(f"{row['id']} says “{row['text']}”, not “{text}”.")
    return text


def _befores(parts: tuple[str, ...]) -> list[str]:
    return list(itertools.accumulate(parts[:-1], lambda before, part: f"{before} {part}"))


def _gap(audio: Samples, row: dict[str, Any], near_s: float) -> tuple[float, float]:
    """Return the pause that is nearest to `near_s`: as the index has it, or where it is quiet for at least 0.15 s."""
    levels = levels_db(audio)
    limit = max(np.percentile(levels[levels > -60], 95) - _BELOW_LOUD_DB, room_level_db(audio) + _ABOVE_ROOM_DB)
    quiet = np.flatnonzero(np.diff(np.concatenate(([False], levels < limit, [False])).astype(int)))
    gaps = [(first * 0.01, last * 0.01 + 0.01) for first, last in quiet.reshape(-1, 2) if last - first >= 15]
    gaps = [gap for gap in gaps if gap[0] > row["speech_start_s"] and gap[1] < row["speech_end_s"]]
    known = [(first, last) for first, last in row["pauses_s"]]
    for pauses in (known, gaps):
        near = [pause for pause in pauses if pause[0] - _SEARCH_S < near_s < pause[1] + _SEARCH_S]
        if near:
            return min(near, key=lambda pause: abs(sum(pause) / 2 - near_s))
    raise ValueError(f"{row['id']} has no pause near {near_s:.2f} s.")


def make() -> Cases:
    """Return all cases."""
    known = index()
    stories = itertools.cycle(tables.STORIES)
    return Cases(
        inner_pauses=(
            *(spoken_pause(known[clip], utterance) for clip, utterance in tables.SPOKEN_PAUSES),
            *(excerpt_pause(known[row[0]], *row[1:]) for row in tables.EXCERPTS),
            *(spliced_pause(known[row[0]], *row[1:]) for row in tables.SPLICED_PAUSES),
        ),
        barge_ins=tuple(barge_in(known[clip], offset_s, next(stories)) for clip, offset_s in tables.BARGE_INS),
        backchannels=tuple(backchannel(*row, number) for number, row in enumerate(tables.BACKCHANNELS)),
        echoes=tuple(
            Echo(f"echo_{number:02}", prompt, round(0.05 + 0.2 * number / (len(tables.SPEECHES) - 1), 3), _ECHO_DB)
            for number, prompt in enumerate(tables.SPEECHES)
        ),
    )


def main() -> None:
    """Write the cases, and say what there is."""
    share_machine()
    cases = make()
    save(cases)
    pauses = [last - first for case in cases.inner_pauses for first, last in case.pauses_s]
    print(
        f"{len(cases.inner_pauses)} utterances with {len(pauses)} pauses of {min(pauses):.2f} to {max(pauses):.2f} s, "
        f"{sum(length_s(case.sound) for case in cases.inner_pauses):.0f} s; {len(cases.barge_ins)} barge-ins, "
        f"{len(cases.backchannels)} backchannels, {len(cases.echoes)} echoes"
    )


if __name__ == "__main__":
    main()
