"""llama.cpp's arithmetic, compiled for this processor: `python -m assistant.llm.kernels`, half a minute, once.

The wheel of xllamacpp runs on every processor of the last ten years, so it makes no use of what came since: AVX-512,
VNNI and AMX, or Arm's dot products. What computes in llama.cpp, the CPU backend of ggml, is a small part of it, and
llama.cpp can load it from a file of its own. So it is compiled here, from the sources of the very same version, and
takes the place of the wheel's when a model is loaded. It is used only after its products, of matrices in every format
that our models have, agreed with those of the wheel.

Where there is no compiler, no network to fetch the sources once (38 MB) or no Linux, the wheel's own goes on working.

https://github.com/ggml-org/llama.cpp/tree/master/ggml/src/ggml-cpu
"""

import ctypes
import hashlib
import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import platformdirs
from numpy.typing import NDArray

from assistant.cpu import cores
from assistant.sources import UNREACHABLE
from pipeline.errors import ParleyError

_PACKAGE: Final = "xllamacpp"
_VERSION: Final = "2026.10.11549"
_SHA256: Final = "c17ee1163006f70726abb9f72137830818f3d8cb60bfc34cb232d08428eaa22b"
"""Of the sources of that version: nothing else is unpacked, let alone compiled."""
_GGML: Final = "thirdparty/llama.cpp/ggml"

_FILE: Final = "ggml-cpu.so"
_FAILURE: Final = "failure.txt"

_ARCHITECTURES: Final = {"x86_64": ("x86", "-march=native"), "aarch64": ("arm", "-mcpu=native")}
_FLAGS: Final = (
    *("-O3", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-fopenmp", "-D_GNU_SOURCE"),
    *("-DGGML_BACKEND_DL", "-DGGML_BACKEND_BUILD", "-DGGML_BACKEND_SHARED"),
    *("-DGGML_USE_OPENMP", "-DGGML_USE_LLAMAFILE", "-DGGML_USE_CPU_REPACK"),
)
_TILES: Final = """
#ifdef __AMX_TILE__
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" ::"m"(*(const char(*)[64])(config)))
#endif
"""
"""Included first: GCC 12's intrinsic reads 8 of these 64 bytes, as the compiler sees it, which may then omit others."""
_PROCESSOR: Final = re.compile(
    r"^(?:model name|flags|Features|CPU implementer|CPU architecture|CPU part)\s*:.*$", re.MULTILINE
)

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

_lock = threading.Lock()
_taken: bool | None = None


class KernelError(ParleyError):
    """The arithmetic can't be compiled here; the message says why, and what to do."""


def place(root: Path | None = None) -> Path:
    """Return the folder for what is compiled for this version and this processor, under `root` or the user's cache."""
    try:
        processor = sorted(set(_PROCESSOR.findall(Path("/proc/cpuinfo").read_text(encoding="utf-8"))))
    except OSError:
        processor = []
    key = hashlib.sha256("\n".join([_SHA256, _TILES, *_FLAGS, platform.machine(), *processor]).encode())
    return (root or platformdirs.user_cache_path("parley") / "kernels") / key.hexdigest()[:16]


def find(root: Path | None = None) -> Path | None:
    """Return the file that was compiled for this processor, where there is one that fits the installed llama.cpp."""
    file = place(root) / _FILE
    return file if version(_PACKAGE) == _VERSION and file.is_file() else None


def take() -> bool:
    """Compute with what was compiled, if anything was; say if so. To be called before a model is loaded."""
    global _taken  # noqa: PLW0603 - what is the case in a process
    with _lock:
        if _taken is None:
            file = find()
            _taken = file is not None and _exchange(_library(), file)
        return _taken


def build(root: Path | None = None) -> Path:
    """Return the file compiled for this processor, making it first when it isn't there; `root` is as in `place`.

    Raises KernelError. What failed while it was compiled isn't tried again, until its folder is removed.
    """
    folder = place(root)
    if (found := find(root)) is not None:
        return found
    if (failure := folder / _FAILURE).is_file():
        raise KernelError(f"{failure.read_text(encoding='utf-8')} Remove {folder} to try again.")
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        raise KernelError(f"It can't be compiled for {sys.platform} on {platform.machine()}.")
    if (installed := version(_PACKAGE)) != _VERSION:
        raise KernelError(f"The sources are of {_PACKAGE} {_VERSION}, and {installed} is installed.")
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise KernelError("There is no C++ compiler: install one (Debian and Ubuntu: apt install g++), and try again.")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="parley-", dir=folder) as scratch:
            sources = _fetch(Path(scratch))
            try:
                made = _compile(compiler, sources, Path(scratch))
                _check(made)
            except KernelError as error:
                failure.write_text(str(error), encoding="utf-8")
                raise
            return made.replace(folder / _FILE)
    except OSError as error:
        raise KernelError(f"{folder} can't be written: {error.strerror or error}.") from error


