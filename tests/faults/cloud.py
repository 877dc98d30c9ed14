"""A stand-in for a cloud API: real HTTP and server-sent events on a port of its own, with faults on demand.

It stands for the model and for the network's troubles only: sockets, HTTP and the events are real. It speaks chat
completions and lists models, and remembers what it was sent. It runs in a thread, so that tests with and without an
event loop use it alike:

    with Cloud() as cloud:
        cloud.next(Reply(cut_after=3), Reply(status=429, headers={"Retry-After": "2"}))
        ...                                          # two requests to cloud.url go wrong; the third is answered
    assert [received.body["model"] for received in cloud.received] == [...]

`python -m tests.faults` runs one in a process of its own.
"""

import asyncio
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import h11

from tests.faults.replies import Reply, chunk, deltas, error_body, finish_reason, usage_of, whole

WAIT_S = 10.0
_PAGE = b"<html><body>Please sign in to use this network.</body></html>"


@dataclass(slots=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Their names in lower case."""
    raw: bytes
    over: threading.Event = field(default_factory=threading.Event)
    """The answer is complete, or the connection has gone."""
    gone: bool = False
    """The client closed the connection before the answer was complete."""

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def asked(self) -> str:
        """The text of the last message."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)

    def wait(self) -> None:
        """Wait until it is over."""
        assert self.over.wait(WAIT_S), "the stand-in still works on a request"


Answering = Callable[[Received], Reply]


def echo(received: Received) -> Reply:
    """Answer with what was asked, word by word."""
    words = received.asked.split(" ")
    return Reply((words[0], *(f" {word}" for word in words[1:])))


class Cloud:
    """The stand-in. `answer` is what it says when nothing else was put down by `next`.

    With `key`, requests without it get 401; with `models`, those for others 404; requests that have a field of
    `refuses` get 400 and its sentence.
    """

    def __init__(
        self,
        answer: Reply | Answering = Reply(),  # noqa: B008 - it is frozen
        *,
        key: str | None = None,
        models: Collection[str] | None = None,
        refuses: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.key = key
        self.models = models
        self.refuses = dict(refuses or {})
        self.received: list[Received] = []
        """Every request, in its order of arrival."""
        self.most_at_once = 0
        self.connections = 0
        """How many there have been."""
        self.port = port
        self._at_once = 0
        self._next: deque[Reply] = deque()
        self._tls = tls
        self._started = threading.Event()
        self._arrival = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="cloud")
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL, as OpenAI's clients take it."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"

    def next(self, *replies: Reply) -> None:
        """Answer the next requests like this, one after the other."""
        self._next.extend(replies)

    def wait_for(self, requests: int) -> None:
        """Wait until so many requests have come."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.received) >= requests, WAIT_S), "no request came"

    def kill(self) -> None:
        """Die: break every connection, and refuse new ones. `revive` undoes it."""
        self._do(self._stop_listening)

    def revive(self) -> None:
        """Listen again, on the same port."""
        self._do(self._listen)

    def __enter__(self) -> "Cloud":
        self._thread.start()
        assert self._started.wait(WAIT_S), "the stand-in didn't start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def _do(self, work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(WAIT_S)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        await self._listen()
        self._started.set()
        await self._ending.wait()
        await self._stop_listening()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls, backlog=512, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        self._server.close()
        connections = list(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.connections += 1
        connection = _Connection(reader, writer)
        try:
            while (received := await connection.request()) is not None:
                with self._arrival:
                    self.received.append(received)
                    self._arrival.notify_all()
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    await self._attend(received, connection)
                finally:
                    self._at_once -= 1
                    received.over.set()
        except (OSError, h11.RemoteProtocolError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # the server is killed; the task has nothing else to do
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def _attend(self, received: Received, connection: "_Connection") -> None:
        """Answer, unless the client goes."""
        answering = asyncio.create_task(self._respond(received, connection))
        leaving = asyncio.create_task(connection.left())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            # Its going may be noticed by the answer first, when that is written.
            failed = answering.exception() if answering.done() else None
            received.gone = not answering.done() or (isinstance(failed, OSError) and not isinstance(failed, _CutError))
        finally:
            for task in (answering, leaving):
                task.cancel()
            results = await asyncio.gather(answering, leaving, return_exceptions=True)
        if received.gone:
            raise ConnectionResetError
        if isinstance(results[0], Exception):
            raise results[0]

    async def _respond(self, received: Received, connection: "_Connection") -> None:
        if received.path == "/v1/models":
            listed = [{"id": name, "object": "model"} for name in (self.models or ("stand-in",))]
            await connection.whole(200, json.dumps({"object": "list", "data": listed}).encode())
        elif received.path != "/v1/chat/completions":
            await connection.whole(404, b"404 page not found", "text/plain")
        elif self.key is not None and received.headers.get("authorization") != f"Bearer {self.key}":
            shown = received.headers.get("authorization", "")
            # As OpenAI does: it says a part of the key.
            message = f"Incorrect API key provided: {shown[7:]}. You can find your API key at https://example.com."
            await connection.whole(401, error_body(message, "invalid_api_key", "invalid_request_error"))
        elif self.models is not None and (model := received.body["model"]) not in self.models:
            message = f"The model `{model}` does not exist or you do not have access to it."
            await connection.whole(404, error_body(message, "model_not_found", "invalid_request_error"))
        elif refused := next((field for field in self.refuses if field in received.body), None):
            message = self.refuses[refused]
            await connection.whole(400, error_body(message, "unsupported_parameter", "invalid_request_error"))
        else:
            reply = self._reply(received)
            await asyncio.sleep(reply.headers_s)
            await _write(reply, received.body, connection)

    def _reply(self, received: Received) -> Reply:
        if self._next:
            return self._next.popleft()
        return self.answer if isinstance(self.answer, Reply) else self.answer(received)


async def _write(reply: Reply, asked: Mapping[str, Any], connection: "_Connection") -> None:
    if reply.status != 200:
        body = error_body(reply.error, reply.code) if reply.body is None else reply.body
        await connection.whole(reply.status, body, reply.content_type or "application/json", reply.headers)
    elif reply.content_type is not None or reply.body is not None:
        await connection.whole(200, reply.body or _PAGE, reply.content_type or "application/json", reply.headers)
    elif not asked.get("stream"):
        await asyncio.sleep(reply.first_s)
        await connection.whole(200, json.dumps(whole(reply, asked["model"])).encode(), headers=reply.headers)
    else:
        await _stream(reply, asked, connection)


async def _stream(reply: Reply, asked: Mapping[str, Any], connection: "_Connection") -> None:
    model = asked["model"]

    def delta(content: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
        return chunk(model, [{"index": 0, "delta": content, "finish_reason": reason}], **more)

    await connection.begin(200, "text/event-stream", reply.headers)
    for _ in range(reply.keep_alives):
        await connection.send(b": OPENROUTER PROCESSING\n\n")
    await connection.send(delta({"role": "assistant", "content": ""}))
    for thought in reply.reasoning:
        await connection.send(delta({"reasoning_content": thought}))
    for number, content in enumerate([*deltas(reply), None]):
        if number == reply.stall_after:
            await asyncio.Event().wait()
        if number == reply.cut_after:
            connection.cut()
        if number == reply.end_after:
            await connection.end()
            return
        if number == reply.malformed_after:
            await connection.send(b'data: {"choices": [{"delta": {"con\n\n')
        if number == reply.error_after:
            await connection.send(b"data: " + error_body("The provider returned an error.", "502") + b"\n\n")
        if content is not None:
            await asyncio.sleep(reply.between_s if number else reply.first_s)
            await connection.send(delta(content))
    beside = {"usage": usage_of(reply)} if reply.usage_in_last_chunk else {}
    await connection.send(delta({}, finish_reason(reply), **beside))
    if reply.cut_at_end:
        connection.cut()
    if reply.usage and not beside and (asked.get("stream_options") or {}).get("include_usage"):
        await connection.send(chunk(model, [], usage=usage_of(reply)))
    await connection.send(b"data: [DONE]\n\n")
    await connection.end()


class _CutError(ConnectionResetError):
    """The stand-in itself broke the connection."""


class _Connection:
    """HTTP/1.1 over one socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def request(self) -> Received | None:
        """Return the next request, None when there is none."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        request = await self._event()
        if not isinstance(request, h11.Request):
            return None
        body = b""
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        return Received(request.method.decode(), request.target.decode(), headers, body)

    async def left(self) -> None:
        """Wait until the client closes the connection."""
        with suppress(OSError):
            while data := await self._reader.read(65536):
                self._http.receive_data(data)

    async def begin(
        self, status: int, content_type: str, headers: Mapping[str, str], length: int | None = None
    ) -> None:
        named = {"content-type": content_type, "x-stand-in": "parley tests", **headers}
        named |= {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
        await self._put(h11.Response(status_code=status, headers=list(named.items())))

    async def send(self, data: bytes) -> None:
        await self._put(h11.Data(data=data))

    async def end(self) -> None:
        await self._put(h11.EndOfMessage())

    async def whole(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        await self.begin(status, content_type, headers or {}, len(body))
        await self.send(body)
        await self.end()

    def cut(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()
        raise _CutError

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65536))
        return event

    async def _put(self, event: Any) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
