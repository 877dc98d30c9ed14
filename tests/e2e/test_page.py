"""The page in Chromium with a recording as its microphone, and `parley serve` with the real models behind it."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from audio.pcm import read_wav, resample, write_wav
from tests.clients.chromium import CHROMIUM, FLAGS

SPEECH = Path(__file__).resolve().parents[1] / "data" / "speech"
WAIT_MS = 60_000
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"needs Chromium at {CHROMIUM}"),
]


@contextmanager
def serving(port: int = 0, folder: Path | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server of its own, with the real models: its address and its process."""
    command = [sys.executable, "-m", "assistant", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=dict(os.environ)) as process:
        assert process.stdout is not None
        try:
            ready = next(line for line in process.stdout if line.startswith("Parley is ready"))
            found = re.search(r"http://\S+", ready)
            assert found is not None
            yield found[0], process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with serving() as (url, _):
        yield url


class Wire:
    """A TCP relay in front of the server, whose connections can be cut as a network does it."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self.up = True
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ready = threading.Event()
        self.ended = asyncio.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    async def run(self) -> None:
        self.loop = asyncio.get_running_loop()
        async with await asyncio.start_server(self.relay, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.ended.wait()
            self.drop()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.up:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers |= {writer, far_writer}
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self.pump(reader, far_writer), self.pump(far_reader, writer))
        self.writers -= {writer, far_writer}

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    def drop(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    def cut(self) -> None:
        """All connections are gone, and no new one comes through until it is mended."""
        self.up = False
        self.call(self.drop)

    def mend(self) -> None:
        self.up = True

    def end(self) -> None:
        self.call(self.ended.set)
        self.thread.join(30)

    def call(self, what: Callable[[], None]) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(what)


@pytest.fixture
def wire(served: str) -> Iterator[Wire]:
    relay = Wire(int(served.rstrip("/").rsplit(":", 1)[1]))
    relay.thread.start()
    assert relay.ready.wait(30)
    yield relay
    relay.end()


def clip(name: str) -> np.ndarray:
    return resample(*read_wav(SPEECH / f"{name}.wav"), 48_000)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * 48_000), np.float32)


@pytest.fixture
def browsing(tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open a page whose microphone hears these sounds, once; its console must stay empty, but for `complaints`."""
    heard: list[str] = []
    expected: list[str] = []
    with sync_playwright() as playwright:
        browsers = []

        def start(*sounds: np.ndarray, complaints: tuple[str, ...] = ()) -> Page:
            expected.extend(complaints)
            file = tmp_path / "microphone.wav"
            write_wav(file, np.concatenate(sounds), 48_000)
            flags = [*FLAGS, f"--use-file-for-fake-audio-capture={file}%noloop"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            browsers.append(browser)
            page = browser.new_context(permissions=["microphone"]).new_page()
            page.on("console", lambda line: heard.append(line.text) if line.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: heard.append(str(error)))
            # What the policy refuses would be a console error too; this names the directive.
            page.add_init_script(
                "addEventListener('securitypolicyviolation', (event) => console.error(event.violatedDirective))"
            )
            return page

        yield start
        for browser in browsers:
            browser.close()
    assert [line for line in heard if not any(known in line for known in expected)] == []


@pytest.fixture
def page(browsing: Callable[..., Page]) -> Page:
    """A page whose microphone hears a question, once."""
    return browsing(clip("en_goog_brooklyn_padded"))


def state(page: Page, name: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-state", name, timeout=WAIT_MS)


def text(page: Page, what: str) -> Any:
    return page.locator(f"#transcript {what}")


def test_a_question_by_voice_is_captioned_and_answered_aloud(page: Page, served: str) -> None:
    page.goto(served)
    page.get_by_role("button", name="Start talking").click()
    state(page, "hearing")
    expect(text(page, ".user p").first).to_contain_text(re.compile("how old is the .*bridge", re.I), timeout=WAIT_MS)
    expect(text(page, ".assistant p").first).to_have_text(re.compile(r"\w+ \w+"), timeout=WAIT_MS)
    expect(text(page, ".assistant small").first).to_contain_text(re.compile(r"answered after \d"), timeout=WAIT_MS)
    expect(page.locator("#account-said")).to_contain_text("on this machine", timeout=WAIT_MS)
    expect(page.locator("#account-place")).to_contain_text("Nothing left this machine.")
    expect(page.locator("#waterfall li").last).to_contain_text("You hear it")
    state(page, "listening")
    assert int(page.locator("body").get_attribute("data-heard") or 0) > 24_000 / 4
    expect(page.locator("#problem")).to_be_hidden()
    page.get_by_role("button", name="End", exact=True).click()
    state(page, "stopped")


def test_a_typed_question_is_answered_aloud(page: Page, served: str) -> None:
    page.goto(served)
    page.get_by_role("button", name="What is the capital of France?").click()
    expect(text(page, ".assistant p").first).to_contain_text("Paris", timeout=WAIT_MS)
    expect(text(page, ".assistant small").first).to_contain_text("spoken after ", timeout=WAIT_MS)
    state(page, "ready")
    assert int(page.locator("body").get_attribute("data-heard") or 0) > 24_000 / 4
    expect(page.locator("#problem")).to_be_hidden()


def test_stopping_a_real_answer_leaves_a_conversation_that_goes_on(page: Page, served: str) -> None:
    page.goto(served)
    page.get_by_label("Type to Parley").fill("Tell me a long story about a dragon.")
    page.keyboard.press("Enter")
    state(page, "speaking")
    page.keyboard.press("Escape")
    state(page, "ready")
    page.get_by_label("Type to Parley").fill("What is the capital of France?")
    page.keyboard.press("Enter")
    expect(text(page, ".assistant p").last).to_contain_text("Paris", timeout=WAIT_MS)
    state(page, "ready")
    expect(page.locator("#problem")).to_be_hidden()


def test_a_voice_during_an_answer_ends_it_and_is_answered(browsing: Callable[..., Page], served: str) -> None:
    page = browsing(silence(7.0), clip("en_goog_brooklyn_bridge"), silence(1.0))
    page.goto(served)
    page.get_by_role("button", name="Start talking").click()
    state(page, "listening")
    page.get_by_label("Type to Parley").fill("Tell me a long story about a dragon.")
    page.keyboard.press("Enter")
    state(page, "speaking")
    expect(text(page, ".coming")).to_be_visible(timeout=WAIT_MS)
    state(page, "hearing")
    expect(text(page, ".assistant.cut .unheard").first).to_be_visible(timeout=WAIT_MS)
    expect(text(page, ".user p").nth(1)).to_contain_text(re.compile("bridge", re.I), timeout=WAIT_MS)
    expect(text(page, ".assistant p").nth(1)).to_have_text(re.compile(r"\w+ \w+"), timeout=WAIT_MS)
    expect(page.locator("#problem")).to_be_hidden()


def test_a_network_that_breaks_in_mid_reply_costs_no_word(
    browsing: Callable[..., Page], served: str, wire: Wire
) -> None:
    network = ("ERR_", "WebSocket connection")
    page = browsing(silence(0.1), complaints=network)
    page.goto(f"http://127.0.0.1:{wire.port}/")
    page.get_by_label("Type to Parley").fill("Count slowly from one to twenty.")
    page.keyboard.press("Enter")
    state(page, "speaking")
    expect(text(page, ".coming")).to_be_visible(timeout=WAIT_MS)
    heard = int(page.locator("body").get_attribute("data-heard") or 0)
    wire.cut()
    expect(page.get_by_role("alert")).to_be_visible(timeout=WAIT_MS)
    wire.mend()
    expect(page.locator("#problem")).to_be_hidden(timeout=WAIT_MS)
    state(page, "ready")
    # The same answer went on to its end: nothing is struck off, no second one began, and it was heard.
    expect(text(page, ".assistant")).to_have_count(1)
    expect(text(page, ".unheard")).to_have_count(0)
    expect(text(page, ".break")).to_have_count(0)
    assert int(page.locator("body").get_attribute("data-heard") or 0) > heard


def test_a_page_that_is_reloaded_goes_on_with_its_conversation(page: Page, served: str) -> None:
    page.goto(served)
    page.get_by_role("button", name="What is the capital of France?").click()
    expect(text(page, ".assistant p").first).to_contain_text("Paris", timeout=WAIT_MS)
    state(page, "ready")
    page.reload()
    expect(text(page, ".user p")).to_have_text("What is the capital of France?", timeout=WAIT_MS)
    expect(text(page, ".assistant p")).to_contain_text("Paris")
    state(page, "ready")


def test_a_server_killed_in_mid_reply_and_restarted_is_told_and_answers(browsing: Callable[..., Page]) -> None:
    page = browsing(silence(0.1), complaints=("ERR_", "WebSocket connection"))
    with serving() as (url, process):
        page.goto(url)
        page.get_by_label("Type to Parley").fill("What is the capital of France?")
        page.keyboard.press("Enter")
        expect(text(page, ".assistant p").first).to_contain_text("Paris", timeout=WAIT_MS)
        state(page, "ready")
        page.get_by_label("Type to Parley").fill("Tell me a long story about a dragon.")
        page.keyboard.press("Enter")
        state(page, "speaking")
        process.kill()
        expect(page.get_by_role("alert")).to_contain_text("parley serve", timeout=WAIT_MS)
    port = int(url.rstrip("/").rsplit(":", 1)[1])
    with serving(port):
        expect(text(page, ".break")).to_contain_text("was told what was said", timeout=WAIT_MS)
        expect(page.locator("#problem")).to_be_hidden()
        # The story's question stands, its broken answer is struck off, and a new one begins by itself.
        expect(text(page, ".assistant")).to_have_count(3, timeout=WAIT_MS)
        state(page, "speaking")
        page.keyboard.press("Escape")
        state(page, "ready")