def _fetch(scratch: Path) -> Path:
    """Return the folder of ggml's sources."""
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{_PACKAGE}=={_VERSION} --hash=sha256:{_SHA256}\n", encoding="utf-8")
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--no-binary", _PACKAGE, "--no-cache-dir", "--retries", "2", "--require-hashes"),
        *("-r", str(wanted), "--dest", str(scratch)),
        fails="The sources can't be fetched",
    )
    top = f"{_PACKAGE}-{_VERSION}"
    with tarfile.open(scratch / f"{top}.tar.gz") as archive:
        members = [member for member in archive if member.name.startswith(f"{top}/{_GGML}/")]
        archive.extractall(scratch, members, filter="data")
    return scratch / top / _GGML


def _compile(compiler: str, ggml: Path, scratch: Path) -> Path:
    where, processor = _ARCHITECTURES[platform.machine()]
    cpu = ggml / "src/ggml-cpu"
    patterns = ("*.c", "*.cpp", "amx/*.cpp", "tiled/*.cpp", "llamafile/*.cpp", f"arch/{where}/quants.c")
    files = sorted(file for pattern in (*patterns, f"arch/{where}/repack.cpp") for file in cpu.glob(pattern))
    first = scratch / "first.h"
    first.write_text(_TILES, encoding="utf-8")
    includes = [f"-I{folder}" for folder in (cpu, ggml / "src", ggml / "include")]

    def one(file: Path) -> str:
        target = str(scratch / f"{file.relative_to(cpu).as_posix().replace('/', '-')}.o")
        language = ["-x", "c", "-std=c11"] if file.suffix == ".c" else ["-std=c++17"]
        options = [*_FLAGS, processor, *includes, "-include", str(first), "-c", str(file), "-o", target]
        _run(compiler, *language, *options, fails=f"{file.name} can't be compiled")
        return target

    with ThreadPoolExecutor(cores()) as threads:
        objects = list(threads.map(one, files))
    made = scratch / _FILE
    # Its own functions first: the wheel has some of the same names.
    _run(compiler, "-shared", "-Wl,-Bsymbolic", "-fopenmp", "-o", str(made), *objects, fails="It can't be linked")
    return made


def _check(made: Path) -> None:
    """Compare with the wheel's arithmetic in a process of its own, which may crash."""
    _run(sys.executable, "-m", __spec__.name, str(made), fails="What was compiled doesn't compute as it should")


def _run(*command: str, fails: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if "error" in line.lower()), "".join(lines[-1:]))
        if UNREACHABLE.search(done.stderr):
            said = "the package index can't be reached"
        elif done.returncode < 0:
            said = f"it crashed (signal {-done.returncode})"
        raise KernelError(f"{fails}: {said.removeprefix('ERROR: ').rstrip('.')[:300]}.")


