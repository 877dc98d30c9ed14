"""Running a recording through the pipeline again, on virtual time.

What the client sent comes at the moments at which it came then, the engines answer as they did, and the ids are the
same: so the session, which has nothing else to go by, decides the same, unless it or its settings have changed.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from assistant.record.answers import SAME_MOMENT_S
from assistant.record.calls import Trace, now
from assistant.record.format import Tree, decode, encode, error_name, find_sound, inline, length
from assistant.record.replaying import replaying
from assistant.record.stored import ReplayError, Stored
from assistant.record.virtual_time import run
from pipeline.events import Audio, Request, SceneSeen, Update
from pipeline.session import Session
from pipeline.settings import Settings

AFTER_S: Final = 0.05
"""A replay goes on for so long after the recording's end, to see whether something comes only a little later."""

_LAST_REPLY_S: Final = 60.0  # and for so long at most, until a reply is over that was under way at the end


class Labels:
    """What ids stand for: "the second one that a ResponseStarted had as its item_id".

    Clients name messages and responses by ids which they were told. Where a replay takes another way, they stand for
    something else, and a request has to name what it meant.
    """

    def __init__(self, made: set[str]) -> None:
        self._made = made
        self._counts: dict[str, int] = {}
        self.label_of: dict[str, str] = {}
        self.id_of: dict[str, str] = {}

    def see(self, event: Tree) -> None:
        """Look at the ids in an event."""
        for path, text in strings(event):
            if text in self._made and text not in self.label_of:
                self._counts[path] = self._counts.get(path, 0) + 1
                label = f"{path} {self._counts[path]}"
                self.label_of[text] = label
                self.id_of[label] = text


def strings(tree: Tree, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in `tree` that isn't empty, with its place, such as "ResponseStarted.item_id"."""
    match tree:
        case "":
            pass
        case str():
            yield path, tree
        case list():
            for each in tree:
                yield from strings(each, path)
        case {"$": name, **fields}:
            for key, value in fields.items():
                yield from strings(value, f"{name}.{key}")
        case dict():
            for key, value in tree.items():
                yield from strings(value, f"{path}.{key}")


@dataclass(slots=True)
class Replayed:
    """What came of a replay."""

    events: list[tuple[float, Tree]] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    """Ids that the session gave."""
    failure: str | None = None
    """The kind of error that ended the session."""
    trace: Trace = field(default_factory=Trace)


def replay(stored: Stored, turn: Mapping[str, Any] | None = None) -> Replayed:
    """Run the recording; `turn` are turn-taking settings (fields of TurnTaking) that hold throughout.

    Raises ReplayError when the session asks for something to which the recording has no answer at all.
    """
    running = _Running(stored, turn or {})
    run(running.run())
    replayed = running.replayed
    if replayed.trace.unanswered is not None:
        raise ReplayError(
            f"{stored.folder}: nothing in the recording answers {replayed.trace.unanswered}. "
            "Record the conversation again with this version, or replay it without --set."
        )
    return replayed


class _Running:
    def __init__(self, stored: Stored, turn: Mapping[str, Any]) -> None:
        self._stored = stored
        self._turn = turn
        self.replayed = Replayed()
        self._ids: dict[str, list[str]] = {}
        for kind, made in reversed(stored.made):
            self._ids.setdefault(kind, []).append(made)
        self._then = Labels({made for _, made in stored.made})
        for _, event in stored.events:
            self._then.see(event)
        self._now = Labels(self.replayed.made)
        self._busy = list(stored.busy)
        self._silent = asyncio.Event()  # no reply is under way
        self._silent.set()

    async def run(self) -> None:
        engines = replaying(self._stored, self.replayed.trace)
        session = Session(engines, self._set(self._stored.settings), new_id=self._new_id)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self._ask(session))  # first: a client may have spoken before the session began
            running = group.create_task(self._hold(session))
            reading = group.create_task(self._read(session))
            await asyncio.sleep(self._stored.end_s + AFTER_S)
            if _heard_all(self._stored):
                # The client stayed for every reply then, so it stays now, even where a reply comes later.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_REPLY_S):
                        await self._silent.wait()
            for task in (running, reading, asking):
                task.cancel()

    async def _hold(self, session: Session) -> None:
        try:
            await session.run()
        except Exception as error:  # noqa: BLE001 - how a session fails is what a recording may be about
            self.replayed.failure = error_name(error)

    async def _read(self, session: Session) -> None:
        while True:
            happened = await session.next_event()
            if isinstance(happened, SceneSeen):
                continue
            event = encode(happened, length)
            self._now.see(event)
            self.replayed.events.append((round(now(), 6), event))
            match event["$"]:
                case "ResponseStarted":
                    self._silent.clear()
                case "ResponseEnded":
                    self._silent.set()
            await asyncio.sleep(self._busy_s())

    def _busy_s(self) -> float:
        """Return how long the client takes no further event."""
        while self._busy and self._busy[0].end <= now():
            self._busy.pop(0)
        if not self._busy:
            return 0.0
        busy = self._busy[0]
        late = now() - busy.start  # several events come in one moment: it was busy after a certain one of them
        begun = late > SAME_MOMENT_S or (late > -SAME_MOMENT_S and len(self.replayed.events) >= busy.taken)
        return busy.end - now() if begun else 0.0

    async def _ask(self, session: Session) -> None:
        for at, request in self._stored.requests:
            if at > now():
                await asyncio.sleep(at - now())
            await session.put(self._meant(request))

    def _meant(self, request: Request) -> Request:
        match request:
            case Audio(samples):
                self.replayed.trace.heard += len(samples)
                return request
            case Update(settings):
                return replace(request, settings=self._set(settings))
            case _:
                tree = self._translated(encode(request, inline))
                meant: Request = decode(tree, lambda sound: find_sound(sound, {}), set())
                return meant

    def _translated(self, tree: Tree) -> Tree:
        match tree:
            case str():
                return self._now.id_of.get(self._then.label_of.get(tree, ""), tree)
            case list():
                return [self._translated(each) for each in tree]
            case dict():
                return {key: each if key == "$" else self._translated(each) for key, each in tree.items()}
            case _:
                return tree

    def _set(self, settings: Settings) -> Settings:
        return replace(settings, turn_taking=replace(settings.turn_taking, **self._turn)) if self._turn else settings

    def _new_id(self, kind: str) -> str:
        ids = self._ids.get(kind)
        made = ids.pop() if ids else f"{kind}_{len(self.replayed.made)}_replayed"
        self.replayed.made.add(made)
        return made


def _heard_all(stored: Stored) -> bool:
    ended = {event["response_id"] for _, event in stored.events if event["$"] == "ResponseEnded"}
    return all(event["response_id"] in ended for _, event in stored.events if event["$"] == "ResponseStarted")
