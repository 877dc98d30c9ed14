"""A language model behind any OpenAI-compatible chat endpoint.

One request is one attempt: whether somebody is asked again is the caller's to decide. What leaves this machine is the
body and the few headers that it needs: the library's own, which tell about this machine, are taken off.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import httpx2
import openai

from assistant.llm.chat_wire import Body, adapted, body_of, dialect_of
from assistant.llm.chunks import NonsenseError, Reply, part
from assistant.llm.endpoint_errors import (
    BackendError,
    FailedError,
    GarbledError,
    RejectedError,
    UnreachableError,
    Where,
    explain,
    too_slow,
)
from pipeline.engines import ChatRequest, Generated

_HEADERS: Final = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding"}
)
"""What may go out with a request, besides the key and our own name."""

_MOST_ADAPTATIONS: Final = 8
_IDLE_S: Final = 60.0
"""A connection is kept open so long for the next request: setting up TLS anew would take a good part of a second."""
_USAGE_S: Final = 2.0
"""The most that a finished answer waits for the server's account of it."""
_MOST_JSON_BYTES: Final = 4 * 2**20

_Stream: TypeAlias = openai.AsyncStream[object]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take."""

    connect_s: float = 3.0
    first_s: float = 15.0
    """From the request to the first token, be it a thought."""
    between_s: float = 10.0
    """Between two tokens."""
    whole_s: float = 120.0


class Endpoint:
    """A language model that is asked over HTTP. Building one takes a few hundredths of a second; `close` ends it.

    `direct` takes no proxy, whatever the environment says. `guard` is called before each request and may raise: then
    nothing is sent. `extra` is added to the body of each request.
    """

    def __init__(  # noqa: PLR0913 - what an endpoint has
        self,
        where: Where,
        *,
        takes_pictures: bool = False,
        patience: Patience | None = None,
        direct: bool = False,
        most_connections: int = 100,
        guard: Callable[[], Awaitable[None]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._where = where
        self._takes_pictures = takes_pictures
        self._patience = patience or Patience()
        self._guard = guard
        self._extra = dict(extra or {})
        self._dialect = dialect_of(where.url)
        self._sent_bytes = 0
        self._http = httpx2.AsyncClient(
            # Whoever redirects a request would have the person's words sent on to another machine.
            follow_redirects=False,
            trust_env=not direct,
            verify=ssl.create_default_context() if direct else True,
            limits=httpx2.Limits(
                max_connections=most_connections, max_keepalive_connections=most_connections, keepalive_expiry=_IDLE_S
            ),
            timeout=httpx2.Timeout(None, connect=self._patience.connect_s),
            event_hooks={"request": [self._leaving]},
        )
        self._client = openai.AsyncOpenAI(
            base_url=where.url,
            api_key=where.key or "none",  # none is sent then, see _leaving; the library wants one
            max_retries=0,
            http_client=self._http,
            timeout=httpx2.Timeout(None, connect=self._patience.connect_s),
        )

    @property
    def takes_pictures(self) -> bool:
        """Whether the owner says that it understands pictures."""
        return self._takes_pictures

    @property
    def sent_bytes(self) -> int:
        """The bytes of all requests' bodies so far."""
        return self._sent_bytes

    async def prefill(self, request: ChatRequest) -> float | None:
        """Do nothing: what isn't committed doesn't leave this machine."""
        return None

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Yield the answer: text as it comes, whole calls, one Finish. Closing it closes the connection.

        Raises BackendError.
        """
        begun = asyncio.get_running_loop().time()
        deadline = begun + self._patience.whole_s
        stream = await self._open(request, min(deadline, begun + self._patience.first_s))
        reply = Reply(request)
        try:
            if not _is_event_stream(stream.response):
                async for piece in self._unstreamed(stream.response, reply, deadline):
                    yield piece
                return
            first = True
            while True:
                limit_s = self._patience.first_s if first else self._patience.between_s
                since = begun if first else asyncio.get_running_loop().time()
                chunk = await self._next(stream, reply, since + limit_s, deadline, first=first)
                if chunk is None:
                    break
                # OpenAI's first chunk has only a role: nothing has been thought yet.
                first = first and not _says_something(chunk)
                for delta in self._sense(partial(reply.take, chunk)):
                    yield delta
            for rest in self._end(reply):
                yield rest
        finally:
            await stream.close()

    async def models(self) -> Sequence[str]:
        """Return the names of the models that it has. Raises BackendError."""
        try:
            async with asyncio.timeout(self._patience.first_s):
                return [model.id async for model in self._client.models.list()]
        except TimeoutError:
            raise too_slow("first", self._where, self._patience.first_s) from None
        except openai.APIError as error:
            failure = self._explained(error)
        except (ValueError, TypeError, AttributeError):
            failure = GarbledError(self._where.name, "sent a list of models that can't be read", "correct url")
        raise failure

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    # --- Asking ---

    async def _open(self, request: ChatRequest, deadline: float) -> _Stream:
        """Send the request, in words that the server understands."""
        dialect = self._dialect
        for _ in range(_MOST_ADAPTATIONS):
            body = body_of(request, self._where.model, dialect) | self._extra
            try:
                async with asyncio.timeout_at(deadline):
                    stream = await self._send(body)
            except TimeoutError:
                raise too_slow("first", self._where, self._patience.first_s) from None
            except openai.APIError as error:
                failure = self._explained(error)
                other = adapted(dialect, body, error.param, str(error.body)) if _is_complaint(error) else None
            else:
                self._dialect = dialect
                return stream
            if other is None:
                raise failure  # not from the library's error, which may quote the key
            dialect = other
        raise RejectedError(self._where.name, "refuses request after request", "look at its log")

    async def _send(self, body: Body) -> _Stream:
        if self._guard is not None:
            await self._guard()
        # Not `chat.completions.create`, whose checks and classes take a millisecond: the body is as it should be.
        return await self._client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object]
        )

    async def _leaving(self, request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name not in _HEADERS]:
            del request.headers[name]
        request.headers["user-agent"] = "Parley"
        if self._where.key:
            request.headers["authorization"] = f"Bearer {self._where.key}"
        self._sent_bytes += len(request.content)

    # --- Reading ---

    async def _next(self, stream: _Stream, reply: Reply, soon: float, deadline: float, *, first: bool) -> object | None:
        """Return the next chunk, None at the end."""
        over = reply.reason is not None
        now = asyncio.get_running_loop().time()
        until = min(deadline, now + _USAGE_S if over else soon)
        try:
            async with asyncio.timeout_at(until):
                return await anext(stream, None)
        except TimeoutError:
            if over:
                return None
            if until == deadline:
                raise too_slow("whole", self._where, self._patience.whole_s) from None
            if first:
                raise too_slow("first", self._where, self._patience.first_s) from None
            raise too_slow("between", self._where, self._patience.between_s) from None
        except openai.APIError as error:
            if over:
                return None  # the answer is whole; only the account of it is missing
            failure = self._explained(error)
        except ValueError:
            cure = "see what it is that answers at this url"
            failure = GarbledError(self._where.name, "sent a piece that isn't JSON", cure)
        raise failure

    async def _unstreamed(
        self, response: httpx2.Response, reply: Reply, deadline: float
    ) -> AsyncGenerator[Generated, None]:
        """Yield an answer that came in one piece. Raises GarbledError for anything else: a sign-in page, mostly."""
        kind = response.headers.get("content-type", "").partition(";")[0] or "nothing that is named"
        data = b""
        try:
            async with asyncio.timeout_at(deadline):
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > _MOST_JSON_BYTES:
                        break
        except TimeoutError:
            raise too_slow("whole", self._where, self._patience.whole_s) from None
        except httpx2.HTTPError:
            raise UnreachableError(self._where.name, "stopped in mid-answer", "try again, or ask another") from None
        body: Any = None
        with suppress(ValueError):
            body = json.loads(data)
        if not isinstance(body, dict) or not ({"choices", "error"} & body.keys()):
            cure = "see what it is that answers at this url: it may want somebody to sign in"
            raise GarbledError(self._where.name, f"sent {kind} instead of an answer", cure)
        if (failure := body.get("error")) is not None:
            words = str(failure.get("message", "")) if isinstance(failure, dict) else str(failure)
            raise self._explained(openai.APIError(words, response.request, body=failure))
        for delta in self._sense(partial(reply.take, body)):
            yield delta
        for rest in self._end(reply):
            yield rest

    def _end(self, reply: Reply) -> Sequence[Generated]:
        name = self._where.name
        match reply.reason:
            case None:
                raise UnreachableError(name, "stopped in mid-answer", "try again, or ask another")
            case "error":
                raise FailedError(name, "failed in mid-answer", "try again, or ask another")
            case "content_filter":
                cause = "won't answer this: its content filter stopped it"
                raise RejectedError(name, cause, "ask otherwise, or ask another", "content_filter")
            case _:
                return self._sense(reply.end)

    def _sense(self, read: Callable[[], Sequence[Generated]]) -> Sequence[Generated]:
        try:
            return read()
        except NonsenseError as error:
            cure = "see whether this model can do what is asked of it; a thinking one may need more max_output_tokens"
            raise GarbledError(self._where.name, f"sent {error}", cure) from error

    def _explained(self, error: openai.APIError) -> BackendError:
        return explain(error, self._where)


def _is_event_stream(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"


def _is_complaint(error: openai.APIError) -> bool:
    return isinstance(error, openai.APIStatusError) and error.status_code in {400, 422}


def _says_something(chunk: Any) -> bool:
    """Tell whether a chunk has a token in it, be it of a thought or a call."""
    for choice in part(chunk, "choices") or ():
        delta = part(choice, "delta") or {}
        if part(choice, "finish_reason") or any(value for name, value in delta.items() if name != "role"):
            return True
    return False
