"""What is said about what the camera shows: what to watch for, when not to look, and when to say what changes."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping

from assistant.reflex.reflex import Handler, Match, Reflex
from assistant.reflex.responses import Responses
from assistant.reflex.watch import Watch
from assistant.reflex.watch_words import Wanted, read_event, read_thing
from assistant.reflex.watches import MOST, Watches
from pipeline.engines import Asker
from pipeline.events import Camera


class WatchCommands:
    """Handles it."""

    def __init__(self, watches: Watches, labels: Collection[str], responses: Responses) -> None:
        """Know the things that can be recognised by their `labels`."""
        self._watches = watches
        self._labels = labels
        self._responses = responses

    def handlers(self) -> Mapping[str, Handler]:
        """Return a handler for each intent."""
        return {
            "Watch": lambda match: self._watch(match, read_event(match.words("event"), self._labels)),
            "WatchFor": lambda match: self._watch(match, read_thing(match.words("thing"), self._labels)),
            "CancelWatch": self.cancel,
            "WatchStatus": self.status,
            "CloseEyes": lambda match: self._switch(match, on=False),
            "OpenEyes": lambda match: self._switch(match, on=True),
            "DescribeChanges": self.describe,
            "StopDescribing": self.stop_describing,
        }

    def _watch(self, match: Match, wanted: Wanted | None) -> Reflex | None:
        if wanted is None:
            return None
        session = match.asker.session
        watch = _watch(wanted, match.asker)
        if not self._watches.eyes:
            return self._say(match, "eyeless", intent="Watch")
        if any(each.name == watch.name for each in self._watches.of(session)):
            return self._say(match, "already", intent="Watch")
        if self._watches.full(session):
            return self._say(match, "full", intent="Watch", count=MOST)
        name = "default" if self._watches.sees(session) else "blind"

        async def act() -> None:
            await self._watches.put(watch)

        return self._say(match, name, act, intent="Watch", name=watch.name)

    async def watch_for(self, event: str, asker: Asker) -> str:
        """Watch for what a model describes, and return what it is told of that."""
        wanted = read_event(event, self._labels) or read_thing(event, self._labels)
        if wanted is None:
            return "That can't be watched for. Say it like “a cat appears”, “the cup is gone” or “somebody comes”."
        if self._watches.full(asker.session):
            return f"The user has {MOST} watches already, and that's as many as there may be."
        watch = _watch(wanted, asker)
        await self._watches.put(watch)
        return f"The user will be told when {watch.name}."

    def cancel(self, match: Match) -> Reflex | None:
        """Stop watching, for one thing or for all."""
        there = self._watches.of(match.asker.session)
        said = match.words("thing")
        if not there:
            # Without any, "stop looking for a flat" is about something else.
            return None if said else self._say(match, "none")
        if not said:
            return self._say(match, "all", lambda: self._watches.remove(*there))
        wanted = read_thing(said, self._labels) or read_event(said, self._labels)
        found = [each for each in there if wanted and _alike(each, wanted)]
        if not found:
            return self._say(match, "unknown")
        return self._say(match, "default", lambda: self._watches.remove(*found))

    def status(self, match: Match) -> Reflex:
        """Say what is watched for."""
        names = [each.name for each in self._watches.of(match.asker.session)]
        return self._say(match, "default", names=names) if names else self._say(match, "none")

    def _switch(self, match: Match, *, on: bool) -> Reflex:
        async def act() -> None:
            session = match.asker.session
            if not on:
                await self._watches.describe(session, on=False)
            await self._watches.audience.ask(session, Camera(on, by="user"))

        return self._say(match, "default", act)

    def describe(self, match: Match) -> Reflex:
        """Say what changes, from now on."""
        session = match.asker.session
        if self._watches.describes(session):
            return self._say(match, "already")
        name = "default" if self._watches.sees(session) else "blind"
        return self._say(match, name, lambda: self._watches.describe(session, on=True))

    def stop_describing(self, match: Match) -> Reflex:
        """Say it no more."""
        session = match.asker.session
        if not self._watches.describes(session):
            return self._say(match, "none")
        return self._say(match, "default", lambda: self._watches.describe(session, on=False))

    def _say(
        self,
        match: Match,
        answer: str,
        act: Callable[[], Awaitable[None]] | None = None,
        /,
        *,
        intent: str = "",
        **values: object,
    ) -> Reflex:
        words = self._responses.say(match.language, intent or match.intent, answer, **values)
        return Reflex(match.intent, words, None if act is None else _silent(act))


def _watch(wanted: Wanted, asker: Asker) -> Watch:
    what = wanted.what.casefold()
    return Watch(secrets.token_hex(8), wanted.kind, asker.user, asker.session, what, wanted.label)


def _alike(watch: Watch, wanted: Wanted) -> bool:
    if wanted.label:
        return watch.label == wanted.label
    return watch.kind == wanted.kind


def _silent(act: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[str | None]]:
    async def done() -> None:
        await act()

    return done
