"""One request and its answer: read within limits, written as it is made, and called off when the client goes."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from assistant.config import Api, Server
from assistant.server.api.errors import ApiError, api_error, invalid
from assistant.server.api.programs import Programs
from assistant.server.groups import leaves
from assistant.server.realtime import Seats

logger = logging.getLogger(__name__)
T = TypeVar("T")

EVENTS: Final = "text/event-stream; charset=utf-8"
JSON: Final = "application/json"
_STALL_S: Final = 30.0
"""A client that sends nothing for so long has given up in the middle of its body."""
_DRAIN_S: Final = 5.0
_BUSY: Final = "The server works on as many requests as it may. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request comes to. Nothing of it is made before `pieces` is read, and then only as fast as it is sent."""

    media_type: str
    pieces: AsyncGenerator[bytes, None]
    whole: bool = True
    """Sent when all of it is known, so that an error has a status of its own."""
    headers: Callable[[], Mapping[str, str]] = dict
    """More headers, asked for when the first piece is there."""


Answering: TypeAlias = Callable[[Request], Awaitable[Answer]]
"""Reads and checks a request. Raises ApiError (or any other RequestError) where it can't be served."""


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Endpoint:
    """An ASGI app that serves one kind of request."""

    def __init__(  # noqa: PLR0913, PLR0917 - what requests are limited by
        self,
        answering: Answering,
        seats: Seats,
        programs: Programs,
        server: Server,
        api: Api,
        max_body_bytes: int,
    ) -> None:
        self._answering = answering
        self._programs = programs
        self._seats = seats
        self._send_timeout_s = server.send_timeout_s
        self._max_request_s = api.max_request_s
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = _Body(receive, self._max_body_bytes)
        request = Request(scope, body.receive)
        reply = _Reply(send, self._send_timeout_s)
        try:
            with self._programs.one(scope), self._seats.one() as seated:
                self._check(seated)
                async with asyncio.timeout(self._max_request_s):
                    body.check(request)
                    answer = await self._answering(request)
                    await while_connected(receive, reply.send(answer))
        except (ClientDisconnect, ClientGoneError):
            return
        except Exception as error:  # noqa: BLE001 - the client is told of every error, and the server goes on
            await self._refuse(error, body, reply, (scope, receive, send))
        finally:
            await request.close()

    def _check(self, seated: bool) -> None:
        if not seated:
            raise ApiError(429, "rate_limit_exceeded", _BUSY)

    async def _refuse(
        self, error: Exception, body: "_Body", reply: "_Reply", connection: tuple[Scope, Receive, Send]
    ) -> None:
        told = self._explain(error)
        with suppress(ClientGoneError, ClientDisconnect):
            if reply.media_type is None:
                await body.drain()
                await told.response()(*connection)
            elif reply.media_type == EVENTS:
                await reply.end(event(told.body))
            # Anything else is left unfinished, which closes the connection: the client sees that something is missing.

    def _explain(self, error: Exception) -> ApiError:
        if isinstance(error, TimeoutError):
            limit = f"{self._max_request_s:g} s"
            return ApiError(504, "timeout", f"The request took longer than {limit}, which is the most that it may.")
        told = api_error(error)
        if told is None:
            # A failure's text may hold what was said: it is for the debug log only.
            logger.error("A request failed (%s). Log level debug tells more.", type(error).__name__)
            logger.debug("The failed request", exc_info=error)
            return ApiError(500, "internal_error", f"Something went wrong in the server: {type(error).__name__}.")
        if told.status >= 500:
            logger.error("A request failed: %s", type(error.__cause__ or error).__name__)
        return told


def event(data: Mapping[str, Any]) -> bytes:
    """Return a server-sent event."""
    return b"data: " + dumped(data) + b"\n\n"


def dumped(data: Mapping[str, Any]) -> bytes:
    """Return JSON."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, unless the client goes: then it is cancelled, and ClientGoneError raised. The body must be read."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        raise ClientGoneError

    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            result = await work
            watching.cancel()
    except BaseExceptionGroup as error:
        raise next(leaves(error)) from None
    return result


class _Body:
    """A request's body, which may only be so large, and so slow."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._bytes = 0
        self._over = False
        self._form = False
        self._tail = b""

    def check(self, request: Request) -> None:
        """Refuse what says beforehand that it is too large, and note what the body should be."""
        self._form = request.headers.get("content-type", "").startswith("multipart/form-data")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """Return the next piece. Raises ApiError when there is too much, or nothing comes."""
        try:
            async with asyncio.timeout(_STALL_S):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(408, "timeout", f"Nothing of the request came for {_STALL_S:g} s.") from None
        self._bytes += len(message.get("body", b""))
        self._over = not message.get("more_body", False)
        if self._bytes > self._max_bytes:
            raise self._too_large()
        if self._form and message["type"] == "http.request":
            self._tail = (self._tail + message.get("body", b"")[-8:])[-8:]
            if self._over and not self._tail.rstrip().endswith(b"--"):  # the parser would take what there is
                raise invalid(
                    "The form is cut short: its last boundary is missing. Send it again.", None, "invalid_form"
                )
        return message

    async def drain(self) -> None:
        """Read the rest, for a moment: a client that is still sending looks for no answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while not self._over:
                    message = await self._receive()
                    self._over = not message.get("more_body", False)

    def _too_large(self) -> ApiError:
        limit = self._max_bytes / 2**20
        return ApiError(
            413, "request_too_large", f"A request has at most {limit:g} MiB here. Send less, or compress it."
        )


class _Reply:
    """Writes an answer. A client that doesn't read for long is taken for gone."""

    def __init__(self, send: Send, timeout_s: float) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self.media_type: str | None = None
        """Of what has begun to be sent."""

    async def send(self, answer: Answer) -> None:
        async with aclosing(answer.pieces) as pieces:
            if answer.whole:
                body = b"".join([piece async for piece in pieces])
                await self._begin(answer, {"content-length": str(len(body))})
                await self.end(body)
                return
            # Until there is something to send, an error can still have a status of its own.
            first = await anext(pieces, b"")
            await self._begin(answer, {"cache-control": "no-cache", "x-accel-buffering": "no"})
            await self._write(first)
            async for piece in pieces:
                if piece:
                    await self._write(piece)
            await self.end()

    async def end(self, last: bytes = b"") -> None:
        """Write the last bytes."""
        await self._write(last, more=False)

    async def _begin(self, answer: Answer, headers: Mapping[str, str]) -> None:
        self.media_type = answer.media_type
        named = {"content-type": answer.media_type, **headers, **answer.headers()}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        await self._put({"type": "http.response.start", "status": 200, "headers": raw})

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        await self._put({"type": "http.response.body", "body": data, "more_body": more})

    async def _put(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send(message)
        except (TimeoutError, OSError):
            raise ClientGoneError from None
