"""`GET /v1/models` and `/v1/models/{id}`: what answers here. Any other name stands for these, too."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from assistant.config import Config
from assistant.server.api.errors import ApiError
from assistant.server.api.routing import Names


def list_models(config: Config) -> Response:
    """Return the models that serve requests."""
    return JSONResponse({"object": "list", "data": [_model(name) for name in _names(config)]})


def find_model(request: Request, config: Config) -> Response:
    """Return one of them, or OpenAI's error."""
    name = request.path_params["name"]
    if name not in _names(config):
        message = f"The model {name[:80]!r} does not exist here. There are: {', '.join(_names(config))}."
        return ApiError(404, "model_not_found", message, "model").response()
    return JSONResponse(_model(name))


def _names(config: Config) -> list[str]:
    return list(dict.fromkeys((*Names.of(config).listed, config.stt.model, config.tts.model)))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "parley"}
