"""Looks up where a name leads, before anything is sent there."""

import asyncio
import ipaddress
import socket

from assistant.llm.endpoint_errors import ElsewhereError
from assistant.router.decision import FAR
from assistant.router.parts import Place
from assistant.router.places import Network, as_address, place_of_address


async def check(backend: str, host: str, port: int, place: Place) -> None:
    """Look a name up. Raises ElsewhereError where it leads farther away than `place`.

    Where it leads nowhere, the request itself will say so.
    """
    if place == "cloud" or as_address(host) is not None:
        return
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return
    names = {str(entry[4][0]).partition("%")[0] for entry in found}
    addresses = [address for address in map(as_address, names) if address is not None]
    beyond = [address for address in addresses if FAR[place_of_address(address)] > FAR[place]]
    if beyond and place == "lan":
        # The machines of a house may have addresses that the whole world can reach.
        own = await asyncio.to_thread(_own_networks)
        beyond = [address for address in beyond if FAR[place_of_address(address, own)] > FAR[place]]
    if beyond:
        raise ElsewhereError(
            backend,
            f"({host}) is at {beyond[0]} now, which isn't {'this machine' if place == 'device' else 'in your network'}",
            'nothing was sent; correct url, or set place = "cloud"',
        )


def _own_networks() -> list[Network]:
    """Return the IPv6 networks that this machine is part of."""
    import psutil  # noqa: PLC0415 - rarely needed

    networks: list[Network] = []
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            address = as_address(each.address.partition("%")[0]) if each.family == socket.AF_INET6 else None
            if isinstance(address, ipaddress.IPv6Address) and address.is_global:
                networks.append(ipaddress.ip_network((address, 64), strict=False))
    return networks
