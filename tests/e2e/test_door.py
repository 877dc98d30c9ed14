"""Who comes in, and how: ephemeral keys and TLS, with real clients over real sockets."""

import asyncio
import hashlib
import json
import os
import ssl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from openai import APIStatusError, AsyncOpenAI
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidStatus

from assistant.config import load
from assistant.server import certificate
from assistant.server.tls import open_tls
from clients import ask
from clients.link import Refused, connect
from clients.tls import TrustError, trusting
from tests import node
from tests.e2e.conftest import running
from tests.e2e.fakes import ANSWER, fake_engines

pytestmark = pytest.mark.e2e

NODE = Path(__file__).parent / "node"
WAIT_S = 60


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """A server with a certificate of its own making, and a token."""
    monkeypatch.setattr(certificate, "own_folder", lambda: tmp_path / "tls")
    config = load(port=0, tls_self_signed=True)
    tls = open_tls(config.server)
    with running(config, fake_engines(), "open-sesame", tls=tls.context) as server:
        yield server, tls.certificate


def client_of(server, key=None):
    return AsyncOpenAI(
        api_key=key or server.token or "none",
        base_url=f"{server.url}/v1",
        websocket_base_url=f"{server.url.replace('http', 'ws', 1)}/v1",
        max_retries=0,
    )