class _Plan(ctypes.Structure):
    """What ggml_init takes."""

    _fields_ = (("bytes", ctypes.c_size_t), ("memory", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def _library() -> Any:
    """Return llama.cpp's functions, as they are in the wheel."""
    import xllamacpp.xllamacpp as wheel  # noqa: PLC0415 - after assistant.cpu.share_machine, which it reads once

    # What is loaded later finds the functions that it shares with the wheel.
    library = ctypes.CDLL(wheel.__file__, mode=ctypes.RTLD_GLOBAL)
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
        "ggml_init": (pointer, _Plan),
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
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_LOGGER: Final = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_silent: Final = _LOGGER(lambda _level, _text, _data: None)
"""Or ggml writes to stderr what it loads."""


def _exchange(library: Any, file: Path) -> bool:
    library.ggml_log_set(_silent, None)
    old = library.ggml_backend_reg_by_name(b"CPU")
    if not library.ggml_backend_load(os.fsencode(file)):
        return False
    library.ggml_backend_unload(old)
    return True


def _compare(file: Path) -> str:
    """Return what is amiss with the products of the arithmetic in `file`, or nothing."""
    library = _library()
    expected = _products(library)
    if not _exchange(library, file):
        return "error: it can't be loaded"
    for (name, columns, way), found in _products(library).items():
        right = expected[name, columns, _PLAIN]
        if not float(np.linalg.norm(found - right)) <= _APART * float(np.linalg.norm(right)):
            return f"error: products of {name} by {columns} (way of storing: {way}) are wrong"
    return ""


def _products(library: Any) -> dict[tuple[str, int, int], NDArray[np.float32]]:
    """Multiply matrices of all formats by some columns, in every way that the CPU's backend has of storing them.

    Return the products by format, number of columns and way. Nothing is freed: the process is about to end.
    """
    device = library.ggml_backend_reg_dev_get(library.ggml_backend_reg_by_name(b"CPU"), 0)
    backend = library.ggml_backend_dev_init(device, None)
    ways = [library.ggml_backend_dev_buffer_type(device), *_extra(library, device)]
    numbers = np.random.default_rng(1)
    weights = numbers.standard_normal((_HEIGHT, _WIDTH), dtype=np.float32)
    results = {}
    for columns in _COLUMNS:
        values = numbers.standard_normal((columns, _WIDTH), dtype=np.float32)
        for name, kind in _FORMATS.items():
            for way, buffers in enumerate(ways):
                product = _product(library, (device, backend, buffers), kind, weights, values)
                if product is not None:
                    results[name, columns, way] = product
    return results


def _extra(library: Any, device: int) -> Iterator[int]:
    """Return the ways of storing that kernels like better; a null pointer ends their list."""
    registry = library.ggml_backend_reg_by_name(b"CPU")
    address = library.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
    kinds = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(device)
    return itertools.takewhile(bool, (kinds[number] for number in itertools.count()))


def _product(
    library: Any, places: tuple[int, int, int], kind: int, weights: NDArray[np.float32], values: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Return values [columns, width] times weights [height, width], or None where the place has no kernels for that."""
    device, backend, buffers = places
    height, width = weights.shape
    stored, computed = (library.ggml_init(_Plan(1 << 20, None, True)) for _ in range(2))
    matrix = library.ggml_new_tensor_2d(stored, kind, width, height)
    buffer = library.ggml_backend_buft_alloc_buffer(buffers, library.ggml_backend_buft_get_alloc_size(buffers, matrix))
    library.ggml_backend_tensor_alloc(buffer, matrix, library.ggml_backend_buffer_get_base(buffer))
    right = library.ggml_new_tensor_2d(computed, _F32, width, len(values))
    product = library.ggml_mul_mat(computed, matrix, right)
    if not library.ggml_backend_dev_supports_op(device, product):
        return None
    packed = np.empty(library.ggml_nbytes(matrix), np.uint8)
    library.ggml_quantize_chunk(kind, weights.ctypes.data, packed.ctypes.data, 0, height, width, None)
    library.ggml_backend_tensor_set(matrix, packed.ctypes.data, 0, packed.nbytes)
    graph = library.ggml_new_graph(computed)
    library.ggml_build_forward_expand(graph, product)
    library.ggml_backend_alloc_ctx_tensors(computed, backend)
    library.ggml_backend_tensor_set(right, values.ctypes.data, 0, values.nbytes)
    library.ggml_backend_graph_compute(backend, graph)
    result = np.empty((len(values), height), np.float32)
    library.ggml_backend_tensor_get(product, result.ctypes.data, 0, result.nbytes)
    return result


def main() -> None:
    """Compile what is missing and tell of it; with a file, compare its arithmetic with the wheel's."""
    if sys.argv[1:]:
        sys.exit(_compare(Path(sys.argv[1])) or None)
    if find() is not None:
        return
    begun = time.monotonic()
    try:
        if not (place() / _FAILURE).is_file():
            print("Compiling the language model's arithmetic for this processor (half a minute, once)", flush=True)
        build()
    except KernelError as error:
        print(f"The language model computes as on any processor, more slowly than it could on this one. {error}")
    else:
        print(f"Compiled in {time.monotonic() - begun:.0f} s.")


if __name__ == "__main__":
    main()
