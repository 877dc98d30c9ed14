"""The client of a measurement, in a process of its own: asks the server every recording and prints a row for each."""

import argparse
import asyncio
import json
from typing import Any, Final

import numpy as np

from audio.types import OUTPUT_RATE
from clients.ask import ask
from tests.bench.recordings import NO_SPEECH, Recording, recordings

BRIEF: Final = {"max_output_tokens": 24}
"""A reply is as soon there however long it gets; short ones make the measurement a matter of minutes."""

LEAD_S: Final = 1.0


async def one(url: str, recording: Recording) -> dict[str, Any]:
    """Ask one recording, in real time, and return what came of it. Times are seconds after the last voiced sample."""
    # Nobody speaks in the moment of connecting, and many recordings begin with the first word.
    samples = np.concatenate([np.zeros(int(LEAD_S * OUTPUT_RATE), dtype=np.float32), recording.sent()])
    end_s = None if recording.speech_end_s is None else LEAD_S + recording.speech_end_s
    patience_s = 3.0 if recording.kind in NO_SPEECH else 6.0
    exchange = await ask(url, samples, end_s, session=BRIEF, timeout_s=60.0, patience_s=patience_s)
    return {
        "id": recording.id,
        "kind": recording.kind,
        "end_is_sure": recording.speech_end_s is not None,
        "transcript": exchange.transcript,
        "reply": exchange.reply,
        "answered": exchange.answered,
        "status": exchange.status,
        "error": exchange.error,
        "voice_to_voice_s": exchange.voice_to_voice_s,
        "commit_s": exchange.commit_s,
        "reply_s": exchange.reply_s,
        "server": exchange.timings,
    }


async def main() -> None:
    """Ask the recordings of the kinds that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("kinds", nargs="+")
    arguments = parser.parse_args()
    # Speech is timed, so it has the server to itself; of noise only matters whether it is answered.
    at_once = asyncio.Semaphore(4 if NO_SPEECH.issuperset(arguments.kinds) else 1)

    async def in_turn(recording: Recording) -> None:
        async with at_once:
            print(json.dumps(await one(arguments.url, recording)), flush=True)

    async with asyncio.TaskGroup() as group:
        for recording in recordings(*arguments.kinds):
            group.create_task(in_turn(recording))


if __name__ == "__main__":
    asyncio.run(main())
