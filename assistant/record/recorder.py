"""Recording conversations: each has a folder of its own, which only its owner can read."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from assistant.cpu import cores
from assistant.record.engines import recorded
from assistant.record.format import EVENTS, FORMAT, MICROPHONE, REQUESTS, encode, error_name, inline, length
from assistant.record.tape import OpenFile, Tape, open_private
from assistant.server.life import Conversation, NewConversation
from pipeline.engines import Asker, Engines
from pipeline.errors import ParleyError
from pipeline.events import Audio, Event, Request, SceneSeen
from pipeline.settings import Settings

log = logging.getLogger(__name__)

SLOW_S: Final = 0.05
"""A client that takes longer to read an event holds the session up; that is noted."""

_FINISH_S: Final = 5.0


class RecordError(ParleyError):
    """Conversations can't be recorded there; the message says why."""


@contextmanager
def recording(folder: Path | None, models: Sequence[str]) -> Iterator["Recorder | None"]:
    """Give a recorder that has written all it has by the end; None where nothing is to be recorded."""
    recorder = None if folder is None else Recorder(folder, models)
    try:
        yield recorder
    finally:
        if recorder is not None:
            recorder.close()


class Recorder:
    """Records every conversation that begins through it, in a folder below `root`."""

    def __init__(self, root: Path, models: Sequence[str], *, open_file: OpenFile = open_private) -> None:
        """Make the folder. Raises RecordError when it can't be written to; `models` are named in every recording."""
        self.root = root.absolute()
        self._models = list(models)
        self._open = open_file
        self._tapes: list[Tape] = []
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _refusal(self.root, error.strerror or str(error)) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise _refusal(self.root, "Permission denied")

    @property
    def warning(self) -> str:
        """What everybody who starts a server that records has to be told."""
        return (
            f"RECORDING: everything that is said to this server, and everything that it answers, is stored in\n"
            f"    {self.root}\n"
            "as sound and as words, and what a camera shows, in words. Tell those who talk to it. "
            "Start without --record to stop this."
        )

    def __call__(self, session_id: str, begin: NewConversation) -> NewConversation:
        """Return what begins the conversation `session_id` as `begin` does, recorded."""

        def begin_recorded(
            engines: Engines, settings: Settings, *, new_id: Callable[[str], str], asker: Asker
        ) -> Conversation:
            now = datetime.now(UTC)
            manifest = {
                "format": FORMAT,
                "parley": version("parley"),
                "session": session_id,
                "started": now.isoformat(timespec="milliseconds"),
                "models": self._models,
                "cores": cores(),
                "live": engines.live is not None,
                "pictures": engines.llm.takes_pictures,
                "eyes": engines.eyes is not None,
                "settings": encode(settings, inline),
            }
            tape = Tape(self.root / f"{now:%Y%m%dT%H%M%SZ}-{session_id}", manifest, open_file=self._open)

            def note_id(kind: str) -> str:
                made = new_id(kind)
                tape.note(REQUESTS, inline, at=tape.now(), made=kind, id=made)
                return made

            conversation = begin(recorded(engines, tape), settings, new_id=note_id, asker=asker)
            return _RecordedConversation(conversation, tape, self._keep)

        return begin_recorded

    def _keep(self, tape: Tape) -> None:
        self._tapes = [each for each in self._tapes if not each.join(0)] + [tape]

    def close(self) -> None:
        """Wait until what was recorded is on disk, for some seconds at most."""
        patience = time.monotonic() + _FINISH_S
        for tape in self._tapes:
            if not tape.join(max(0.0, patience - time.monotonic())):
                log.error("The recording in %s lacks its end: the disk doesn't keep up.", tape.folder)


class _RecordedConversation:
    """Notes what goes into a conversation and what comes out of it."""

    def __init__(self, conversation: Conversation, tape: Tape, keep: Callable[[Tape], None]) -> None:
        self._conversation = conversation
        self._tape = tape
        self._keep = keep
        self._read_at: float | None = None  # when the last event was taken
        self._taken = 0  # events so far

    async def run(self) -> None:
        failure: str | None = None
        self._tape.start()
        self._keep(self._tape)
        try:
            await self._conversation.run()
        except Exception as error:
            failure = error_name(error)
            raise
        finally:
            self._tape.note(EVENTS, length, at=self._tape.now(), end=failure)
            self._tape.close()

    async def put(self, request: Request) -> None:
        if isinstance(request, Audio):
            self._tape.heard += len(request.samples)
            self._tape.note(REQUESTS, MICROPHONE, at=self._tape.now(), request=request)
        else:
            self._tape.note(REQUESTS, inline, at=self._tape.now(), request=request)
        await self._conversation.put(request)

    async def next_event(self) -> Event:
        asked = self._tape.now()
        if self._read_at is not None and asked - self._read_at > SLOW_S:
            self._tape.note(REQUESTS, inline, at=self._read_at, busy_until=asked, taken=self._taken)
        event = await self._conversation.next_event()
        self._read_at = self._tape.now()
        if not isinstance(event, SceneSeen):  # what was seen stands among the calls
            self._taken += 1
            self._tape.note(EVENTS, length, at=self._read_at, event=event)
        return event


def _refusal(root: Path, reason: str) -> RecordError:
    return RecordError(f"Conversations can't be recorded in {root}: {reason}. Pass another folder with --record.")
