"""A language model's weights in another format: `python -m assistant.requantise FROM TO`, ten to twenty seconds.

llama.cpp multiplies matrices of IQ4_NL and Q4_K with kernels of their own for every processor (it packs the weights
anew while loading); it has none for Q5_0, which Q4_K_M files of small models mostly consist of, and for Q8_0 only for
many tokens at once. The output layer, a third of what is read for each token, is Q8_0 there. On a slow server core a
generated token takes 69 ms instead of 90.

What matters little for speed keeps its precision: attention and what the file's maker gave more bits become Q8_0. Over
138 beginnings of answers, the next token's probabilities differ from those of the Q4_K_M file by 0.036 (mean
Kullback-Leibler divergence; 0.016 in the middle), of which the output layer makes 0.010; with attention and all of
the feed-forward layers in IQ4_NL as well they would differ by 0.059.

For Q4_1, of which SmolLM2 consists, there are such kernels only where a processor has AMX. All of its layers become
IQ4_NL: on a processor with AVX-512 a token takes 7 ms instead of 12.

Formats: https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h
"""

import sys
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from gguf import GGMLQuantizationType as Format
from gguf import GGUFReader, GGUFValueType, GGUFWriter, ReaderField, ReaderTensor
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float32]
_Bytes: TypeAlias = NDArray[np.uint8]

_BLOCK: Final = 32
"""Weights that share a scale."""
_LEVELS: Final = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32)
"""What the sixteen codes of IQ4_NL stand for, times the scale."""
_BOUNDS: Final = (_LEVELS[1:] + _LEVELS[:-1]) / 2
_ROWS: Final = 4096
"""Of a matrix, at once: as numbers, all of the largest would take gigabytes."""
_TRIES: Final = (1.0, 0.9)
"""Scales that are tried, as parts of the one that maps a block's largest weight to the outermost level."""


def requantise(source: Path, target: Path) -> None:
    """Write the model `source`, a GGUF file, to `target`, in formats that are quick.

    The same bytes come out on every machine. Raises ValueError when `source` is no GGUF file, OSError when the disk
    can't take it.
    """
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents(), use_temp_file=True)
    for field in reader.fields.values():
        _copy(field, writer)
    for tensor in reader.tensors:
        weights, kind = _converted(tensor)
        writer.add_tensor(tensor.name, weights, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def iq4_nl(weights: _Floats) -> _Bytes:
    """Quantise rows of float32 weights [..., n], n a multiple of 32, to IQ4_NL [..., n / 32 * 18 bytes].

    Every step is one operation on each number, in an order of ours: no processor rounds otherwise.
    """
    blocks = weights.reshape(-1, _BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    codes = np.zeros(blocks.shape, np.uint8)
    scales = np.zeros((len(blocks), 1), np.float16)
    errors = np.full((len(blocks), 1), np.inf, np.float32)
    for part in _TRIES:
        steps = largest / _LEVELS[0] * np.float32(part)
        tried = np.searchsorted(_BOUNDS, blocks / np.where(steps == 0, 1, steps)).astype(np.uint8)
        levels = _LEVELS[tried]
        # Of all scales for these codes, the one with the least squared error.
        scale = (_sums(blocks * levels) / _sums(levels * levels)).astype(np.float16)
        missed = blocks - levels * scale.astype(np.float32)
        error = _sums(missed * missed)
        better = error < errors
        codes, scales = np.where(better, tried, codes), np.where(better, scale, scales)
        errors = np.where(better, error, errors)
    half = _BLOCK // 2
    packed = np.concatenate([scales.view(np.uint8), codes[:, :half] | codes[:, half:] << 4], axis=1)
    return packed.reshape(*weights.shape[:-1], -1)


def _sums(blocks: _Floats) -> _Floats:
    while (half := blocks.shape[1] // 2) > 0:
        blocks = blocks[:, :half] + blocks[:, half:]
    return blocks


def _copy(field: ReaderField, writer: GGUFWriter) -> None:
    # The writer makes these itself.
    if field.name == "general.architecture" or field.name.startswith("GGUF."):
        return
    kind = field.types[0]
    of = field.types[-1] if kind is GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, sub_type=of)


def _converted(tensor: ReaderTensor) -> tuple[NDArray[Any], Format]:
    in_layer, in_attention = tensor.name.startswith("blk."), ".attn_" in tensor.name
    match tensor.tensor_type:
        case Format.Q4_1 if in_layer:
            return _as_iq4_nl(tensor), Format.IQ4_NL
        case Format.Q5_0 if in_layer and not in_attention:
            return _as_iq4_nl(tensor), Format.IQ4_NL
        case Format.Q8_0 if tensor.name == "output.weight":
            return _as_iq4_nl(tensor), Format.IQ4_NL
        case (Format.Q5_0 | Format.Q6_K) as kind if in_layer:
            return quantize(dequantize(tensor.data, kind), Format.Q8_0), Format.Q8_0
        case kind:
            return tensor.data, kind


def _as_iq4_nl(tensor: ReaderTensor) -> _Bytes:
    rows = (tensor.data[begin : begin + _ROWS] for begin in range(0, len(tensor.data), _ROWS))
    return np.concatenate([iq4_nl(dequantize(some, tensor.tensor_type)) for some in rows])


if __name__ == "__main__":
    requantise(Path(sys.argv[1]), Path(sys.argv[2]))
