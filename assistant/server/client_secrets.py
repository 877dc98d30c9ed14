"""Ephemeral keys: each opens conversations for some minutes, and they begin with the settings that were asked for.

A server of somebody's makes one with its own key (`POST /v1/realtime/client_secrets`) and hands it to a browser or an
app, which never sees the real key. They are kept in memory only: a restart forgets them.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from assistant.config import Config
from assistant.server.http_errors import refusal
from assistant.server.session_config import SessionConfig, Tree
from assistant.server.wire import check, refuse_unknown
from pipeline.errors import RequestError

PREFIX: Final = "ek_"
"""How an ephemeral key begins."""

_LIMIT: Final = 256
_LARGEST_BYTES: Final = 256 * 1024
"""Together with the limit: what the keys' settings can take, 64 MiB."""
_SCOPE_KEY: Final = "parley.client_secret"


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A key that opens conversations, and how they begin."""

    value: str
    expires_at: int
    """Seconds since 1970."""
    session: Tree
    """What a `session.update` with the same settings would hold."""


class ClientSecrets:
    """The keys that are valid now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin without any; `clock` gives seconds since 1970."""
        self._clock = clock
        self._secrets: list[ClientSecret] = []

    def issue(self, session: Tree, seconds: int) -> ClientSecret | None:
        """Return a new key that is valid for so long; None while there are too many."""
        self._forget()
        if len(self._secrets) >= _LIMIT:
            return None
        secret = ClientSecret(f"{PREFIX}{secrets.token_hex(24)}", int(self._clock()) + seconds, session)
        self._secrets.append(secret)
        return secret

    def find(self, keys: Iterable[str]) -> ClientSecret | None:
        """Return the secret that one of the keys is. All are compared, so that the time taken tells nothing."""
        self._forget()
        shown = [key.encode() for key in keys]
        found = [
            secret
            for secret in self._secrets
            if any([hmac.compare_digest(key, secret.value.encode()) for key in shown])  # noqa: C419
        ]
        return found[0] if found else None

    def _forget(self) -> None:
        now = self._clock()
        self._secrets = [secret for secret in self._secrets if secret.expires_at > now]


def opens(scope: Scope, secret: ClientSecret) -> None:
    """Note that this request came in with this key."""
    scope[_SCOPE_KEY] = secret


def beginning(scope: Scope) -> Tree:
    """Return the settings that the connection's key brings with it, as a `session.update` would; {} for none."""
    secret: ClientSecret | None = scope.get(_SCOPE_KEY)
    return {} if secret is None else secret.session


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="allow")  # so that refuse_unknown can name what isn't known


class _ExpiresAfter(_Lenient):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class _Wanted(_Lenient):
    expires_after: _ExpiresAfter | None = None
    session: dict[str, Any] | None = None


class Desk:
    """The route that makes ephemeral keys."""

    def __init__(self, config: Config, secrets_: ClientSecrets) -> None:
        self._config = config
        self._secrets = secrets_

    async def create(self, request: Request) -> Response:
        """Answer `POST /v1/realtime/client_secrets`."""
        try:
            wanted = await _read(request)
            patch = wanted.session or {}
            # Refused here rather than when somebody connects with the key.
            session = SessionConfig.fresh(self._config, "parley").updated(patch)
        except RequestError as error:
            return refusal(400, error.code, error.message, error.param)
        expiry = wanted.expires_after or _ExpiresAfter()
        secret = self._secrets.issue(patch, expiry.seconds)
        if secret is None:
            message = (
                f"There are {_LIMIT} ephemeral keys already. Ask again when some have expired, or for shorter ones."
            )
            return refusal(429, "too_many_client_secrets", message)
        body = {"value": secret.value, "expires_at": secret.expires_at, "session": session.wire()}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def _read(request: Request) -> _Wanted:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BYTES:
            raise RequestError("body_too_large", f"The body has at most {_LARGEST_BYTES // 1024} KiB.")
    try:
        given = pydantic_core.from_json(body or b"{}", allow_inf_nan=False)
    except ValueError as error:
        raise RequestError("invalid_json", f"The body is not valid JSON: {error}.") from None
    if not isinstance(given, dict):
        raise RequestError("invalid_value", 'The body is a JSON object, such as {"session": {"type": "realtime"}}.')
    wanted = check(_Wanted, given)
    refuse_unknown(wanted, "")
    return wanted
