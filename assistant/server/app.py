"""The server: one port for the page, the state of health and the websocket."""

import asyncio
import logging
import mimetypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from assistant.config import Config
from assistant.models import Store
from assistant.privacy.ledger import Ledger
from assistant.server.api.programs import Programs, programs_of
from assistant.server.api.routes import api_routes
from assistant.server.auth import Guard, token_of_environment
from assistant.server.client_secrets import ClientSecrets, Desk
from assistant.server.groups import leaves
from assistant.server.guesses import Guesses
from assistant.server.http_errors import explain, no_websocket, wants_websocket
from assistant.server.ledger import ledger_routes
from assistant.server.life import NewConversation
from assistant.server.listener import Listener, bind, url_of
from assistant.server.present import Present
from assistant.server.realtime import Recording, Seats, converse, refuse, resume
from assistant.server.resume import Lives
from assistant.server.tls import Tls
from pipeline.engines import Engines
from pipeline.session import Session

PAGE: Final = Path(__file__).resolve().parents[2] / "clients" / "browser"
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The system's own table may lack these, and browsers run no module and no worklet of another type.
_TYPES: Final = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}


class _Page(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


class _House:
    """What the routes share. `engines` is None until they are warm."""

    def __init__(  # noqa: PLR0913 - each is a part of the server
        self,
        config: Config,
        engines: Engines | None,
        *,
        begin: NewConversation,
        record: Recording | None,
        present: Present,
        programs: Programs,
    ) -> None:
        self.programs = programs
        self._config = config
        self._begin = begin
        self._record = record
        self.present = present
        self.seats = Seats(config.server.max_sessions)
        self.lives = Lives()
        self._opened = time.monotonic()
        self._warm_s = 0.0
        self.engines = engines
        self.ledger: Ledger | None = None

    def warm(
        self, engines: Engines | None, *, begin: NewConversation | None = None, ledger: Ledger | None = None
    ) -> None:
        """Let clients in, now that there are engines; None shuts the door again. `begin` begins conversations then."""
        self.engines = engines
        self.ledger = ledger
        self._begin = begin or self._begin
        self._warm_s = time.monotonic() - self._opened

    async def realtime(self, websocket: WebSocket) -> None:
        engines = self.engines
        if engines is None:
            await refuse(websocket, "not_ready", "The models are still being loaded. Try again in a few seconds.")
            return
        complaint = await resume(websocket, self._config, self.lives)
        if complaint is None:
            return
        if not self.seats.free:
            await self.lives.make_room()
        with self.seats.one() as seated:
            if seated:
                await converse(
                    websocket,
                    self._config,
                    engines,
                    self._begin,
                    self._record,
                    lives=self.lives,
                    present=self.present,
                    complaint=complaint,
                )
                return
        message = f"All {self.seats.limit} conversations that this server may have are taken. Try again later."
        await refuse(websocket, "too_many_sessions", message)

    async def healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        if self.engines is None:
            return JSONResponse({"status": "loading"}, 503)
        return JSONResponse(
            {
                "status": "ready",
                "models": list(self._config.models()),
                "seconds": round(self._warm_s, 3),
                "sessions": self.seats.taken,
            }
        )


def build_app(  # noqa: PLR0913 - each is a part of the server
    config: Config,
    engines: Engines | None = None,
    *,
    token: str | None = None,
    begin: NewConversation = Session,
    record: Recording | None = None,
    programs: Programs | None = None,
    present: Present | None = None,
    now: Callable[[], float] = time.time,
) -> Starlette:
    """Return the ASGI app. Without `engines` it answers 503 until `app.state.house.warm(engines)`.

    `token` is what clients must show, where there is one; `begin` starts a conversation; `record` has it recorded;
    `programs` have keys of their own; `present` finds the sessions that can be spoken to; ephemeral keys expire by
    `now`, in seconds since 1970.
    """
    for suffix, kind in _TYPES.items():
        mimetypes.add_type(kind, suffix)
    programs = programs or Programs(now=time.monotonic)
    house = _House(config, engines, begin=begin, record=record, present=present or Present(), programs=programs)
    secrets = ClientSecrets(now)
    api = [
        WebSocketRoute("/realtime", house.realtime),
        Route("/realtime", wants_websocket),
        Route("/realtime/client_secrets", Desk(config, secrets).create, methods=["POST"]),
        *api_routes(config, lambda: house.engines, programs),
        *ledger_routes(lambda: house.ledger),
        WebSocketRoute("/{path:path}", no_websocket),
    ]
    app = Starlette(
        routes=[
            Mount("/v1", routes=api),
            Route("/healthz", house.healthz),
            Route("/readyz", house.readyz),
            Mount("/", _Page(directory=PAGE, html=True, check_dir=False)),
        ],
        middleware=[
            Middleware(
                Guard,
                server=config.server,
                token=token,
                secrets=secrets,
                guesses=Guesses(time.monotonic),
                programs=programs,
            )
        ],
        exception_handlers={HTTPException: explain},
    )
    app.state.house = house
    return app


async def serve(
    config: Config,
    store: Store,
    on_ready: Callable[[str], None],
    record: Recording | None = None,
    tls: Tls | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is told the URL once conversations can begin.

    `record` has every conversation recorded; `tls` makes it https:// and wss://.

    Raises OSError when the port is taken and ParleyError when there is no token, before anything is loaded.
    """
    _log(config)
    token = token_of_environment(config.server.host)
    programs = Programs(programs_of(config.api), now=time.monotonic)
    with bind(config.server) as bound:
        app = build_app(config, token=token, record=record, programs=programs)
        context = None if tls is None else tls.context
        listener = Listener(app, config.server, context, on_stop=app.state.house.lives.end_waiting)
        url = url_of(bound, secure=tls is not None)
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(_warm(config, store, app.state.house, listener, lambda: on_ready(url)))]
                if tls is not None:
                    beside.append(group.create_task(tls.keep()))
                await listener.serve([bound])
                for task in beside:
                    task.cancel()
        except* Exception as group_error:  # noqa: BLE001 - the same, out of its group
            raise next(leaves(group_error)) from None


async def _warm(config: Config, store: Store, house: _House, listener: Listener, ready: Callable[[], None]) -> None:
    from assistant.assembly import assemble  # noqa: PLC0415 - the app itself can be had without any engine

    async with assemble(config, store, house.present) as assembled, asyncio.TaskGroup() as group:
        for entry in assembled.spent_today:
            house.programs.recall(entry.user, entry.cost)
        await listener.listening.wait()
        house.warm(assembled.engines, begin=assembled.begin, ledger=assembled.ledger)
        ready()
        if assembled.timers is not None:
            group.create_task(assembled.timers.run())
        if assembled.watches is not None:
            group.create_task(assembled.watches.run())
        await asyncio.Event().wait()  # all of it stays until the listener is done


def _log(config: Config) -> None:
    logging.basicConfig(
        level=config.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # These write URLs and headers, and a header holds the key; the last one, the language of whoever speaks.
    for name in (
        "uvicorn",
        "uvicorn.error",
        "websockets",
        "faster_whisper",
        "openai",
        "httpx2",
        "httpcore2",
        "mcp",
        "client",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
