"""Who may come in."""

import asyncio
import json
import logging

import pytest

from assistant.config import load
from assistant.server.api.programs import Programs
from assistant.server.auth import Guard, is_loopback, token_of_environment
from assistant.server.client_secrets import ClientSecrets, beginning
from assistant.server.guesses import BURST, REGAIN_S, Guesses
from pipeline.errors import ParleyError


class Clock:
    """Stands still until it is set."""

    def __init__(self, now=1_700_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


class Door:
    """A guard, what it knows, and the settings with which the last visitor came in."""

    def __init__(self, server, token):
        self.clock = Clock()
        self.secrets = ClientSecrets(self.clock)
        self.guesses = Guesses(self.clock)
        self.guard = Guard(
            self.inside,
            server=server,
            token=token,
            secrets=self.secrets,
            guesses=self.guesses,
            programs=Programs(now=self.clock),
        )
        self.beginning = None

    async def inside(self, scope, receive, send):
        self.beginning = beginning(scope)
        await send(None)


def answer(server, token, path="/v1/realtime", kind="websocket", subprotocols=(), **headers):
    """Return (status, code) of the refusal, or None for one who may come in."""
    return knock(Door(server, token), path, kind, subprotocols, **headers)


def knock(door, path="/v1/realtime", kind="websocket", subprotocols=(), address="192.0.2.1", **headers):
    sent = []

    async def receive():
        return {"type": f"{kind}.connect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in ({"host": "localhost:8765"} | headers).items()],
        "subprotocols": list(subprotocols),
        "client": (address, 50_000),
        "extensions": {"websocket.http.response": {}},
    }
    asyncio.run(door.guard(scope, receive, send))
    if sent == [None]:
        return None
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)["error"]["code"]


def bearer(key):
    return {"authorization": f"Bearer {key}"}


def subprotocols(key):
    return {"subprotocols": ["realtime", f"openai-insecure-api-key.{key}", "openai-beta.realtime-v1"]}


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


@pytest.mark.parametrize("shown", [bearer, subprotocols])
@pytest.mark.parametrize("token", ["secret", None])
def test_an_ephemeral_key_opens_a_conversation_with_its_settings_until_it_expires(everywhere, shown, token):
    door = Door(everywhere, token)
    secret = door.secrets.issue({"instructions": "Be brief."}, 600)
    assert secret.expires_at == door.clock.now + 600
    for _ in range(2):
        assert knock(door, **shown(secret.value)) is None
        assert door.beginning == {"instructions": "Be brief."}
    door.clock.now += 599
    assert knock(door, **shown(secret.value)) is None
    door.clock.now += 1
    assert knock(door, **shown(secret.value)) == (401, "invalid_api_key")


def test_an_ephemeral_key_opens_nothing_else(everywhere):
    door = Door(everywhere, "secret")
    key = door.secrets.issue({}, 600).value
    for path in ("/v1/realtime/client_secrets", "/v1/realtime", "/v1/models"):
        assert knock(door, path, "http", **bearer(key)) == (403, "ephemeral_key")
    assert knock(door, "/v1/elsewhere", **bearer(key)) == (403, "ephemeral_key")
    assert knock(door, "/v1/realtime/client_secrets", "http", **bearer("secret")) is None
    assert door.beginning == {}


def test_a_key_that_only_looks_ephemeral_is_refused_even_where_none_is_needed(here):
    door = Door(here, None)
    assert knock(door, **bearer("ek_made_elsewhere")) == (401, "invalid_api_key")
    assert knock(door, **bearer("sk-anything")) is None


def test_ephemeral_keys_are_bounded_and_differ():
    clock = Clock()
    secrets = ClientSecrets(clock)
    made = [secrets.issue({}, 600) for _ in range(300)]
    values = {secret.value for secret in made if secret is not None}
    assert len(values) == 256
    assert made[256:] == [None] * 44
    clock.now += 600
    assert secrets.issue({}, 10) is not None
    assert secrets.find(values) is None


def test_guesses_run_out_for_one_address_and_come_back(everywhere, caplog):
    door = Door(everywhere, "secret")
    with caplog.at_level(logging.WARNING):
        for at in range(BURST):
            assert knock(door, **bearer(f"guess-{at}")) == (401, "invalid_api_key")
    assert "192.0.2.1" in caplog.text
    assert "guess" not in caplog.text
    # Even the right key: or else whoever guesses could go on and would know it when it is right.
    assert knock(door, **bearer("secret")) == (429, "too_many_wrong_keys")
    assert knock(door) == (401, "invalid_api_key")
    assert knock(door, address="192.0.2.2", **bearer("secret")) is None
    door.clock.now += REGAIN_S
    assert knock(door, **bearer("secret")) is None
    assert knock(door, **bearer("guess-more")) == (401, "invalid_api_key")
    assert knock(door, **bearer("secret")) == (429, "too_many_wrong_keys")


def test_the_same_wrong_key_again_is_no_guess(everywhere):
    door = Door(everywhere, "secret")
    for _ in range(10 * BURST):
        assert knock(door, **bearer("the old token")) == (401, "invalid_api_key")
    assert knock(door, **bearer("secret")) is None


def test_guesses_in_bulk_are_refused(everywhere):
    keys = {"subprotocols": ["realtime", *(f"openai-insecure-api-key.{at}" for at in range(4))]}
    door = Door(everywhere, "secret")
    assert knock(door, **keys, **bearer("secret")) == (400, "too_many_keys")
    for _ in range(3):
        knock(door, **{"subprotocols": [f"openai-insecure-api-key.{door.clock.now}-{at}" for at in range(4)]})
        door.clock.now += 0.001
    assert knock(door, **bearer("secret")) == (429, "too_many_wrong_keys")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1%eth0", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "192.0.2.2", False),
    ],
)
def test_a_household_guesses_together(first, second, same):
    guesses = Guesses(Clock())
    for at in range(BURST):
        guesses.wrong(first, [str(at)])
    assert guesses.wait_s(first) == REGAIN_S
    assert bool(guesses.wait_s(second)) is same


def test_the_memory_of_guesses_is_bounded():
    guesses = Guesses(Clock())
    for at in range(10_000):
        guesses.wrong(f"host-{at}", [f"key-{n}" for n in range(BURST)])
    assert guesses.wait_s("host-0") == 0
    assert guesses.wait_s("host-9999") == REGAIN_S
    assert len(guesses._guessers) == 4096


def test_no_wrong_key_is_kept_as_it_is():
    guesses = Guesses(Clock())
    guesses.wrong("192.0.2.1", ["nearly-right"])
    assert b"nearly-right" not in b"".join(guesses._guessers["192.0.2.1"].shown)