@pytest.mark.parametrize("token", ["open-sesame", None])
def test_the_sdk_makes_an_ephemeral_key_and_connects_with_it(serve, token):
    async def run():
        server = serve(token=token)
        tool = {"type": "function", "name": "lamp", "parameters": {"type": "object", "properties": {}}}
        wanted = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief.", "tools": [tool]}
        async with client_of(server) as owner:
            secret = await owner.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 60}, session=wanted
            )
        assert secret.value.startswith("ek_")
        assert secret.session.type == "realtime"
        assert secret.session.instructions == "Be brief."
        async with (
            client_of(server, secret.value) as guest,
            guest.realtime.connect(model="other", extra_headers={"OpenAI-Beta": "realtime=v1"}) as connection,
        ):
            session = (await connection.recv()).session
            assert session.instructions == "Be brief."
            assert session.model == "gpt-realtime"
            assert [tool.name for tool in session.tools] == ["lamp"]
            assert session.id != secret.session.id
            with pytest.raises(APIStatusError) as refused:
                await guest.realtime.client_secrets.create()
            assert (refused.value.status_code, refused.value.code) == (403, "ephemeral_key")
        offered = ["realtime", f"openai-insecure-api-key.{secret.value}", "openai-beta.realtime-v1"]
        async with server.client(subprotocols=offered) as browser:
            assert browser.socket.subprotocol == "realtime"
            assert secret.value not in str(browser.socket.response.headers)
            assert browser.seen[0]["session"]["instructions"] == "Be brief."

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"[]", "invalid_value", None),
        (b'{"session": 1}', "invalid_value", "session"),
        (b'{"sesion": {}}', "unknown_parameter", "sesion"),
        (b'{"session": {"voice": 1}}', "unknown_parameter", "session.voice"),
        (b'{"session": {"audio": {"output": {"speed": 9}}}}', "invalid_value", "session.audio.output.speed"),
        (b'{"expires_after": {"seconds": 9}}', "invalid_value", "expires_after.seconds"),
        (b'{"expires_after": {"seconds": 7201}}', "invalid_value", "expires_after.seconds"),
        (b'{"expires_after": {"anchor": "now"}}', "invalid_value", "expires_after.anchor"),
        (b'{"session": {"instructions": "' + b"a" * 300_000 + b'"}}', "body_too_large", None),
    ],
)
def test_a_wrong_request_for_a_key_is_explained(serve, body, code, param):
    answer = httpx2.post(f"{serve().url}/v1/realtime/client_secrets", content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert error["type"] == "invalid_request_error"


def test_a_key_for_nothing_in_particular_lasts_ten_minutes(serve):
    answer = httpx2.post(f"{serve().url}/v1/realtime/client_secrets")
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"value", "expires_at", "session"}
    started = body["session"]["expires_at"] - 24 * 3600
    assert 599 <= body["expires_at"] - started <= 601


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/realtime/client_secrets", 405, "method_not_allowed"),
        ("DELETE", "/v1/realtime/client_secrets", 405, "method_not_allowed"),
        ("GET", "/v1/realtime", 426, "websocket_required"),
        ("POST", "/v1/realtime/calls", 404, "unknown_url"),
        ("GET", "/v1/nowhere", 404, "unknown_url"),
    ],
)
def test_what_isn_t_there_is_said_in_the_apis_words(serve, method, path, status, code):
    answer = httpx2.request(method, serve().url + path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


def test_outside_the_api_errors_are_plain(serve):
    assert httpx2.get(f"{serve().url}/nowhere.js").status_code == 404


def test_a_websocket_elsewhere_is_told_where(serve):
    async def run():
        url = serve().ws_url.replace("/realtime", "/elsewhere")
        with pytest.raises(InvalidStatus) as refused:
            await open_websocket(url)
        assert refused.value.response.status_code == 404
        assert b"/v1/realtime" in refused.value.response.body

    asyncio.run(run())


def test_a_conversation_over_tls_with_the_certificates_file_or_fingerprint(secure):
    server, own = secure
    assert server.ws_url.startswith("wss://127.0.0.1:")

    async def run():
        for trust in (trusting(server.ws_url, own.cert), trusting(server.ws_url, None, own.fingerprint)):
            async with connect(server.ws_url, server.token, trust) as link:
                assert (await link.receive())["type"] == "session.created"

    asyncio.run(run())


@pytest.mark.parametrize("how", ["none", "another fingerprint", "another file"])
def test_a_client_never_takes_a_certificate_that_it_can_t_trust(secure, tmp_path, how):
    server, own = secure
    other = certificate.make_own(tmp_path / "other", ["127.0.0.1"], own.expires - certificate.VALID)
    trust = {
        "none": None,
        "another fingerprint": trusting(server.ws_url, None, hashlib.sha256(b"another").hexdigest()),
        "another file": trusting(server.ws_url, other.cert),
    }[how]

    async def run():
        async with connect(server.ws_url, server.token, trust):
            pass

    with pytest.raises(Refused, match="--tls-fingerprint" if how == "none" else "isn't the one to trust"):
        asyncio.run(run())


def test_tls_and_none_are_told_apart(secure, serve):
    async def run(url):
        async with connect(url, "open-sesame"):
            pass

    server, _ = secure
    with pytest.raises(Refused, match="write wss://"):
        asyncio.run(run(server.ws_url.replace("wss:", "ws:")))
    with pytest.raises(Refused, match="write ws://"):
        asyncio.run(run(serve().ws_url.replace("ws:", "wss:")))
    with pytest.raises(TrustError, match="write wss://"):
        trusting("ws://127.0.0.1:1/v1/realtime", None, "ab")


@pytest.mark.parametrize("path", ["/", "/v1/models"])
def test_a_browser_that_asks_without_tls_is_sent_to_it(secure, path):
    server, own = secure
    plain = server.url.replace("https:", "http:")
    with httpx2.Client(verify=ssl.create_default_context(cafile=own.cert), follow_redirects=True) as client:
        answer = client.get(plain + path)
    if path == "/":
        assert answer.url == server.url + "/"
        assert "Parley" in answer.text
    else:
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "https_required"


def test_parley_ask_over_tls(secure):
    server, own = secure
    common = ["--text", "Hello", "--url", server.ws_url, "--token", server.token]
    runner = CliRunner()
    asked = runner.invoke(ask.command, [*common, "--tls-fingerprint", own.fingerprint])
    assert asked.exit_code == 0, asked.output
    assert ANSWER in asked.output
    asked = runner.invoke(ask.command, [*common, "--tls-ca", str(own.cert)])
    assert ANSWER in asked.output
    asked = runner.invoke(ask.command, [*common, "--tls-ca", str(own.cert.parent / "nowhere.pem")])
    assert asked.exit_code == 2
    assert "Cannot read" in asked.output
    asked = runner.invoke(ask.command, [*common, "--tls-fingerprint", "AB:CD"])
    assert "64 hexadecimal digits" in asked.output


@contextmanager
def parley_serve(*arguments, data):
    environment = {**os.environ, "XDG_DATA_HOME": str(data), "PARLEY_TOKEN": "open-sesame"}
    command = [sys.executable, "-m", "tests.e2e.serving", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_prints_what_a_person_compares(tmp_path):
    with parley_serve("--tls-self-signed", data=tmp_path) as process:
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if "is ready" in line:
                break
        url = lines[-1].removeprefix("Parley is ready: ")
        assert url.startswith("https://127.0.0.1:")
        (cert,) = [Path(line.partition(": ")[2]) for line in lines if line.startswith("Certificate: ")]
        (printed,) = [line.rpartition(" ")[2] for line in lines if "fingerprint" in line]
        assert cert.is_relative_to(tmp_path)
        shown = ssl.PEM_cert_to_DER_cert(cert.read_text())
        assert printed.replace(":", "").lower() == hashlib.sha256(shown).hexdigest()
        assert "open-sesame" not in "".join(lines)
        assert httpx2.get(f"{url}/healthz", verify=ssl.create_default_context(cafile=cert)).status_code == 200


def test_the_command_says_what_is_wrong_with_a_certificate(tmp_path):
    with parley_serve("--tls-cert", "nowhere.pem", "--tls-key", "key.pem", data=tmp_path) as process:
        out, _ = process.communicate(timeout=WAIT_S)
    assert out == "Error: There is no certificate at nowhere.pem: check the path.\n"
    assert process.returncode == 2


def test_trap_12_openai_nodes_own_websocket_forces_wss(secure):
    node.packages()
    server, own = secure
    ephemeral = httpx2.post(
        f"{server.url}/v1/realtime/client_secrets",
        json={"session": {"type": "realtime", "instructions": "Be brief."}},
        headers={"Authorization": f"Bearer {server.token}"},
        verify=ssl.create_default_context(cafile=own.cert),
    ).json()["value"]
    for key, instructions in ((server.token, load().assistant.instructions), (ephemeral, "Be brief.")):
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(own.cert), "OPENAI_API_KEY": key}
        done = subprocess.run(
            ["node", NODE / "converse.mjs", f"{server.url.replace('https:', 'http:')}/v1"],
            capture_output=True,
            text=True,
            env=environment,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert seen["url"].startswith("wss://")
        assert seen["text"] == ANSWER
        assert seen["instructions"] == instructions
        assert seen["events"][-1] == "response.done"
