"""llama.cpp's functions, and how another backend takes the place of the wheel's.

https://github.com/ggml-org/llama.cpp/blob/master/ggml/include/ggml-backend.h
"""

import ctypes
import os
from pathlib import Path
from typing import Any, Final


class Plan(ctypes.Structure):
    """What ggml_init takes: bytes, memory, and whether to leave the numbers of tensors without a place."""

    _fields_ = (("bytes", ctypes.c_size_t), ("memory", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def library() -> Any:
    """Return llama.cpp's functions, as they are in the wheel."""
    import xllamacpp.xllamacpp as wheel  # noqa: PLC0415 - after assistant.cpu.share_machine, which it reads once

    # What is loaded later finds the functions that it shares with the wheel.
    found = ctypes.CDLL(wheel.__file__, mode=ctypes.RTLD_GLOBAL)
    pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    signatures: dict[str, tuple[Any, ...]] = {
        "ggml_log_set": (None, pointer, pointer),
        "ggml_backend_reg_by_name": (pointer, ctypes.c_char_p),
        "ggml_backend_load": (pointer, ctypes.c_char_p),
        "ggml_backend_unload": (None, pointer),
        "ggml_backend_reg_dev_get": (pointer, pointer, size),
        "ggml_backend_reg_get_proc_address": (pointer, pointer, ctypes.c_char_p),
        "ggml_backend_dev_buffer_type": (pointer, pointer),
        "ggml_backend_dev_init": (pointer, pointer, ctypes.c_char_p),
        "ggml_backend_dev_supports_op": (ctypes.c_bool, pointer, pointer),
        "ggml_backend_buft_alloc_buffer": (pointer, pointer, size),
        "ggml_backend_buft_get_alloc_size": (size, pointer, pointer),
        "ggml_backend_buffer_get_base": (pointer, pointer),
        "ggml_backend_tensor_alloc": (number, pointer, pointer, pointer),
        "ggml_backend_tensor_set": (None, pointer, pointer, size, size),
        "ggml_backend_tensor_get": (None, pointer, pointer, size, size),
        "ggml_backend_alloc_ctx_tensors": (pointer, pointer, pointer),
        "ggml_backend_graph_compute": (number, pointer, pointer),
        "ggml_init": (pointer, Plan),
        "ggml_new_tensor_2d": (pointer, pointer, number, ctypes.c_int64, ctypes.c_int64),
        "ggml_mul_mat": (pointer, pointer, pointer, pointer),
        "ggml_new_graph": (pointer, pointer),
        "ggml_build_forward_expand": (None, pointer, pointer),
        "ggml_nbytes": (size, pointer),
        "ggml_quantize_chunk": (
            size,
            number,
            pointer,
            pointer,
            ctypes.c_int64,
            ctypes.c_int64,
            ctypes.c_int64,
            pointer,
        ),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


_LOGGER: Final = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_silent: Final = _LOGGER(lambda _level, _text, _data: None)
"""Or ggml writes to stderr what it loads."""


def exchange(functions: Any, file: Path) -> bool:
    """Compute with the backend in `file` instead of the one that there is; say if it could be loaded."""
    functions.ggml_log_set(_silent, None)
    old = functions.ggml_backend_reg_by_name(b"CPU")
    if not functions.ggml_backend_load(os.fsencode(file)):
        return False
    functions.ggml_backend_unload(old)
    return True
