"""Weights in another format: how near they are to the old ones, and that everything else of a file stays."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Format
from gguf import GGUFReader
from gguf.quants import dequantize
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assistant.requantise import iq4_nl, requantise
from tests.assistant.conftest import gguf_file


def test_weights_come_back_nearly_as_they_were() -> None:
    weights = np.random.default_rng(1).normal(0, 0.02, (64, 256)).astype(np.float32)
    again = dequantize(iq4_nl(weights), Format.IQ4_NL)
    assert again.shape == weights.shape
    assert np.square(weights - again).sum() / np.square(weights).sum() < 0.008


@given(arrays(np.float32, (2, 64), elements=st.floats(-8, 8, width=32)))
def test_no_weight_moves_by_more_than_its_share_of_the_largest(weights: "np.typing.NDArray[np.float32]") -> None:
    again = dequantize(iq4_nl(weights), Format.IQ4_NL)
    largest = np.abs(weights.reshape(-1, 32)).max(axis=1).repeat(32).reshape(weights.shape)
    # The widest gap between two levels is 24 of 127; the scale may be a tenth smaller than the largest weight asks for,
    # and the smallest scale that there is, of a half float, may be too large.
    assert np.all(np.abs(weights - again) <= 0.25 * largest + 1e-5)


def test_what_is_zero_stays_zero() -> None:
    assert not dequantize(iq4_nl(np.zeros((1, 32), np.float32)), Format.IQ4_NL).any()


def test_each_weight_gets_the_format_that_suits_its_work(tmp_path: Path) -> None:
    source, target = gguf_file(tmp_path / "old.gguf"), tmp_path / "new.gguf"
    requantise(source, target)
    old, new = GGUFReader(source), GGUFReader(target)
    assert {tensor.name: tensor.tensor_type for tensor in new.tensors} == {
        "token_embd.weight": Format.Q5_0,
        "blk.0.attn_q.weight": Format.Q8_0,
        "blk.0.ffn_up.weight": Format.IQ4_NL,
        "blk.0.attn_k.weight": Format.IQ4_NL,
        "output.weight": Format.IQ4_NL,
        "blk.0.ffn_norm.weight": Format.F32,
    }
    for before, after in zip(old.tensors, new.tensors, strict=True):
        weights = dequantize(before.data, before.tensor_type)
        assert np.allclose(dequantize(after.data, after.tensor_type), weights, atol=0.15 * np.abs(weights).max())
    kept = {name: field.contents() for name, field in old.fields.items() if not name.startswith("GGUF.")}
    assert {name: field.contents() for name, field in new.fields.items() if not name.startswith("GGUF.")} == kept


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.gguf").write_bytes(b"no model" * 10)
    with pytest.raises(ValueError, match="GGUF"):
        requantise(tmp_path / "old.gguf", tmp_path / "new.gguf")
