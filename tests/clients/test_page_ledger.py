"""The page's sheet of what left the machine, in Chromium against a scripted server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.clients.chromium import launched, needs_chromium, opened, servers
from tests.clients.test_page_standards import findings

pytestmark = needs_chromium

ENTRY = {
    "opened_at": "2026-11-24T12:00:00.000+00:00",
    "host": "api.example.com",
    "backend": "big",
    "place": "cloud",
    "outcome": "answered",
    "reason": "It asks for <b>facts</b>.",
    "text_bytes": 1512,
    "picture_bytes": 0,
    "pictures": 0,
    "masked": 2,
    "cost": 0.0123,
    "estimated": False,
}
TOTAL = {
    "host": "api.example.com",
    "place": "cloud",
    "requests": 3,
    "sent_bytes": 41_512,
    "pictures": 1,
    "cost": 0.0223,
}
LEDGER = {
    "object": "list",
    "currency": "USD",
    "total": TOTAL,
    "totals": [TOTAL],
    "data": [
        ENTRY | {"outcome": "open", "estimated": True, "cost": 0.01},
        ENTRY | {"pictures": 1, "picture_bytes": 40_000, "outcome": "failed", "cost": 0},
        ENTRY,
    ],
    "has_more": True,
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, serving: Any) -> Iterator[Page]:
    with servers(serving) as start:
        server = start(lambda conversation: conversation.until_gone())
        network = ("Failed to load resource",)
        with opened(
            chromium,
            f"{server.url}#token=secret",
            viewport={"width": 390, "height": 800},
            locale="en-GB",
            complaints=network,
        ) as page:
            yield page


def answer(page: Page, body: Any, status: int = 200) -> list[Request]:
    asked: list[Request] = []

    def fulfil(route: Route) -> None:
        asked.append(route.request)
        route.fulfill(status=status, content_type="application/json", body=json.dumps(body))

    page.route("**/v1/parley/ledger*", fulfil)
    return asked


def look(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="What left this machine").click()


def test_what_left_is_shown_with_all_that_the_ledger_has(page: Page) -> None:
    asked = answer(page, LEDGER)
    look(page)
    sheet = page.get_by_role("dialog", name="What left this machine")
    expect(sheet.locator("p").first).to_have_text("3 requests with 1 picture, 42 kB, US$0.022 in all.")
    expect(sheet.locator(".sums li")).to_have_text(
        ["api.example.com in the cloud: 3 requests with 1 picture, 42 kB, US$0.022"]
    )
    expect(sheet.locator(".entries span")).to_have_text(
        [
            "1.5 kB · 2 private details hidden · about US$0.01 · under way, or Parley was stopped in the middle of it",
            "42 kB with 1 picture · 2 private details hidden · US$0 · no answer came",
            "1.5 kB · 2 private details hidden · US$0.012",
        ]
    )
    expect(sheet.locator(".entries small").last).to_have_text("It asks for <b>facts</b>.")
    expect(sheet).to_contain_text("parley ledger")
    assert asked[0].header_value("authorization") == "Bearer secret"
    sheet.get_by_label("Since when").select_option(label="Last 7 days")
    expect(sheet.locator(".entries li")).to_have_count(3)
    assert ["since=" in request.url for request in asked] == [False, True]
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    look(page)
    expect(sheet).to_be_visible()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (LEDGER | {"data": []}, 200, "Nothing."),
        ({"error": {"message": "An API key is needed."}}, 401, "This Parley is locked."),
        ({"error": {"message": "There is no ledger."}}, 503, "There is no ledger."),
        ("nonsense", 500, "Parley's server does not answer."),
    ],
)
def test_what_there_is_to_say_when_there_is_nothing_to_show(page: Page, body: Any, status: int, words: str) -> None:
    answer(page, body, status)
    look(page)
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text(words)


def test_it_cannot_be_shown_while_the_server_is_away(page: Page) -> None:
    page.route("**/ledger.js", lambda route: route.abort())
    look(page)
    expect(page.get_by_role("alert")).to_contain_text("Parley's server does not answer.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_it(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    answer(page, LEDGER)
    look(page)
    expect(page.locator(".entries li")).to_have_count(3)
    assert findings(page) == []
