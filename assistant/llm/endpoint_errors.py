"""What can go wrong with a backend. Each error's sentence names the backend, the cause and the cure, never the key.

BackendError
├── UnreachableError   there is no connection, or it broke
├── TooSlowError       nothing came in time
├── BusyError          it is asked too often; it may say when to come again
├── FailedError        it says that it failed
├── GarbledError       what came isn't what the protocol says
├── RefusedError       the key, the model, the credit: the owner has to do something
├── ElsewhereError     its name leads farther away than its `place` says; nothing was sent
└── RejectedError      it can't do what this request asks for; a RequestError too
"""

import email.utils
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import httpx2
import openai

from pipeline.errors import ParleyError, RequestError

Phase: TypeAlias = Literal["connect", "first", "between", "whole"]

_LONGEST_WAIT_S: Final = 3600.0
_LONGEST_WORDS: Final = 200
_TOO_LONG: Final = re.compile(
    r"context.?(length|size|window)|maximum.?context|too many tokens|prompt is too long|exceed_context", re.IGNORECASE
)


class BackendError(ParleyError):
    """A backend didn't answer."""

    retry = False
    """Asking again at once may help."""
    lasting = False
    """It won't get better by waiting: the owner has to do something."""
    unwell = True
    """It speaks against the backend, not against the request."""
    retry_after_s: float | None = None
    """When it wants to be asked again."""

    def __init__(self, backend: str, cause: str, cure: str) -> None:
        ParleyError.__init__(self, f"{backend} {cause}: {cure}.")
        self.backend = backend
        self.cause = cause
        self.cure = cure


class UnreachableError(BackendError):
    """There is no connection, or it broke."""


class TooSlowError(BackendError):
    """Nothing came in time."""

    def __init__(self, backend: str, cause: str, cure: str, phase: Phase) -> None:
        super().__init__(backend, cause, cure)
        self.phase = phase


class BusyError(BackendError):
    """It is asked too often."""


class FailedError(BackendError):
    """It says that it failed."""


class GarbledError(BackendError):
    """What came isn't what the protocol says."""


class RefusedError(BackendError):
    """It won't answer until the owner has done something."""

    lasting = True


class ElsewhereError(RefusedError):
    """Its name leads farther away than its `place` says. Nothing was sent."""


class RejectedError(BackendError, RequestError):
    """It can't do what this request asks for."""

    unwell = False

    def __init__(self, backend: str, cause: str, cure: str, code: str = "invalid_value") -> None:
        BackendError.__init__(self, backend, cause, cure)
        self.code = code
        self.message = str(self)
        self.param = "messages" if code == "context_length_exceeded" else None


@dataclass(frozen=True, slots=True)
class Where:
    """Whom a request goes to, for the sentences."""

    name: str
    url: str
    host: str
    """With its port, where that isn't the usual one."""
    model: str
    key: str = ""
    key_env: str = ""

    def scrub(self, text: str) -> str:
        """Return a server's words in one short line, without the key."""
        text = " ".join(text.split())
        if self.key:
            text = text.replace(self.key, "[the key]")
        return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…"


def explain(error: openai.APIError, where: Where) -> BackendError:
    """Return what an error of the library means."""
    match error:
        case openai.APITimeoutError():
            return too_slow("connect", where, None)
        case openai.APIConnectionError():
            return _unreachable(error, where)
        case openai.APIStatusError():
            return _status(error.status_code, error, where, error.response.headers)
        case _:  # an event with an error in it, in mid-stream
            code = str(error.code or "")
            if code.isdecimal() and 400 <= int(code) < 600:
                return _status(int(code), error, where, {})
            return FailedError(where.name, f'failed: "{where.scrub(error.message)}"', "try again, or ask another")


def too_slow(phase: Phase, where: Where, limit_s: float | None) -> TooSlowError:
    """Return the error of a wait that was too long."""
    after = "" if limit_s is None else f" for {limit_s:g} s"
    match phase:
        case "connect":
            cause = f"({where.host}) doesn't take the connection"
            cure = f"see whether {where.host} is switched on and can be reached, or raise connect_s"
        case "first":
            cause, cure = (
                f"said nothing{after}",
                "see whether it is overloaded or still loads its model; or raise first_s",
            )
        case "between":
            cause, cure = f"fell silent in mid-answer{after}", "see whether it is overloaded; or raise between_s"
        case "whole":
            cause, cure = f"wasn't done{after}", "ask for shorter answers, or raise whole_s"
    return TooSlowError(where.name, cause, cure, phase)


