"""How a conversation is stored: the names of the files, and how our dataclasses become JSON and come back.

A dataclass is an object with its type's name under "$" and its fields; a tuple or list is an array (and comes back as
a tuple). A dict, an enum and a number that JSON lacks are objects with the key "$dict", "$enum" or "$float"; a sound
has "$sound" when it lies there itself, "$file" when it lies in a file, and "$samples" when only its length is known.
Of a camera's picture there is only its name: no picture is stored that was shown for a moment.

The types are found by walking the annotations of what goes into a session and what comes out of it, so that a new field
or a new event needs no line here.
"""

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import blake2b
from typing import Any, Final, TypeAlias, get_args, get_type_hints

import numpy as np

from audio.types import Samples
from pipeline import engines, events, tool_servers
from pipeline.errors import ParleyError
from pipeline.settings import Settings

FORMAT: Final = 1
"""The version of all this; goes up when an older Parley could not read it any more."""

MANIFEST: Final = "manifest.json"
REQUESTS: Final = "requests.jsonl"
CALLS: Final = "calls.jsonl"
EVENTS: Final = "events.jsonl"
MICROPHONE: Final = "microphone.wav"
SPEECH: Final = "speech.wav"
FILES: Final = (MANIFEST, REQUESTS, CALLS, EVENTS, MICROPHONE, SPEECH)

Tree: TypeAlias = Any
"""What JSON holds."""
StoreSound: TypeAlias = Callable[[Samples], Tree]
FindSound: TypeAlias = Callable[[Mapping[str, Tree]], Samples]

_ROOTS: Final = (
    events.Request,
    events.Event,
    Settings,
    engines.ChatMessage,
    engines.Generated,
    engines.Transcript,
    tool_servers.ListedTool,
)


_NAMED: Final = b"a picture called "
"""Stands before a picture's name, where it stands for the picture."""


class FormatError(ParleyError):
    """Something stored that this version can't read; the message names it."""


class MissingSoundError(FormatError):
    """A sound file is shorter than what refers to it."""


def encode(value: object, sound: StoreSound) -> Tree:  # noqa: PLR0911 - one for each kind of value
    """Return `value` as what JSON holds; `sound` says what stands for an array. Raises FormatError where it can't."""
    match value:
        case Enum():
            return {"$enum": f"{type(value).__name__}.{value.name}"}
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"$float": str(float(value))}
        case bytes():
            return {"$picture": picture_name(value)}
        case np.ndarray():
            return sound(value)
        case tuple() | list():
            return [encode(each, sound) for each in value]
        case dict():
            return {"$dict": {str(key): encode(each, sound) for key, each in value.items()}}
        case _ if is_dataclass(value):
            named = {field.name: encode(getattr(value, field.name), sound) for field in fields(value)}
            return {"$": type(value).__name__, **named}
        case np.number():
            return encode(value.item(), sound)
        case _:
            raise FormatError(f"nobody knows how to store a {type(value).__name__}")


def decode(tree: Tree, sound: FindSound, unknown: set[str]) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return what `encode` was given; `sound` finds the arrays.

    What has other fields by now is read as far as it can be: fields that are new have their defaults, and those that
    are no more are added to `unknown`, as "Type.field". Raises FormatError for everything else that doesn't fit.
    """
    match tree:
        case list():
            return tuple(decode(each, sound, unknown) for each in tree)
        case {"$": name}:
            return _decode_dataclass(name, tree, sound, unknown)
        case {"$enum": name}:
            kind, _, member = name.partition(".")
            return _type(kind)[member]
        case {"$float": number}:
            return float(number)
        case {"$picture": name}:
            return _NAMED + name.encode()
        case {"$dict": values}:
            return {key: decode(each, sound, unknown) for key, each in values.items()}
        case dict():
            return sound(tree)
        case _:
            return tree


def _decode_dataclass(name: str, tree: Mapping[str, Tree], sound: FindSound, unknown: set[str]) -> Any:
    kind = _type(name)
    known = {field.name: field for field in fields(kind) if field.init}
    unknown.update(f"{name}.{key}" for key in tree.keys() - known.keys() - {"$"})
    values = {key: decode(each, sound, unknown) for key, each in tree.items() if key in known}
    for field in known.values():
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise FormatError(f"{name} has a field {field.name!r} by now, of which nothing is stored")
    return kind(**values)


def picture_name(data: bytes) -> str:
    """Return what tells a picture from others; in a replay, where there is only that, the same."""
    return data.removeprefix(_NAMED).decode() if data.startswith(_NAMED) else blake2b(data, digest_size=8).hexdigest()


def inline(samples: Samples) -> Tree:
    """Store a sound within the JSON."""
    return {"$sound": base64.b64encode(np.ascontiguousarray(samples, "<f4").tobytes()).decode("ascii")}


def length(samples: Samples) -> Tree:
    """Store of a sound only how long it is."""
    return {"$samples": len(samples)}


def identity(samples: Samples) -> Tree:
    """Store of a sound what it takes to know it again: how long it is, and a hash of it."""
    data = np.ascontiguousarray(samples, "<f4").tobytes()
    return {"$samples": len(samples), "hash": blake2b(data, digest_size=8).hexdigest()}


def find_sound(tree: Mapping[str, Tree], within: Mapping[str, Samples]) -> Samples:
    """Return the sound that `inline` stored, or that lies in one of the files `within` ({"$file": [start, end]}).

    Raises MissingSoundError when the file is too short, and FormatError when nothing can be found by `tree`.
    """
    match tree:
        case {"$sound": text}:
            return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
        case {"$file": file, "from": start, "to": end} if file in within and end <= len(within[file]):
            return within[file][start:end]
        case {"$file": file}:
            raise MissingSoundError(f"{file} ends too early")
        case _:
            raise FormatError(f"there is no such thing as {sorted(tree)}")


def error_name(error: BaseException) -> str:
    """Name an error's kind; of a group, that of the first in it. Its text may hold what was said."""
    return error_name(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else type(error).__name__


@cache
def _types() -> dict[str, type[Any]]:
    found: dict[str, type[Any]] = {}
    for kind in _walk(_ROOTS, set()):
        assert found.setdefault(kind.__name__, kind) is kind, f"two types are called {kind.__name__}"
    return found


def _walk(annotations: tuple[Any, ...], seen: set[Any]) -> Iterator[type[Any]]:
    for annotation in annotations:
        yield from _walk(get_args(annotation), seen)
        if isinstance(annotation, type) and annotation not in seen:
            seen.add(annotation)
            if is_dataclass(annotation):
                yield annotation
                yield from _walk(tuple(get_type_hints(annotation).values()), seen)
            elif issubclass(annotation, Enum):
                yield annotation


def _type(name: str) -> Any:
    try:
        return _types()[name]
    except KeyError:
        raise FormatError(f"this version knows nothing called {name!r}") from None
