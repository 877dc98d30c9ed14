"""Fetching a model's files from a source: written, counted and hashed in one pass.

Nothing of a fetched package is installed, imported or run, and no path from an archive reaches the disk: the named
members are read as streams of bytes, and the hashes in the catalogue decide whether they are the right ones.
"""

import errno
import hashlib
import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, assert_never

from assistant.catalogue import HuggingFace, ModelFile, SourceError, Web, Wheel, Wheels

Progress = Callable[[int, int], None]
"""Told the bytes that have arrived and the bytes that are expected, of the source being tried."""

_AT_ONCE = 3
_AHEAD = 4  # downloads that may wait on the disk until the one before them is unpacked
_POLL_S = 0.1
_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_UNREACHABLE = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ConnectError|Connection ?(reset|refused|broken|Error)|"
    r"Failed to establish|[Nn]ame or service not known|name resolution|getaddrinfo|ProxyError|Max retries|"
    r"OfflineModeIsEnabled|Network is unreachable"
)
"""Found in what pip or the hub's library writes when there is no network."""
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
# The first request fails at once without a network, where the download would try for half a minute.
_HUB = """
import sys
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import get_session
get_session().head(constants.ENDPOINT, timeout=10)
hf_hub_download(sys.argv[1], sys.argv[2], revision=sys.argv[3], local_dir=sys.argv[4])
"""


class Delivery:
    """The files of a model as they arrive in `folder`."""

    def __init__(self, folder: Path, files: Sequence[ModelFile]) -> None:
        self.folder = folder
        self.files = {file.name: file for file in files}
        self._hashes = {file.name: hashlib.sha256() for file in files}
        self._arrived = dict.fromkeys(self.files, 0)

    def append(self, name: str, chunks: Iterable[bytes]) -> None:
        """Continue a file. Raises SourceError as soon as it gets longer than it should be."""
        with (self.folder / name).open("ab") as file:
            for chunk in chunks:
                self._count(name, chunk)
                file.write(chunk)

    def place(self, name: str, path: Path) -> None:
        """Move a whole file here."""
        with path.open("rb") as file:
            for chunk in _chunks(file):
                self._count(name, chunk)
        os.replace(path, self.folder / name)

    def check(self) -> None:
        """Raise SourceError, naming the file, unless every one is complete and the right one."""
        for name, file in self.files.items():
            if self._arrived[name] != file.bytes:
                raise SourceError(f"{name} is {self._arrived[name]} bytes long instead of {file.bytes}")
            found = self._hashes[name].hexdigest()
            if found != file.sha256:
                raise SourceError(f"{name} is not the expected file (sha256 {found} instead of {file.sha256})")

    def _count(self, name: str, chunk: bytes) -> None:
        self._arrived[name] += len(chunk)
        if self._arrived[name] > self.files[name].bytes:
            raise SourceError(f"{name} is longer than the expected {self.files[name].bytes} bytes")
        self._hashes[name].update(chunk)


def fetch(source: Wheels | HuggingFace | Web, delivery: Delivery, scratch: Path, progress: Progress) -> None:
    """Deliver a model's files from a source, using the empty folder `scratch`.

    Raises SourceError when the source can't deliver, OSError when the disk can't take it.
    """
    match source:
        case Wheels():
            _fetch_wheels(source, delivery, scratch, progress)
        case HuggingFace():
            _fetch_from_hub(source, delivery, scratch, progress)
        case Web():
            _fetch_addresses(source, delivery, progress)
        case _:
            assert_never(source)
    delivery.check()


def convert(origin: Path, delivery: Delivery, scratch: Path, progress: Progress) -> None:
    """Deliver a model's one file by converting `origin`, using the empty folder `scratch`.

    Raises SourceError when that can't be done, OSError when the disk can't take it.
    """
    (file,) = delivery.files.values()

    def command(folder: Path) -> list[str]:
        return [sys.executable, "-m", "assistant.requantise", str(origin), str(folder / file.name)]

    with closing(in_order([Download("the conversion", file.bytes, command)], scratch, progress)) as folders:
        for folder in folders:
            delivery.place(file.name, folder / file.name)
    delivery.check()


def scratch_bytes(source: Wheels | HuggingFace | Web) -> int:
    """Return the disk space that fetching needs beside the files themselves."""
    match source:
        case Wheels():
            return sum(sorted(wheel.bytes for wheel in source.wheels)[-_AHEAD:])
        case HuggingFace() | Web():
            return 0
        case _:
            assert_never(source)


@dataclass(frozen=True, slots=True)
class Download:
    """A download to be run as a process, which can be stopped at once, unlike a thread."""

    what: str
    bytes: int
    """As many as are expected."""
    command: Callable[[Path], list[str]]
    """Given the folder to put the result into."""


def _fetch_wheels(source: Wheels, delivery: Delivery, scratch: Path, progress: Progress) -> None:
    downloads = [Download(wheel.requirement, wheel.bytes, _pip(wheel)) for wheel in source.wheels]
    with closing(in_order(downloads, scratch, progress)) as folders:
        for wheel, folder in zip(source.wheels, folders, strict=True):
            found = next(folder.glob("*.whl"), None)
            if found is None:
                raise SourceError(f"{wheel.requirement} came without a wheel")
            _unpack(wheel, found, delivery)


def _fetch_from_hub(source: HuggingFace, delivery: Delivery, scratch: Path, progress: Progress) -> None:
    names = {name: source.names.get(name, name) for name in delivery.files}
    downloads = [Download(there, delivery.files[here].bytes, _hub(source, there)) for here, there in names.items()]
    with closing(in_order(downloads, scratch, progress)) as folders:
        for (here, there), folder in zip(names.items(), folders, strict=True):
            delivery.place(here, folder / there)