def _unreachable(error: BaseException, where: Where) -> UnreachableError:
    name, host = where.name, where.host
    causes = list(_causes(error))
    for cause in causes:
        match cause:
            case ConnectionRefusedError():
                return UnreachableError(name, f"isn't there: {host} refuses the connection", "start it, or correct url")
            case socket.gaierror():
                return UnreachableError(
                    name, f"can't be found: no address is known for {host}", "look at your network, or correct url"
                )
            case ssl.SSLCertVerificationError():
                return UnreachableError(
                    name,
                    f"can't be trusted: the certificate of {host} is not valid ({cause.verify_message})",
                    "see whether something sits in between; for a certificate of your own, set SSL_CERT_FILE",
                )
            case ssl.SSLError():
                return UnreachableError(
                    name, f"({host}) doesn't speak TLS as it should", "see whether url should begin with http://"
                )
            case OSError() if cause.strerror and cause.errno is not None:
                return UnreachableError(name, f"can't be reached ({cause.strerror})", f"look at the way to {host}")
            case _:
                pass
    broke = UnreachableError(name, f"({host}) broke the connection", "try again, or ask another")
    # Before anything came, it was an old connection that the other side had closed in the same moment.
    broke.retry = any(isinstance(cause, (httpx2.RemoteProtocolError, httpx2.ReadError)) for cause in causes)
    return broke


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error came from, the first cause first."""
    chain: list[BaseException] = []
    below: BaseException | None = error
    while below is not None and below not in chain:
        chain.append(below)
        below = below.__cause__ or below.__context__
    return reversed(chain)


def _status(  # noqa: PLR0911, PLR0912 - one for each cause
    status: int, error: openai.APIError, where: Where, headers: Mapping[str, str]
) -> BackendError:
    name, said = where.name, where.scrub(_words(error))
    match status:
        case 401 | 403 if not where.key:
            cure = "put one into an environment variable, and the variable's name into key_env"
            return RefusedError(name, f"wants a key ({status})", cure)
        case 401 | 403:
            cure = f"put a valid one into {where.key_env or 'the environment'}, and see what its account may use"
            return RefusedError(name, f"refuses the key ({status})", cure)
        case 402:
            return RefusedError(name, "has no credit left (402)", "pay its bill")
        case 404 if error.code == "model_not_found" or "model" in said.lower():
            cure = f"correct model, or fetch it there; `parley backends test {name}` says which ones it has"
            return RefusedError(name, f"has no model {where.model!r} (404)", cure)
        case 404 | 405:
            return RefusedError(
                name, f"serves no chat at {where.url} ({status})", "correct url: most of them end in /v1"
            )
        case 413:
            return RejectedError(name, "takes no request of this size (413)", "send less", "request_too_large")
        case 429 if error.code == "insufficient_quota":
            return RefusedError(name, "has no credit left (429)", "pay its bill")
        case 408 | 504 | 524:
            return FailedError(name, f"gave up waiting for its model ({status})", "try again later")
        case 429 | 503 | 529 if (wait_s := retry_after_s(headers)) is not None or status != 503:
            when = "in a while" if wait_s is None else f"in {wait_s:.0f} s"
            busy = BusyError(name, f"is asked too often ({status})", f"ask again {when}, or ask another")
            busy.retry_after_s = wait_s
            return busy
        case _ if status >= 500:
            failed = FailedError(name, f'failed ({status}: "{said}")', "try again, or look at its log")
            failed.retry = status in {500, 502}
            return failed
        case _ if status < 400:
            at = headers.get("location", "another address")
            return RefusedError(
                name, f"sends us on to {where.scrub(at)} ({status})", "put the address that is meant into url"
            )
        case _ if _TOO_LONG.search(said) or error.code == "context_length_exceeded":
            return RejectedError(
                name,
                f'can\'t hold so long a conversation ("{said}")',
                "shorten it, or correct context_tokens",
                "context_length_exceeded",
            )
        case _:
            return RejectedError(name, f'can\'t do what was asked ({status}: "{said}")', "ask for less, or ask another")


def _words(error: openai.APIError) -> str:
    """Return what the server said."""
    body: Any = error.body
    if isinstance(body, Mapping):
        said = body.get("message") or body.get("detail") or ""
        return said if isinstance(said, str) else str(said)
    return body if isinstance(body, str) else ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a server wants to be left alone, at most an hour; None where it doesn't say."""
    wait_s: float | None = None
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        wait_s = float(headers.get("retry-after-ms", "")) / 1000
    if wait_s is None and value:
        try:
            wait_s = float(value)
        except ValueError:
            with suppress(ValueError):
                wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    if wait_s is None or not wait_s < float("inf"):
        return None
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)
