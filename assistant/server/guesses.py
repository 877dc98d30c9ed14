"""A limit on guessing keys: every address may be wrong a few times, then only every few seconds."""

import hashlib
import ipaddress
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

BURST: Final = 10
"""Different wrong keys that an address may show at once."""
REGAIN_S: Final = 10.0
"""Seconds after which it may show one more."""
_ADDRESSES: Final = 4096
"""Addresses that are remembered; of more, those that were wrong longest ago are forgotten."""
_NETWORK_BITS: Final = 64  # of an IPv6 address: what lies below is one household's to choose from


@dataclass(slots=True)
class _Guesser:
    spent: float = 0.0
    at: float = 0.0
    shown: list[bytes] = field(default_factory=list)


class Guesses:
    """Counts wrong keys for each address, by a token bucket.

    A key that was shown before says nothing new to whoever guesses, so it costs nothing: a program that was set up
    with a wrong key and tries for ever doesn't shut out its neighbours of the same address.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with nobody; `clock` gives seconds and never goes back."""
        self._clock = clock
        self._salt = secrets.token_bytes(16)  # the memory holds wrong keys, which may be nearly right ones
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Return for how many seconds this address may show no key; 0 where it may."""
        guesser = self._guessers.get(_network(address))
        if guesser is None:
            return 0
        return max(0, math.ceil((self._left(guesser) - (BURST - 1)) * REGAIN_S))

    def wrong(self, address: str, keys: Sequence[str]) -> bool:
        """Count wrong keys; tell whether the address may show no more for now."""
        network = _network(address)
        guesser = self._guessers.pop(network, None) or _Guesser()
        self._guessers[network] = guesser
        if len(self._guessers) > _ADDRESSES:
            self._guessers.popitem(last=False)
        guesser.spent, guesser.at = self._left(guesser), self._clock()
        for key in keys:
            mark = hashlib.blake2b(key.encode(), key=self._salt, digest_size=16).digest()
            if mark not in guesser.shown:
                guesser.shown = [*guesser.shown, mark][-BURST:]
                guesser.spent += 1
        return guesser.spent > BURST - 1

    def _left(self, guesser: _Guesser) -> float:
        return max(0.0, guesser.spent - (self._clock() - guesser.at) / REGAIN_S)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped or ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
