"""The page in Chromium with a recording as its microphone, and `parley serve` with the real models behind it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from audio.pcm import read_wav, resample, write_wav

SPEECH = Path(__file__).resolve().parents[1] / "data" / "speech"
CHROMIUM = Path("/usr/bin/chromium")
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
WAIT_MS = 60_000
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs Chromium at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a server of its own, with the real models."""
    command = [sys.executable, "-c", "from assistant.cli import main; main()", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = next(line for line in process.stdout if line.startswith("Parley is ready"))
            found = re.search(r"http://\S+", ready)
            assert found is not None
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A browser whose microphone hears a question, once; its console must stay empty."""
    question = tmp_path / "question.wav"
    write_wav(question, resample(*read_wav(SPEECH / "en_goog_brooklyn_padded.wav"), 48_000), 48_000)
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={question}%noloop"]
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_context(permissions=["microphone"]).new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # What the policy refuses would be a console error too; this names the directive.
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error(event.violatedDirective))"
        )
        yield page
        browser.close()
    assert complaints == []


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
    state(page, "listening")
    assert int(page.locator("body").get_attribute("data-heard") or 0) > 24_000 / 4
    expect(page.locator("#problem")).to_be_hidden()
    page.get_by_role("button", name="Stop").click()
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
    page.get_by_label("Type to Parley").fill("Tell me a long story about a ship.")
    page.keyboard.press("Enter")
    state(page, "speaking")
    page.keyboard.press("Escape")
    state(page, "ready")
    page.get_by_label("Type to Parley").fill("What is the capital of France?")
    page.keyboard.press("Enter")
    expect(text(page, ".assistant p").last).to_contain_text("Paris", timeout=WAIT_MS)
    state(page, "ready")
    expect(page.locator("#problem")).to_be_hidden()
