"""Where a host is: on this machine, in the owner's house, or elsewhere.

An address tells by itself. A name tells where it is one that never leaves a house (.local, .lan, a bare name); of any
other it isn't known before it is looked up, and may be another at any time: a laptop leaves its house.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from assistant.router.parts import Place

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_IN_THE_HOUSE: Final = (".local", ".lan", ".home", ".internal", ".home.arpa", ".localdomain", ".fritz.box")


def place_of_host(host: str) -> Place | None:
    """Return where a host is, None where its name doesn't tell."""
    host = host.lower().rstrip(".").strip("[]")
    if (address := as_address(host)) is not None:
        return place_of_address(address)
    if host == "localhost" or host.endswith(".localhost"):
        return "device"
    if host.endswith(_IN_THE_HOUSE) or "." not in host:
        return "lan"
    return None


def place_of_address(address: Address, own: Iterable[Network] = ()) -> Place:
    """Return where an address is; `own` are networks of the house that the whole world can reach."""
    if address.is_loopback or address.is_unspecified:
        return "device"
    return "lan" if not address.is_global or any(address in network for network in own) else "cloud"


def as_address(host: str) -> Address | None:
    """Return the address that `host` is; None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
