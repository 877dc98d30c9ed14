"""TLS for the server: the certificate of the moment, and an answer for who asks without TLS."""

import asyncio
import datetime
import json
import logging
import re
import ssl
from collections.abc import Callable
from typing import Final

from assistant.config import Server
from assistant.server import certificate
from assistant.server.certificate import Certificate, CertificateError

logger = logging.getLogger(__name__)

_LOOK_S: Final = 3600.0
"""Seconds between two looks at the certificate: it may be renewed on disk, run out, or lack a new address."""
_HELLO: Final = 0x16
"""The first byte of every TLS connection: a record of type handshake."""
_GET: Final = re.compile(rb"GET (?P<path>/[!-~]*) HTTP/1\.[01]\r\n", re.ASCII)
_HOST: Final = re.compile(rb"\r\nhost: *(?P<host>[A-Za-z0-9.:\[\]-]+) *\r\n", re.ASCII | re.IGNORECASE)
_ADVICE: Final = "This port speaks TLS: write https:// (or wss://) at the beginning of the address."


class Tls:
    """The context that connections are accepted with; what it holds may be renewed while the server runs."""

    def __init__(self, server: Server, now: Callable[[], datetime.datetime]) -> None:
        """Load the certificate that the configuration asks for. Raises CertificateError, also when it asks for none."""
        self._server = server
        self._now = now
        self.context: ssl.SSLContext = _Context(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.certificate = self._load()

    @property
    def lines(self) -> tuple[str, ...]:
        """What the owner is told about the certificate on start."""
        own = (f"Certificate: {self.certificate.cert}",) if self.certificate.made_here else ()
        return (*own, f"Its SHA-256 fingerprint: {self.certificate.fingerprint}")

    def renew(self) -> bool:
        """Look at the certificate again; tell whether it is another one. Connections that are open keep theirs.

        While the new one can't be had, the old one stays, and the log says why.
        """
        before = self.certificate.fingerprint
        try:
            self.certificate = self._load()
        except CertificateError as error:
            logger.warning("The certificate stays as it is: %s", error)
            return False
        return self.certificate.fingerprint != before

    async def keep(self) -> None:
        """Renew the certificate whenever that is due, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.renew():  # takes milliseconds, and no handshake may begin while the context changes
                logger.warning("The certificate was renewed. %s", " ".join(self.lines))

    def _load(self) -> Certificate:
        found = certificate.load(self._server, self._now())
        if found is None:
            raise CertificateError("The configuration names no certificate.")
        try:
            self.context.load_cert_chain(found.cert, found.key)
        except (ssl.SSLError, OSError) as error:
            raise CertificateError(
                f"The certificate in {found.cert} can't be served with ({error}): make another one, with a key of at "
                "least 2048 bits (RSA) or 256 bits (EC)."
            ) from error
        return found


def open_tls(server: Server) -> Tls | None:
    """Return the TLS that the configuration asks for; None for none. Raises CertificateError."""
    if not (server.tls_cert or server.tls_key or server.tls_self_signed):
        return None
    return Tls(server, lambda: datetime.datetime.now(datetime.UTC))


class _Connection(ssl.SSLObject):
    """A connection that answers plain HTTP with a sentence, where a TLS handshake would only fail."""

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    begun = False

    def do_handshake(self) -> None:
        if not self.begun and self.incoming.pending:
            self.begun = True
            data = self.incoming.read()
            if data[0] != _HELLO and data[:1].isalpha():
                self.outgoing.write(_answer(data))
                raise ssl.SSLWantReadError  # has the answer sent; what the client sends next ends the connection
            self.incoming.write(data)
        super().do_handshake()


class _Context(ssl.SSLContext):
    sslobject_class = _Connection

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        wrapped = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(wrapped, _Connection)
        wrapped.incoming, wrapped.outgoing = incoming, outgoing
        return wrapped


def _answer(request: bytes) -> bytes:
    """Send a browser to https://, and tell everything else to go there: a key must not be sent in the clear twice."""
    get, host = _GET.match(request), _HOST.search(request)
    if get is not None and host is not None and not get["path"].startswith((b"/v1/", b"//")):
        return _response(
            b"308 Permanent Redirect", b"text/plain", _ADVICE.encode(), b"https://" + host["host"] + get["path"]
        )
    error = {"type": "invalid_request_error", "code": "https_required", "message": _ADVICE, "param": None}
    return _response(b"400 Bad Request", b"application/json", json.dumps({"error": error}).encode())


def _response(status: bytes, kind: bytes, body: bytes, location: bytes | None = None) -> bytes:
    there = b"" if location is None else b"Location: " + location + b"\r\n"
    return b"HTTP/1.1 %b\r\nContent-Type: %b; charset=utf-8\r\nContent-Length: %d\r\n%bConnection: close\r\n\r\n%b" % (
        status,
        kind,
        len(body),
        there,
        body,
    )
