"""The page as another machine opens it: over TLS, by an address or a name, with the certificate that Parley made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from assistant.config import load
from assistant.server import certificate
from assistant.server.addresses import addresses_on_lan
from assistant.server.tls import open_tls
from audio.pcm import resample, write_wav
from audio.types import INPUT_RATE
from tests.clients.chromium import launched, needs_chromium, opened, type_in
from tests.conftest import read_clip
from tests.e2e.conftest import Running, running
from tests.e2e.fakes import ANSWER, HEARD, fake_engines

pytestmark = [pytest.mark.e2e, *needs_chromium]

TOKEN = "open-sesame"
CONNECT = """
([url, token]) => new Promise((resolve) => {
  const socket = new WebSocket(url, ["realtime", `openai-insecure-api-key.${token}`]);
  socket.onmessage = (message) => resolve([socket.protocol, JSON.parse(message.data).type]);
  socket.onerror = () => resolve("refused");
})
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tls")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificate, "own_folder", lambda: folder)
        config = load(port=0, host="0.0.0.0", tls_self_signed=True)
        with running(config, fake_engines(), TOKEN, tls=open_tls(config.server).context) as server:
            yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium that finds the server under two names, and hears a recording."""
    recording: Path = tmp_path_factory.mktemp("microphone") / "question.wav"
    write_wav(recording, resample(read_clip("en_goog_brooklyn_bridge"), INPUT_RATE, 48_000), 48_000)
    names = "--host-resolver-rules=MAP parley.home 127.0.0.1,MAP elsewhere.home 127.0.0.1"
    with launched(names, f"--use-file-for-fake-audio-capture={recording}") as browser:
        yield browser


def address(server: Running, kind: str) -> str:
    port = server.url.rpartition(":")[2]
    if kind == "a name":
        return f"parley.home:{port}"
    lan = addresses_on_lan("0.0.0.0")
    if not lan:
        pytest.skip("this machine is in no network")
    return f"{lan[0]}:{port}"


@pytest.mark.parametrize("kind", ["a name", "an address"])
def test_the_page_has_the_microphone_and_a_conversation(server: Running, browser: Browser, kind: str) -> None:
    host = address(server, kind)
    # `ignore_https_errors` stands for the person who has compared the fingerprint and goes on. Even then Chromium takes
    # no service worker: the page can't be installed before the certificate is.
    known = ("SSL certificate error occurred when fetching the script",)
    with opened(browser, f"https://{host}/#token={TOKEN}", complaints=known, ignore_https_errors=True) as page:
        assert page.evaluate("isSecureContext")
        assert TOKEN not in page.url
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        page.get_by_role("button", name="Start talking").click()
        expect(page.locator("#transcript .user p").first).to_contain_text(HEARD)
        type_in(page, "Hello")
        expect(page.locator("#transcript .assistant p").last).to_contain_text(ANSWER.split(".")[0])
        # The line may live in a worker, whose sockets the browser doesn't tell of.
        assert all(url.startswith(f"wss://{host}/") for url in sockets)


@pytest.mark.parametrize(
    ("page_from", "outcome"), [("parley.home", ["realtime", "session.created"]), ("elsewhere.home", "refused")]
)
def test_a_page_may_connect_to_where_it_came_from_and_nowhere_else(
    server: Running, browser: Browser, page_from: str, outcome: Any
) -> None:
    port = server.url.rpartition(":")[2]
    with opened(
        browser, f"https://{page_from}:{port}/healthz", complaints=("WebSocket", "404"), ignore_https_errors=True
    ) as page:
        seen = page.evaluate(CONNECT, [f"wss://parley.home:{port}/v1/realtime", TOKEN])
    assert seen == outcome
