"""`POST /v1/chat/completions`: the language model's answer to a conversation, whole or as it comes."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from starlette.requests import Request

from assistant.config import Config
from assistant.server.api.chat_request import ChatBody
from assistant.server.api.errors import invalid
from assistant.server.api.exchange import EVENTS, JSON, Answer, dumped, event
from assistant.server.api.reading import read_json
from assistant.server.api.working import background, engine_errors
from pipeline.engines import Asker, ChatRequest, Engines, Finish, Generated, TextDelta, ToolCall
from pipeline.errors import Stage
from pipeline.ids import random_id

_DONE: Final = b"data: [DONE]\n\n"


async def complete(request: Request, config: Config, engines: Engines) -> Answer:
    """Read a request for a completion. Raises ApiError where it can't be served."""
    asked = await read_json(request, ChatBody)
    asked.check()
    completion_id = random_id("chatcmpl")
    completion = _Completion(completion_id, asked, config, _generate(completion_id, asked, config, engines))
    if asked.stream:
        return Answer(EVENTS, completion.events(), whole=False)
    return Answer(JSON, completion.whole())


async def _generate(
    completion_id: str, asked: ChatBody, config: Config, engines: Engines
) -> AsyncGenerator[Generated, None]:
    most = config.llm.context_tokens
    sampling = asked.sampling()
    request = ChatRequest(
        tuple(asked.conversation()),
        max_tokens=min(asked.max_completion_tokens or asked.max_tokens or most, most),
        temperature=config.assistant.temperature if asked.temperature is None else asked.temperature,
        toolbox=asked.toolbox(),
        sampling=sampling,
        asker=Asker(turn=completion_id),
    )
    with engine_errors(Stage.THINK, "The language model failed"):
        async with background(engines.lanes), aclosing(engines.llm.stream(request)) as stream:
            text = ""
            async for piece in stream:
                if isinstance(piece, TextDelta):
                    text += piece.text
                elif (
                    isinstance(piece, Finish)
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
        self, completion_id: str, asked: ChatBody, config: Config, generated: AsyncGenerator[Generated, None]
    ) -> None:
        self._asked = asked
        self._generated = generated
        self._head = {
            "id": completion_id,
            "created": int(time.time()),
            "model": config.llm.model,
            "system_fingerprint": None,
            "service_tier": "default",
        }

    async def whole(self) -> AsyncGenerator[bytes, None]:
        """Yield one `chat.completion`."""
        text = ""
        calls: list[dict[str, Any]] = []
        async with aclosing(self._generated) as generated:
            async for piece in generated:
                match piece:
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

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield `chat.completion.chunk`s, and the end of them."""
        began, calls = False, 0
        async with aclosing(self._generated) as generated:
            async for piece in generated:
                if not began:
                    began = True
                    yield self._chunk({"role": "assistant", "content": "", "refusal": None})
                match piece:
                    case TextDelta():
                        yield self._chunk({"content": piece.text})
                    case ToolCall():
                        yield self._chunk({"tool_calls": [{"index": calls, **_call(piece)}]})
                        calls += 1
                    case Finish():
                        yield self._chunk({}, "tool_calls" if calls else piece.reason)
                        if self._tells_usage:
                            yield self._event([], _usage(piece))
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