def _fetch_addresses(source: Web, delivery: Delivery, progress: Progress) -> None:
    total = sum(file.bytes for file in delivery.files.values())
    arrived = 0

    def counted(stream: IO[bytes]) -> Iterator[bytes]:
        nonlocal arrived
        for chunk in _chunks(stream):
            arrived += len(chunk)
            progress(min(arrived, total), total)
            yield chunk

    for name, address in source.addresses.items():
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
                delivery.append(name, counted(answer))
        except urllib.error.HTTPError as error:
            error.close()
            raise SourceError(f"{address} answers {error.code} {error.reason}") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
            raise SourceError(f"{address} can't be reached", offline=True) from error


def _pip(wheel: Wheel) -> Callable[[Path], list[str]]:
    # Only data is taken, so the wheel that the catalogue knows is right for every machine and every Python.
    target = ["--platform", wheel.platform] if wheel.platform else []
    if wheel.python:
        abi = f"cp{wheel.python.replace('.', '')}"
        target += ["--python-version", wheel.python, "--implementation", "cp", "--abi", abi]
    elif wheel.platform:
        target += ["--implementation", "py", "--abi", "none"]

    def command(folder: Path) -> list[str]:
        return pip_download(folder, "--only-binary", ":all:", "--ignore-requires-python", *target, wheel.requirement)

    return command


def pip_download(folder: Path, *what: str) -> list[str]:
    """Return the command that has pip put a package into `folder`, and nothing that it depends on."""
    return [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"),
        *("--no-cache-dir", "--retries", "2", "--dest", str(folder), *what),
    ]


def _hub(source: HuggingFace, name: str) -> Callable[[Path], list[str]]:
    def command(folder: Path) -> list[str]:
        return [sys.executable, "-c", _HUB, source.repository, name, source.revision, str(folder)]

    return command


def in_order(downloads: Sequence[Download], scratch: Path, progress: Progress) -> Generator[Path]:
    """Run the downloads, a few at a time; yield each one's folder in their order, and remove it afterwards.

    They go into folders of `scratch`, which needn't exist. Closing the iterator stops what still runs. Raises
    SourceError for one that fails, OSError when the disk can't take it.
    """
    total = sum(download.bytes for download in downloads)
    running: dict[int, subprocess.Popen[bytes]] = {}
    finished: set[int] = set()
    started = 0
    try:
        for index in range(len(downloads)):
            while index not in finished:
                while started < min(len(downloads), index + _AHEAD) and len(running) < _AT_ONCE:
                    running[started] = _start(downloads[started], scratch / str(started))
                    started += 1
                for number, process in list(running.items()):
                    if process.poll() is not None:
                        del running[number]
                        _judge(downloads[number], process.returncode, scratch / str(number))
                        finished.add(number)
                arrived = sum(downloads[number].bytes for number in finished)
                arrived += sum(min(_weigh(scratch / str(number)), downloads[number].bytes) for number in running)
                progress(arrived, total)
                if index not in finished:
                    time.sleep(_POLL_S)
            yield scratch / str(index) / "result"
            shutil.rmtree(scratch / str(index))
    finally:
        for process in running.values():
            _stop(process)


def _start(download: Download, folder: Path) -> subprocess.Popen[bytes]:
    result, temporary = folder / "result", folder / "temporary"
    result.mkdir(parents=True)
    temporary.mkdir()
    # Its temporary files lie in our folder: they are counted as they grow, and removed with it whatever happens.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    # The hub's own transfer protocol assembles files in a cache elsewhere; plain HTTP writes into our folder.
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with (folder / "log").open("wb") as log:
        # A session of its own: Ctrl-C reaches us alone, and we stop it.
        return subprocess.Popen(
            download.command(result),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _judge(download: Download, code: int, folder: Path) -> None:
    if code == 0:
        return
    log = (folder / "log").read_text(encoding="utf-8", errors="replace")
    if "No space left on device" in log:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "No module named pip" in log:
        raise SourceError(f"this Python has no pip (`{sys.executable} -m ensurepip` installs it)")
    if _UNREACHABLE.search(log):
        raise SourceError("it can't be reached", offline=True)
    if "DO NOT MATCH THE HASHES" in log:
        raise SourceError(f"{download.what} is another file than it was: it has another hash")
    if "No matching distribution found" in log:
        raise SourceError(f"it has no {download.what}")
    said = [line for line in log.splitlines() if line.strip()]
    last = _CREDENTIALS.sub("//", said[-1].removeprefix("ERROR: ")) if said else f"the download ended with code {code}"
    raise SourceError(f"{download.what}: {last}")


def _unpack(wheel: Wheel, path: Path, delivery: Delivery) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for name, member in wheel.members.items():
                with archive.open(member) as stream:
                    delivery.append(name, _chunks(stream, wheel.cut.get(name)))
    except KeyError as error:
        raise SourceError(f"{wheel.requirement} lacks a member: {error.args[0]}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{wheel.requirement} is damaged: {error}") from error


def _chunks(stream: IO[bytes], most: int | None = None) -> Iterator[bytes]:
    left = sys.maxsize if most is None else most
    while chunk := stream.read(min(_CHUNK, left)):
        left -= len(chunk)
        yield chunk


def _weigh(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_size
            except FileNotFoundError:  # moved by the download between the listing and the look
                continue
    return total
