"""Voice detection with Silero VAD (https://github.com/snakers4/silero-vad, version 5 or 6, ONNX)."""

from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from audio.types import INPUT_RATE, Samples

_WINDOW: Final = 512
_CONTEXT: Final = 64
"""Samples of the window before, which the model wants to see again."""
_NO_VOICE: Final = 0.35
_SILENCE: Final = 0.1
_FORGET_AFTER: Final = round(2.0 * INPUT_RATE / _WINDOW)
"""Windows without a voice, after which the model begins anew, in the next one that is surely silent.

The longer it has heard nothing, the less it believes in a voice. Of 96 short questions after 1 to 13 s of a quiet room
it missed 2 and noticed 11 over 0.25 s late; like this it missed none and noticed 4 late. Begun anew where a voice may
just be setting in, it would be deaf to that one.
"""


class SileroVad:
    """Tells voice from everything else. The model is shared; each session takes a stream of its own."""

    def __init__(self, model: Path) -> None:
        """Load `silero_vad.onnx` from the folder `model`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model / "silero_vad.onnx", options, providers=["CPUExecutionProvider"]
        )

    def stream(self) -> "SileroStream":
        """Return a fresh stream for one session."""
        return SileroStream(self._session)

    async def warm(self) -> None:
        """Run the model once, so that the first real window isn't slower."""
        self.stream().score(np.zeros(_WINDOW, np.float32))

    def close(self) -> None:
        """Nothing runs apart from the calls themselves: there is nothing to stop."""


class SileroStream:
    """One session's voice detector: it remembers what it heard."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._rate = np.array(INPUT_RATE, np.int64)
        self._input = np.zeros((1, _CONTEXT + _WINDOW), np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._quiet = 0  # windows without a voice, up to now

    def score(self, window: Samples) -> float:
        """Return the probability (0..1) that `window` (512 samples at 16 kHz) holds a voice. About 0.1 ms.

        Raises ValueError when the window has another shape or type, or holds NaN or infinity.
        """
        if window.shape != (_WINDOW,) or window.dtype != np.float32:
            raise ValueError(
                f"A voice detector's window is float32 of shape ({_WINDOW},); this is {window.dtype} {window.shape}."
            )
        if not np.isfinite(window).all():  # it would stay in the state and spoil every later score
            raise ValueError("The sound holds values that are not finite numbers (NaN or infinity).")
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window
        probability, self._state = self._session.run(
            None, {"input": self._input, "state": self._state, "sr": self._rate}
        )
        voice = float(probability[0, 0])
        self._quiet = self._quiet + 1 if voice < _NO_VOICE else 0
        if self._quiet >= _FORGET_AFTER and voice < _SILENCE:
            self._forget()
        return voice

    def reset(self) -> None:
        """Forget what was heard."""
        self._input.fill(0)
        self._forget()

    def _forget(self) -> None:
        self._state = np.zeros_like(self._state)
        self._quiet = 0
