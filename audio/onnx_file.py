"""ONNX files, taken apart and put together on the level of protobuf's wire format.

A few dozen lines, where the onnx package would cost 40 MB of memory for good. A message is the list of its fields.

https://protobuf.dev/programming-guides/encoding, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

Content: TypeAlias = bytes | memoryview
Fields: TypeAlias = list[tuple[int, Content | int]]
"""A message: each field's number and its content, in order."""

# Numbers of fields in onnx.proto.
_GRAPH_OF_MODEL: Final = 7
NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO = 1, 5, 11, 12, 13
INPUT_OF_NODE, OUTPUT_OF_NODE = 1, 2
DIMS_OF_TENSOR, NAME_OF_TENSOR, DATA_OF_TENSOR = 1, 8, 9
NAME_OF_VALUE, _TYPE_OF_VALUE = 1, 2

_FLOATS: Final = b"\x0a\x02\x08\x01"
"""The type of a tensor of float32, whatever its shape."""
_VARINT: Final = 0
_LENGTH: Final = 2


def graph_of(model: bytes) -> Fields:
    """Return a model's graph. Raises ValueError when `model` is no ONNX file."""
    graph = read(next(messages(read(model), _GRAPH_OF_MODEL), b""))
    if not graph:
        raise ValueError("it is no ONNX model: it has no graph")
    return graph


def with_graph(model: bytes, graph: Fields) -> bytes:
    """Return the model with another graph."""
    return write([(number, write(graph) if number == _GRAPH_OF_MODEL else content) for number, content in read(model)])


def floats(name: Content) -> bytes:
    """Return the description of an input or output: float32 of any shape."""
    return write([(NAME_OF_VALUE, name), (_TYPE_OF_VALUE, _FLOATS)])


def read(message: Content) -> Fields:
    """Return a message's fields, without a copy. Raises ValueError unless all are varints and byte strings."""
    view, at, fields = memoryview(message), 0, Fields()
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


def messages(fields: Fields, number: int) -> Iterator[Content]:
    """Return what the fields of this number hold, those that are messages or bytes."""
    return (content for of, content in fields if of == number and not isinstance(content, int))


def write(fields: Fields) -> bytes:
    """Return the message that has these fields."""
    written: list[Content] = []
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
