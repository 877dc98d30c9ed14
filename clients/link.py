"""A client's end of a conversation: one websocket that speaks the OpenAI Realtime protocol.

LinkError
├── Unreachable   nothing answers at the address
├── Refused       something answers, and doesn't let us in
└── Lost          the connection ended in mid-conversation
"""

import base64
import json
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode

from audio.pcm import to_pcm16
from audio.types import Samples

URL: Final = "ws://127.0.0.1:8765/v1/realtime"
"""Where `parley serve` listens unless it is told otherwise."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LARGEST_MESSAGE: Final = 16 * 1024 * 1024

_HEADER: Final = struct.Struct("<BBBxII")
"""Of a binary message: version, kind, length of the id, sequence, time in ms. docs/extensions.md has the layout."""
_VERSION: Final = 1
_SPEECH: Final = 2
_PICTURE: Final = 3

Message: TypeAlias = dict[str, Any]
"""One event of the protocol, as JSON has it: always with a string `type`."""


class LinkError(Exception):
    """The server can't be talked to; the message names the cause and the cure."""


class Unreachable(LinkError):  # noqa: N818 - reads as what happened
    """Nothing answers at the address."""


class Refused(LinkError):  # noqa: N818 - reads as what happened
    """Something answers, and doesn't let us in."""


class Lost(LinkError):  # noqa: N818 - reads as what happened
    """The connection ended in mid-conversation."""


