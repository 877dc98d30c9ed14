"""Piper's voice model (VITS, https://arxiv.org/abs/2106.06103): from phonemes to sound, piece by piece."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from audio.tts.halves import split
from audio.types import Samples

_REACH: Final = 10
"""Frames to either side that the decoder looks at: with fewer of them, the seams could be heard."""
_FIRST: Final = 22
"""Frames of the first piece: a quarter of a second, where a frame is 256 samples of 22,050 Hz."""
_MOST: Final = 176
"""Frames of the longest piece. Each is twice as long as the one before: long ones cost less, and there is time then."""


class Vits:
    """One voice model. Not to be used by two threads at once."""

    def __init__(self, file: Path, *, threads: int) -> None:
        """Load a voice. Raises ValueError when the file is no ONNX model."""
        halves = split(file.read_bytes())
        if halves is None:
            self._encoder, self._decoder, self._frames = _load(file, threads), None, ""
            return
        # From files, since onnxruntime never lets go of bytes that it was given.
        with TemporaryDirectory(prefix="parley-") as folder:
            encoder, decoder = Path(folder) / "encoder.onnx", Path(folder) / "decoder.onnx"
            encoder.write_bytes(halves.encoder)
            decoder.write_bytes(halves.decoder)
            self._encoder, self._decoder = _load(encoder, threads), _load(decoder, threads)
        self._frames = halves.frames

    def speak(self, phonemes: Sequence[int], scales: Sequence[float], speaker: int | None) -> Iterator[Samples]:
        """Make the sound of phoneme ids at the voice's own rate; each piece is made when it is asked for.

        `scales`: noise, length and the noise of lengths. `speaker` must be given where the voice has several.
        """
        given = {
            "input": np.array([phonemes], np.int64),
            "input_lengths": np.array([len(phonemes)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if speaker is not None:
            given["sid"] = np.array([speaker], np.int64)
        made = self._encoder.run(None, given)
        if self._decoder is None:
            yield made[0].reshape(-1)
            return
        inputs = dict(zip((port.name for port in self._encoder.get_outputs()), made, strict=True))
        frames: NDArray[np.float32] = inputs[self._frames]
        at, length, end = 0, _FIRST, frames.shape[2]
        while at < end:
            to = at + length if at + length + _REACH < end else end  # no tiny piece at the end
            start, stop = max(0, at - _REACH), min(end, to + _REACH)
            sound: Samples = self._decoder.run(None, inputs | {self._frames: frames[:, :, start:stop]})[0].reshape(-1)
            frame = sound.size // (stop - start)
            yield sound[(at - start) * frame : (to - start) * frame]
            at, length = to, min(2 * length, _MOST)


def _load(model: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena keeps what the longest piece ever took; without it short ones are as quick.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
