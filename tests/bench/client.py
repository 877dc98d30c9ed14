"""The client of a measurement, in a process of its own: plays one scenario and prints a row of JSON for each case."""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from assistant.cpu import share_machine
from audio.types import OUTPUT_RATE, Samples
from clients.ask import ask
from clients.link import LinkError, Message
from tests.bench import interruptions, overheard, pauses
from tests.bench.cases import load
from tests.bench.cpu import Meter
from tests.bench.judging import agreement
from tests.bench.questions import BRIEF, ask_all
from tests.bench.recordings import NO_SPEECH, REFLEXES, Recording, recordings

Case = TypeVar("Case")
Row = dict[str, Any]

SCENARIOS: Final = ("questions", "reflexes", "looking", "pauses", "barge-ins", "backchannels", "echoes", "noise")
_STAGGER_S: Final = 1.3
_LONGEST_NOISE_S: Final = 30
_NOISE_PATIENCE_S: Final = 3.0
_REFLEX_TIMES: Final = 6
"""So often each command is given: few of the recordings are any."""
_LOOKING_TIMES: Final = 3
_RINGS: Final = "en_s2p_timer_30s"
"""Sets a timer, which would speak up in the middle of another question."""


def emit(row: Row) -> None:
    """Print one row."""
    print(json.dumps(row), flush=True)


async def each(cases: Sequence[Case], play: Callable[[Case], Awaitable[Row | None]], at_once: int) -> None:
    """Play all cases, so many at a time; a conversation that breaks off costs its row, not the run."""
    free = asyncio.Semaphore(at_once)

    async def one(case: Case) -> None:
        async with free:
            try:
                row = await play(case)
            except LinkError as error:
                row = {"lost": str(error), "ids": [getattr(case, "id", "")]}
        if row is not None:
            emit(row)

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(one(case))


async def questions(given: argparse.Namespace, session: Message) -> None:
    """Ask recorded questions in `at_once` conversations, each with another order of them."""
    rows = [one for one in recordings("query", "command") if one.speech_end_s is not None or not given.sure]
    rows = [one for one in rows if (not given.english or one.lang == "en") and one.id != _RINGS][:: given.every]
    shift = max(1, len(rows) // given.at_once)
    async with asyncio.TaskGroup() as group:
        for number in range(given.at_once):
            turned = rows[number * shift :] + rows[: number * shift]
            group.create_task(
                ask_all(
                    given.url,
                    turned[: given.most or None],
                    emit,
                    Meter(given.pid),
                    begin_after_s=number * _STAGGER_S,
                    session=session,
                    to_the_end=not given.short,
                    camera=given.camera,
                )
            )


async def reflexes(given: argparse.Namespace, session: Message) -> None:
    """Give the recorded commands that need no model, and whose end is known to within 30 ms."""
    rows = [one for one in recordings("query", "command") if one.speech_end_s is not None and one.id in REFLEXES]
    # Whisper base hears other words in the French one, and a model answers them.
    rows = [one for one in rows if one.lang == "en"]
    again = max(1, _REFLEX_TIMES // given.every)
    await ask_all(given.url, rows * again, emit, Meter(given.pid), session=session)


async def looking(given: argparse.Namespace) -> None:
    """Ask aloud what the camera shows, over and over."""
    rows = recordings("sight")
    again = max(1, _LOOKING_TIMES // given.every)
    await ask_all(given.url, rows * again, emit, Meter(given.pid), camera=given.camera)


async def barge_ins(given: argparse.Namespace) -> list[tuple[Row, Samples]]:
    """Speak into replies; return the rows with the sound that was heard."""
    done: list[tuple[Row, Samples]] = []

    async def play(case: Any) -> None:
        done.append(await interruptions.barge_in(given.url, case))

    await each(load().barge_ins[:: given.every], play, given.at_once)
    return done


async def noise(given: argparse.Namespace) -> None:
    """Play what holds no speech, and see whether it is answered."""

    async def play(recording: Recording) -> Row:
        samples = np.concatenate(
            [np.zeros(OUTPUT_RATE, np.float32), recording.sent()[: _LONGEST_NOISE_S * OUTPUT_RATE]]
        )
        exchange = await ask(given.url, samples, None, session=BRIEF, timeout_s=60.0, patience_s=_NOISE_PATIENCE_S)
        return {"id": recording.id, "transcript": exchange.transcript, "answered": exchange.answered}

    await each(recordings(*sorted(NO_SPEECH))[:: given.every], play, given.at_once)


async def run(given: argparse.Namespace) -> list[tuple[Row, Samples]]:
    """Play the scenario; return rows that want their sound written down."""
    session: Message = {}
    if given.eagerness is not None:
        session = {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": given.eagerness}}}}
    cases, url, at_once = load(), given.url, given.at_once
    match given.scenario:
        case "questions":
            await questions(given, session)
        case "reflexes":
            await reflexes(given, session)
        case "looking":
            await looking(given)
        case "pauses":
            chosen = [one for one in cases.inner_pauses if not given.english or one.lang == "en"][:: given.every]
            await each(chosen, lambda case: pauses.play(url, case, session), at_once)
        case "barge-ins":
            return await barge_ins(given)
        case "backchannels":
            await each(cases.backchannels[:: given.every], lambda case: interruptions.backchannel(url, case), at_once)
        case "echoes":
            await each(cases.echoes[:: given.every], lambda case: interruptions.echo(url, case), at_once)
        case "noise":
            await noise(given)
    return []


def main() -> None:
    """Play what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--at-once", type=int, default=1, help="conversations at the same time")
    parser.add_argument("--every", type=int, default=1, help="take each n-th case")
    parser.add_argument("--most", type=int, default=0, help="questions of one conversation after the other")
    parser.add_argument("--english", action="store_true", help="leave out other languages")
    parser.add_argument("--sure", action="store_true", help="only questions whose end is known to within 30 ms")
    parser.add_argument("--short", action="store_true", help="cancel answers as soon as they are heard")
    parser.add_argument("--camera", type=Path, help="a picture or a video that the client's camera shows")
    parser.add_argument("--eagerness", choices=("low", "medium", "high", "auto"))
    given = parser.parse_args()
    share_machine()
    done = asyncio.run(run(given))
    # Only now, when nothing is timed any more.
    for (row, _), heard in zip(done, overheard.write_down([sound for _, sound in done]) if done else [], strict=True):
        compared = agreement(row["kept"] or "", heard)
        emit(
            row
            | {"heard": heard, "kept_words": compared.kept, "heard_words": compared.heard, "agrees": compared.agrees}
        )


if __name__ == "__main__":
    main()
