"""Which recorded answer belongs to a call.

The same call, asked the same way, has its own answer; of several, the one nearest in time that wasn't given yet. A call
that the recording lacks, because settings or code have changed since, gets what comes nearest: of sound, the answer to
the sound that overlaps most, or is most nearly as long; of a prompt, the answer to the same last message of the user,
or to the prompt that begins the same way; of a clause, the speech of the one most nearly as long.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Final, Generic, TypeVar

from assistant.record.format import Tree
from assistant.record.stored import Call, Score
from audio.types import INPUT_RATE

T = TypeVar("T")

SAME_MOMENT_S: Final = 0.02
"""Less than a window of sound: calls no further apart begin at the same moment, and so they end at the same one."""

_TRANSCRIBERS: Final = frozenset({"stt.transcribe", "live.transcribe"})


class Answers:
    """The recorded calls of one session."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._same: dict[str, list[Call]] = {}
        for call in calls:
            self._same.setdefault(_key(call.kind, call.arguments), []).append(call)
        self._given: set[int] = set()  # ids of calls

    def same(self, kind: str, arguments: Mapping[str, Tree], now: float) -> Call | None:
        """Return the recorded call of these arguments, if there is one."""
        candidates = self._same.get(_key(kind, arguments))
        if not candidates:
            return None
        best = min(candidates, key=lambda call: (id(call) in self._given, abs(call.begin - now), call.begin))
        self._given.add(id(best))
        return best

    def nearest(
        self, kind: str, arguments: Mapping[str, Tree], heard: int, now: float, *, whole: bool = False
    ) -> Call | None:
        """Return the call with an answer (`whole`: with all of one) that comes nearest; None when there is none."""
        kinds = _TRANSCRIBERS if kind in _TRANSCRIBERS else {kind}
        candidates = [call for call in self._calls if call.kind in kinds and _answered(call, whole)]
        if not candidates:
            return None
        likeness = _likeness(arguments, heard)
        return max(
            candidates,
            key=lambda call: (likeness(call), call.end == "returned", call.kind == kind, -abs(call.begin - now)),
        )


class Scores:
    """What the voice detector said of the windows of one session."""

    def __init__(self, scores: Sequence[Score]) -> None:
        self._all = sorted(scores, key=lambda score: score.heard)
        self._same: dict[str, list[Score]] = {}
        for score in self._all:
            self._same.setdefault(score.hash, []).append(score)
        self._given = {name: [False] * len(same) for name, same in self._same.items()}

    def same(self, name: str, heard: int) -> Score | None:
        """Return what was said of the window with this hash, if there was one: silence may have come often."""
        same = self._same.get(name)
        if same is None:
            return None
        given = self._given[name]
        at = bisect_left(same, heard, key=lambda score: score.heard)
        while at < len(same) and given[at] and same[at].heard == heard:
            at += 1
        at = min(at, len(same) - 1)
        given[at] = True
        return same[at]

    def nearest(self, heard: int) -> Score | None:
        """Return what was said of the window at that point of the session."""
        if not self._all:
            return None
        at = bisect_left(self._all, heard, key=lambda score: score.heard)
        return self._all[min(at, len(self._all) - 1)]


class Moments(Generic[T]):
    """What happened to a lane, and when; `at` is the moment of each by which it is found."""

    def __init__(self, happened: Sequence[T], at: Callable[[T], float]) -> None:
        self._all = sorted(happened, key=at)
        self._at = [at(each) for each in self._all]
        self._given = [False] * len(self._all)

    def take(self, now: float, wanted: Callable[[T], bool]) -> T | None:
        """Return what is wanted and happened at this moment, each only once; None when nothing did."""
        start = bisect_left(self._at, now - SAME_MOMENT_S)
        end = bisect_right(self._at, now + SAME_MOMENT_S)
        for place in range(start, end):
            if not self._given[place] and wanted(self._all[place]):
                self._given[place] = True
                return self._all[place]
        return None


def describe(kind: str, arguments: Mapping[str, Tree], heard: int) -> str:
    """Name a call, for people."""
    match arguments:
        case {"audio": {"$samples": samples}}:
            return f"{kind} of {samples / INPUT_RATE:.2f} s of sound up to {heard / INPUT_RATE:.2f} s"
        case {"messages": messages}:
            return f"{kind} after {_shortened(_question(messages))}"
        case _:
            return f"{kind} of {_shortened(arguments['text'])}"


def _shortened(text: str) -> str:
    line = " / ".join(text.splitlines())
    return f"“{line}”" if len(line) <= 60 else f"“{line[:59]}…”"


def _key(kind: str, arguments: Mapping[str, Tree]) -> str:
    return f"{kind} {json.dumps(_full(arguments), sort_keys=True)}"


def _full(tree: Tree) -> Tree:
    """Return the tree without what is empty: that may be a field which is newer than the recording."""
    match tree:
        case dict():
            return {key: _full(each) for key, each in tree.items() if each not in (None, [])}
        case list():
            return [_full(each) for each in tree]
        case _:
            return tree


def _answered(call: Call, whole: bool) -> bool:
    return call.end == "returned" or (not whole and (call.end == "raised" or bool(call.pieces)))


def _likeness(arguments: Mapping[str, Tree], heard: int) -> Callable[[Call], tuple[float, ...]]:
    match arguments:
        case {"audio": {"$samples": samples}}:
            return lambda call: _overlap(samples, heard, call.arguments["audio"]["$samples"], call.heard)
        case {"messages": messages}:
            question, whole = _question(messages), _joined(messages)
            return lambda call: (
                float(_question(call.arguments["messages"]) == question),
                float(_common(whole, _joined(call.arguments["messages"]))),
            )
        case _:
            text = arguments["text"]
            return lambda call: (
                float(call.arguments["text"] == text),
                -abs(len(call.arguments["text"]) - len(text)),
            )


def _overlap(samples: int, heard: int, other: int, other_heard: int) -> tuple[float, float]:
    both = min(heard, other_heard) - max(heard - samples, other_heard - other)
    either = max(heard, other_heard) - min(heard - samples, other_heard - other)
    return (max(0, both) / either if either else 1.0, -abs(samples - other))


def _question(messages: Sequence[Tree]) -> str:
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")


def _joined(messages: Sequence[Tree]) -> str:
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
