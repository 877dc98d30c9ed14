import socket

import pytest

from assistant.config import load
from assistant.server.listener import bind


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_sends_at_once_what_it_is_given(host: str) -> None:
    """And doesn't wait for the other side to confirm what it had before, as TCP does by itself."""
    try:
        bound = bind(load(host=host, port=0).server)
    except OSError:
        pytest.skip(f"this machine has no address {host}")
    with bound, socket.create_connection(bound.getsockname()[:2]), bound.accept()[0] as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
