"""End-of-turn detection with Smart Turn v3 (https://github.com/pipecat-ai/smart-turn, ONNX)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from audio.mel import log_mel
from audio.pcm import check_heard
from audio.types import INPUT_RATE, Samples

_HEARD: Final = 8 * INPUT_RATE
"""Samples that the model looks at: the last 8 s."""


class SmartTurn:
    """Tells a finished utterance from a pause by its words' melody and sense. About 40 ms a score, on one thread."""

    def __init__(self, model: Path) -> None:
        """Load the one ONNX file in the folder `model`. Raises FileNotFoundError when there is none."""
        file = next(iter(sorted(model.glob("*.onnx"))), None)
        if file is None:
            raise FileNotFoundError(f"{model} holds no .onnx file. Fetch the turn detector's model again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
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
        (probability,) = self._session.run(None, {"input_features": log_mel(heard)[None]})
        return float(probability[0, 0])
