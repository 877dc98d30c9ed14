"""What the page promises everyone: types, accessibility, stillness for who wants it, a shell that opens offline."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import node
from tests.clients.chromium import launched, needs_chromium, opened, servers, state, wait
from tests.clients.conftest import PAGE, tone

HERE = Path(__file__).parent


def marked(test: Any) -> Any:
    for mark in needs_chromium:
        test = mark(test)
    return test


@pytest.fixture
def served(serving: Any) -> Iterator[Any]:
    with servers(serving) as start:
        yield start


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.mark.parametrize("part", ["page", "workers", "worklets"])
def test_the_types_fit(part: str) -> None:
    compiler = [node.packages() / ".bin" / "tsc", "-p", HERE / "types" / f"{part}.json"]
    result = subprocess.run(compiler, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_every_script_is_checked() -> None:
    for script in PAGE.rglob("*.js"):
        assert script.read_text().startswith("// @ts-check\n"), script


ON_DEMAND = {
    *("ledger.js", "styles/ledger.css"),
    *("sight.js", "camera.js", "shutter.js", "shutter-worker.js", "overlay.js", "styles/sight.css"),
}


def test_the_shell_is_the_whole_page_and_fits_150_kilobytes() -> None:
    # What is fetched only when it is asked for is no part of what opens, and of no use while the server is away.
    files = {str(file.relative_to(PAGE)) for file in PAGE.rglob("*") if file.is_file()} - ON_DEMAND
    listed = re.search(r"SHELL = \[(.*?)\]", (PAGE / "service-worker.js").read_text(), re.DOTALL)
    assert listed is not None
    shell = set(re.findall(r'"(.+?)"', listed[1]))
    assert shell - {"./"} == files - {"index.html", "service-worker.js", "icons/icon-maskable.svg"}
    assert sum((PAGE / file).stat().st_size for file in files) < 150_000


async def a_conversation(conversation: Any) -> None:
    await conversation.user_said("Tell me a story.")
    await conversation.begin_answer("Once upon a time there was a long story.", tone(0.4))
    timings = {"commit_ms": 262, "transcript_ms": -84, "first_token_ms": 58, "discarded": 1}
    place = {"made_on": "machine", "made_by": "a-small-model", "left_machine": []}
    await conversation.send("parley.turn.timings", response_id="response_1", **timings, **place)
    item = {"id": "assistant_1", "type": "message", "role": "assistant"}
    content = [{"type": "output_audio", "transcript": "Once upon a time"}]
    await conversation.hear(0.6)
    await conversation.send("conversation.item.retrieved", item=item | {"content": content})
    await conversation.end_answer()
    await conversation.until_gone()


def findings(page: Page) -> list[str]:
    page.evaluate((node.packages() / "axe-core" / "axe.min.js").read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    # Words that are still arriving are half transparent for a quarter of a second: that is no contrast to judge.
    page.evaluate(
        "Promise.all(document.getAnimations().map((one) => one.effect.getTiming().iterations === 1 && one.finished))"
    )
    result = page.evaluate("(tags) => axe.run(document, { runOnly: tags })", tags)
    assert len(result["passes"]) > 15
    return [
        f"{found['id']} ({found['impact']}): {[at['html'][:120] for at in found['nodes']]}"
        for found in result["violations"]
    ]


@marked
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(chromium: Browser, served: Any, scheme: str, width: int) -> None:
    node.packages()
    server = served(a_conversation)
    viewport = {"width": width, "height": 800}
    with opened(chromium, server.url, color_scheme=scheme, viewport=viewport, bypass_csp=False) as page:
        assert findings(page) == []
        page.get_by_role("button", name="Settings").click()
        assert findings(page) == []
        page.keyboard.press("Escape")
        page.locator("#talk").click()
        expect(page.locator("#transcript .unheard")).to_be_visible()
        expect(page.locator("#account-said")).to_contain_text("this machine")
        page.evaluate("document.querySelector('#account').open = true")
        page.get_by_role("button", name="Camera").click()
        expect(page.get_by_text("Camera on")).to_be_visible()
        page.evaluate("document.querySelector('#problem').hidden = false")
        page.evaluate("document.querySelector('#problem').textContent = 'Something is the matter.'")
        assert findings(page) == []


@marked
def test_captions_are_a_polite_live_region(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(a_conversation).url) as page:
        page.locator("#talk").click()
        announcer = page.locator("#announcer")
        expect(announcer).to_have_attribute("aria-live", "polite")
        expect(announcer).to_contain_text("You: Tell me a story.")
        expect(announcer).to_contain_text("Parley: Once upon a time")
        expect(page.locator("#state")).to_have_attribute("role", "status")


@marked
def test_the_account_says_where_the_time_went_and_what_left_the_machine(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(a_conversation).url, viewport={"width": 1280, "height": 900}) as page:
        page.locator("#talk").click()
        expect(page.locator("#account-said")).to_have_text(re.compile(r"^\d\.\d\d s · on this machine$"))
        expect(page.locator("#waterfall li").first).to_have_text("Words known-84 ms")
        expect(page.locator("#waterfall")).to_contain_text("You hear it")
        expect(page.locator("#account-place")).to_have_text(
            "Answered by a-small-model on this machine. Nothing left this machine."
        )
        expect(page.locator("#account-note")).to_contain_text("thrown away: 1.")


@marked
def test_who_wants_no_motion_gets_none(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(lambda c: c.until_gone()).url, reduced_motion="reduce") as page:
        orb = page.locator("#talk")
        wait(page, 500)
        first = orb.screenshot()
        wait(page, 700)
        assert orb.screenshot() == first
        page.get_by_role("button", name="Settings").click()
        assert page.evaluate("document.getAnimations().length") == 0
    with opened(chromium, served(lambda c: c.until_gone()).url) as page:
        wait(page, 500)
        first = page.locator("#talk").screenshot()
        wait(page, 700)
        assert page.locator("#talk").screenshot() != first


@marked
def test_the_shell_opens_while_the_server_is_away(chromium: Browser, served: Any) -> None:
    server = served(lambda conversation: conversation.until_gone())
    network = ("ERR_CONNECTION_REFUSED", "WebSocket connection", "ERR_FAILED")
    with opened(chromium, server.url, complaints=network) as page:
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.wait_for_function("navigator.serviceWorker.controller !== null")
        server.end()
        page.reload()
        state(page, "idle")
        assert page.evaluate("document.fonts.load('16px Figtree').then((found) => found.length)") == 1
        page.locator("#talk").click()
        expect(page.get_by_role("alert")).to_contain_text("Start it with “parley serve”")
        again = served(lambda conversation: conversation.until_gone(), port=server.port)
        state(page, "listening")
        assert len(again.conversations) == 1


@marked
def test_it_can_be_installed(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(lambda c: c.until_gone()).url) as page:
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        errors = page.context.new_cdp_session(page).send("Page.getInstallabilityErrors")["installabilityErrors"]
        # A private window, as tests have it, can install nothing; nothing else may be in the way.
        assert [error["errorId"] for error in errors] in ([], ["in-incognito"])
