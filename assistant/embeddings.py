"""What sentences mean, as vectors: all-MiniLM-L6-v2 (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2)."""

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from assistant.cpu import give_back_memory

Vector: TypeAlias = npt.NDArray[np.float32]

SIZE: Final = 384
"""Numbers in a vector."""

_MOST_TOKENS: Final = 128
"""What is behind them doesn't count: what is said in a turn is shorter, and time grows with the length."""
_CACHED: Final = 256
"""Texts whose vectors are kept: the words of a turn are asked for more than once."""


class MiniLm:
    """Makes vectors whose dot product says how much two English sentences mean the same: 1 the same, 0 unrelated.

    It is loaded by the first text, or by `warm`. About 4 ms a sentence, on one thread of its own.
    """

    def __init__(self, model: Path) -> None:
        """Take the folder with model.onnx and tokenizer.json. Raises FileNotFoundError where one is missing."""
        self._files = tuple(model / name for name in ("model.onnx", "tokenizer.json"))
        for file in self._files:
            if not file.is_file():
                raise FileNotFoundError(f"{file} is missing. Fetch the model of sentence embeddings again.")
        self._loaded: tuple[onnxruntime.InferenceSession, Tokenizer] | None = None
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._caching = threading.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="minilm")

    async def embed(self, text: str) -> Vector:
        """Return the vector of a text: [384] float32 of length 1, not to be written to.

        Cancelling is safe at any time: at most one text more is worked on.
        """
        with self._caching:
            if (known := self._cache.get(text)) is not None:
                self._cache.move_to_end(text)
                return known
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._embed, text)

    async def warm(self) -> None:
        """Load the model and run it once, so that the first real text isn't slower."""
        await self.embed("Hello.")

    def close(self) -> None:
        """Stop the thread after the text in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _embed(self, text: str) -> Vector:
        session, tokenizer = self._loaded = self._loaded or self._load()
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (states,) = session.run(None, inputs)
        mean = states[0].mean(axis=0)
        vector: Vector = (mean / np.linalg.norm(mean)).astype(np.float32)
        vector.flags.writeable = False
        with self._caching:
            self._cache[text] = vector
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return vector

    def _load(self) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        model, vocabulary = self._files
        tokenizer = Tokenizer.from_file(str(vocabulary))
        tokenizer.no_padding()
        tokenizer.enable_truncation(_MOST_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        give_back_memory()  # what loading took: 60 MB
        return session, tokenizer
