"""`parley doctor`: what is missing on this machine, in plain words, with the cure."""

import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from assistant.catalogue import ModelError, find, size
from assistant.config import Config
from assistant.models import State, Store
from pipeline.errors import ParleyError

_PYTHON: Final = (3, 11)
_LIBRARIES: Final = {
    "ai_edge_litert": "faces",
    "aiosqlite": "the store",
    "ctranslate2": "Whisper",
    "cv2": "sight",
    "faster_whisper": "Whisper",
    "numpy": "sound",
    "onnxruntime": "the voice and turn detectors and Moonshine",
    "openai": "the protocol",
    "phonenumbers": "hiding phone numbers",
    "piper": "the voice",
    "rapidocr": "text in pictures",
    "soxr": "resampling",
    "sqlalchemy": "the store",
    "starlette": "the server",
    "uvicorn": "the server",
    "websockets": "the server",
    "xllamacpp": "the language model",
    "zxingcpp": "codes in pictures",
}
_IMPORT_TIMEOUT_S: Final = 120
_IMPORT: Final = """
import importlib, json, sys
for name in sys.argv[1:]:
    print(json.dumps({"begin": name}), flush=True)
    try:
        importlib.import_module(name)
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
"""
_PROGRAM_BYTES: Final = 350_000_000  # the interpreter and its libraries, before any model
_MEMORY_PER_BYTE: Final = 1.5  # of a model's file: measured 1.4 with 0.5B (491 MB takes 680 MB) and 1.7 with 1.5B


class Verdict(StrEnum):
    """How a finding bears on serving."""

    GOOD = "good"
    WARN = "warn"
    FAIL = "fail"


