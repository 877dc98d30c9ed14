"""`python -m tests.e2e.watched LOG ARGUMENT…`: `parley ARGUMENT…`, with each way out of this machine written to LOG.

What counts is what Python's own audit sees: names that are looked up, and addresses that are connected or sent to.
"""

import ipaddress
import os
import sys
from typing import Any

EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"})


def watch(log: str) -> None:
    """Write down every address beyond this machine from now on, until the process ends."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS:
            address = arguments[1]
        elif event in LOOKUPS:
            address = (arguments[0],) if not isinstance(arguments[0], tuple) else arguments[0]
        else:
            return
        if isinstance(address, tuple) and not is_here(address[0]):
            os.write(descriptor, f"{event} {address!r}\n".encode())

    sys.addaudithook(hook)


def is_here(host: object) -> bool:
    """Tell whether a host, as a socket takes it, is this machine."""
    text = host.decode() if isinstance(host, bytes) else host
    if text in {None, "", "localhost"}:
        return True
    try:
        # Binding to all addresses looks up 0.0.0.0, which leads nowhere else.
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


if __name__ == "__main__":
    watch(sys.argv[1])
    del sys.argv[1]
    from assistant.__main__ import main

    main()
