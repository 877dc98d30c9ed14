"""A Piper voice in two halves: from phonemes to frames of a hidden signal, and from those to sound.

A voice is one ONNX graph, which makes a whole sentence or nothing. Its last part, the decoder, does most of the work
and looks at ten neighbours of a frame at most. So it can make the sentence piece by piece and nobody hears a
difference, and the first quarter of a second is there soon, however long the sentence is.

The graph is cut where the decoder's first layer begins, on the level of protobuf's wire format
(https://protobuf.dev/programming-guides/encoding, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): a few dozen
lines, where the onnx package would cost 40 MB of memory for good.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

_Content: TypeAlias = bytes | memoryview
_Fields: TypeAlias = list[tuple[int, _Content | int]]
"""A message: each field's number and its content, in order."""

_VARINT: Final = 0
_LENGTH: Final = 2

# Numbers of fields in onnx.proto.
_GRAPH_OF_MODEL: Final = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
_INPUT_OF_NODE, _OUTPUT_OF_NODE = 1, 2
_NAME_OF_TENSOR: Final = 8
_NAME_OF_VALUE, _TYPE_OF_VALUE = 1, 2

_FLOATS: Final = b"\x0a\x02\x08\x01"
"""The type of a tensor of float32, whatever its shape."""
_FIRST_WEIGHT: Final = b"dec.conv_pre.weight"
"""Marks the decoder's first layer: exporters rename nodes and tensors, but not parameters."""


@dataclass(frozen=True, slots=True)
class Halves:
    """Two ONNX models; the decoder takes in what the encoder puts out, under the same names."""

    encoder: bytes
    decoder: bytes
    frames: str
    """Name of the float32 tensor [1, channels, frames] between them; nothing else between them has frames."""


@dataclass(frozen=True, slots=True)
class _Node:
    content: _Content
    inputs: frozenset[bytes]
    outputs: frozenset[bytes]


def split(model: bytes) -> Halves | None:
    """Cut a voice in two; None when nothing in it is marked as the decoder.

    Raises ValueError when `model` is no ONNX file.
    """
    fields = _read(model)
    graph = _read(next(_messages(fields, _GRAPH_OF_MODEL), b""))
    if not graph:
        raise ValueError("it is no ONNX model: it has no graph")
    nodes = [_node(content) for content in _messages(graph, _NODE)]
    first = next((node for node in nodes if _FIRST_WEIGHT in node.inputs), None)
    if first is None:
        return None
    decoder = _downstream(nodes, first)
    encoder = [node for node in nodes if node not in decoder]
    frames = bytes(next(_messages(_read(first.content), _INPUT_OF_NODE)))
    made = {name for node in encoder for name in node.outputs}
    between = [frames, *sorted({name for node in decoder for name in node.inputs & made} - {frames})]
    values = [_write([(_NAME_OF_VALUE, name), (_TYPE_OF_VALUE, _FLOATS)]) for name in between]
    inputs, outputs = (list(_messages(graph, number)) for number in (_INPUT, _OUTPUT))
    return Halves(
        _with_graph(fields, _part(graph, encoder, inputs, values)),
        _with_graph(fields, _part(graph, decoder, values, outputs)),
        frames.decode(),
    )


def _node(content: _Content) -> _Node:
    fields = _read(content)
    return _Node(
        content,
        frozenset(map(bytes, _messages(fields, _INPUT_OF_NODE))),
        frozenset(map(bytes, _messages(fields, _OUTPUT_OF_NODE))),
    )


def _downstream(nodes: Iterable[_Node], first: _Node) -> list[_Node]:
    """Return the nodes that need what `first` makes, and itself; a graph's nodes stand in the order of their work."""
    reached: list[_Node] = []
    made: set[bytes] = set()
    for node in nodes:
        if node == first or not made.isdisjoint(node.inputs):
            reached.append(node)
            made |= node.outputs
    return reached


def _part(graph: _Fields, nodes: list[_Node], inputs: Sequence[_Content], outputs: Sequence[_Content]) -> bytes:
    """Return the graph that consists of these nodes and what they need."""
    others = {name for node in nodes for name in node.outputs}
    needed = {name for node in nodes for name in node.inputs} - others
    kept: _Fields = [(_NODE, node.content) for node in nodes]
    kept += [
        (_INITIALIZER, tensor)
        for tensor in _messages(graph, _INITIALIZER)
        if bytes(next(_messages(_read(tensor), _NAME_OF_TENSOR))) in needed
    ]
    kept += [(_INPUT, value) for value in inputs] + [(_OUTPUT, value) for value in outputs]
    replaced = {_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO}
    return _write([*((number, content) for number, content in graph if number not in replaced), *kept])


def _with_graph(model: _Fields, graph: bytes) -> bytes:
    return _write([(number, graph if number == _GRAPH_OF_MODEL else content) for number, content in model])


# --- Protobuf's wire format ---


def _read(message: _Content) -> _Fields:
    """Return a message's fields, without a copy. Raises ValueError unless all are varints and byte strings."""
    view, at, fields = memoryview(message), 0, _Fields()
    while at < len(view):
        key, at = _varint(view, at)
        number, at = _varint(view, at)
        if key & 7 == _VARINT:
            fields.append((key >> 3, number))
            continue
        if key & 7 != _LENGTH or at + number > len(view):
            raise ValueError("it is no ONNX model, or a damaged one")
        fields.append((key >> 3, view[at : at + number]))
        at += number
    return fields


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(view):
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("it is no ONNX model, or ends in the middle")


def _messages(fields: _Fields, number: int) -> Iterator[_Content]:
    return (content for of, content in fields if of == number and not isinstance(content, int))


def _write(fields: _Fields) -> bytes:
    written: list[_Content] = []
    for number, content in fields:
        if isinstance(content, int):
            written += [_as_varint(number << 3 | _VARINT), _as_varint(content)]
        else:
            written += [_as_varint(number << 3 | _LENGTH), _as_varint(len(content)), content]
    return b"".join(written)


def _as_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
