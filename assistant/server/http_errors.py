"""Errors of the HTTP side, in the shape that OpenAI's clients read: `{"error": {type, code, message, param}}`."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.websockets import WebSocket

API: Final = "/v1/"
"""Below this path every answer is the API's."""

_KINDS: Final[Mapping[int, str]] = {401: "authentication_error", 429: "rate_limit_error"}
_NOWHERE: Final = "There is nothing at {path}. The README says what is served; conversations are at /v1/realtime."


def refusal(
    status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response that says why a request is refused."""
    return JSONResponse(error_body(status, code, message, param), status, dict(headers or {}))


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error."""
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"type": kind, "code": code, "message": message, "param": param}}


async def explain(request: Request, error: Exception) -> Response:
    """Answer for a route that isn't there, or not for this method (a handler of Starlette's HTTPException)."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if not path.startswith(API):
        return PlainTextResponse(error.detail, error.status_code, error.headers)
    match error.status_code:
        case 404:
            return refusal(404, "unknown_url", _NOWHERE.format(path=path))
        case 405:
            allowed = (error.headers or {}).get("Allow", "")
            message = f"{path} doesn't take {request.method}. Use {allowed}."
            return refusal(405, "method_not_allowed", message, headers=error.headers)
        case status:
            return refusal(status, "refused", error.detail, headers=error.headers)


async def wants_websocket(_: Request) -> Response:
    """Answer a plain request for what is a websocket."""
    message = "Conversations are held over a websocket: open wss:// or ws:// here, instead of sending a request."
    return refusal(426, "websocket_required", message, headers={"Connection": "Upgrade", "Upgrade": "websocket"})


async def no_websocket(websocket: WebSocket) -> None:
    """Answer who opens a websocket where there is none."""
    await websocket.send_denial_response(refusal(404, "unknown_url", _NOWHERE.format(path=websocket.url.path)))
