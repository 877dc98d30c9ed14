"""Which status and which words go with an error of the HTTP side."""

import errno
import math
from typing import Any, Final

from starlette.responses import Response

from assistant.llm.endpoint_errors import BackendError, BusyError, TooSlowError
from assistant.router.answering import NobodyAnsweredError
from assistant.server.http_errors import error_body, refusal
from pipeline.errors import ParleyError, RequestError, StageError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ApiError(RequestError):
    """A request that is refused, or that failed, with its HTTP status."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, *, wait_s: float | None = None
    ) -> None:
        super().__init__(code, message, param)
        self.status = status
        self.wait_s = wait_s
        """When trying again may help, where that is known."""

    @property
    def body(self) -> dict[str, Any]:
        """What the client is told."""
        return error_body(self.status, self.code, self.message, self.param)

    def response(self) -> Response:
        """Return the whole response."""
        wait_s = 2.0 if self.wait_s is None else self.wait_s
        headers = {"Retry-After": f"{math.ceil(wait_s)}"} if self.status in {429, 503} else {}
        # The SDK tries everything from 500 on again; what fails here for want of space or time fails again.
        again = "true" if headers else "false"
        headers |= {"x-should-retry": again}
        return refusal(self.status, self.code, self.message, self.param, headers)


def invalid(message: str, param: str | None, code: str = "invalid_value") -> ApiError:
    """Return the error of a request with a wrong value."""
    return ApiError(400, code, message, param)


def unsupported(message: str, param: str) -> ApiError:
    """Return the error of a request for what this server can't do."""
    return ApiError(400, "unsupported_parameter", message, param)


def api_error(error: Exception) -> ApiError | None:  # noqa: PLR0911 - one for each kind
    """Return what to tell the client of an error; None for one that nobody foresaw."""
    match error:
        case ApiError():
            return error
        case BusyError():
            return ApiError(429, "backend_busy", str(error), wait_s=error.retry_after_s)
        case BackendError() if not isinstance(error, RequestError):
            return ApiError(504 if isinstance(error, TooSlowError) else 502, "backend_failed", str(error))
        case NobodyAnsweredError():
            return ApiError(503, "backend_unavailable", str(error))
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
