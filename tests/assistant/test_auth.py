"""Who may come in."""

import asyncio
import json

import pytest

from assistant.config import load
from assistant.server.auth import Guard, is_loopback, token_of_environment
from pipeline.errors import ParleyError


def answer(server, token, path="/v1/realtime", kind="websocket", subprotocols=(), **headers):
    """Return (status, body) of the refusal, or None for one who may come in."""
    sent = []

    async def inside(scope, receive, send):
        sent.append(None)

    async def receive():
        return {"type": f"{kind}.connect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in ({"host": "localhost:8765"} | headers).items()],
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}},
    }
    asyncio.run(Guard(inside, server, token)(scope, receive, send))
    if sent == [None]:
        return None
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)["error"]["code"]


@pytest.fixture
def here():
    return load().server


@pytest.fixture
def everywhere():
    return load(host="0.0.0.0").server


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (401, "invalid_api_key")),
        ({"authorization": "Bearer wrong"}, (401, "invalid_api_key")),
        ({"authorization": "Basic secret"}, (401, "invalid_api_key")),
        ({"authorization": "Bearer "}, (401, "invalid_api_key")),
        ({"authorization": "Bearer s\u00e9cret"}, (401, "invalid_api_key")),
        ({"subprotocols": ["realtime", "openai-insecure-api-key.wrong"]}, (401, "invalid_api_key")),
        ({"authorization": "Bearer secret"}, None),
        ({"authorization": "bearer secret"}, None),
        ({"subprotocols": ["realtime", "openai-insecure-api-key.secret", "openai-beta.realtime-v1"]}, None),
    ],
)
def test_the_token(everywhere, given, expected):
    assert answer(everywhere, "secret", **given) == expected


def test_the_token_guards_the_interface_and_not_the_page(everywhere):
    for path in ("/", "/app.js", "/healthz", "/readyz"):
        assert answer(everywhere, "secret", path, "http") is None
    assert answer(everywhere, "secret", "/v1/models", "http") == (401, "invalid_api_key")
    assert answer(everywhere, "secret", "/", "websocket") == (401, "invalid_api_key")


def test_without_a_token_this_machine_may_come_in(here):
    assert answer(here, None) is None


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("http://localhost:8765", True),
        ("http://127.0.0.1:3000", True),
        ("https://[::1]", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://evil.example:8765", False),
        ("null", False),
        ("", False),
        ("http://[", False),
        ("chrome-extension://abcdef", False),
    ],
)
def test_the_origin_of_a_page(here, origin, welcome):
    assert answer(here, None, origin=origin) == (None if welcome else (403, "invalid_origin"))


def test_origins_that_are_allowed_or_the_servers_own(everywhere, tmp_path):
    file = tmp_path / "home.toml"
    file.write_text('[server]\nallowed_origins = ["https://Home.example/"]\n')
    server = load(file=file).server
    assert answer(server, None, origin="https://home.example") is None
    assert answer(server, None, host="home.example", origin="https://home.example") is None
    own = {"host": "parley.lan:8765", "authorization": "Bearer t"}
    assert answer(everywhere, "t", origin="http://parley.lan:8765", **own) is None
    assert answer(everywhere, "t", origin="http://parley.lan", **own) == (403, "invalid_origin")


@pytest.mark.parametrize(
    ("host", "welcome"),
    [
        ("127.0.0.1:8765", True),
        ("LOCALHOST", True),
        ("[::1]:8765", True),
        ("parley.localhost:8765", True),
        ("rebound.evil.example:8765", False),
        ("", False),
        ("[", False),
    ],
)
def test_a_foreign_name_for_this_machine_is_unmasked(here, host, welcome):
    assert answer(here, None, "/", "http", host=host) == (None if welcome else (403, "invalid_host"))


def test_a_server_for_others_needs_a_token(monkeypatch):
    monkeypatch.delenv("PARLEY_TOKEN", raising=False)
    assert token_of_environment("127.0.0.1") is None
    for host in ("0.0.0.0", "", "::", "192.168.1.5", "parley.lan"):
        with pytest.raises(ParleyError, match="PARLEY_TOKEN"):
            token_of_environment(host)
    monkeypatch.setenv("PARLEY_TOKEN", " secret\n")
    assert token_of_environment("0.0.0.0") == "secret"
    assert token_of_environment("localhost") == "secret"
    monkeypatch.setenv("PARLEY_TOKEN", "two words")
    with pytest.raises(ParleyError, match="no spaces"):
        token_of_environment("localhost")


def test_loopback_names():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost", "Localhost.")))
    assert not any(map(is_loopback, ("0.0.0.0", "", "localhost.example", "10.0.0.1")))
