"""Writes down what was played, so that the conversation's own account can be compared with it."""

import asyncio
from collections.abc import Sequence

from assistant.models import Store
from audio.pcm import resample
from audio.stt.faster_whisper import FasterWhisper
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples


async def _write_down(sounds: Sequence[Samples]) -> list[str]:
    whisper = FasterWhisper(Store().pull("whisper-base"), threads=1)
    texts = [
        (await whisper.transcribe(resample(sound, OUTPUT_RATE, INPUT_RATE), language="en")).text if sound.size else ""
        for sound in sounds
    ]
    whisper.close()
    return texts


def write_down(sounds: Sequence[Samples]) -> list[str]:
    """Return the words in each sound (OUTPUT_RATE), as Whisper hears them."""
    return asyncio.run(_write_down(sounds))
