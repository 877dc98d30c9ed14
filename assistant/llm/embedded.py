"""A language model inside this process: llama.cpp by way of xllamacpp."""

import asyncio
import http.client
import json
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Literal

from assistant.llm import kernels
from assistant.llm.beginnings import Beginning
from assistant.llm.calling import Answer, Body, Take, likely_tokens
from assistant.llm.prompts import Template
from assistant.llm.slots import Slot, Slots, rendered
from assistant.llm.tool_text import plain
from pipeline.engines import ChatMessage, ChatRequest, Finish, Generated, Sampling, TextDelta, Toolbox
from pipeline.errors import ParleyError, RequestError

_SLOTS = 8
"""Conversations at once whose work is remembered; they share one cache of `context_tokens * parallel` tokens."""

_EXPECTED = 60
"""Tokens whose probability is looked at, the likeliest ones, to tell whether a message ends."""

_STOPS = ".?!。？！…\n"
"""What begins a token that closes a sentence: a model expects it where a message could end."""

_SUREST = 0.999
"""No model is as sure of a message's end as a whole command."""

_SOCKET = "llama.sock"

_BATCH_TOKENS = 64
"""Prompt tokens between two looks at the stop flag (and between two tokens of the other conversations)."""


class LlmError(ParleyError):
    """The language model can't be loaded or can't answer; the message says why."""


class LlmRefusal(LlmError, RequestError):  # noqa: N818 - it is one, and says so
    """The language model can't do what was asked; the message says why."""


