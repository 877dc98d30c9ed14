"""What is different between what a recording tells and what its replay did.

Words, kinds and the order of events must be equal, ids must stand for the same messages, and times must be close: a
real machine is some milliseconds late for everything, and virtual time never is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Final, Literal

from assistant.record.format import Tree
from assistant.record.replay import AFTER_S, Replayed, strings
from assistant.record.stored import Stored
from audio.types import OUTPUT_RATE

CLOSE_S: Final = 0.2
"""Moments no further apart are the same: less than two windows of sound."""

_SOUND_CLOSE_S: Final = 0.1  # of a reply that was stopped: it is sent in pieces of 40 ms
_WORDS_CLOSE: Final = 1
"""Words more or less that were heard of a reply that was stopped: those of 0.2 s."""
_EXACT: Final = 1e-3
_BY_THE_CLOCK: Final = frozenset({"TurnTimed", "IdleTimeout"})  # their numbers are times of the real machine

Mark = Literal["same", "changed", "recorded", "replayed"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened; all the sound of a reply is one thing, which happened when it began."""

    at: float
    event: Tree
    sound_s: float = 0.0
    over: bool = True
    """Of the sound of a reply: whether the reply had ended before the client left."""

    @property
    def kind(self) -> str:
        """The event's type."""
        return str(self.event["$"])


@dataclass(frozen=True, slots=True)
class Pair:
    """The same thing in the recording and in the replay, as far as it is in both."""

    mark: Mark
    then: Line | None
    now: Line | None
    before: tuple[str, ...] = ()
    """What was otherwise in the recording, in words; of a pair that has changed."""

    @property
    def at(self) -> float:
        """When it happened: in the replay, if it did."""
        line = self.now or self.then
        assert line is not None
        return line.at


def compare(stored: Stored, replayed: Replayed, turn: Mapping[str, object]) -> list[Pair]:
    """Return the events of both, side by side, in their order.

    `turn` are the settings that the replay had on purpose: that they are reported otherwise is no difference.
    """
    then = _lines([(at, _with(event, turn)) for at, event in stored.events], stored.failure, stored.end_s)
    now = _lines(replayed.events, replayed.failure, stored.end_s)
    ids = _Ids({made for _, made in stored.made}, replayed.made)
    keys = [_key(line.event, ids.then) for line in then], [_key(line.event, ids.now) for line in now]
    pairs: list[Pair] = []
    for tag, start, end, now_start, now_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += (ids.pair(*both) for both in zip(then[start:end], now[now_start:now_end], strict=True))
        else:
            gone = [Pair("recorded", line, None) for line in then[start:end]]
            new = [Pair("replayed", None, line) for line in now[now_start:now_end]]
            pairs += sorted(gone + new, key=lambda pair: pair.at)
    # The recording ends when the client leaves: what comes at about that time may have had nobody to come to. Where it
    # was cut off, its last events may not have been written any more.
    known_s = stored.end_s - AFTER_S if stored.whole else then[-1].at if then else 0.0
    while pairs and pairs[-1].mark == "replayed" and pairs[-1].at > known_s:
        pairs.pop()
    return pairs


class _Ids:
    """Pairs things up, and watches that an id of the recording stands for one of the replay and the other way round."""

    def __init__(self, then: AbstractSet[str], now: AbstractSet[str]) -> None:
        self.then = then
        self.now = now
        self._met: dict[str, str] = {}
        self._met_back: dict[str, str] = {}

    def pair(self, then: Line, now: Line) -> Pair:
        before = [f"at {then.at:.3f} s"] if abs(then.at - now.at) > CLOSE_S else []
        if abs(then.sound_s - now.sound_s) > _SOUND_CLOSE_S and (then.over or then.sound_s > now.sound_s):
            before.append(f"{then.sound_s:.2f} s of sound")
        heard, heard_here = _heard(then.event), _heard(now.event)
        least = min(len(heard), len(heard_here))
        if heard[:least] != heard_here[:least] or max(len(heard), len(heard_here)) - least > _WORDS_CLOSE:
            before.append(f"heard of it: “{' '.join(heard)}”")
        tolerance = CLOSE_S if then.kind in _BY_THE_CLOCK else _EXACT
        event, event_here = _unheard(then.event), _unheard(now.event)
        for (name, one), (_, other) in zip(_numbers(event), _numbers(event_here), strict=True):
            if abs(one - other) > tolerance:
                before.append(f"{name} {one:.3f}, here {other:.3f}")
        for (place, text), (_, here) in zip(strings(event), strings(event_here), strict=True):
            if not self._known(text, here):
                before.append(f"{place} was that of something else")
        return Pair("changed" if before else "same", then, now, tuple(before))

    def _known(self, then: str, now: str) -> bool:
        if then not in self.then:
            return True
        return self._met.setdefault(then, now) == now and self._met_back.setdefault(now, then) == then


def _lines(events: Sequence[tuple[float, Tree]], failure: str | None, end_s: float) -> list[Line]:
    lines: list[Line] = []
    sounding: dict[str, int] = {}  # where a response's sound stands
    over = {event["response_id"] for _, event in events if event["$"] == "ResponseEnded"}
    for at, event in events:
        if event["$"] != "ResponseAudio":
            lines.append(Line(at, event))
            continue
        place = sounding.setdefault(event["response_id"], len(lines))
        if place == len(lines):
            lines.append(Line(at, event, over=event["response_id"] in over))
        begun = lines[place]
        lines[place] = replace(begun, sound_s=begun.sound_s + event["samples"]["$samples"] / OUTPUT_RATE)
    if failure is not None:
        lines.append(Line(end_s, {"$": "SessionFailed", "error": failure}))
    return lines


def _key(event: Tree, ids: AbstractSet[str]) -> str:
    """Return the event without its ids, sounds and fractional numbers, and what was heard of a stopped reply."""
    return json.dumps(_bare(_unheard(event), ids), sort_keys=True)


def words_of(item: Tree) -> str:
    """Return what a message says, or what was heard of it."""
    words = (part.get("text") or part.get("transcript") or "" for part in item["parts"])
    return " ".join(word for word in words if word)


def _heard(event: Tree) -> list[str]:
    return words_of(event["item"]).split() if _stopped(event) else []


def _unheard(event: Tree) -> Tree:
    return event | {"item": event["item"] | {"parts": []}} if _stopped(event) else event


def _stopped(event: Tree) -> bool:
    return bool(event["$"] == "ResponseEnded" and event["status"] == "cancelled")


def _bare(tree: Tree, ids: AbstractSet[str]) -> Tree:
    match tree:
        case float() | {"$samples": _} | {"$float": _}:
            return "#"
        case str():
            return "*" if tree in ids else tree
        case list():
            return [_bare(each, ids) for each in tree]
        case dict():
            # What is empty is as good as absent: older recordings lack what was added since.
            return {key: _bare(each, ids) for key, each in tree.items() if each not in (None, [], "")}
        case _:
            return tree


def _numbers(tree: Tree, name: str = "") -> Iterator[tuple[str, float]]:
    match tree:
        case float():
            yield name, tree
        case list():
            for each in tree:
                yield from _numbers(each, name)
        case dict():
            for key, each in tree.items():
                yield from _numbers(each, key)


def _with(event: Tree, turn: Mapping[str, object]) -> Tree:
    match event:
        case {"$": "SettingsUpdated", "settings": settings} if turn:
            return event | {"settings": settings | {"turn_taking": settings["turn_taking"] | dict(turn)}}
        case _:
            return event
