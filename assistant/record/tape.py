"""The writing side of a recording: a thread that puts one session's notes on disk.

    the session's loop  --note()-->  a queue, bounded in bytes  -->  one thread: encode, write  -->  six files

Nothing here makes the conversation wait. When the disk is full, or so slow that the queue fills up, the recording stops
with one line in the log and the conversation goes on. Every batch of notes is handed to the system at once, sound
first, so what a killed process leaves behind can be read up to its last moment.
"""

import asyncio
import io
import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from assistant.record import wav
from assistant.record.format import CALLS, EVENTS, MANIFEST, MICROPHONE, REQUESTS, SPEECH, StoreSound, Tree, encode
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples

log = logging.getLogger(__name__)

MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Notes that wait for the disk: minutes of talk."""

_NOTE_BYTES: Final = 500  # what a note without sound takes while it waits, roughly
_BATCH: Final = 256  # notes that are written at once
_RATES: Final = {MICROPHONE: INPUT_RATE, SPEECH: OUTPUT_RATE}

OpenFile = Callable[[Path], io.FileIO]


@dataclass(frozen=True, slots=True)
class _Note:
    file: str
    fields: Mapping[str, object]
    sound: StoreSound | str  # how to store the sounds in it, or the file that they go to
    weight: int


def open_private(path: Path) -> io.FileIO:
    """Create a file that only its owner can read, and that must not be there yet."""
    return io.FileIO(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w")


class Tape:
    """One session's recording in the making. `folder` must not be there yet; the thread makes it."""

    def __init__(
        self,
        folder: Path,
        manifest: Mapping[str, Tree],
        *,
        open_file: OpenFile = open_private,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.folder = folder
        self.heard = 0
        """Samples that the session was given so far."""
        self._manifest = manifest
        self._open = open_file
        self._max = max_waiting_bytes
        self._zero: float | None = None
        self._notes: queue.SimpleQueue[_Note | None] = queue.SimpleQueue()
        self._noted = 0  # bytes that came, counted by the session's thread
        self._written = 0  # bytes that left, counted by the writer
        self._closed = False
        self._stopped = False  # before its end
        self._stopping = threading.Lock()
        self._files: dict[str, io.FileIO] = {}
        self._sizes = dict.fromkeys(_RATES, 0)  # samples in the sound files
        self._thread = threading.Thread(target=self._write, name="record", daemon=True)

    # --- The session's side ---

    def start(self) -> None:
        """Begin to write: the session's time starts to run."""
        self._zero = asyncio.get_running_loop().time()
        self._thread.start()

    def now(self) -> float:
        """Return the seconds since `start`; 0 before it."""
        return 0.0 if self._zero is None else round(asyncio.get_running_loop().time() - self._zero, 6)

    def note(self, file: str, sound: StoreSound | str, /, **values: object) -> None:
        """Write these values as a line of `file`; sounds in them are stored by `sound`, or at the end of that file."""
        if self._stopped or self._closed:
            return
        weight = _NOTE_BYTES + _sound_bytes(tuple(values.values()))
        if self._noted - self._written + weight > self._max:
            self._stop("the disk doesn't keep up")
            self._notes.put(None)
            return
        self._noted += weight
        self._notes.put(_Note(file, values, sound, weight))

    def close(self) -> None:
        """Say that nothing follows; the rest is written without anybody waiting for it."""
        self._closed = True
        self._notes.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait until all is on disk; False when it isn't by then."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _stop(self, reason: str) -> None:
        with self._stopping:
            if not self._stopped:
                self._stopped = True
                log.error(
                    "The recording in %s has stopped: %s. The conversation goes on unrecorded.", self.folder, reason
                )

    # --- The writer's thread ---

    def _write(self) -> None:
        try:
            self._begin()
            while self._write_batch():
                pass
            for name, rate in _RATES.items():
                file = self._files[name]
                file.seek(0)
                _write_all(file, wav.header(rate, 4 * self._sizes[name]))
        except OSError as error:
            self._stop(error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - a note that can't be written must not end in silence
            self._stop(f"{type(error).__name__}: {error}")
        finally:
            for file in self._files.values():
                file.close()
            while not self._notes.empty():
                self._notes.get()

    def _begin(self) -> None:
        self.folder.mkdir(mode=0o700)
        with self._open(self.folder / MANIFEST) as file:
            _write_all(file, json.dumps(self._manifest, ensure_ascii=False, indent=2).encode() + b"\n")
        for name in (REQUESTS, CALLS, EVENTS, MICROPHONE, SPEECH):
            self._files[name] = self._open(self.folder / name)
        for name, rate in _RATES.items():
            _write_all(self._files[name], wav.header(rate))

    def _write_batch(self) -> bool:
        """Write what waits; False when it was the end."""
        batch = [self._notes.get()]
        while batch[-1] is not None and len(batch) < _BATCH and not self._notes.empty():
            batch.append(self._notes.get())
        notes = [note for note in batch if note is not None]
        chunks: dict[str, list[bytes]] = {name: [] for name in (MICROPHONE, SPEECH, REQUESTS, CALLS, EVENTS)}
        for note in notes:
            line = {key: encode(value, self._sound(note, chunks)) for key, value in note.fields.items()}
            chunks[note.file].append(_line(line))
        for name, pieces in chunks.items():
            if pieces:
                _write_all(self._files[name], b"".join(pieces))
        self._written += sum(note.weight for note in notes)
        return batch[-1] is not None

    def _sound(self, note: _Note, chunks: dict[str, list[bytes]]) -> StoreSound:
        if not isinstance(note.sound, str):
            return note.sound
        file = note.sound

        def append(samples: Samples) -> Tree:
            start = self._sizes[file]
            self._sizes[file] += len(samples)
            chunks[file].append(np.ascontiguousarray(samples, "<f4").tobytes())
            return {"$file": file, "from": start, "to": self._sizes[file]}

        return append


def _sound_bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple | list):
        return sum(_sound_bytes(each) for each in value)
    if isinstance(value, Mapping):
        return sum(_sound_bytes(each) for each in value.values())
    if is_dataclass(value):
        return sum(_sound_bytes(getattr(value, field.name)) for field in fields(value))
    return 0


def _line(line: Mapping[str, Tree]) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which a client's JSON may well hold
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _write_all(file: io.FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
