"""Who may come in: the host name that was asked for, the page that asks, and the key.

The token comes from the environment (PARLEY_TOKEN). A server on a loopback address may do without; any other needs one.
Whoever has it may make ephemeral keys, which open conversations and nothing else. Programs may have keys of their own,
which open chats, speech, transcriptions and the list of models, and nothing else.
Browsers send no token of their own accord, so the checks of Host and Origin keep foreign web pages out of a server
that has none: Origin says whose page it is, Host unmasks a foreign name that was made to point here (DNS rebinding).
"""

import hmac
import ipaddress
import logging
import os
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.config import Server
from assistant.server.api.programs import Program, Programs, admit
from assistant.server.client_secrets import PREFIX, ClientSecret, ClientSecrets, opens
from assistant.server.guesses import Guesses
from assistant.server.http_errors import API, refusal
from pipeline.errors import ParleyError

logger = logging.getLogger(__name__)

TOKEN_VARIABLE: Final = "PARLEY_TOKEN"
_KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
_CONVERSATIONS: Final = "/v1/realtime"
_OPEN_TO_PROGRAMS: Final = ("/v1/chat/completions", "/v1/audio/", "/v1/models")
_MOST_KEYS: Final = 4
"""Keys in one request: more would be guesses in bulk."""


def token_of_environment(host: str) -> str | None:
    """Return the token that clients must have; None where none is needed.

    Raises ParleyError when the server would listen on more than this machine without a token.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ParleyError(f"{TOKEN_VARIABLE} may hold letters, digits and signs of ASCII only, and no spaces.")
    if not token and not is_loopback(host):
        raise ParleyError(
            f"Listening on {host or 'every address'} lets other machines in, so it needs a token: set {TOKEN_VARIABLE} "
            'in the environment (for example to the output of "openssl rand -hex 32"), or listen on 127.0.0.1.'
        )
    return token or None


def is_loopback(host: str) -> bool:
    """Tell whether `host` is a name or an address of this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost")


class Guard:
    """ASGI middleware that answers 401 or 403, before any upgrade, to whom may not come in."""

    def __init__(  # noqa: PLR0913 - what it looks at
        self,
        app: ASGIApp,
        *,
        server: Server,
        token: str | None,
        secrets: ClientSecrets,
        guesses: Guesses,
        programs: Programs,
    ) -> None:
        self._app = app
        self._programs = programs
        self._secrets = secrets
        self._guesses = guesses
        self._token = None if token is None else token.encode()
        self._origins = frozenset(origin.rstrip("/").lower() for origin in server.allowed_origins)
        self._hosts = frozenset({server.host.lower()} | {urlsplit(origin).hostname or "" for origin in self._origins})
        self._on_loopback = is_loopback(server.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "").lower()
        if self._on_loopback and not self._is_here(host):
            return refusal(403, "invalid_host", "This server does not go by that name. Use its address, or localhost.")
        origin = headers.get("origin")
        if origin is not None and not self._is_welcome(origin.lower(), host):
            return refusal(
                403, "invalid_origin", "Pages from there may not connect. Add the origin to [server] allowed_origins."
            )
        if not _is_guarded(scope):
            return None
        return self._examine(scope, _keys(headers, scope.get("subprotocols", ())))

    def _examine(self, scope: Scope, keys: Sequence[str]) -> Response | None:  # noqa: PLR0911 - one for each kind of key
        """Look at the keys that a request shows.

        Without a token only ephemeral keys and programs' keys matter: they bring settings, and limits.
        """
        if self._token is None and not any(key.startswith(PREFIX) for key in keys):
            if (program := self._programs.find(keys)) is not None:
                admit(scope, program)
            return None
        if not keys:
            return _wrong_key("An API key is needed.")
        if len(keys) > _MOST_KEYS:
            return refusal(400, "too_many_keys", f"Send one API key, not {len(keys)}.")
        address: str = (scope.get("client") or ("",))[0]
        wait_s = self._guesses.wait_s(address)
        if wait_s:
            message = f"Too many wrong API keys came from your address. Try again in {wait_s} s."
            return refusal(429, "too_many_wrong_keys", message, headers={"Retry-After": str(wait_s)})
        secret = self._secrets.find(keys)
        if secret is not None:
            return _admit(scope, secret)
        if (program := self._programs.find(keys)) is not None:
            return _admit_program(scope, program)
        return None if self._is_token(keys) else self._wrong(address, keys)

    def _is_token(self, keys: Sequence[str]) -> bool:
        token = self._token
        # All are compared, always: how long that takes must not say which one is nearly right.
        return token is not None and any([hmac.compare_digest(key.encode(), token) for key in keys])  # noqa: C419

    def _wrong(self, address: str, keys: Sequence[str]) -> Response:
        if self._guesses.wrong(address, keys):
            logger.warning("Too many wrong API keys came from %s: it is refused for a while.", address)
        if any(key.startswith(PREFIX) for key in keys):
            return _wrong_key("That ephemeral key has expired, or this server didn't make it.")
        return _wrong_key("That API key is wrong.")

    def _is_here(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or name in self._hosts

    def _is_welcome(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"}:
            return origin in self._origins
        return parts.netloc == host or is_loopback(name) or origin in self._origins


def _admit(scope: Scope, secret: ClientSecret) -> Response | None:
    if scope["type"] == "websocket" and scope["path"] == _CONVERSATIONS:
        opens(scope, secret)
        return None
    message = "An ephemeral key opens conversations and nothing else. Send the server's token as the API key."
    return refusal(403, "ephemeral_key", message)


def _admit_program(scope: Scope, program: Program) -> Response | None:
    if scope["type"] == "http" and scope["path"].startswith(_OPEN_TO_PROGRAMS):
        admit(scope, program)
        return None
    message = "A program's key is for chats, speech, transcriptions and models. Send the server's token as the API key."
    return refusal(403, "program_key", message)


def _is_guarded(scope: Scope) -> bool:
    """Tell whether a key is asked for: everywhere but for the page's own files and the state of health."""
    path: str = scope["path"]
    return scope["type"] == "websocket" or path.startswith(API)


def _keys(headers: Headers, subprotocols: Collection[str]) -> list[str]:
    kind, _, key = headers.get("authorization", "").partition(" ")
    keys = [key.strip()] if kind.lower() == "bearer" else []
    return keys + [name.removeprefix(_KEY_SUBPROTOCOL) for name in subprotocols if name.startswith(_KEY_SUBPROTOCOL)]


def _wrong_key(problem: str) -> Response:
    message = f"{problem} Send the server's token as the API key (a Bearer token)."
    return refusal(401, "invalid_api_key", message, headers={"WWW-Authenticate": "Bearer"})
