"""llama.cpp's arithmetic for this processor: compiled, compared, and left alone where that fails."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from assistant.llm import kernels
from assistant.llm.kernels import KernelError

compiles = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("g++") is None, reason="There is no g++ here, or no Linux."
)


PLANS = """
extern "C" {
#include "ggml-cpu.h"
ggml_cplan ggml_graph_plan(const ggml_cgraph *, int, ggml_threadpool *) { return {}; }
}
"""


def sources(folder: Path, code: str) -> Path:
    """Write sources of one file that are laid out like ggml's."""
    (folder / "src/ggml-cpu").mkdir(parents=True)
    (folder / "include").mkdir()
    (folder / "include/ggml-cpu.h").write_text(
        "struct ggml_cplan { int threads; }; struct ggml_cgraph; struct ggml_threadpool;\n"
        "struct ggml_cplan ggml_graph_plan(const struct ggml_cgraph *, int, struct ggml_threadpool *);\n"
    )
    (folder / "src/ggml-cpu/all.cpp").write_text(PLANS + code)
    return folder


@pytest.fixture
def made() -> Path:
    """Return what is compiled on this machine, now if need be."""
    try:
        return kernels.build()
    except KernelError as error:
        if "can't be fetched" in str(error):
            pytest.skip(str(error))
        raise


def in_a_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    return done.stdout.strip()


def test_every_processor_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = kernels.place(tmp_path)
    assert kernels.place(tmp_path) == here
    monkeypatch.setattr("platform.machine", lambda: "another")
    assert kernels.place(tmp_path) != here


def test_without_a_compiler_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(KernelError, match="apt install"):
        kernels.build(tmp_path)
    assert kernels.find(tmp_path) is None


def test_another_version_of_llama_cpp_keeps_its_own_arithmetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kernels.place(tmp_path) / "ggml-cpu.so"
    file.parent.mkdir(parents=True)
    file.touch()
    assert kernels.find(tmp_path) == file
    monkeypatch.setattr(kernels, "version", lambda _name: "1.0")
    assert kernels.find(tmp_path) is None
    with pytest.raises(KernelError, match=r"1\.0 is installed"):
        kernels.build(tmp_path)


def test_the_sources_are_of_the_version_that_is_tested() -> None:
    assert version("xllamacpp") == kernels._VERSION


def test_a_processor_that_nobody_tried_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(KernelError, match="vax"):
        kernels.build(tmp_path)


@compiles
def test_what_does_not_compile_is_not_tried_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_fetch", lambda _scratch: sources(tmp_path / "ggml", "this is no C++"))
    with pytest.raises(KernelError, match=r"all\.cpp can't be compiled: .*error"):
        kernels.build(tmp_path / "cache")
    monkeypatch.setattr(kernels, "_fetch", lambda _scratch: pytest.fail("It was fetched again."))
    with pytest.raises(KernelError, match=r"Remove .* to try again"):
        kernels.build(tmp_path / "cache")
    assert [file.name for file in kernels.place(tmp_path / "cache").iterdir()] == ["failure.txt"]


@compiles
@pytest.mark.models
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("int nothing;", "it can't be loaded"),
        (
            'extern "C" __attribute__((visibility("default"))) void* ggml_backend_init() { return 0; }',
            "can't be loaded",
        ),
        (
            'extern "C" __attribute__((visibility("default"))) void* ggml_backend_init() { __builtin_trap(); }',
            r"it crashed \(signal \d+\)",
        ),
    ],
)
def test_what_compiles_to_something_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr(kernels, "_fetch", lambda _scratch: sources(tmp_path / "ggml", code))
    with pytest.raises(KernelError, match=f"doesn't compute as it should: .*{said}"):
        kernels.build(tmp_path / "cache")
    assert kernels.find(tmp_path / "cache") is None


@compiles
def test_a_disk_that_takes_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(KernelError, match="can't be written"):
        kernels.build(tmp_path / "cache")


@compiles
@pytest.mark.models
def test_other_sources_than_the_known_ones_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_SHA256", "0" * 64)
    with pytest.raises(KernelError, match=r"The sources can't be fetched: .*[Hh][Aa][Ss][Hh]"):
        kernels.build(tmp_path)
    assert not list(kernels.place(tmp_path).iterdir())


@compiles
@pytest.mark.models
def test_what_is_compiled_here_multiplies_as_the_wheel_does(made: Path) -> None:
    compare = (
        f"from pathlib import Path; from assistant.llm import kernel_check as k; found = k.compare(Path({str(made)!r}))"
    )
    assert in_a_process(f"{compare}; print(found)") == ""
    # The comparison can fail.
    assert "are wrong" in in_a_process(compare.replace("; found", "; k._APART = -1.0; found") + "; print(found)")


@compiles
@pytest.mark.models
@pytest.mark.usefixtures("made")
def test_a_process_takes_what_is_compiled_once() -> None:
    assert in_a_process("from assistant.llm import kernels as k; print(k.take(), k.take())") == "True True"


@compiles
@pytest.mark.models
@pytest.mark.usefixtures("made")
def test_the_model_leaves_a_core_to_others_from_one_token_to_the_next(model_path: Callable[[str], Path]) -> None:
    code = f"folder = {str(model_path('smollm2-135m'))!r}"
    code += """
import asyncio
from pathlib import Path
from assistant.cpu import share_machine
share_machine()
from assistant.llm import kernels
from assistant.llm.embedded import EmbeddedLlm
from pipeline.engines import ChatMessage, ChatRequest

model = EmbeddedLlm(Path(folder), threads=2, context_tokens=512, parallel=1)

def spent():
    times = ((task.name, (task / "schedstat").read_text()) for task in Path("/proc/self/task").iterdir())
    return {name: int(time.split()[0]) for name, time in times}

async def workers():
    before = spent()
    request = ChatRequest((ChatMessage("user", "Tell me about the sea."),), max_tokens=24)
    async for _ in model.stream(request):
        pass
    grown = [time - before.get(name, 0) for name, time in spent().items()]
    return sum(time > max(grown) / 4 for time in grown)

async def main():
    await model.warm()
    found = []
    for threads in (2, 1, 8, 1):
        kernels.share(threads)
        found.append(await workers())
    print(*found)
    model.close()

asyncio.run(main())
"""
    assert in_a_process(code) == "2 1 2 1"
