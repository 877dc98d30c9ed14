"""`POST /v1/chat/completions`: a model's answer to a conversation, whole or as it comes. The router says whose."""

import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from starlette.requests import Request

from assistant.config import Config
from assistant.server.api.chat_request import ChatBody
from assistant.server.api.errors import invalid
from assistant.server.api.exchange import EVENTS, JSON, Answer, dumped, event
from assistant.server.api.metering import metered, prices_of
from assistant.server.api.programs import Programs, program_of
from assistant.server.api.reading import read_json
from assistant.server.api.routing import Names, answer, route_header, routed
from assistant.server.api.working import engine_errors
from assistant.server.realtime import Seats
from pipeline.engines import Asker, ChatRequest, Engines, Finish, Generated, Routed, TextDelta, ToolCall
from pipeline.errors import Stage
from pipeline.ids import random_id

_DONE: Final = b"data: [DONE]\n\n"


async def complete(request: Request, config: Config, engines: Engines, here: Seats, programs: Programs) -> Answer:
    """Read a request for a completion. Raises ApiError where it can't be served.

    `here` are the seats of those whose answers this machine itself works on.
    """
    asked = await read_json(request, ChatBody)
    asked.check()
    llm = routed(engines, config)
    program = program_of(request.scope)
    completion_id = random_id("chatcmpl")
    wanted = ChatRequest(
        tuple(asked.conversation(pictures=llm.takes_pictures)),
        max_tokens=asked.max_completion_tokens or asked.max_tokens or config.llm.context_tokens,
        temperature=config.assistant.temperature if asked.temperature is None else asked.temperature,
        toolbox=asked.toolbox(),
        sampling=asked.sampling(),
        asker=Asker(
            turn=completion_id,
            user="owner" if program is None else program.name,
            route=Names.of(config).route(asked.model),
        ),
    )
    stream = metered(answer(llm, wanted, engines, here), wanted, prices_of(config), program, programs)
    completion = _Completion(asked, config, wanted, _checked(wanted, stream))
    if asked.stream:
        return Answer(EVENTS, completion.events(), whole=False, headers=completion.headers)
    return Answer(JSON, completion.whole(), headers=completion.headers)


async def _checked(request: ChatRequest, stream: AsyncGenerator[Generated, None]) -> AsyncGenerator[Generated, None]:
    sampling = request.sampling
    with engine_errors(Stage.THINK, "The language model failed"):
        async with aclosing(stream):
            text = ""
            async for piece in stream:
                if isinstance(piece, TextDelta):
                    text += piece.text
                elif (
                    isinstance(piece, Finish)
                    and sampling is not None
                    and sampling.schema is not None
                    and piece.reason == "stop"
                    and not _is_json(text)
                ):
                    # llama.cpp says nothing of a schema that it can't read, and goes on without it.
                    raise invalid("The language model can't follow this schema. Try a simpler one.", "response_format")
                yield piece


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class _Completion:
    """Puts what is generated into OpenAI's objects."""

    def __init__(
        self, asked: ChatBody, config: Config, request: ChatRequest, generated: AsyncGenerator[Generated, None]
    ) -> None:
        self._asked = asked
        self._generated = generated
        self._names = Names.of(config)
        self._routed: Routed | None = None
        self._head = {
            "id": request.asker.turn,
            "created": int(time.time()),
            "model": config.llm.model,
            "system_fingerprint": None,
            "service_tier": "default",
        }

    def headers(self) -> Mapping[str, str]:
        """Return who answers and why, as far as that is known by now."""
        return {} if self._routed is None else {"x-parley-route": route_header(self._routed)}

    def _take(self, piece: Routed) -> None:
        self._routed = piece
        self._head["model"] = piece.backend if piece.backend in self._names.backends else self._names.embedded

    async def whole(self) -> AsyncGenerator[bytes, None]:
        """Yield one `chat.completion`."""
        text = ""
        calls: list[dict[str, Any]] = []
        async with aclosing(self._generated) as generated:
            async for piece in generated:
                match piece:
                    case Routed():
                        self._take(piece)
                    case TextDelta():
                        text += piece.text
                    case ToolCall():
                        calls.append(_call(piece))
                    case Finish():
                        content = text if text or not calls else None
                        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
                        message |= {"annotations": []} | ({"tool_calls": calls} if calls else {})
                        reason = "tool_calls" if calls else piece.reason
                        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
                        told = {"object": "chat.completion", "choices": [choice], "usage": _usage(piece)}
                        yield dumped(self._head | told)
                    case _:
                        pass

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield `chat.completion.chunk`s, and the end of them."""
        began, calls = False, 0
        async with aclosing(self._generated) as generated:
            async for piece in generated:
                if not began and isinstance(piece, (TextDelta, ToolCall, Finish)):
                    began = True
                    yield self._chunk({"role": "assistant", "content": "", "refusal": None})
                match piece:
                    case Routed():
                        self._take(piece)
                    case TextDelta():
                        yield self._chunk({"content": piece.text})
                    case ToolCall():
                        yield self._chunk({"tool_calls": [{"index": calls, **_call(piece)}]})
                        calls += 1
                    case Finish():
                        yield self._chunk({}, "tool_calls" if calls else piece.reason)
                        if self._tells_usage:
                            yield self._event([], _usage(piece))
                    case _:
                        pass
        yield _DONE

    @property
    def _tells_usage(self) -> bool:
        return bool(self._asked.stream_options and self._asked.stream_options.include_usage)

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}], None)

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        told = {"usage": usage} if self._tells_usage else {}
        return event(self._head | {"object": "chat.completion.chunk", "choices": choices} | told)


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(finish: Finish) -> dict[str, Any]:
    return {
        "prompt_tokens": finish.input_tokens,
        "completion_tokens": finish.output_tokens,
        "total_tokens": finish.input_tokens + finish.output_tokens,
        "prompt_tokens_details": {"cached_tokens": finish.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