class Link:
    """An open conversation. Every method raises Lost once the server is gone."""

    def __init__(self, websocket: ClientConnection, url: str) -> None:
        self._websocket = websocket
        self._url = url
        self._items: dict[str, str] = {}  # the message that each response speaks

    async def send(self, message: Message) -> None:
        """Send one client event; waits while the server doesn't read."""
        await self._deliver(json.dumps(message), again=True)

    async def _deliver(self, data: str | bytes, *, again: bool) -> None:
        """Send it. `again`: it is worth sending once more where it was lost on the way."""
        try:
            await self._websocket.send(data)
        except ConnectionClosed as error:
            raise _lost(self._url, error) from error

    async def receive(self) -> Message:
        """Return the next server event."""
        try:
            data = await self._websocket.recv()
        except ConnectionClosed as error:
            raise _lost(self._url, error) from error
        if isinstance(data, bytes):
            return self._speech(data)
        try:
            message = json.loads(data)
        except ValueError as error:
            raise Lost(
                f"{self._url} sent something that is not JSON: it does not speak the Realtime protocol."
            ) from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Lost(f"{self._url} sent JSON without a type: it does not speak the Realtime protocol.")
        if message.get("content_index") == 0 and "response_id" in message:
            self._items[message["response_id"]] = message["item_id"]
        return message

    def _speech(self, data: bytes) -> Message:
        """Return a reply's sound, which came as a binary message, as the event that it stands for."""
        try:
            version, kind, length, sequence, _ = _HEADER.unpack_from(data)
        except struct.error:
            version = kind = length = sequence = 0
        if (version, kind) != (_VERSION, _SPEECH):
            raise Lost(f"{self._url} sent a binary message that isn't speech: it is of another version than this.")
        end = _HEADER.size + length
        response = data[_HEADER.size : end].decode("ascii", errors="replace")
        message: Message = {
            "type": "response.output_audio.delta",
            "response_id": response,
            "item_id": self._items.get(response, ""),
            "content_index": 0,
            "delta": base64.b64encode(data[end + -length % 4 :]).decode("ascii"),
        }
        return message | {"parley_seq": sequence} if sequence else message

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield server events until the link is closed on our side."""
        while True:
            yield await self.receive()

    async def append_audio(self, samples: Samples) -> None:
        """Send sound from the microphone: mono, 24 kHz."""
        message = {"type": "input_audio_buffer.append", "audio": encode(samples)}
        await self._deliver(json.dumps(message), again=False)

    async def append_picture(self, jpeg: bytes, taken_s: float) -> None:
        """Send the camera's newest picture, taken at `taken_s` of any steady clock.

        The session must have been updated with `{"parley": {"binary": True}}` before.
        """
        header = _HEADER.pack(_VERSION, _PICTURE, 0, 0, round(taken_s * 1000) % 2**32)
        await self._deliver(header + jpeg, again=False)

    async def commit(self) -> None:
        """Say that the user is done speaking (where the server doesn't decide that)."""
        await self.send({"type": "input_audio_buffer.commit"})

    async def update(self, session: Message, *, event_id: str | None = None) -> None:
        """Change the keys of the session's settings that are present in `session`."""
        message: Message = {"type": "session.update", "session": {"type": "realtime"} | session}
        await self.send(message if event_id is None else message | {"event_id": event_id})

    async def say(self, text: str, pictures: Sequence[str] = ()) -> None:
        """Take a typed turn: add the words, and pictures (data URLs), to the conversation and ask for an answer."""
        await self._add([*map(_image, pictures), {"type": "input_text", "text": text}])
        await self.send({"type": "response.create"})

    async def show(self, pictures: Sequence[str]) -> None:
        """Add pictures (data URLs) to the conversation: what is said next may be about them."""
        await self._add([_image(picture) for picture in pictures])

    async def _add(self, content: list[Message]) -> None:
        item = {"type": "message", "role": "user", "content": content}
        await self.send({"type": "conversation.item.create", "item": item})

    async def close(self) -> None:
        """Say goodbye."""
        await self._websocket.close()

    async def cancel(self) -> None:
        """Stop the answer that is under way."""
        await self.send({"type": "response.cancel"})

    async def truncate(self, item_id: str, heard_s: float, content_index: int = 0) -> None:
        """Say that of this message of the assistant's only the first `heard_s` seconds were heard."""
        await self.send(
            {
                "type": "conversation.item.truncate",
                "item_id": item_id,
                "content_index": content_index,
                "audio_end_ms": max(0, round(heard_s * 1000)),
            }
        )


@asynccontextmanager
async def connect(url: str = URL, token: str | None = None, trust: ssl.SSLContext | None = None) -> AsyncIterator[Link]:
    """Open a conversation for the length of an `async with`. Raises Unreachable or Refused.

    Of a `wss://` address the certificate is checked: against `trust`, or else the system's authorities.
    """
    link = Link(await open_socket(url, token, trust), url)
    try:
        yield link
    finally:
        await link.close()


async def open_socket(
    url: str, token: str | None, trust: ssl.SSLContext | None = None, claim: str | None = None
) -> ClientConnection:
    """Return an open socket; `claim` says which session it goes on with. Raises Unreachable or Refused."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if claim is not None:
        headers["Parley-Resume"] = claim
    proxy: Literal[True] | None = None if _hostname(url) in _LOOPBACK else True
    try:
        return await open_websocket(
            url,
            additional_headers=headers,
            proxy=proxy,
            compression=None,
            max_size=_LARGEST_MESSAGE,
            close_timeout=2,
            ssl=(trust or True) if url.lower().startswith("wss:") else None,
        )
    except InvalidStatus as error:
        raise Refused(_refusal(url, error.response.status_code, token, bytes(error.response.body or b""))) from error
    except ssl.SSLCertVerificationError as error:
        raise Refused(_distrust(url, error, pinned=trust is not None)) from error  # a ValueError, too
    except (InvalidURI, ValueError) as error:  # for a port that is no number
        raise Unreachable(f"{url} is not a websocket address. Write it like {URL}.") from error
    except ssl.SSLError as error:
        raise Refused(f"What answers at {url} speaks no TLS ({error.reason}): write ws:// if it shall not.") from error
    except (OSError, TimeoutError) as error:
        raise Unreachable(
            f"No Parley server answers at {url}: start it with `make run` or `parley serve`, or name another address "
            "with --url."
        ) from error
    except InvalidHandshake as error:
        raise Refused(f"What answers at {url} is not a websocket server ({error}). Check the address.") from error


def _image(url: str) -> Message:
    return {"type": "input_image", "image_url": url}


def encode(samples: Samples) -> str:
    """Turn sound into the protocol's audio: base64 of little-endian 16-bit PCM."""
    return base64.b64encode(to_pcm16(samples)).decode("ascii")


def decode(audio: str) -> Samples:
    """Turn the protocol's audio into sound. Raises Lost when it is damaged."""
    try:
        pcm = np.frombuffer(base64.b64decode(audio, validate=True), dtype="<i2")
    except ValueError as error:
        raise Lost("The server sent sound that is damaged (it is not base64 of 16-bit PCM).") from error
    return pcm.astype(np.float32) / np.float32(32768)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _distrust(url: str, error: ssl.SSLCertVerificationError, *, pinned: bool) -> str:
    reason = error.verify_message if hasattr(error, "verify_message") else str(error.args[0])
    if pinned:
        return (
            f"The server at {url} isn't the one to trust ({reason}). If its certificate is a new one, "
            "take over what the server prints on start."
        )
    return (
        f"The certificate of {url} isn't trusted ({reason}). If the server is your own, pass the fingerprint that it "
        "prints on start with --tls-fingerprint, or its certificate's file with --tls-ca."
    )


def _refusal(url: str, status: int, token: str | None, body: bytes) -> str:
    match status:
        case 400 if b"https_required" in body:
            problem = "speaks TLS only: write wss:// instead of ws://."
        case 401 | 403 if token is None:
            problem = "wants a token: set PARLEY_TOKEN to the one that it was started with."
        case 401 | 403:
            problem = "refused the token: set PARLEY_TOKEN to the one that it was started with."
        case 429:
            problem = "has had too many wrong tokens from your address. Try again in a minute."
        case 503:
            problem = "has as many conversations as it can hold. Try again in a moment."
        case 404:
            return f"There is no Realtime endpoint at {url} (HTTP 404). Parley's ends in /v1/realtime."
        case _:
            problem = f"answered HTTP {status} instead of opening a conversation. Look at its log."
    return f"The server at {url} {problem}"


def _lost(url: str, error: ConnectionClosed) -> Lost:
    if error.rcvd is None:
        return Lost(f"The connection to {url} broke off. See whether the server still runs, and start again.")
    reason = error.rcvd.reason or f"code {error.rcvd.code}"
    if error.rcvd.code == CloseCode.TRY_AGAIN_LATER:
        return Lost(f"The server at {url} can't take a conversation now: {reason}")
    return Lost(f"The server at {url} ended the conversation ({reason}). Start again.")
