"""The names and addresses by which this machine is reached."""

import ipaddress
import socket
from typing import Final, TypeAlias

import psutil

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def names_here(host: str) -> frozenset[str]:
    """Return this machine's names and addresses, for a server that listens on `host`: loopback, host name, LAN.

    Of IPv6 only loopback and what the server listens on: the others change daily, for privacy, and a certificate for
    them would change with them.
    """
    full = socket.gethostname().lower()
    short = full.partition(".")[0]
    listened = {host.lower()} if host and not _is_unspecified(host) else set()
    return frozenset({*_LOOPBACK, *filter(_is_name, (full, short, f"{short}.local")), *_ipv4(), *listened})


def addresses_on_lan(host: str) -> list[str]:
    """Return the addresses at which other machines reach a server that listens on `host`."""
    found = map(as_address, _ipv4() if not host or _is_unspecified(host) else [host])
    return sorted(str(address) for address in found if address is not None and not _is_local(address))


def as_address(name: str) -> Address | None:
    """Return the IP address that `name` is; None for a name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _ipv4() -> list[str]:
    return [
        address.address
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if address.family is socket.AF_INET
    ]


def _is_unspecified(host: str) -> bool:
    address = as_address(host)
    return address is not None and address.is_unspecified


def _is_local(address: Address) -> bool:
    return address.is_loopback or address.is_link_local


def _is_name(name: str) -> bool:
    """Tell whether a certificate can hold the name: letters, digits, hyphens and dots."""
    return all(part.isascii() and part.isalnum() for part in name.replace("-", "x").split("."))
