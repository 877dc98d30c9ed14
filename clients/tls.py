"""Whom a client trusts: the system's authorities, a file's, or the one certificate with a given fingerprint."""

import hashlib
import hmac
import ipaddress
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

import click

P = ParamSpec("P")
T = TypeVar("T")

EXPOSED: Final = "Without TLS, others on the network can read the token and all that is said. Better: wss://."
"""The warning for an address that is_exposed."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class TrustError(Exception):
    """What was given to trust can't be used; the message names the cause and the cure."""


def trusting(url: str, ca: Path | None = None, fingerprint: str | None = None) -> ssl.SSLContext | None:
    """Return the context for `url`; None for the default, which is the system's authorities.

    `ca` is a PEM file of authorities or of the server's own certificate; `fingerprint` the SHA-256 of the server's
    certificate, in hexadecimal, which the server prints on start. Raises TrustError.
    """
    if ca is None and fingerprint is None:
        return None
    if not url.lower().startswith("wss://"):
        raise TrustError(f"{url} isn't encrypted, so there is no certificate to check: write wss:// instead of ws://.")
    if fingerprint is not None:
        return _pinned(fingerprint)
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise TrustError(f"{ca} holds no certificate in PEM format: pass the file that the server names.") from error
    except OSError as error:
        raise TrustError(f"Cannot read {ca}: {error.strerror}.") from error


def is_exposed(url: str) -> bool:
    """Tell whether what goes to this address can be read on the way: no TLS, and not to this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    return parts.scheme == "ws" and not here


def trust_options(command: Callable[P, T]) -> Callable[P, T]:
    """Add the options that say whom to trust: `ca` and `fingerprint`."""
    for option in (
        click.option(
            "--tls-fingerprint",
            "fingerprint",
            metavar="SHA256",
            help="Trust the server whose certificate has this SHA-256 fingerprint, which it prints on start.",
        ),
        click.option(
            "--tls-ca",
            "ca",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Trust the certificate in this file (PEM), or what it has signed.",
        ),
    ):
        command = option(command)
    return command


def _pinned(fingerprint: str) -> ssl.SSLContext:
    wanted = fingerprint.replace(":", "").replace(" ", "").lower()
    if _SHA256.fullmatch(wanted) is None:
        raise TrustError(
            "A SHA-256 fingerprint has 64 hexadecimal digits, with or without colons: copy it from the server's start."
        )

    class Pinned(ssl.SSLObject):
        """Takes the one certificate, and says so before a byte of ours (such as the token) is sent."""

        def do_handshake(self) -> None:
            super().do_handshake()
            shown = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if not hmac.compare_digest(shown, wanted):
                raise ssl.SSLCertVerificationError("another certificate than the one with that fingerprint")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The handshake proves that the server holds the certificate's key; which certificate that is, is checked above.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslobject_class = Pinned
    return context
