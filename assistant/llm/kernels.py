"""llama.cpp's arithmetic, compiled for this processor: `python -m assistant.llm.kernels`, half a minute, once.

The wheel of xllamacpp runs on every processor of the last ten years, so it makes no use of what came since: AVX-512,
VNNI and AMX, or Arm's dot products. What computes in llama.cpp, the CPU backend of ggml, is a small part of it, and
llama.cpp can load it from a file of its own. So it is compiled here, from the sources of the very same version, and
takes the place of the wheel's when a model is loaded. It is used only after its products, of matrices in every format
that our models have, agreed with those of the wheel. It can also be told how many threads to use, before each token
(`share`); the wheel's is told once, when a model is loaded.

Where there is no compiler, no network to fetch the sources once (38 MB) or no Linux, the wheel's own goes on working.

https://github.com/ggml-org/llama.cpp/tree/master/ggml/src/ggml-cpu
"""

import ctypes
import hashlib
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import platformdirs

from assistant.catalogue import SourceError
from assistant.cpu import cores
from assistant.llm.ggml import exchange, library
from assistant.sources import Download, in_order, pip_download
from pipeline.errors import ParleyError

_PACKAGE: Final = "xllamacpp"
_VERSION: Final = "2026.10.11549"
_SHA256: Final = "c17ee1163006f70726abb9f72137830818f3d8cb60bfc34cb232d08428eaa22b"
"""Of the sources of that version: nothing else is unpacked, let alone compiled."""
_BYTES: Final = 39_000_000
"""About as many as their archive has."""
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
_THREADS: Final = """
#include "ggml-cpu.h"
#include <stdatomic.h>

static atomic_int most = 1 << 20;

__typeof__(ggml_graph_plan) __real_ggml_graph_plan, __wrap_ggml_graph_plan;

struct ggml_cplan __wrap_ggml_graph_plan(const struct ggml_cgraph *graph, int threads, struct ggml_threadpool *pool) {
    int limit = atomic_load(&most);
    return __real_ggml_graph_plan(graph, threads < limit ? threads : limit, pool);
}

__attribute__((visibility("default"))) void parley_most_threads(int threads) { atomic_store(&most, threads); }
"""
"""Compiled as well, and asked before each token: llama.cpp itself is told the number of threads once for all."""
_WRAP: Final = "-Wl,--wrap=ggml_graph_plan"
_PROCESSOR: Final = re.compile(
    r"^(?:model name|flags|Features|CPU implementer|CPU architecture|CPU part)\s*:.*$", re.MULTILINE
)

_lock = threading.Lock()
_taken: ctypes.CDLL | Literal[False] | None = None
"""What was compiled, when it is in use; False when nothing is; None as long as nobody has asked."""


class KernelError(ParleyError):
    """The arithmetic can't be compiled here; the message says why, and what to do."""


def place(root: Path | None = None) -> Path:
    """Return the folder for what is compiled for this version and this processor, under `root` or the user's cache."""
    try:
        processor = sorted(set(_PROCESSOR.findall(Path("/proc/cpuinfo").read_text(encoding="utf-8"))))
    except OSError:
        processor = []
    key = hashlib.sha256("\n".join([_SHA256, _TILES, _THREADS, *_FLAGS, platform.machine(), *processor]).encode())
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
            _taken = ctypes.CDLL(str(file)) if file is not None and exchange(library(), file) else False
        return _taken is not False


def share(threads: int) -> None:
    """Let llama.cpp use at most so many threads from the next token on, or all of them where nothing was compiled.

    Those that it was given when a model was loaded are never exceeded.
    """
    if _taken:
        _taken.parley_most_threads(threads)


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

    def command(folder: Path) -> list[str]:
        return pip_download(folder, "--no-binary", _PACKAGE, "--require-hashes", "-r", str(wanted))

    top = f"{_PACKAGE}-{_VERSION}"
    download = Download(f"{top}.tar.gz", _BYTES, command)
    try:
        with (
            closing(in_order([download], scratch / "fetched", lambda _arrived, _expected: None)) as folders,
            tarfile.open(next(folders) / download.what) as archive,
        ):
            members = [member for member in archive if member.name.startswith(f"{top}/{_GGML}/")]
            archive.extractall(scratch, members, filter="data")
    except SourceError as error:
        raise KernelError(f"The sources can't be fetched: {error}.") from error
    return scratch / top / _GGML


def _compile(compiler: str, ggml: Path, scratch: Path) -> Path:
    where, processor = _ARCHITECTURES[platform.machine()]
    cpu = ggml / "src/ggml-cpu"
    patterns = ("*.c", "*.cpp", "amx/*.cpp", "tiled/*.cpp", "llamafile/*.cpp", f"arch/{where}/quants.c")
    files = sorted(file for pattern in (*patterns, f"arch/{where}/repack.cpp") for file in cpu.glob(pattern))
    first, last = scratch / "first.h", scratch / "last.c"
    first.write_text(_TILES, encoding="utf-8")
    last.write_text(_THREADS, encoding="utf-8")
    includes = [f"-I{folder}" for folder in (cpu, ggml / "src", ggml / "include")]

    def one(file: Path, number: int) -> str:
        target = str(scratch / f"{number}.o")
        language = ["-x", "c", "-std=c11"] if file.suffix == ".c" else ["-std=c++17"]
        options = [*_FLAGS, processor, *includes, "-include", str(first), "-c", str(file), "-o", target]
        _run(compiler, *language, *options, fails=f"{file.name} can't be compiled")
        return target

    with ThreadPoolExecutor(cores()) as threads:
        objects = list(threads.map(one, [*files, last], range(len(files) + 1)))
    made = scratch / _FILE
    # Its own functions first: the wheel has some of the same names.
    linked = ("-shared", "-Wl,-Bsymbolic", _WRAP, "-fopenmp", "-o", str(made), *objects)
    _run(compiler, *linked, fails="It can't be linked")
    return made


def _check(made: Path) -> None:
    """Compare with the wheel's arithmetic in a process of its own, which may crash."""
    check = (sys.executable, "-m", "assistant.llm.kernel_check", str(made))
    _run(*check, fails="What was compiled doesn't compute as it should")


def _run(*command: str, fails: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if "error" in line.lower()), "".join(lines[-1:]))
        if done.returncode < 0:
            said = f"it crashed (signal {-done.returncode})"
        raise KernelError(f"{fails}: {said.rstrip('.')[:300]}.")


def main() -> None:
    """Compile what is missing, and tell of it."""
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
