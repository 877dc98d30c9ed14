"""Cuts a recording into utterances, about as the conversation does it."""

from collections.abc import Iterator

from audio.types import INPUT_RATE, Samples
from audio.vad.silero import SileroVad

WINDOW = 512
START = 3
"""Voiced windows in a row that begin an utterance: 96 ms."""
THRESHOLD = 0.5


def utterances(vad: SileroVad, audio: Samples, *, tail_s: float = 1.0, pre_roll_s: float = 0.3) -> Iterator[Samples]:
    """Yield the stretches with a voice in them, from `pre_roll_s` before it to `tail_s` of silence after it."""
    stream = vad.stream()
    pre_roll, tail = round(pre_roll_s * INPUT_RATE), round(tail_s * INPUT_RATE)
    voiced, begin, last = 0, -1, 0
    for at in range(0, audio.size - WINDOW + 1, WINDOW):
        if stream.score(audio[at : at + WINDOW]) >= THRESHOLD:
            voiced, last = voiced + 1, at + WINDOW
            if voiced == START and begin < 0:
                begin = max(0, last - START * WINDOW - pre_roll)
        else:
            voiced = 0
            if begin >= 0 and at + WINDOW - last >= INPUT_RATE:
                yield audio[begin : last + tail]
                begin = -1
    if begin >= 0:
        yield audio[begin : last + tail]
