"""What patience costs: `python -m tests.bench.tradeoff`.

The engines listen once to every question and every utterance with pauses inside, without a server and not in real time;
then each patience is asked when it would have ended the turn. A false cut-in is a pause that goes on for more than
TELLS_S after the commit: less of the reply would have been heard than counts.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from assistant.config import Config, load
from assistant.cpu import share_machine
from assistant.llm.judged import load_judge, shown
from assistant.models import Store
from audio.stt.moonshine import Moonshine
from audio.turn.smart_turn import SmartTurn
from audio.types import INPUT_RATE, Samples
from audio.vad.silero import SileroVad
from pipeline.endings import finished, needed_silence_s
from pipeline.engines import VAD_WINDOW, ChatMessage, ChatRequest
from pipeline.settings import TurnTaking
from tests.bench import cases
from tests.bench.recordings import recordings
from tests.bench.sound import render, room

TELLS_S = 0.2
_PRE_ROLL_S = 0.3
_SILENCE_S = 2.0
_ROOM_DB = -70.0
_SHORT_S = 0.12
"""A pause shorter than this ends before anything is decided."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A silence, and what the engines make of the sound before it."""

    after_s: float
    """From the last audible speech to the last voiced window; only of the last one."""
    lasts_s: float | None
    """None: it is the end."""
    sounds: tuple[float, float]
    """The turn detector's score at once, and at the second look."""
    reads: float


def silence_s(pause: Pause, settings: TurnTaking) -> float:
    """Return how long the silence is when the turn is committed, in whole windows."""
    window_s = VAD_WINDOW / INPUT_RATE
    needed_s = needed_silence_s(pause.sounds[0], pause.reads, settings)
    if needed_s > settings.look_again_s:
        needed_s = max(settings.look_again_s, needed_silence_s(pause.sounds[1], pause.reads, settings))
    return float(np.ceil(needed_s / window_s - 1e-6) * window_s)


def patience(settings: TurnTaking, factor: float) -> TurnTaking:
    """Return settings that wait `factor` times as long."""
    return replace(
        settings, min_silence_s=factor * settings.min_silence_s, max_silence_s=factor * settings.max_silence_s
    )


class Ears:
    """The engines that weigh a pause."""

    def __init__(self, config: Config, store: Store) -> None:
        self._voice_s = 0.0  # where the first voice begins
        self._vad = SileroVad(store.pull(config.vad.model))
        self._turn = SmartTurn(store.pull(config.turn_detector.model))
        self._live = Moonshine(store.pull(config.live.model))
        self._judge = load_judge(store.pull(config.llm.judge))

    async def pauses(self, speech: Samples, end_s: float) -> list[Pause]:
        """Return the pauses of an utterance whose speech ends at `end_s`; the end is the last one."""
        quiet = room(int(_SILENCE_S * INPUT_RATE), _ROOM_DB)
        sound = np.concatenate([quiet[: INPUT_RATE // 2], speech, quiet]).astype(np.float32)
        end_s += 0.5
        found = []
        stretches = list(self._silences(sound))
        start = int(max(0.0, self._voice_s - _PRE_ROLL_S) * INPUT_RATE)
        for begin_s, resume_s in stretches:
            heard = [sound[start : int((begin_s + after_s) * INPUT_RATE)] for after_s in (0.064, 0.192)]
            words = await self._live.transcribe(heard[0])
            asked = ChatRequest(shown([ChatMessage("user", words.text.rstrip(" .,;:!?…"))]))
            model = await self._judge.prefill(asked) if words.text else None
            scores = (await self._turn.score(heard[0]), await self._turn.score(heard[1]))
            lasts_s = None if resume_s is None else resume_s - begin_s
            found.append(Pause(begin_s - end_s, lasts_s, scores, finished(words.text, model)))
        return found

    def close(self) -> None:
        """Stop the engines."""
        for engine in (self._turn, self._live, self._judge):
            engine.close()

    def _silences(self, sound: Samples) -> Iterator[tuple[float, float | None]]:
        """Yield where each silence after voice begins, and where the voice comes back."""
        stream = self._vad.stream()
        voiced_until: float | None = None
        silent_from: float | None = None
        voiced = False
        for at in range(0, len(sound) - VAD_WINDOW + 1, VAD_WINDOW):
            now_s = (at + VAD_WINDOW) / INPUT_RATE
            voiced = stream.score(sound[at : at + VAD_WINDOW]) >= (0.4 if voiced else 0.5)
            if voiced:
                if voiced_until is None:
                    self._voice_s = now_s
                if silent_from is not None and now_s - silent_from > _SHORT_S:
                    yield silent_from, now_s - VAD_WINDOW / INPUT_RATE
                voiced_until, silent_from = now_s, None
            elif voiced_until is not None and silent_from is None:
                silent_from = voiced_until
        if silent_from is not None:
            yield silent_from, None


async def listen(ears: Ears) -> tuple[list[Pause], list[Pause]]:
    """Return the ends of all questions, and the pauses inside utterances."""
    ends: list[Pause] = []
    inner: list[Pause] = []
    for recording in recordings("query", "command"):
        if recording.speech_end_s is not None and recording.lang == "en":
            ends += (await ears.pauses(recording.heard(), recording.speech_end_s))[-1:]
    for case in cases.load().inner_pauses:
        found = await ears.pauses(render(case.sound, INPUT_RATE), case.speech_end_s)
        inner += [pause for pause in found if pause.lasts_s is not None]
    return ends, inner


def points(ends: Sequence[Pause], inner: Sequence[Pause], factors: Sequence[float]) -> Iterator[tuple[float, ...]]:
    """Yield for each factor of patience: itself, median and 95th percentile of the decision (ms), and cut-ins (%)."""
    for factor in factors:
        settings = patience(TurnTaking(), factor)
        decided = [1000 * (end.after_s + silence_s(end, settings)) for end in ends]
        cut_in = [pause.lasts_s is not None and pause.lasts_s - silence_s(pause, settings) > TELLS_S for pause in inner]
        yield factor, float(np.median(decided)), float(np.quantile(decided, 0.95)), 100 * float(np.mean(cut_in))


def main() -> None:
    """Print the table."""
    share_machine()
    ears = Ears(load(), Store())
    ends, inner = asyncio.run(listen(ears))
    ears.close()
    table = Table(title=f"{len(ends)} questions, {len(inner)} pauses inside utterances", title_justify="left")
    for column in ("patience", "decision p50, ms", "p95, ms", "false cut-ins, %"):
        table.add_column(column, justify="right")
    for factor, median, high, share in points(ends, inner, (0.5, 0.7, 1.0, 1.4, 2.0)):
        table.add_row(f"{factor:g}", f"{median:.0f}", f"{high:.0f}", f"{share:.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
