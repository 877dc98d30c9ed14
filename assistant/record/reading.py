"""Reading a recording back from its folder, as far as it goes."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from assistant.record import wav
from assistant.record.format import (
    CALLS,
    EVENTS,
    FILES,
    FORMAT,
    MANIFEST,
    MICROPHONE,
    REQUESTS,
    SPEECH,
    FormatError,
    MissingSoundError,
    Tree,
    decode,
    find_sound,
)
from assistant.record.stored import Busy, Call, Look, Piece, ReplayError, Score, Stored, Wait
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples

_AGAIN: Final = "Restore it from a copy, or record the conversation again."


def folders(path: Path) -> list[Path]:
    """Return the recordings at `path`: itself, or those in it. Raises ReplayError when there are none."""
    if not path.exists():
        raise ReplayError(f"There is no folder {path}. Pass one that `parley serve --record` has made.")
    if not path.is_dir():
        raise ReplayError(f"{path} is a file. Pass the folder of a recording, or a folder of recordings.")
    if any((path / name).exists() for name in FILES):
        return [path]
    found = [each for each in sorted(path.iterdir()) if any((each / name).exists() for name in FILES)]
    if not found:
        raise ReplayError(f"There is no recording in {path}. Pass a folder that `parley serve --record` has filled.")
    return found


def read(folder: Path) -> Stored:
    """Read a recording, as far as it goes. Raises ReplayError when it can't be used."""
    return _Reader(folder).read()


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unknown: set[str] = set()
        self._sounds: dict[str, Samples] = {}
        self._calls: dict[int, Call] = {}
        self._cut_s = float("inf")  # from here on something is missing

    def read(self) -> Stored:
        path = self._folder / MANIFEST
        with _told(path):
            manifest = json.loads(path.read_bytes())
            if manifest["format"] != FORMAT:
                raise ReplayError(
                    f"{path}: the recording has format {manifest['format']!r}, and this version of Parley reads format "
                    f"{FORMAT}. Replay it with Parley {manifest['parley']}, which made it."
                )
            stored = Stored(self._folder, self._decode(manifest["settings"]), manifest["live"], manifest["cores"])
            stored.pictures, stored.eyes = manifest.get("pictures", False), manifest.get("eyes", False)
        for name, rate in ((MICROPHONE, INPUT_RATE), (SPEECH, OUTPUT_RATE)):
            with _told(self._folder / name):
                self._sounds[name] = wav.read(self._folder / name, rate)
        for name, take in ((REQUESTS, self._request), (CALLS, self._call), (EVENTS, self._event)):
            self._read_lines(self._folder / name, stored, take)
        return self._finished(stored)

    def _read_lines(self, path: Path, stored: Stored, take: Callable[[Stored, dict[str, Tree]], None]) -> None:
        with _told(path):
            lines = path.read_bytes().split(b"\n")
        for number, text in enumerate(lines, 1):
            if not text:
                continue
            try:
                line = json.loads(text)
            except ValueError:
                if number == len(lines):
                    return  # the process was stopped while it wrote this line
                raise ReplayError(f"{path}, line {number}, is not JSON: the recording is damaged. {_AGAIN}") from None
            with _told(path, number):
                try:
                    take(stored, line)
                    stored.end_s = max(stored.end_s, line["at"])
                except MissingSoundError as error:
                    stored.remarks.append(f"{error}: what follows {line['at']:.3f} s is left out.")
                    self._cut_s = min(self._cut_s, line["at"])
                    return

    def _request(self, stored: Stored, line: dict[str, Tree]) -> None:
        match line:
            case {"made": kind, "id": made}:
                stored.made.append((kind, made))
            case {"busy_until": until, "taken": taken}:
                stored.busy.append(Busy(line["at"], until, taken))
            case _:
                stored.requests.append((line["at"], self._decode(line["request"])))

    def _call(self, stored: Stored, line: dict[str, Tree]) -> None:
        match line:
            case {"probability": probability, "window": window}:
                error = (line.get("error", ""), line.get("message", ""))
                stored.scores.append(Score(line["heard"], window["hash"], self._decode(probability), error))
            case {"lane": lane, "free": free}:
                stored.looks.append(Look(line["at"], lane, free))
            case {"lane": lane, "asked": asked}:
                stored.waits.append(Wait(asked, line["at"], lane))
            case {"kind": kind, "arguments": arguments}:
                call = Call(kind, arguments["$dict"], line["heard"], line["at"])
                self._calls[line["call"]] = call
                stored.calls.append(call)
            case {"piece": piece}:
                call = self._calls[line["call"]]
                call.pieces.append(Piece(line["asked"], line["at"], self._decode(piece)))
            case _:
                call = self._calls[line["call"]]
                call.asked, call.at, call.end = line["asked"], line["at"], line["end"]
                call.value = self._decode(line.get("value"))
                call.error = (line.get("error", ""), line.get("message", ""))

    def _event(self, stored: Stored, line: dict[str, Tree]) -> None:
        if "end" in line:
            stored.whole, stored.failure = True, line["end"]
        else:
            stored.events.append((line["at"], line["event"]))

    def _decode(self, tree: Tree) -> Any:
        return decode(tree, lambda sound: find_sound(sound, self._sounds), self._unknown)

    def _finished(self, stored: Stored) -> Stored:
        if self._cut_s < stored.end_s:
            stored.end_s, stored.whole, stored.failure = self._cut_s, False, None
            stored.requests = [each for each in stored.requests if each[0] < self._cut_s]
            stored.events = [each for each in stored.events if each[0] < self._cut_s]
        for call in stored.calls:
            if call.at > stored.end_s:  # it never ended, or its end is left out
                call.end, call.at = "left", stored.end_s
        if not stored.whole:
            stored.remarks.append(f"The recording was cut off: it is replayed up to {stored.end_s:.3f} s.")
        for name in sorted(self._unknown):
            stored.remarks.append(f"The recording has a {name}, which this version doesn't know: it is left out.")
        return stored


@contextmanager
def _told(path: Path, line: int | None = None) -> Iterator[None]:
    """Turn whatever is wrong with a file into one sentence."""
    where = str(path) if line is None else f"{path}, line {line},"
    try:
        yield
    except FileNotFoundError:
        raise ReplayError(f"{path} is missing: without it nothing can be replayed. {_AGAIN}") from None
    except OSError as error:
        raise ReplayError(f"{path} can't be read: {error.strerror}. Check its permissions.") from error
    except FormatError as error:
        raise ReplayError(f"{where} can't be used: {error}. {_AGAIN}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        kind = "not JSON, or cut short" if isinstance(error, ValueError) else "not what a recording holds"
        raise ReplayError(f"{where} is {kind}: the recording is damaged. {_AGAIN}") from error
