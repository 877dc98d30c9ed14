"""The page in headless Chromium, for the tests: a browser, a page whose console must stay empty, a scripted server."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# A shared machine may be slow at any moment: what a test waits for is what it is about, never how long that takes.
WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)
needs_chromium = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"needs Chromium at {CHROMIUM}"),
]


@dataclass
class Served:
    """A scripted server in a thread of its own."""

    port: int
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    thread: threading.Thread
    conversations: list[Any]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def received(self) -> list[dict[str, Any]]:
        return [event for one in self.conversations for event in one.received]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.received]

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(30)
        assert not self.thread.is_alive(), (
            "The scripted server goes on: its script waits for something else than its client."
        )


@contextmanager
def servers(serving: Any) -> Iterator[Callable[..., Served]]:
    """Start scripted servers: `start(script, token=…, port=…)`."""
    running: list[Served] = []

    def start(script: Any, **options: Any) -> Served:
        ready, stop, found = threading.Event(), asyncio.Event(), []

        async def main() -> None:
            async with serving(script, **options) as server:
                found.append((server.port, asyncio.get_running_loop(), server.conversations))
                ready.set()
                await stop.wait()

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        assert ready.wait(30)
        port, loop, conversations = found[0]
        running.append(Served(port, loop, stop, thread, conversations))
        return running[-1]

    yield start
    for one in running:
        if one.thread.is_alive():
            one.end()


@contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    with sync_playwright() as playwright, launch(playwright, *flags) as browser:
        yield browser


@contextmanager
def launch(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    yield browser
    browser.close()


@contextmanager
def opened(browser: Browser, url: str, *, complaints: tuple[str, ...] = (), **options: Any) -> Iterator[Page]:
    """The page in a fresh profile; what the console complains of fails the test, but for `complaints`."""
    context = browser.new_context(**({"permissions": ["microphone", "camera"]} | options))
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.add_init_script("addEventListener('securitypolicyviolation', (e) => console.error(e.violatedDirective))")
    page.goto(url)
    yield page
    context.close()
    unexpected = [line for line in heard if not any(known in line for known in complaints)]
    assert unexpected == [], unexpected


def state(page: Page, name: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-state", name, timeout=WAIT_MS)


def wait(page: Page, milliseconds: float) -> None:
    """Let the page live for so long: for what must *not* happen in it."""
    page.wait_for_function(f"() => new Promise((done) => setTimeout(() => done(true), {milliseconds}))")


def type_in(page: Page, words: str) -> None:
    page.get_by_label("Type to Parley").fill(words)
    page.keyboard.press("Enter")
