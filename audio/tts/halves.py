"""A Piper voice in two halves: from phonemes to frames of a hidden signal, and from those to sound.

A voice is one ONNX graph, which makes a whole sentence or nothing. Its last part, the decoder, does most of the work
and looks at ten neighbours of a frame at most. So it can make the sentence piece by piece and nobody hears a
difference, and the first quarter of a second is there soon, however long the sentence is.

The graph is cut where the decoder's first layer begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from audio.onnx_file import (
    INITIALIZER,
    INPUT,
    INPUT_OF_NODE,
    NAME_OF_TENSOR,
    NODE,
    OUTPUT,
    OUTPUT_OF_NODE,
    VALUE_INFO,
    Content,
    Fields,
    floats,
    graph_of,
    messages,
    read,
    with_graph,
)

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
    content: Content
    inputs: frozenset[bytes]
    outputs: frozenset[bytes]


def split(model: bytes) -> Halves | None:
    """Cut a voice in two; None when nothing in it is marked as the decoder.

    Raises ValueError when `model` is no ONNX file.
    """
    graph = graph_of(model)
    nodes = [_node(content) for content in messages(graph, NODE)]
    first = next((node for node in nodes if _FIRST_WEIGHT in node.inputs), None)
    if first is None:
        return None
    decoder = _downstream(nodes, first)
    encoder = [node for node in nodes if node not in decoder]
    frames = bytes(next(messages(read(first.content), INPUT_OF_NODE)))
    made = {name for node in encoder for name in node.outputs}
    between = [frames, *sorted({name for node in decoder for name in node.inputs & made} - {frames})]
    values = [floats(name) for name in between]
    inputs, outputs = (list(messages(graph, number)) for number in (INPUT, OUTPUT))
    return Halves(
        with_graph(model, _part(graph, encoder, inputs, values)),
        with_graph(model, _part(graph, decoder, values, outputs)),
        frames.decode(),
    )


def _node(content: Content) -> _Node:
    fields = read(content)
    return _Node(
        content,
        frozenset(map(bytes, messages(fields, INPUT_OF_NODE))),
        frozenset(map(bytes, messages(fields, OUTPUT_OF_NODE))),
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


def _part(graph: Fields, nodes: list[_Node], inputs: Sequence[Content], outputs: Sequence[Content]) -> Fields:
    """Return the graph that consists of these nodes and what they need."""
    others = {name for node in nodes for name in node.outputs}
    needed = {name for node in nodes for name in node.inputs} - others
    kept: Fields = [(NODE, node.content) for node in nodes]
    kept += [
        (INITIALIZER, tensor)
        for tensor in messages(graph, INITIALIZER)
        if bytes(next(messages(read(tensor), NAME_OF_TENSOR))) in needed
    ]
    kept += [(INPUT, value) for value in inputs] + [(OUTPUT, value) for value in outputs]
    replaced = {NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO}
    return [*((number, content) for number, content in graph if number not in replaced), *kept]
