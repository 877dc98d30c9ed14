"""Smart Turn's model, made to listen to less than the 8 s that it was published for.

What an utterance is short of 8 s is silence before it, and costs as much as speech. The model's layers would take in
any length. Only a table of positions says how many there are, and one constant that is a shape: the table becomes an
input, and the constant "as many as come".
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.onnx_file import (
    DATA_OF_TENSOR,
    DIMS_OF_TENSOR,
    INITIALIZER,
    INPUT,
    NAME_OF_TENSOR,
    NAME_OF_VALUE,
    VALUE_INFO,
    Content,
    floats,
    graph_of,
    messages,
    read,
    with_graph,
    write,
)

_TABLE: Final = b"embed_positions.weight"
"""The end of its name: exporters rename nodes and tensors, but not parameters."""
_AS_MANY_AS_COME: Final = (-1).to_bytes(8, "little", signed=True)


@dataclass(frozen=True, slots=True)
class AnyLength:
    """A model that wants to be told the positions of what it hears."""

    model: bytes
    table: str
    """Name of the input that takes rows of `positions`."""
    positions: NDArray[np.float32]
    """Shape [n, width], for the longest sound: that of a shorter one are the last rows."""


def any_length(model: bytes) -> AnyLength | None:
    """Let a model hear sound of any length; None where it isn't built as it would have to be.

    Raises ValueError when `model` is no ONNX file.
    """
    graph = graph_of(model)
    tensors = {_text(tensor, NAME_OF_TENSOR): tensor for tensor in messages(graph, INITIALIZER)}
    table = next((name for name in tensors if name.endswith(_TABLE)), None)
    if table is None:
        return None
    rows, width = (size for number, size in read(tensors[table]) if number == DIMS_OF_TENSOR and isinstance(size, int))
    length = rows.to_bytes(8, "little")
    shapes = [tensor for tensor in tensors.values() if _text(tensor, DATA_OF_TENSOR) == length]
    if len(shapes) != 1:
        return None
    inputs = [_text(value, NAME_OF_VALUE) for value in messages(graph, INPUT)]
    replaced = {INITIALIZER, INPUT, VALUE_INFO}
    changed = [(number, content) for number, content in graph if number not in replaced]
    changed += [
        (INITIALIZER, _with_data(tensor, _AS_MANY_AS_COME) if tensor is shapes[0] else tensor)
        for name, tensor in tensors.items()
        if name != table
    ]
    changed += [(INPUT, floats(name)) for name in (*inputs, table)]
    positions = np.frombuffer(_text(tensors[table], DATA_OF_TENSOR), "<f4").reshape(rows, width)
    return AnyLength(with_graph(model, changed), table.decode(), positions.astype(np.float32))


def _text(message: Content, number: int) -> bytes:
    return bytes(next(messages(read(message), number), b""))


def _with_data(tensor: Content, data: bytes) -> bytes:
    return write([(number, data if number == DATA_OF_TENSOR else content) for number, content in read(tensor)])
