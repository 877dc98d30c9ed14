"""Errors in OpenAI's shape, `{"error": {"message", "type", "param", "code"}}`, and the status that goes with each."""

import errno
from typing import Any, Final

from starlette.responses import JSONResponse

from pipeline.errors import ParleyError, RequestError, StageError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_KINDS: Final = {401: "authentication_error", 429: "rate_limit_error"}


class ApiError(RequestError):
    """A request that is refused, or that failed, with its HTTP status."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(code, message, param)
        self.status = status

    @property
    def body(self) -> dict[str, Any]:
        """What the client is told."""
        kind = _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """Return the whole response."""
        headers = {"Retry-After": "2"} if self.status in {429, 503} else {}
        # The SDK tries everything from 500 on again; what fails here for want of space or time fails again.
        again = "true" if headers else "false"
        return JSONResponse(self.body, self.status, headers | {"x-should-retry": again})


def invalid(message: str, param: str | None, code: str = "invalid_value") -> ApiError:
    """Return the error of a request with a wrong value."""
    return ApiError(400, code, message, param)


def unsupported(message: str, param: str) -> ApiError:
    """Return the error of a request for what this server can't do."""
    return ApiError(400, "unsupported_parameter", message, param)


def api_error(error: Exception) -> ApiError | None:
    """Return what to tell the client of an error; None for one that nobody foresaw."""
    match error:
        case ApiError():
            return error
        case RequestError():
            return ApiError(400, error.code, error.message, error.param)
        case StageError():
            return ApiError(500, error.code, error.message)
        case ParleyError():
            return ApiError(500, "engine_failed", str(error))
        case OSError() if error.errno in _FULL:
            message = "The server has no room left for temporary files. Free some space there, or send a smaller file."
            return ApiError(507, "insufficient_storage", message)
        case _:
            return None
