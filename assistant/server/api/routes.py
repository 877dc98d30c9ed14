"""The routes of the HTTP side, and what they share."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from assistant.config import Config
from assistant.server.api.chat import complete
from assistant.server.api.errors import ApiError
from assistant.server.api.exchange import Answer, Endpoint
from assistant.server.api.models import find_model, list_models
from assistant.server.api.programs import Programs
from assistant.server.api.speech import speak
from assistant.server.api.transcriptions import transcribe
from assistant.server.realtime import Seats
from pipeline.engines import Engines

Answering: TypeAlias = Callable[[Request, Config, Engines], Awaitable[Answer]]

_LOADING: Final = "The models are still being loaded. Try again in a few seconds."
_FORM_BYTES: Final = 2**20
"""What a form needs around its file."""
_MOST_CHATS: Final = 1000
"""Chats at once, most of them answered elsewhere: what this machine works on itself has seats of its own."""


def api_routes(config: Config, engines: Callable[[], Engines | None], programs: Programs) -> list[BaseRoute]:
    """Return the routes below /v1; `engines` returns None while they are loading."""
    here = Seats(config.api.max_requests)
    chats = Seats(_MOST_CHATS)

    async def chat(request: Request, config: Config, engines: Engines) -> Answer:
        return await complete(request, config, engines, here, programs)

    def endpoint(answering: Answering, max_body_bytes: int, seats: Seats = here) -> Endpoint:
        async def answer(request: Request) -> Answer:
            ready = engines()
            if ready is None:
                raise ApiError(503, "not_ready", _LOADING)
            return await answering(request, config, ready)

        return Endpoint(answer, seats, programs, config.server, config.api, max_body_bytes)

    async def models(_: Request) -> Response:
        return list_models(config)

    async def model(request: Request) -> Response:
        return find_model(request, config)

    json_bytes = config.server.max_message_bytes
    upload_bytes = config.api.max_upload_bytes + _FORM_BYTES
    return [
        Route("/chat/completions", endpoint(chat, json_bytes, chats), methods=["POST"]),
        Route("/audio/speech", endpoint(speak, json_bytes), methods=["POST"]),
        Route("/audio/transcriptions", endpoint(transcribe, upload_bytes), methods=["POST"]),
        Route("/models", models, methods=["GET"]),
        Route("/models/{name:path}", model, methods=["GET"]),
    ]
