"""Connections of `/v1/realtime`: each gets a session, or its own one back."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from starlette.websockets import WebSocket, WebSocketDisconnect

from assistant.config import Config
from assistant.server.client_secrets import beginning
from assistant.server.life import Life, NewConversation, ResumeError
from assistant.server.line import TRY_AGAIN_LATER, Line
from assistant.server.present import Present
from assistant.server.resume import Lives, claim_of
from assistant.server.session_config import SessionConfig
from assistant.server.wire import encode, error_message
from assistant.tools.servers import McpServers
from pipeline.engines import Asker, Engines
from pipeline.ids import random_id

SUBPROTOCOL: Final = "realtime"

Recording: TypeAlias = Callable[[str, NewConversation], NewConversation]
"""Given a session's id and how conversations begin, how one begins that is recorded under that id."""


class Seats:
    """How many conversations there are, and may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    @property
    def free(self) -> bool:
        """Whether another conversation may begin."""
        return self.taken < self.limit

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Hold a seat for as long as the block runs; False when none was free."""
        if not self.free:
            yield False
            return
        self.taken += 1
        try:
            yield True
        finally:
            self.taken -= 1


async def refuse(websocket: WebSocket, code: str, message: str) -> None:
    """Accept the connection only to say why it can't be had now."""
    await websocket.accept(_subprotocol(websocket))
    with suppress(WebSocketDisconnect):
        await websocket.send_text(encode(error_message(code, message, fault="server")))
        await websocket.close(TRY_AGAIN_LATER, message)


async def resume(websocket: WebSocket, config: Config, lives: Lives) -> str | None:
    """Serve a client that comes back, until it leaves.

    Returns "" for a client that wants a session of its own, and a sentence for one that can't have its old one; the
    connection is still to be accepted then.
    """
    claim = claim_of(websocket)
    if claim is None:
        return ""
    life = lives.find(claim)
    if life is None:
        return "There is no session to go on with: the token is wrong, or its time is over. This is a fresh session."
    try:
        await life.attend(_line(websocket, config), received=claim.received, returns=True)
    except ResumeError as error:
        return f"{error} This is a fresh session."
    return None


async def converse(  # noqa: PLR0913 - each is a fact of the session
    websocket: WebSocket,
    config: Config,
    engines: Engines,
    begin: NewConversation,
    record: Recording | None = None,
    *,
    lives: Lives,
    present: Present,
    complaint: str = "",
) -> None:
    """Hold a session with one client until it is over; `complaint` says why it isn't an older one that goes on.

    While its client is there, it is found in `present`; one that only transcribes has nothing to say and is not.
    """
    query = websocket.query_params
    transcribes = query.get("intent") == "transcription"
    session = SessionConfig.fresh(config, query.get("model") or "parley", transcribes=transcribes)
    session = session.updated(beginning(websocket.scope))
    if record is not None:
        begin = record(session.session_id, begin)
    asker = Asker(session=session.session_id)
    async with McpServers(config.tools) as servers:
        conversation = begin(replace(engines, tools=servers), session.settings(), new_id=random_id, asker=asker)
        sees = engines.eyes is not None and not transcribes
        life = Life(
            config.server,
            session,
            conversation,
            lives,
            arrived=present.came,
            learn=servers.learn,
            sees=sees,
            saw=partial(present.saw, asker),
        )
        if complaint:
            life.complain("resume_failed", complaint)
        try:
            with nullcontext() if transcribes else present.one(asker, life):
                async with asyncio.TaskGroup() as group:
                    group.create_task(life.run())
                    await life.attend(_line(websocket, config))
        finally:
            life.over.set()


def _line(websocket: WebSocket, config: Config) -> Line:
    return Line(websocket, config.server.send_timeout_s, _subprotocol(websocket))


def _subprotocol(websocket: WebSocket) -> str | None:
    offered: list[str] = websocket.scope["subprotocols"]
    return SUBPROTOCOL if SUBPROTOCOL in offered else None
