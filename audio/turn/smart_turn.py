"""End-of-turn detection with Smart Turn v3 (https://github.com/pipecat-ai/smart-turn, ONNX)."""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import onnxruntime

from audio.mel import HOP, log_mel
from audio.pcm import check_heard
from audio.turn.any_length import any_length
from audio.types import INPUT_RATE, Samples

_HEARD: Final = 8 * INPUT_RATE
"""Samples that the model looks at: the last 8 s."""
_SHORT: Final = 3 * INPUT_RATE
"""Of an utterance that isn't longer, it looks at so much."""
_FRAME: Final = 2 * HOP
"""Samples of a position."""
_DOUBT: Final = 0.9
"""Log odds by which it thinks less of an end without the 5 s of silence before a short utterance.

It is 1.05 on average; with all of that, more pauses are taken for ends. Otherwise it tells ends from pauses as well as
with that silence: over 143 of both in this project's recordings the area under the curve is 0.81, and 0.80 with it. Of
longer utterances it makes something else when 4 or 6 s are all it sees.
"""


class SmartTurn:
    """Tells a finished utterance from a pause by its words' melody and sense.

    A score takes about 12 ms on one thread for an utterance of up to 3 s, and 45 ms for a longer one.
    """

    def __init__(self, model: Path) -> None:
        """Load the one ONNX file in the folder `model`.

        Raises FileNotFoundError when there is none, ValueError when it isn't what it should be.
        """
        file = next(iter(sorted(model.glob("*.onnx"))), None)
        if file is None:
            raise FileNotFoundError(f"{model} holds no .onnx file. Fetch the turn detector's model again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            shortened = any_length(file.read_bytes())
        except ValueError as error:
            raise ValueError(f"{file} is no turn detector ({error}). Fetch the turn detector's model again.") from error
        # From a file, since onnxruntime never lets go of bytes that it was given.
        with TemporaryDirectory(prefix="parley-") as folder:
            if shortened is not None:
                file = Path(folder) / "any-length.onnx"
                file.write_bytes(shortened.model)
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        # Not the bytes of the model as well.
        self._positions = None if shortened is None else (shortened.table, shortened.positions)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="smart-turn")

    async def score(self, audio: Samples) -> float:
        """Return the probability (0..1) that the speaker is done; only the last 8 s of `audio` count.

        Sound of no length scores 0. Raises ValueError when `audio` isn't mono float32 or not finite.
        """
        check_heard(audio)
        if audio.size == 0:
            return 0.0
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._score, audio)

    async def warm(self) -> None:
        """Run the model once, so that the first real score isn't slower."""
        await self.score(np.zeros(_HEARD, np.float32))

    def close(self) -> None:
        """Stop the thread after the score in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _score(self, audio: Samples) -> float:
        heard = np.zeros(_HEARD, np.float32)
        tail = audio[-_HEARD:]
        heard[_HEARD - tail.size :] = tail
        heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
        features = log_mel(heard)[None]
        length = _SHORT if self._positions is not None and tail.size <= _SHORT else _HEARD
        given = {"input_features": np.ascontiguousarray(features[:, :, -(length // HOP) :])}
        if self._positions is not None:
            table, positions = self._positions
            given[table] = positions[-(length // _FRAME) :]
        (probability,) = self._session.run(None, given)
        ended = float(probability[0, 0])
        if length == _HEARD:
            return ended
        odds = math.exp(_DOUBT)
        return odds * ended / (odds * ended + 1 - ended)
