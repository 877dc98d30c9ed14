"""Calls that are answered from a recording, on virtual time.

A call that was recorded has the same answer again, at the same moment; one that begins at another moment takes as long
as it took then. Where the recording lacks a call, or the rest of one that was left then and isn't now, something else
stands in, and that is noted.
"""

import asyncio
import builtins
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from assistant.record.answers import SAME_MOMENT_S, Answers, describe
from assistant.record.format import Tree, encode, identity
from assistant.record.stored import Call, ReplayError, Stored

_PATIENCE_S: Final = 0.05
"""A call that was left is left again about then. Only when it isn't, after so long, something else stands in."""


@dataclass(slots=True)
class Trace:
    """What a replay's engines went through. Times are seconds of virtual time."""

    heard: int = 0
    """Samples that the session was given so far."""
    scores: list[tuple[float, float]] = field(default_factory=list)
    """What the turn detector said, and when."""
    stand_ins: list[tuple[float, str]] = field(default_factory=list)
    """Where the recording had no answer, and what was taken instead."""
    windows: int = 0
    """Windows of sound that the voice detector had not heard in the recording."""
    unanswered: str | None = None
    """The first call that nothing in the recording answers."""


class Calls:
    """What the engines of a replay answer with."""

    def __init__(self, stored: Stored, trace: Trace) -> None:
        self._answers = Answers(stored.calls)
        self._end_s = stored.end_s
        self.trace = trace

    def same(self, kind: str, arguments: Tree) -> Call | None:
        """Return the call in the recording, if it is there."""
        return self._answers.same(kind, arguments, now())

    def nearest(self, kind: str, arguments: Tree, *, whole: bool = False) -> Call | None:
        """Return the answered call that comes nearest, if there is any of the kind."""
        return self._answers.nearest(kind, arguments, self.trace.heard, now(), whole=whole)

    async def stand_in(self, kind: str, arguments: Tree) -> Call:
        """Return the answered call that comes nearest, and note it. Raises ReplayError when there is none."""
        call = self.nearest(kind, arguments)
        name = describe(kind, arguments, self.trace.heard)
        if call is None:
            if now() >= self._end_s:
                await asyncio.Event().wait()  # the recording is over: what would have come then is unknown
            self.trace.unanswered = self.trace.unanswered or name
            raise ReplayError(f"Nothing in the recording answers {name}.")
        taken = describe(call.kind, call.arguments, call.heard)
        self.note(f"the recording has no answer to {name}: that to {taken} stands in")
        return call

    def note(self, text: str) -> None:
        """Note what a reader of the replay should know."""
        self.trace.stand_ins.append((now(), text))

    async def answer(self, kind: str, arguments: Mapping[str, object], *, needed: bool = True) -> Any:
        """Return, or raise, what the engine did; None where nothing tells that and it isn't `needed`."""
        asked, tree = now(), tree_of(arguments)
        call = self.same(kind, tree)
        if call is not None and call.end != "left":
            await until(_due(asked, call.begin, call.at))
            return _result(call)
        if call is not None:
            await self._leave(call)
        if not needed and self.nearest(kind, tree) is None:
            return None
        call = await self.stand_in(kind, tree)
        await until(_due(asked, call.begin, call.at))
        return _result(call)

    async def pieces(self, call: Call) -> AsyncGenerator[Any, None]:
        """Yield what the engine did, and raise what it raised; the rest of a call that was left never comes."""
        asked = now()
        for piece in call.pieces:
            await until(_due(asked, piece.asked, piece.at))
            yield piece.value
            asked = now()
        await until(_due(asked, call.asked, call.at))
        if call.end == "left":
            await asyncio.sleep(_PATIENCE_S)
        _result(call)

    async def streaming(self, kind: str, arguments: Tree) -> Call:
        """Return the call whose pieces are to be yielded."""
        call = self.same(kind, arguments)
        if call is not None and (call.pieces or call.end != "left"):
            return call
        if call is not None:
            await self._leave(call)
        return await self.stand_in(kind, arguments)

    async def _leave(self, call: Call) -> None:
        """Wait until a call that was left then would be left again; what comes after that needs something else."""
        await until(_due(now(), call.asked, call.at))
        await asyncio.sleep(_PATIENCE_S)


def now() -> float:
    """Return the virtual time: seconds since the session began."""
    return asyncio.get_running_loop().time()


async def until(moment: float) -> None:
    """Wait until a moment of virtual time, if it isn't past."""
    if moment > now():
        await asyncio.sleep(moment - now())


def _due(asked: float, recorded_asked: float, recorded_at: float) -> float:
    """Return when something comes that is asked for at `asked`, and came at `recorded_at` once."""
    same = abs(asked - recorded_asked) <= SAME_MOMENT_S
    return recorded_at if same else asked + recorded_at - recorded_asked


def tree_of(arguments: Mapping[str, object]) -> Tree:
    """Return a call's arguments as they are stored."""
    return {name: encode(value, identity) for name, value in arguments.items()}


def _result(call: Call) -> Any:
    if call.end == "raised":
        raise error_of(*call.error)
    return call.value


def error_of(name: str, text: str) -> Exception:
    """Return an error that looks like the one that was raised."""
    known = getattr(builtins, name, None)
    if isinstance(known, type) and issubclass(known, Exception):
        with suppress(TypeError):  # one that wants more than a text, such as UnicodeDecodeError
            return known(text)
    error: Exception = type(name, (Exception,), {})(text)
    return error
