"""Compares compiled arithmetic with the wheel's: `python -m assistant.llm.kernel_check FILE`.

A process of its own: what was compiled may crash. It ends with 0 where all products agree, and otherwise says which
don't.
"""

import ctypes
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from assistant.llm.ggml import Plan, exchange, library

_FORMATS: Final = {
    "F16": 1,
    "Q4_0": 2,
    "Q4_1": 3,
    "Q5_0": 6,
    "Q8_0": 8,
    "Q4_K": 12,
    "Q5_K": 13,
    "Q6_K": 14,
    "IQ4_NL": 20,
}
"""The numbers of ggml's formats (enum ggml_type)."""
_F32: Final = 0
_WIDTH, _HEIGHT = 512, 256
"""Of the matrices that are multiplied for comparison."""
_COLUMNS: Final = (1, 9, 40)
"""One token is computed by other kernels than several."""
_PLAIN: Final = 0
"""The way of storing that there always is; every format has products in it."""
_APART: Final = 0.01
"""How far two products may be from each other, in parts of their size: kernels round their input differently."""


def compare(file: Path) -> str:
    """Return what is amiss with the products of the arithmetic in `file`, or nothing."""
    functions = library()
    expected = _products(functions)
    if not exchange(functions, file):
        return "error: it can't be loaded"
    for (name, columns, way), found in _products(functions).items():
        right = expected[name, columns, _PLAIN]
        if not float(np.linalg.norm(found - right)) <= _APART * float(np.linalg.norm(right)):
            return f"error: products of {name} by {columns} (way of storing: {way}) are wrong"
    return ""


def _products(functions: Any) -> dict[tuple[str, int, int], NDArray[np.float32]]:
    """Multiply matrices of all formats by some columns, in every way that the CPU's backend has of storing them.

    Return the products by format, number of columns and way. Nothing is freed: the process is about to end.
    """
    device = functions.ggml_backend_reg_dev_get(functions.ggml_backend_reg_by_name(b"CPU"), 0)
    backend = functions.ggml_backend_dev_init(device, None)
    ways = [functions.ggml_backend_dev_buffer_type(device), *_extra(functions, device)]
    numbers = np.random.default_rng(1)
    weights = numbers.standard_normal((_HEIGHT, _WIDTH), dtype=np.float32)
    results = {}
    for columns in _COLUMNS:
        values = numbers.standard_normal((columns, _WIDTH), dtype=np.float32)
        for name, kind in _FORMATS.items():
            for way, buffers in enumerate(ways):
                product = _product(functions, (device, backend, buffers), kind, weights, values)
                if product is not None:
                    results[name, columns, way] = product
    return results


def _extra(functions: Any, device: int) -> Iterator[int]:
    """Return the ways of storing that kernels like better; a null pointer ends their list."""
    registry = functions.ggml_backend_reg_by_name(b"CPU")
    address = functions.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
    kinds = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(device)
    return itertools.takewhile(bool, (kinds[number] for number in itertools.count()))


def _product(
    functions: Any, places: tuple[int, int, int], kind: int, weights: NDArray[np.float32], values: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Return values [columns, width] times weights [height, width], or None where the place has no kernels for that."""
    device, backend, buffers = places
    height, width = weights.shape
    stored, computed = (functions.ggml_init(Plan(1 << 20, None, True)) for _ in range(2))
    matrix = functions.ggml_new_tensor_2d(stored, kind, width, height)
    buffer = functions.ggml_backend_buft_alloc_buffer(
        buffers, functions.ggml_backend_buft_get_alloc_size(buffers, matrix)
    )
    functions.ggml_backend_tensor_alloc(buffer, matrix, functions.ggml_backend_buffer_get_base(buffer))
    right = functions.ggml_new_tensor_2d(computed, _F32, width, len(values))
    product = functions.ggml_mul_mat(computed, matrix, right)
    if not functions.ggml_backend_dev_supports_op(device, product):
        return None
    packed = np.empty(functions.ggml_nbytes(matrix), np.uint8)
    functions.ggml_quantize_chunk(kind, weights.ctypes.data, packed.ctypes.data, 0, height, width, None)
    functions.ggml_backend_tensor_set(matrix, packed.ctypes.data, 0, packed.nbytes)
    graph = functions.ggml_new_graph(computed)
    functions.ggml_build_forward_expand(graph, product)
    functions.ggml_backend_alloc_ctx_tensors(computed, backend)
    functions.ggml_backend_tensor_set(right, values.ctypes.data, 0, values.nbytes)
    functions.ggml_backend_graph_compute(backend, graph)
    result = np.empty((len(values), height), np.float32)
    functions.ggml_backend_tensor_get(product, result.ctypes.data, 0, result.nbytes)
    return result


if __name__ == "__main__":
    sys.exit(compare(Path(sys.argv[1])) or None)
