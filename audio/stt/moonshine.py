"""Fast speech recognition in English with Moonshine tiny (https://github.com/moonshine-ai/moonshine, ONNX).

Its cost grows with the sound's length, so it can be run again and again on an utterance that is still growing. What
was written down of it last is a draft of what is to be written now: the decoder reads that in one step, which shows how
far it still holds, instead of writing it again token by token. Behind a word that has changed, the draft is taken up
again where the two meet.
"""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from audio.pcm import check_heard
from audio.stt.guards import Attempt, Guards
from audio.stt.moonshine_tokens import Vocabulary
from audio.stt.tokens import spelled
from audio.types import INPUT_RATE, Samples, Token, Transcript

_MIN_S: Final = 0.1
_MAX_S: Final = 30.0
"""Longer sound is recognised in pieces: the model never heard more at once."""
_BEGIN: Final = 1
_END: Final = 2
_TOKENS_PER_S: Final = 8
_SPARE_TOKENS: Final = 4
_DRAFTS: Final = 16
"""Utterances that may grow at once."""
_ASTRAY: Final = 4
"""Tokens by which what is written may be longer or shorter than the draft where the two meet again."""
_AHEAD: Final = 4
"""Tokens of the draft that are read at once there, for each one that is the same."""

_GUARDS: Final = Guards(min_logprob=-0.8, max_no_speech=1.0, max_repeats=2)