_MARKS: Final = {Verdict.GOOD: "✓", Verdict.WARN: "!", Verdict.FAIL: "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `cure` says what to do about it."""

    verdict: Verdict
    subject: str
    text: str
    cure: str = ""

    def __str__(self) -> str:
        """Return the line that people read."""
        return f"{_MARKS[self.verdict]} {self.subject}: {self.text}" + (f" {self.cure}" if self.cure else "")

    def as_json(self) -> dict[str, str]:
        """Return the fields, for programs."""
        return asdict(self)


def examine(config: Config, store: Store) -> Iterator[Finding]:
    """Look at everything that serving and talking need; each finding comes as soon as it is known."""
    yield python(sys.version_info[:2])
    yield from libraries()
    yield from models(config, store)
    yield arithmetic()
    yield disk(config, store)
    yield memory(config, store, available_memory())
    yield keeping(config)
    yield port(config)
    yield sound()


def python(version: tuple[int, int]) -> Finding:
    """Look at the interpreter."""
    name = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version >= _PYTHON:
        return Finding(Verdict.GOOD, "Python", f"{name}.")
    return Finding(
        Verdict.FAIL, "Python", f"{name} is too old.", "Install Python 3.11 or later, then run `make setup`."
    )


def libraries(names: tuple[str, ...] = tuple(_LIBRARIES)) -> Iterator[Finding]:
    """Import every library, in another process: one that was built for another processor would end this one."""
    problems = 0
    for name, problem in _import(names):
        if problem is not None:
            problems += 1
            purpose = _LIBRARIES.get(name, "Parley")
            cure = f"It is needed for {purpose}: run `make setup`, or install the project again with pip."
            yield Finding(Verdict.FAIL, name, f"it can't be imported ({problem}).", cure)
    if not problems:
        yield Finding(Verdict.GOOD, "Libraries", f"all {len(names)} can be imported.")


def _import(names: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    waiting = list(names)
    while waiting:
        begun: list[str] = []
        problems: dict[str, str] = {}
        code, output = _run_imports(waiting)
        for line in output.splitlines():
            # Libraries print what they like; our lines are the JSON objects.
            match _object(line):
                case {"begin": str(name)}:
                    begun.append(name)
                case {"error": str(problem)} if begun:
                    problems[begun[-1]] = problem
        if code != 0:
            last = begun[-1] if begun else waiting[0]
            problems[last] = f"it ends the program, code {code}"
            begun = begun or [last]
        for name in begun:
            yield name, problems.get(name)
        waiting = [name for name in waiting if name not in begun]


def _run_imports(names: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT, *names],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_IMPORT_TIMEOUT_S,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        return 1, output if isinstance(output, str) else output.decode(errors="replace")
    return done.returncode, done.stdout


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def models(config: Config, store: Store) -> Iterator[Finding]:
    """Look at the models that the configuration needs."""
    for name in config.models():
        try:
            state = store.state(name)
        except ModelError as error:
            yield Finding(Verdict.FAIL, f"Model {name}", str(error), "Correct the configuration.")
            continue
        pull = f"`parley models pull {name}`"
        match state:
            case State.READY:
                yield Finding(Verdict.GOOD, f"Model {name}", "ready.")
            case State.UNCHECKED:
                yield Finding(Verdict.GOOD, f"Model {name}", "here; its hashes are compared at the next start.")
            case State.DAMAGED:
                text = "a file is missing or has the wrong size."
                yield Finding(
                    Verdict.WARN, f"Model {name}", text, f"{pull} or the next `parley serve` fetches it again."
                )
            case State.ABSENT:
                text = f"not on this machine ({size(find(store.models, name).bytes)})."
                yield Finding(Verdict.WARN, f"Model {name}", text, f"{pull} or the next `parley serve` fetches it.")


def arithmetic() -> Finding:
    """Tell whether the language model computes with what was compiled for this processor."""
    try:
        from assistant.llm import kernels  # noqa: PLC0415 - it needs libraries that may be missing

        compiled = kernels.find() is not None
    except ImportError:
        return Finding(Verdict.WARN, "Arithmetic", "it can't be looked for before the libraries are there.")
    if compiled:
        return Finding(Verdict.GOOD, "Arithmetic", "compiled for this processor.")
    cure = "`make kernels` compiles what is quicker, or says why it can't."
    return Finding(Verdict.WARN, "Arithmetic", "as on any processor.", cure)


def disk(config: Config, store: Store) -> Finding:
    """Compare the space that the missing models take with what is free."""
    place = next(folder for folder in (store.root, *store.root.parents) if folder.is_dir())
    if not os.access(place, os.W_OK) and _missing_bytes(config, store):
        cure = "Give yourself the right to, or set PARLEY_MODELS to a folder that is yours."
        return Finding(Verdict.FAIL, "Disk", f"Parley may not write to {place}.", cure)
    free, needed = shutil.disk_usage(place).free, _missing_bytes(config, store)
    text = f"{size(free)} free for models in {store.root}."
    if free >= needed * 1.5:
        return Finding(Verdict.GOOD, "Disk", text)
    cure = "Free some space, or set PARLEY_MODELS to a folder on another disk."
    return Finding(Verdict.FAIL, "Disk", f"{text} The missing models need about {size(int(needed * 1.5))}.", cure)


def memory(config: Config, store: Store, available: int | None) -> Finding:
    """Compare the memory that the models take, roughly, with what is free (in bytes; None: unknown)."""
    needed = _PROGRAM_BYTES + int(_MEMORY_PER_BYTE * sum(_bytes(store, name) for name in config.models()))
    if available is None:
        return Finding(Verdict.GOOD, "Memory", f"about {size(needed)} will be used.")
    text = f"about {size(needed)} will be used, {size(available)} are free."
    if available >= needed:
        return Finding(Verdict.GOOD, "Memory", text)
    cure = "It will be slow or be ended by the system: close other programs, or use `--profile tiny`."
    return Finding(Verdict.WARN, "Memory", text, cure)


def available_memory(table: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes that programs can still have; None where the system doesn't say."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kilobytes is None else int(kilobytes) * 1024


def keeping(config: Config) -> Finding:
    """Look at the store, and make none."""
    try:
        from assistant.store.database import Database, place  # noqa: PLC0415 - needs libraries that may be missing

        at = place(config.store.url)
        file = Path(at.database or "") if at.get_backend_name() == "sqlite" else None
        if file is None or file.exists():
            asyncio.run(Database.check(config.store.url))
            where = at.render_as_string(hide_password=True) if file is None else file
            return Finding(Verdict.GOOD, "Store", f"{where} can be used.")
    except ImportError:
        return Finding(Verdict.WARN, "Store", "it can't be tried before the libraries are there.")
    except ParleyError as error:
        return Finding(Verdict.WARN, "Store", str(error), "Without it nothing is remembered or sent elsewhere.")
    folder = next(folder for folder in file.parents if folder.is_dir())
    if not os.access(folder, os.W_OK):
        cure = "Give yourself the right to, or set [store] url to a place that is yours."
        return Finding(Verdict.WARN, "Store", f"Parley may not write to {folder}.", cure)
    return Finding(Verdict.GOOD, "Store", f"{file} will be made when there is something to keep.")


def port(config: Config) -> Finding:
    """Try the address that the server will listen on."""
    where = f"{config.server.host}:{config.server.port}"
    try:
        from assistant.server.auth import token_of_environment  # noqa: PLC0415 - needs libraries that may be missing
        from assistant.server.listener import bind  # noqa: PLC0415

        token_of_environment(config.server.host)
        bind(config.server).close()
    except ParleyError as error:
        return Finding(Verdict.FAIL, "Address", str(error))
    except ImportError:
        return Finding(Verdict.WARN, "Address", f"{where} can't be tried before the libraries are there.")
    except OSError as error:
        cure = "Stop the program that has it (a Parley that already runs?), or choose another with --port."
        return Finding(Verdict.FAIL, "Address", f"{where} can't be used: {error.strerror}.", cure)
    return Finding(Verdict.GOOD, "Address", f"{where} is free.")


def sound() -> Finding:
    """Look for a microphone and a loudspeaker; only `parley talk` needs them."""
    only = "The page in a browser works all the same, since it uses the browser's."
    try:
        import sounddevice  # noqa: PLC0415 - binds a system library that may be missing
    except OSError:
        cure = "For `parley talk`, install it (Debian: `apt install libportaudio2`; macOS: `brew install portaudio`)."
        return Finding(Verdict.WARN, "Sound", f"the system library PortAudio is missing. {only}", cure)
    except ImportError as error:
        return Finding(Verdict.WARN, "Sound", f"sounddevice can't be imported ({error}). {only}", "Run `make setup`.")
    devices = sounddevice.query_devices()
    inputs = sum(1 for device in devices if device["max_input_channels"] > 0)
    outputs = sum(1 for device in devices if device["max_output_channels"] > 0)
    if inputs and outputs:
        return Finding(Verdict.GOOD, "Sound", f"{inputs} inputs and {outputs} outputs for `parley talk`.")
    lacking = " and ".join(name for name, count in (("microphone", inputs), ("loudspeaker", outputs)) if not count)
    return Finding(Verdict.WARN, "Sound", f"no {lacking}, so `parley talk` can't work. {only}", "Plug one in.")


def _missing_bytes(config: Config, store: Store) -> int:
    missing = (State.ABSENT, State.DAMAGED)
    return sum(_bytes(store, name) for name in config.models() if name in store.models and store.state(name) in missing)


def _bytes(store: Store, name: str) -> int:
    model = store.models.get(name)
    return model.bytes if model else 0
