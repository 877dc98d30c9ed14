"""Where hosts are, and that a name which leads too far away is noticed before anything is sent."""

import asyncio
import socket

import pytest

from assistant.llm.endpoint_errors import ElsewhereError
from assistant.router.lookup import check
from assistant.router.places import place_of_host


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("127.0.0.1", "device"),
        ("127.8.8.8", "device"),
        ("::1", "device"),
        ("[::1]", "device"),
        ("0.0.0.0", "device"),
        ("localhost", "device"),
        ("ollama.localhost", "device"),
        ("192.168.1.20", "lan"),
        ("10.0.0.5", "lan"),
        ("172.31.0.1", "lan"),
        ("169.254.1.1", "lan"),
        ("100.64.0.7", "lan"),
        ("fd00::1", "lan"),
        ("fe80::1", "lan"),
        ("::ffff:192.168.1.20", "lan"),
        ("nas", "lan"),
        ("nas.local", "lan"),
        ("NAS.Fritz.Box.", "lan"),
        ("8.8.8.8", "cloud"),
        ("172.32.0.1", "cloud"),
        ("2606:4700::1", "cloud"),
        ("::ffff:8.8.8.8", "cloud"),
        ("api.openai.com", None),
        ("nas.example.com", None),
        ("notlocalhost.example", None),
    ],
)
def test_where_a_host_is(host, place):
    assert place_of_host(host) == place


def look_up(monkeypatch, place, *addresses):
    async def getaddrinfo(self, host, port, **_options):
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    asyncio.run(check("nas", "nas.example.com", 80, place))


@pytest.mark.parametrize(
    ("place", "addresses"),
    [
        ("device", ["127.0.0.1", "::1"]),
        ("lan", ["192.168.1.20", "127.0.0.1", "fe80::1%eth0"]),
        ("cloud", ["8.8.8.8"]),
        ("device", []),
    ],
)
def test_names_that_lead_where_they_should(monkeypatch, place, addresses):
    look_up(monkeypatch, place, *addresses)


@pytest.mark.parametrize(
    ("place", "addresses"),
    [
        ("device", ["192.168.1.20"]),
        ("lan", ["8.8.8.8"]),
        ("lan", ["192.168.1.20", "8.8.8.8"]),
        ("lan", ["2606:4700::1"]),
    ],
)
def test_names_that_lead_too_far_away(monkeypatch, place, addresses):
    with pytest.raises(ElsewhereError, match=r"nas \(nas.example.com\) is at .*: nothing was sent"):
        look_up(monkeypatch, place, *addresses)


def test_a_house_may_have_addresses_that_all_the_world_can_reach(monkeypatch):
    class Address:
        family, address = socket.AF_INET6, "2606:4700::77%eth0"

    monkeypatch.setattr("psutil.net_if_addrs", lambda: {"eth0": [Address]})
    look_up(monkeypatch, "lan", "2606:4700::1")
    with pytest.raises(ElsewhereError):
        look_up(monkeypatch, "lan", "2606:4701::1")


def test_addresses_need_no_look_up(monkeypatch):
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", None)
    asyncio.run(check("nas", "192.168.1.20", 80, "lan"))
