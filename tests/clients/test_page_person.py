"""What the person chooses on the page, and how they work it: settings, push to talk, keyboard, token."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.clients.chromium import launched, needs_chromium, opened, servers, state, type_in, wait
from tests.clients.conftest import tone

pytestmark = needs_chromium


@pytest.fixture
def served(serving: Any) -> Iterator[Any]:
    with servers(serving) as start:
        yield start


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


async def listen(conversation: Any) -> None:
    await conversation.until_gone()


def choose(page: Page, group: str, option: str) -> None:
    page.get_by_role("group", name=group).get_by_label(option, exact=True).check()


def test_settings_reach_the_server_and_survive_a_reload(chromium: Browser, served: Any) -> None:
    server = served(listen)
    with opened(chromium, server.url) as page:
        page.get_by_role("button", name="Settings").click()
        choose(page, "Microphone", "Push to talk")
        choose(page, "When you pause", "Patient")
        choose(page, "Appearance", "Dark")
        page.get_by_label("You speak").select_option("de")
        page.get_by_label("Pace").fill("1.25")
        page.get_by_role("button", name="Close settings").click()
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 19, 24)"
        page.locator("#talk").click()
        state(page, "waiting")
        page.get_by_role("button", name="Settings").click()
        expect(page.get_by_label("Push to talk")).to_be_checked()
        expect(page.get_by_label("You speak")).to_have_value("de")
        choose(page, "Microphone", "Open")
        page.keyboard.press("Escape")
        state(page, "listening")
        page.get_by_role("button", name="End", exact=True).click()
        state(page, "stopped")
    first, second = (event["session"]["audio"] for event in server.received if event["type"] == "session.update")
    assert first["output"]["speed"] == 1.25
    assert first["input"]["transcription"] == {"language": "de"}
    assert first["input"]["turn_detection"] is None
    assert second["input"]["turn_detection"] == {"type": "semantic_vad", "eagerness": "low"}


def test_what_is_kept_and_makes_no_sense_is_left_alone(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(listen).url) as page:
        for kept in ['{"theme": "pink", "speed": 99, "microphone": "push"}', "no JSON", "null", "[]"]:
            page.evaluate("(kept) => localStorage.setItem('parley.settings', kept)", kept)
            page.reload()
            state(page, "idle")
            expect(page.locator("html")).to_have_attribute("data-theme", "system")
            expect(page.locator("#speed-said")).to_have_text("1.00 ×")


def push_to_talk(page: Page) -> None:
    page.evaluate("""localStorage.setItem("parley.settings", '{"microphone": "push"}')""")
    page.reload()
    page.locator("#talk").click()
    state(page, "waiting")


async def one_held_turn(conversation: Any) -> None:
    await conversation.receive("input_audio_buffer.commit")
    await conversation.receive("response.create")
    await conversation.send("input_audio_buffer.committed", item_id="user_1", previous_item_id=None)
    kind = "conversation.item.input_audio_transcription.completed"
    await conversation.send(kind, item_id="user_1", content_index=0, transcript="Hold the line.")
    await conversation.begin_answer("I do.", tone(0.3))
    await conversation.end_answer()
    await conversation.until_gone()


@pytest.mark.parametrize("by", ["space", "mouse"])
def test_push_to_talk_sends_sound_only_while_it_is_held(chromium: Browser, served: Any, by: str) -> None:
    server = served(one_held_turn)
    with opened(chromium, server.url) as page:
        push_to_talk(page)
        wait(page, 300)
        assert "input_audio_buffer.append" not in server.kinds
        if by == "space":
            page.keyboard.down(" ")
        else:
            page.locator("#talk").hover()
            page.mouse.down()
        state(page, "hearing")
        wait(page, 600)
        if by == "space":
            page.keyboard.up(" ")
        else:
            page.mouse.up()
        expect(page.locator("#transcript .user p")).to_have_text("Hold the line.")
        expect(page.locator("#transcript .assistant p")).to_have_text("I do.")
        state(page, "waiting")
    kinds = server.kinds
    begin, end = kinds.index("input_audio_buffer.clear"), kinds.index("input_audio_buffer.commit")
    assert set(kinds[begin + 1 : end]) == {"input_audio_buffer.append"}
    assert end - begin > 15  # chunks of 20 ms
    assert "input_audio_buffer.append" not in kinds[end:]
    assert kinds[end + 1] == "response.create"


def test_too_short_a_hold_is_no_question(chromium: Browser, served: Any) -> None:
    server = served(listen)
    with opened(chromium, server.url) as page:
        push_to_talk(page)
        page.evaluate("""for (const kind of ["keydown", "keyup"])
            document.body.dispatchEvent(new KeyboardEvent(kind, { key: " ", bubbles: true }))""")
        expect(page.get_by_role("alert")).to_contain_text("for as long as you talk")
        state(page, "waiting")
    assert "input_audio_buffer.commit" not in server.kinds


def test_a_click_that_is_no_press_begins_and_ends_a_hold(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(one_held_turn).url) as page:
        push_to_talk(page)
        page.evaluate("document.getElementById('talk').click()")  # as a screen reader does it
        state(page, "hearing")
        wait(page, 400)
        page.evaluate("document.getElementById('talk').click()")
        expect(page.locator("#transcript .assistant p")).to_have_text("I do.")


def test_the_keyboard_is_enough(chromium: Browser, served: Any) -> None:
    async def script(conversation: Any) -> None:
        await conversation.receive("response.create")
        await conversation.begin_answer("A long answer.", tone(20.0))
        await conversation.receive("response.cancel")
        await conversation.end_answer("cancelled", type="cancelled", reason="client_cancelled")
        await conversation.until_gone()

    def focus(page: Page) -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))

    with opened(chromium, served(script).url) as page:
        order = []
        for _ in range(8):
            page.keyboard.press("Tab")
            order.append(focus(page))
        hints = ["“What is the capital of France?”", "“Why is the sky blue?”", "“Tell me something about the Moon.”"]
        assert order[:7] == ["Skip to typing", "open-settings", "talk", *hints, "words"]
        page.locator("#talk").focus()
        page.keyboard.press("Enter")
        state(page, "listening")
        page.keyboard.press("m")
        state(page, "muted")
        page.keyboard.press("m")
        state(page, "listening")
        page.locator("#words").focus()
        page.keyboard.type("mum, talk on")  # an m in a word mutes nobody
        page.keyboard.press("Enter")
        state(page, "speaking")
        page.keyboard.press("Escape")
        state(page, "listening")
        page.locator("#open-settings").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#settings")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#settings")).to_be_hidden()
        assert focus(page) == "open-settings"
        page.locator("#end").focus()
        page.keyboard.press(" ")
        state(page, "stopped")
        assert focus(page) == "talk"


def test_the_token_is_asked_for_and_kept_as_the_person_chooses(chromium: Browser, served: Any) -> None:
    server = served(listen, token="secret")
    refused = ("WebSocket connection", "404")
    with opened(chromium, server.url, complaints=refused) as page:
        page.locator("#talk").click()
        door = page.get_by_role("dialog", name="This Parley is locked")
        expect(door).to_be_visible()
        door.get_by_label("Token").fill("wrong")
        door.get_by_role("button", name="Unlock").click()
        expect(door.get_by_text("That is not the server's token")).to_be_visible()
        door.get_by_label("Token").fill("secret")
        door.get_by_role("button", name="Unlock").click()
        state(page, "listening")
        assert page.evaluate("sessionStorage.getItem('parley.token')") == "secret"
        assert page.evaluate("localStorage.getItem('parley.token')") is None
        page.reload()
        page.locator("#talk").click()
        state(page, "listening")
        page.get_by_role("button", name="Settings").click()
        page.get_by_role("button", name="Forget the server's token").click()
        page.get_by_role("button", name="Close settings").click()
        page.get_by_role("button", name="End", exact=True).click()
        page.locator("#talk").click()
        door.get_by_label("In this browser").check()
        door.get_by_label("Token").fill("secret")
        door.get_by_role("button", name="Unlock").click()
        state(page, "listening")
        assert page.evaluate("localStorage.getItem('parley.token')") == "secret"


def test_the_token_of_the_address_opens_the_door_and_goes_out_of_sight(chromium: Browser, served: Any) -> None:
    server = served(listen, token="secret")
    with opened(chromium, server.url + "#token=secret", complaints=("404",)) as page:
        assert page.url == server.url
        page.locator("#talk").click()
        state(page, "listening")


def test_a_typed_turn_during_an_answer_stops_it(chromium: Browser, served: Any) -> None:
    async def script(conversation: Any) -> None:
        await conversation.receive("response.create")
        await conversation.begin_answer("A long answer.", tone(20.0))
        await conversation.receive("conversation.item.truncate")
        await conversation.end_answer("cancelled", type="cancelled", reason="client_cancelled")
        await conversation.receive("response.create")
        await conversation.begin_answer("A short answer.", tone(0.2), n=2)
        await conversation.end_answer(n=2)
        await conversation.until_gone()

    with opened(chromium, served(script).url) as page:
        type_in(page, "Talk on.")
        state(page, "speaking")
        type_in(page, "Be brief.")
        expect(page.locator("#transcript .assistant p").nth(1)).to_have_text("A short answer.")
        state(page, "ready")