class EmbeddedLlm:
    """Answers with a GGUF model, in many conversations at once, of which `parallel` may be as long as they like.

    `model` is a .gguf file or a folder with one. `threads` read and generate; a second one saves a third of the time
    where its core is idle, and costs a tenth where it isn't (see share_machine). A conversation holds `context_tokens`.
    What most conversations have in common, `beginning`, is read once, for all of them; the folder `keep` keeps what
    came of it for the next start. Loading blocks for one to three seconds. Raises LlmError when the model can't be
    loaded.
    """

    def __init__(  # noqa: PLR0913 - what a model is loaded with
        self,
        model: Path,
        *,
        threads: int,
        context_tokens: int,
        parallel: int,
        beginning: Sequence[ChatMessage] = (),
        keep: Path | None = None,
    ) -> None:
        file = _gguf(model)
        kept = None if keep is None else Beginning(keep, file, beginning)
        # xllamacpp always listens: let it be on a socket in a private folder that is gone when all is prepared.
        with tempfile.TemporaryDirectory(prefix="parley-") as folder:
            self._server = _load(file, threads, context_tokens, parallel, Path(folder))
            control = _Control(Path(folder))
            self._template = Template(control.render)
            read = self._begin(control, beginning, kept) if beginning else 0
        self._beginning = tuple(beginning)
        self._slots = Slots(max(parallel, _SLOTS), rendered(beginning), read)
        self._threads = ThreadPoolExecutor(max(parallel, _SLOTS), thread_name_prefix="llm")
        self._closing = threading.Event()

    takes_pictures: Final = False

    async def warm(self) -> None:
        """Touch every weight once, so that the first answer doesn't wait for the disk."""
        await self._read([*self._beginning, ChatMessage("user", "Hello")])

    async def prefill(self, request: ChatRequest) -> float | None:
        """Read the messages now, so that a `stream` that begins with them starts sooner.

        Return the probability (0..1) that a user's message ends where they end: that the model expects its end, or a
        sentence's. None for other messages.
        """
        messages = plain(request.messages, request.toolbox)
        asked = bool(messages) and messages[-1].role == "user"
        # Otherwise the user's message comes next. Of a conversation that ends with an answer, llama.cpp would leave
        # that answer out.
        prompt = self._template.open_ended(messages if asked else [*messages, ChatMessage("user", "")])
        if prompt is None:
            await self._read(messages)
            return None
        stop = threading.Event()
        work = self._threads.submit(self._expect, prompt, messages, stop)
        try:
            likely = await asyncio.wrap_future(work)
        finally:
            stop.set()
        return likely if asked else None

    def unread(self, request: ChatRequest) -> int:
        """Return how many characters of the messages nothing has been read of yet, nor is being read."""
        return self._slots.unread(plain(request.messages, request.toolbox))

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Generate the next assistant message: pieces of text, a call of a function at most, then one Finish.

        Closing the iterator stops the work within a token (or, while the prompt is read, within a batch of it).
        Raises LlmRefusal when the prompt doesn't fit into the context, or the schema can't be followed.
        """
        return self._generate(request, prefill=False)

    def close(self) -> None:
        """Stop what is being generated and free the model. Blocks until that is done, a fraction of a second."""
        self._closing.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._server = None

    def _begin(self, control: "_Control", beginning: Sequence[ChatMessage], kept: Beginning | None) -> int:
        """Read the beginning once and put a copy into every slot, or as many as there is room for; return how many."""
        if kept is None or not kept.fetch(control.saved) or not control.slot(0, "restore"):
            body = {"messages": _plain(beginning), "max_tokens": 1, "id_slot": 0}
            self._server.handle_chat_completions(json.dumps(body), lambda _chunk: False)
            if not control.slot(0, "save"):
                return 1
            if kept is not None:
                kept.keep(control.saved)
        number = 1
        while number < _SLOTS and control.slot(number, "restore"):
            number += 1
        return number

    def _expect(self, prompt: str, messages: Sequence[ChatMessage], stop: threading.Event) -> float | None:
        with self._slots.lend(messages, stop, prefill=True) as slot:
            likely = likely_tokens(self._asking(slot, stop), prompt, _EXPECTED, ignore_eos=True)
        return min(_SUREST, sum(probability for token, probability in likely if _ends(token))) if likely else None

    async def _read(self, messages: Sequence[ChatMessage]) -> None:
        request = ChatRequest(tuple(messages), max_tokens=1, temperature=0.0)
        async with aclosing(self._generate(request, prefill=True)) as pieces:
            async for _ in pieces:
                pass

    async def _generate(self, request: ChatRequest, *, prefill: bool) -> AsyncGenerator[Generated, None]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Generated | BaseException] = asyncio.Queue()  # holds max_tokens at most
        stop = threading.Event()

        def deliver(piece: Generated | BaseException) -> None:
            if not stop.is_set():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def ended(work: "Future[None]") -> None:
            if not work.cancelled() and (error := work.exception()) is not None:
                deliver(error)

        messages, toolbox, sampling = request.messages, request.toolbox, request.sampling
        after_result = bool(messages) and messages[-1].role == "tool"
        written = plain(messages, toolbox)
        body = {
            "messages": _plain(written),
            "max_tokens": request.max_tokens,
            # Whether a function is called must not hang on chance, nor whether what it returned is told.
            "temperature": 0.0 if toolbox.may_call or after_result else request.temperature,
            "repeat_penalty": 1.1,  # or small models go round in circles, aloud
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # calls back during the prompt too, which is when it can be stopped
        }
        body |= {} if sampling is None else _fields(sampling)
        if request.begun:
            # A chat's template has no place for half an answer, so the prompt is written here.
            del body["messages"]
            body["prompt"] = self._template.answered(written) + request.begun.rstrip()
            work = self._threads.submit(self._work, body, written, prefill, stop, deliver, request.begun)
        elif toolbox.tools:
            work = self._threads.submit(self._work_with_tools, body, written, toolbox, after_result, stop, deliver)
        else:
            work = self._threads.submit(self._work, body, written, prefill, stop, deliver)
        work.add_done_callback(ended)
        try:
            while True:
                piece = await pieces.get()
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
                if isinstance(piece, Finish):
                    return
        finally:
            stop.set()
            work.cancel()

    def _work(  # noqa: PLR0913, PLR0917 - what an answer needs, in its thread
        self,
        body: dict[str, Any],
        messages: Sequence[ChatMessage],
        prefill: bool,
        stop: threading.Event,
        deliver: Callable[[Generated], None],
        begun: str = "",
    ) -> None:
        reply = _Reply()

        def take(chunk: Mapping[str, Any]) -> bool:
            for piece in reply.take(chunk):
                deliver(piece)
            return False

        with self._slots.lend(messages, stop, prefill=prefill) as slot:
            self._asking(slot, stop)(body, take)
            if reply.finish is not None and not prefill:
                slot.answered(begun.rstrip() + "".join(reply.text))
        self._end(reply, stop, deliver)

    def _work_with_tools(  # noqa: PLR0913, PLR0917 - what an answer needs, in its thread
        self,
        body: Body,
        messages: Sequence[ChatMessage],
        toolbox: Toolbox,
        after_result: bool,
        stop: threading.Event,
        deliver: Callable[[Generated], None],
    ) -> None:
        reply = _Reply()
        with self._slots.lend(messages, stop) as slot:
            answer = Answer(
                self._asking(slot, stop), self._template, reply.take, toolbox, messages=messages, chat=body, say=deliver
            )
            text = answer.give(after_result=after_result)
            if text and reply.finish is None and not reply.error:
                reply.end()  # it was stopped where it began a call of something that isn't there
            slot.answered(text)
        self._end(reply, stop, deliver)

    def _asking(self, slot: Slot, stop: threading.Event) -> Callable[[Body, Take], None]:
        """Return how to make requests that go on from what the slot holds, until told to stop."""

        def ask(body: Body, take: Take) -> None:
            def take_text(chunk: str) -> bool:
                return stop.is_set() or self._closing.is_set() or take(json.loads(chunk))

            if not stop.is_set() and not self._closing.is_set():
                handle = self._server.handle_completions if "prompt" in body else self._server.handle_chat_completions
                handle(json.dumps(body | {"id_slot": slot.number}), take_text)

        return ask

    def _end(self, reply: "_Reply", stop: threading.Event, deliver: Callable[[Generated], None]) -> None:
        if self._closing.is_set():
            raise LlmError("The language model is shutting down.")
        if stop.is_set():
            return
        if reply.finish is None:
            raise reply.error or LlmError("The language model stopped without an answer.")
        deliver(reply.finish)  # not before the slot is free: the next request may be waiting for this one's end


class _Reply:
    """Reads llama.cpp's chunks of one answer."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.finish: Finish | None = None
        self.error: LlmError | None = None
        self._reason: Literal["stop", "length"] = "stop"
        self._progress = {"total": 0, "cache": 0}

    def take(self, chunk: Mapping[str, Any]) -> list[TextDelta]:
        """Note what the chunk says, and return the text in it."""
        if "error" in chunk:
            self.error = _explain(chunk["error"])
            return []
        self._progress = chunk.get("prompt_progress", self._progress)
        pieces: list[TextDelta] = []
        for choice in chunk["choices"]:
            if content := choice["text"] if "text" in choice else choice["delta"].get("content"):
                self.text.append(content)
                pieces.append(TextDelta(content))
            if choice["finish_reason"] == "length":
                self._reason = "length"
        if usage := chunk.get("usage"):
            self.finish = Finish(
                reason=self._reason,
                input_tokens=usage["prompt_tokens"],
                cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
                output_tokens=usage["completion_tokens"],
            )
        return pieces

    def end(self) -> None:
        """Take what has come for all of it: the rest wasn't wanted."""
        self.finish = Finish("stop", self._progress["total"], self._progress["cache"], len(self.text))


