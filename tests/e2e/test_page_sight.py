"""The page in Chromium with a photo as its camera, and `parley serve` with the real eyes behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Page, expect, sync_playwright

from tests.clients.chromium import CHROMIUM, launch, state, type_in
from tests.e2e.test_page import WAIT_MS, serving

IMAGES = Path(__file__).resolve().parents[1] / "data" / "images"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"needs Chromium at {CHROMIUM}"),
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A page whose camera shows a dog and a bicycle."""
    camera = tmp_path / "camera.mjpeg"
    with Image.open(IMAGES / "dog_bicycle_truck.jpg") as photo:
        ImageOps.fit(photo.convert("RGB"), (640, 480)).save(camera, "JPEG", quality=90)
    flags = f"--use-file-for-fake-video-capture={camera}"
    with serving() as (url, _), sync_playwright() as playwright, launch(playwright, flags) as browser:
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        yield page


def test_what_the_camera_shows_is_drawn_until_parley_is_told_not_to_look(page: Page) -> None:
    type_in(page, "Hello.")
    state(page, "ready")
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.locator(".on-air")).to_contain_text("Parley sees this")
    page.get_by_role("button", name="What Parley sees").click()
    marks = page.locator("#overlay .thing")
    expect(marks.filter(has_text="dog")).to_have_count(1, timeout=WAIT_MS)
    expect(marks.filter(has_text="bicycle")).to_have_count(1)
    expect(page.locator("#seen")).to_contain_text("dog")
    expect(page.locator("#problem")).to_be_hidden()
    type_in(page, "Close your eyes.")
    expect(page.locator("#transcript .notice")).to_contain_text("you asked Parley not to look", timeout=WAIT_MS)
    expect(page.locator("#camera-view")).to_be_hidden()
    # It may look again when it is shown something again.
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.locator(".on-air")).to_contain_text("Parley sees this")
    expect(marks.filter(has_text="dog")).to_have_count(1, timeout=WAIT_MS)
