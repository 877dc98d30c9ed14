"""The server's certificate: one that the owner has, or one that Parley makes for this machine's names and addresses."""

import datetime
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from filelock import FileLock

from assistant.config import Server
from assistant.files import write_whole
from assistant.server.addresses import as_address, names_here
from pipeline.errors import ParleyError

VALID: Final = datetime.timedelta(days=397)
"""How long a made certificate lasts; phones take none that lasts longer than 825 days."""
RENEW: Final = datetime.timedelta(days=30)
"""A made certificate that lasts no longer than this is made anew."""

_BACKDATED: Final = datetime.timedelta(days=1)  # for clients whose clock is slow
_MOST_NAMES: Final = 32


class CertificateError(ParleyError):
    """There is no certificate to serve with; the message says why, and the cure."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, on disk and found to fit."""

    cert: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, as browsers show it: "AB:CD:…"."""
    expires: datetime.datetime
    made_here: bool


def read_given(cert: Path, key: Path, now: datetime.datetime) -> Certificate:
    """Return the owner's certificate. Raises CertificateError when it can't be served with."""
    found = _read_certificate(cert)
    private = _read_key(key)
    if _public(private.public_key()) != _public(found.public_key()):
        raise CertificateError(
            f"The key in {key} doesn't belong to the certificate in {cert}: pass the two that were made together."
        )
    if found.not_valid_after_utc <= now:
        raise CertificateError(f"The certificate in {cert} expired on {found.not_valid_after_utc:%Y-%m-%d}: renew it.")
    if found.not_valid_before_utc > now:
        raise CertificateError(
            f"The certificate in {cert} is valid from {found.not_valid_before_utc:%Y-%m-%d} only: wait, or set this "
            "machine's clock."
        )
    return _certificate(found, cert, key, made_here=False)


def make_own(folder: Path, names: Iterable[str], now: datetime.datetime) -> Certificate:
    """Return Parley's own certificate for these names and addresses; it is made when there is none that will do.

    One will do that is valid for a while and has every name. The key is made once and kept, readable by its owner
    only. Raises CertificateError when the folder can't be written to.
    """
    cert, key = folder / "certificate.pem", folder / "key.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # two servers that start at once make one certificate
            private = _own_key(key)
            found = _own_certificate(cert, private, frozenset(names), now)
    except OSError as error:
        raise CertificateError(
            f"A certificate can't be kept in {folder} ({error.strerror}): make that folder yours, or pass your own "
            "certificate with --tls-cert and --tls-key."
        ) from error
    return _certificate(found, cert, key, made_here=True)


def own_folder() -> Path:
    """Return where Parley keeps the certificate that it makes: in the user's data directory."""
    return platformdirs.user_data_path("parley") / "tls"


def load(server: Server, now: datetime.datetime) -> Certificate | None:
    """Return the certificate that the configuration asks for; None for none. Raises CertificateError."""
    cert, key = server.tls_cert, server.tls_key
    if server.tls_self_signed:
        if cert or key:
            raise CertificateError("Choose one: a certificate of your own (tls_cert, tls_key), or tls_self_signed.")
        return make_own(own_folder(), names_here(server.host), now)
    if not cert and not key:
        return None
    if not cert or not key:
        given, missing = ("--tls-cert", "--tls-key") if cert else ("--tls-key", "--tls-cert")
        raise CertificateError(f"TLS needs a certificate and its key: {given} is there, pass {missing} too.")
    return read_given(Path(cert).expanduser(), Path(key).expanduser(), now)


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_bytes(path, "certificate"))[0]
    except ValueError as error:
        raise CertificateError(
            f"{path} holds no certificate in PEM format (a text with -----BEGIN CERTIFICATE-----): pass the file that "
            "does."
        ) from error


def _read_key(path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_bytes(path, "key"), password=None)
    except TypeError as error:  # what cryptography raises for a key that needs a password
        raise CertificateError(
            f"The key in {path} is protected by a password, which a server can't type: write it without one "
            f"(openssl pkey -in {path} -out open.pem) and let only yourself read the new file."
        ) from error
    except ValueError as error:
        raise CertificateError(
            f"{path} holds no private key in PEM format (a text with -----BEGIN PRIVATE KEY-----): pass the file that "
            "does."
        ) from error


def _bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CertificateError(f"There is no {what} at {path}: check the path.") from error
    except OSError as error:
        raise CertificateError(
            f"The {what} in {path} can't be read ({error.strerror}): let the user who starts Parley read it."
        ) from error


def _own_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        path.chmod(0o600)
        private = _read_key(path)
    except (FileNotFoundError, CertificateError):
        private = None
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private
    made = ec.generate_private_key(ec.SECP256R1())
    write_whole(
        path,
        made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        0o600,
    )
    return made


def _own_certificate(
    path: Path, private: ec.EllipticCurvePrivateKey, names: frozenset[str], now: datetime.datetime
) -> x509.Certificate:
    earlier: frozenset[str] = frozenset()
    try:
        found = _read_certificate(path)
        earlier = _names(found)
    except CertificateError:
        pass
    else:
        ours = _public(found.public_key()) == _public(private.public_key())
        if ours and names <= earlier and found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEW:
            return found
    # A laptop that goes back and forth between two networks shall not be a stranger in both of them.
    wanted = names | earlier if len(names | earlier) <= _MOST_NAMES else names
    made = _made(private, wanted, now)
    write_whole(path, made.public_bytes(serialization.Encoding.PEM), 0o644)
    return made


def _made(private: ec.EllipticCurvePrivateKey, names: frozenset[str], now: datetime.datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Parley on {socket.gethostname()}"[:64])])
    addresses = {name: as_address(name) for name in sorted(names)}
    general = [
        x509.DNSName(name) if address is None else x509.IPAddress(address) for name, address in addresses.items()
    ]
    permitted = [
        x509.DNSName(name) if address is None else x509.IPAddress(ipaddress.ip_network(address))
        for name, address in addresses.items()
    ]
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    public = private.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(general), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        # Phones can be made to trust authorities only, so it is one: for this machine's names and nothing else.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
    )
    return builder.sign(private, hashes.SHA256())


def _certificate(found: x509.Certificate, cert: Path, key: Path, *, made_here: bool) -> Certificate:
    fingerprint = found.fingerprint(hashes.SHA256()).hex(":").upper()
    return Certificate(cert, key, fingerprint, found.not_valid_after_utc, made_here)


def _names(found: x509.Certificate) -> frozenset[str]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset((*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))))


def _public(key: object) -> bytes:
    encode = getattr(key, "public_bytes")  # noqa: B009
    data: bytes = encode(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return data