def _explain(error: Mapping[str, Any]) -> LlmError:
    if error.get("type") == "exceed_context_size_error":
        return LlmRefusal(
            "context_length_exceeded",
            f"The conversation has {error['n_prompt_tokens']} tokens, and the language model's context holds "
            f"{error['n_ctx']}: shorten the conversation, or raise context_tokens in [llm].",
            "messages",
        )
    message = f"The language model refused the request: {error.get('message', error)}"
    return LlmRefusal("invalid_value", message) if error.get("type") == "invalid_request_error" else LlmError(message)


def _gguf(model: Path) -> Path:
    if model.is_dir():
        files = sorted(model.glob("*.gguf"))  # of a model in several files, llama.cpp wants the first
        if not files:
            raise LlmError(f"There is no .gguf file in {model}: fetch the model again.")
        model = files[0]
    try:
        with model.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise LlmError(f"Cannot read the language model {model}: {error.strerror}.") from error
    if magic != b"GGUF":
        raise LlmError(f"{model} is not a GGUF file: fetch the model again.")
    return model


def _fields(sampling: Sampling) -> dict[str, Any]:
    """Return llama.cpp's fields for what is set."""
    numbers = {
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
    }
    fields: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.schema is not None:
        import xllamacpp  # noqa: PLC0415 - loaded already, see _load

        # As a response_format nothing follows it: the parser of chats, which would see to that, is off.
        fields["grammar"] = xllamacpp.json_schema_to_grammar(json.loads(sampling.schema) or {"type": "object"})
        fields["repeat_penalty"] = 1.0  # JSON repeats its quotes and keys
    return fields


def _plain(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _ends(token: str) -> bool:
    """Tell whether a token ends a message or a sentence; those that end a message have no text, or a name in <>."""
    text = token.lstrip(" ")
    return not token or text.startswith("<|") or (text != "" and text[0] in _STOPS)  # a blank: a number may follow


class _Control:
    """What only llama.cpp's own HTTP interface can do."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _SOCKET
        self.saved = folder / "beginning"
        """What a slot is saved to and restored from."""

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """Return the prompt that the model's chat template makes of a conversation."""
        status, answer = self._post("/apply-template", {"messages": _plain(messages)})
        if status != http.client.OK:
            raise LlmError(f"The language model's chat template can't be used: {answer}")
        return str(answer["prompt"])

    def slot(self, number: int, action: Literal["save", "restore"]) -> bool:
        """Write what a slot has read to a file, or let a slot have read what the file holds; say if there was room."""
        return self._post(f"/slots/{number}?action={action}", {"filename": self.saved.name})[0] == http.client.OK

    def _post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self._path))
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def _load(file: Path, threads: int, context_tokens: int, parallel: int, folder: Path) -> Any:
    import xllamacpp  # noqa: PLC0415 - after assistant.cpu.share_machine, which it reads once

    kernels.take()
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.verbosity = -1  # llama.cpp writes to stderr, and writes down prompts at that
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 1
    params.n_ctx = context_tokens * parallel
    params.n_parallel = max(parallel, _SLOTS)
    params.kv_unified = True
    params.kv_unified_per_slot = context_tokens
    # What was read of a conversation, in half the memory: as quick, and the answers are as good.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cache_ram_mib = 0  # Slots does better: the server's own store may forget the conversation that goes on
    params.cache_idle_slots = False
    params.fit_params = False  # it loads the model twice to measure it
    params.warmup = False
    # Not mapped into memory: of most weights llama.cpp makes a copy that its kernels like better.
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.force_pure_content_parser = True
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    params.hostnames = [str(folder / _SOCKET)]
    params.slot_save_path = f"{folder}/"
    params.endpoint_slots = True
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise LlmError(f"llama.cpp cannot load {file}: it is incomplete, damaged or of an unknown kind.") from error
