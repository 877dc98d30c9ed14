"""Writes tests/data/reflexes/heard.tsv: what the recognisers make of the utterances. Takes some minutes.

`python -m tests.assistant.reflex.make_heard`, with the models of the default profile there.
"""

import asyncio

import numpy as np

from assistant.models import Store
from audio.pcm import resample
from audio.stt.faster_whisper import FasterWhisper
from audio.stt.moonshine import Moonshine
from audio.tts.piper import Piper
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples
from pipeline.spoken_forms import spoken_form
from tests.assistant.reflex.test_utterances import LISTS, rows

NOISE = 0.01
BEFORE_S, AFTER_S = 0.2, 0.3


async def spoken(voice: Piper, text: str) -> Samples:
    chunks = [chunk async for chunk in voice.speak(spoken_form(text))]
    speech = resample(np.concatenate(chunks), OUTPUT_RATE, INPUT_RATE)
    padded = np.pad(speech, (int(BEFORE_S * INPUT_RATE), int(AFTER_S * INPUT_RATE)))
    noise = np.random.default_rng(len(text)).normal(0, NOISE, padded.size)
    return (padded + noise).astype(np.float32)


async def main() -> None:
    store = Store()
    voice = Piper(store.path("piper-joe"), threads=1)
    fast = Moonshine(store.path("moonshine-tiny-en"), threads=1)
    sure = FasterWhisper(store.path("whisper-base"), threads=1, short_window=True)
    lines = ["list\tintent\tutterance\tmoonshine\twhisper\tlanguage"]
    for name in ("tuned", "held_out"):
        for intent, utterance in rows(name):
            sound = await spoken(voice, utterance)
            one, other = await fast.transcribe(sound), await sure.transcribe(sound)
            texts = (" ".join(text.split()) for text in (one.text, other.text, other.language or ""))
            lines.append("\t".join((name, intent, utterance, *texts)))
    (LISTS / "heard.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