class Moonshine:
    """Writes down what was said in English. Non-speech gives an empty text, as far as that can be told."""

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load encoder, decoder and vocabulary from the folder `model`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False  # it would keep what the longest utterance ever took
        provider = ["CPUExecutionProvider"]
        self._encoder = onnxruntime.InferenceSession(model / "encoder_model.ort", options, providers=provider)
        self._decoder = onnxruntime.InferenceSession(model / "decoder_model_merged.ort", options, providers=provider)
        self._vocabulary = Vocabulary(model / "tokenizer.bin")
        self._empty_cache = {
            put.name: np.zeros((1, put.shape[1], 0, put.shape[3]), np.float32)
            for put in self._decoder.get_inputs()
            if put.name.startswith("past_key_values.")
        }
        self._outputs = [put.name for put in self._decoder.get_outputs()]
        self._drafts: OrderedDict[bytes, list[int]] = OrderedDict()  # by the utterance's first sound
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="moonshine")

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
    ) -> Transcript:
        """Return the words in `audio` (16 kHz), taken as English whatever `language` says; the rest is not used.

        Raises ValueError when `audio` isn't mono float32 or not finite.
        """
        check_heard(audio)
        if audio.size < _MIN_S * INPUT_RATE:
            return Transcript("", "en")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._transcribe, audio)

    async def warm(self) -> None:
        """Recognise once, so that the first real utterance isn't slower."""
        tone = 0.1 * np.sin(np.arange(2 * INPUT_RATE) / 10)
        await self.transcribe(tone.astype(np.float32))

    def close(self) -> None:
        """Stop the thread after the utterance in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _transcribe(self, audio: Samples) -> Transcript:
        pieces = np.array_split(audio, int(np.ceil(audio.size / (_MAX_S * INPUT_RATE))))
        attempts = [self._attempt(piece) for piece in pieces]
        believed = [attempt for attempt in attempts if _GUARDS.doubt(attempt) is None]
        text = " ".join(attempt.text for attempt in believed)
        tokens: list[Token] = []
        for attempt in believed:
            first, *others = attempt.tokens
            tokens += [replace(first, text=f" {first.text}") if tokens else first, *others]
        least = min((attempt.least_logprob for attempt in believed), default=0.0)
        return Transcript(text, "en", least, tuple(tokens))

    def _attempt(self, audio: Samples) -> Attempt:
        seconds = audio.size / INPUT_RATE
        budget = int(seconds * _TOKENS_PER_S) + _SPARE_TOKENS
        utterance = audio[: int(_MIN_S * INPUT_RATE)].tobytes()
        draft = self._drafts.pop(utterance, [])
        tokens, logprobs = self._decode(audio, draft, budget)
        finished = tokens[-1] == _END
        if finished:
            del tokens[-1], logprobs[-1]
        self._drafts[utterance] = tokens if finished else draft
        if len(self._drafts) > _DRAFTS:
            self._drafts.popitem(last=False)
        return Attempt(
            text=self._vocabulary.text(tokens),
            language="en",
            seconds=seconds,
            word_logprob=float(np.mean(logprobs)) if logprobs else -np.inf,
            least_logprob=min(logprobs, default=0.0),
            finished=finished,
            tokens=spelled(tokens, logprobs, self._vocabulary.spell),
        )

    def _decode(self, audio: Samples, draft: list[int], budget: int) -> tuple[list[int], list[float]]:
        """Return the likeliest tokens, at most `budget`, and the logarithms of their probabilities.

        They are fewer, and without an end, where nobody would believe what they spell.
        """
        sound = audio[None]
        heard = np.ones(sound.shape, np.int64)
        (encoded,) = self._encoder.run(None, {"input_values": sound, "attention_mask": heard})
        fed: dict[str, NDArray[Any]] = {
            "encoder_hidden_states": encoded,
            "encoder_attention_mask": heard,
            "input_ids": np.array([[_BEGIN]], np.int64),
            "use_cache_branch": np.array([False]),
            **self._empty_cache,
        }
        tokens: list[int] = []
        logprobs: list[float] = []
        while not tokens or (tokens[-1] != _END and len(tokens) < budget and not self._is_lost(tokens)):
            step = dict(zip(self._outputs, self._decoder.run(None, fed), strict=True))
            logits = step["logits"][0]
            likeliest = logits.argmax(axis=1)
            # Of the draft stands what the model would have written too, and after that comes what it writes instead.
            stands = int((likeliest[:-1] == fed["input_ids"][0, 1:]).cumprod().sum())
            tokens += likeliest[: stands + 1].tolist()
            below = logits[: stands + 1] - logits[: stands + 1].max(axis=1, keepdims=True)
            logprobs += (-np.log(np.exp(below).sum(axis=1))).tolist()
            # A draft isn't read together with the token that all begin with: its numbers are so large that the others'
            # would be rounded coarsely beside them.
            self._feed_back(fed, step, tokens, _rest(draft, tokens)[: budget - len(tokens) - 1])
        return tokens, logprobs

    def _is_lost(self, tokens: list[int]) -> bool:
        return _GUARDS.is_lost(self._vocabulary.text(tokens))

    def _feed_back(
        self, fed: dict[str, NDArray[Any]], step: dict[str, NDArray[Any]], tokens: list[int], draft: list[int]
    ) -> None:
        first = not fed["use_cache_branch"][0]
        for name in self._empty_cache:
            present = step[name.replace("past_key_values", "present")]
            if ".decoder." in name:
                fed[name] = present[:, :, : len(tokens)]
            elif first:  # what was heard stays the same, and only the first step works it out
                fed[name] = present
        fed["use_cache_branch"] = np.array([True])
        fed["input_ids"] = np.array([[tokens[-1], *draft]], np.int64)


def _rest(draft: list[int], tokens: list[int]) -> list[int]:
    """Return what of the draft is worth reading behind `tokens`.

    All of it that is left while the two are the same. Behind a change, some from where the draft has the last token
    too, and more the more tokens before that are the same: to read one in vain takes a tenth of a step.
    """
    if tokens == draft[: len(tokens)]:
        return draft[len(tokens) :]
    here = len(tokens) - 1
    near = [at for at in range(max(0, here - _ASTRAY), here + _ASTRAY + 1) if draft[at : at + 1] == tokens[-1:]]
    if not near:
        return []
    met = min(near, key=lambda at: abs(at - here))
    same = 1
    while same <= min(met, here) and draft[met - same] == tokens[here - same]:
        same += 1
    return draft[met + 1 : met + 1 + _AHEAD * same]
