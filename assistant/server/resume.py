"""How a client finds its session again: tokens, and which sessions wait."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from starlette.websockets import WebSocket

from assistant.server.life import Life

HEADER: Final = "parley-resume"
"""Of programs; its value is a claim."""
SUBPROTOCOL: Final = "parley-resume."
"""Of browsers, which can't send headers; what follows it is a claim."""

_CLAIM: Final = re.compile(r"([A-Za-z0-9_-]{1,128})(?:\.([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client shows that wants its session back."""

    token: str
    received: int | None
    """The number of the last event that it received, where it knows."""

    def __repr__(self) -> str:
        return "Claim(…)"  # the token must not end up in a log


def claim_of(websocket: WebSocket) -> Claim | None:
    """Return what the handshake shows; None where the client wants a session of its own.

    A claim that can't be read is one that nothing fits.
    """
    shown = websocket.headers.get(HEADER)
    for name in websocket.scope["subprotocols"]:
        if name.startswith(SUBPROTOCOL):
            shown = name.removeprefix(SUBPROTOCOL)
    if shown is None:
        return None
    match = _CLAIM.fullmatch(shown.strip())
    if match is None:
        return Claim("", None)
    token, received = match.groups()
    return Claim(token, None if received is None else int(received))


class Lives:
    """The sessions that can be resumed, each under its token."""

    def __init__(self) -> None:
        self._tokens: dict[Life, bytes] = {}  # hashes: whoever reads this memory can't come in with them

    def issue(self, life: Life) -> str:
        """Return the token by which this session is found from now on."""
        token = secrets.token_urlsafe(32)
        self._tokens[life] = _hash(token)
        return token

    def withdraw(self, life: Life) -> None:
        """Let it not be found any more."""
        self._tokens.pop(life, None)

    def find(self, claim: Claim) -> Life | None:
        """Return the session that the claim fits."""
        shown = _hash(claim.token)
        # All are compared, always, so that the time tells nothing.
        found = [life for life, token in self._tokens.items() if hmac.compare_digest(shown, token)]
        return found[0] if found else None

    async def make_room(self) -> None:
        """End the session that has waited longest for its client, if any waits, and wait until it is over."""
        waiting = [life for life in self._tokens if life.absent_since is not None]
        if waiting:
            longest = min(waiting, key=lambda life: life.absent_since or 0.0)
            longest.end()
            await longest.over.wait()

    def end_waiting(self) -> None:
        """End all sessions that have no client: the server stops."""
        for life in self._tokens:
            if life.absent_since is not None:
                life.end()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
