"""The camera on the page: what is sent of it and when, who is told, and how what Parley sees is shown."""

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.clients.chromium import Served, launch, needs_chromium, opened, servers, state, type_in, wait
from tests.clients.conftest import Conversation, tone
from tests.clients.test_page_standards import findings

pytestmark = needs_chromium
CAT = Path(__file__).resolve().parents[1] / "data" / "pictures" / "cat.mjpeg"
SCENE: dict[str, Any] = {
    "at_ms": 1200,
    "width": 640,
    "height": 480,
    "light": "normal",
    "summary": "A cat on the left, and a cup that is held up; text: 'MILK'.",
    "things": [
        {"label": "cat", "box": [0.1, 0.2, 0.5, 0.9], "score": 0.9, "track": 1},
        {"label": "<b>cup</b>", "box": [0.6, 0.5, 0.8, 0.8], "score": 0.7, "track": 2},
    ],
    "faces": [
        {"box": [0.7, 0.1, 0.8, 0.3], "score": 0.9, "facing": True},
        {"box": [0.1, 0.1, 0.2, 0.2], "score": 0.9, "facing": False},
        {"box": [0.3, 0.1, 0.31, 0.12], "score": 0.9, "facing": None},
    ],
    "text": [{"text": "MILK", "box": [0.62, 0.6, 0.78, 0.66]}],
    "codes": [{"kind": "ean-13", "text": "4006381333931", "box": [0.4, 0.9, 0.5, 0.98]}],
    "colours": ["brown"],
    "held": 2,
    "gestures": [],
    "appeared": ["cat"],
    "left": [],
}


def moving(file: Path, size: tuple[int, int], frames: int = 30) -> Path:
    """A video of the cat that goes round and round."""
    cat = Image.open(CAT).convert("RGB").resize(size)
    with file.open("wb") as video:
        for n in range(frames):
            shifted = Image.new("RGB", size)
            at = n * size[0] // frames
            shifted.paste(cat, (at, 0))
            shifted.paste(cat, (at - size[0], 0))
            shifted.save(video, "JPEG", quality=85)
    return file


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def still(playwright: Playwright) -> Iterator[Browser]:
    """A browser whose camera shows the cat, and nothing moves."""
    with launch(playwright, f"--use-file-for-fake-video-capture={CAT}") as browser:
        yield browser


@pytest.fixture(scope="module")
def lively(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    video = moving(tmp_path_factory.mktemp("camera") / "moving.mjpeg", (1280, 720))
    with launch(playwright, f"--use-file-for-fake-video-capture={video}") as browser:
        yield browser


@pytest.fixture
def served(serving: Any) -> Iterator[Any]:
    with servers(serving) as start:
        yield start


async def look(conversation: Conversation) -> None:
    await conversation.agree()
    await conversation.until_gone()


def begin(page: Page) -> None:
    page.locator("#talk").click()
    state(page, "listening")


def switch(page: Page) -> None:
    page.get_by_role("button", name="Camera", exact=True).click()


def shown(page: Page, words: str) -> None:
    expect(page.locator(".on-air")).to_have_text(re.compile(rf"Camera on\s+{words}"))


def gaps_s(server: Served) -> list[float]:
    """Between the pictures, when they were taken."""
    taken = [frame.time_ms for _, frame in server.conversations[0].pictures]
    return [(later - sooner) % 2**32 / 1000 for sooner, later in itertools.pairwise(taken)]


def cameras(server: Served) -> list[bool]:
    return [event["on"] for event in server.received if event["type"] == "parley.camera"]


def test_what_moves_is_sent_five_times_a_second_and_small(lively: Browser, served: Any) -> None:
    server = served(look)
    with opened(lively, server.url) as page:
        begin(page)
        assert server.conversations[0].pictures == []
        expect(page.locator(".on-air")).to_have_count(0)
        switch(page)
        shown(page, "Parley sees this")
        expect(page.locator("#camera")).to_have_attribute("aria-pressed", "true")
        wait(page, 4000)
        came = len(server.conversations[0].pictures)
        switch(page)
        expect(page.locator(".on-air")).to_be_hidden()
        expect(page.locator("#camera")).to_have_attribute("aria-pressed", "false")
        wait(page, 700)
        assert page.evaluate("document.querySelector('#camera-picture').srcObject") is None
    pictures = server.conversations[0].pictures
    assert len(pictures) - came <= 1
    assert 5 <= came <= 21
    # Never quicker than it may be, on whatever machine.
    assert min(gaps_s(server)) > 0.15
    for _, frame in pictures:
        assert frame.id == ""
        picture = Image.open(io.BytesIO(frame.payload))
        picture.load()
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert max(picture.size) <= 640
        assert min(picture.size) <= 480
        assert 3_000 < len(frame.payload) < 120_000
    assert cameras(server) == [True, False]
    # Nothing is taken after the server has been told that the camera is off.
    kinds = server.kinds
    assert "picture" not in kinds[kinds.index("parley.camera", kinds.index("parley.camera") + 1) :]


@pytest.mark.parametrize("lent", [True, False], ids=["frames are lent", "frames are copied"])
def test_it_is_the_cameras_picture_and_not_its_mirror(still: Browser, served: Any, lent: bool) -> None:
    server = served(look)
    with opened(still, server.url) as page:
        if not lent:  # as in browsers without WebCodecs
            page.evaluate("() => { delete window.VideoFrame; }")
        begin(page)
        switch(page)
        wait(page, 2500)
        assert page.evaluate("getComputedStyle(document.querySelector('#camera-picture')).transform").startswith(
            "matrix(-1"
        )
    cat = Image.open(CAT).convert("RGB")
    for _, frame in server.conversations[0].pictures:
        sent = Image.open(io.BytesIO(frame.payload)).convert("RGB").resize(cat.size)
        straight, mirrored = (
            sum(abs(one - other) for one, other in zip(sent.tobytes(), of.tobytes(), strict=True)) / len(cat.tobytes())
            for of in (cat, cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        )
        assert straight < 12 < mirrored
    # Nothing moves: one a second is plenty.
    assert server.conversations[0].pictures
    assert min(gaps_s(server), default=1) > 0.85


def test_a_page_that_is_not_seen_sends_one_a_second(lively: Browser, served: Any) -> None:
    server = served(look)
    hide = """() => { Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange")); }"""
    with opened(lively, server.url) as page:
        begin(page)
        switch(page)
        shown(page, "Parley sees this")
        wait(page, 1500)
        page.evaluate(hide)
        wait(page, 500)
        before = len(gaps_s(server))
        wait(page, 3500)
        hidden = gaps_s(server)[before:]
    assert min(gaps_s(server)[:before]) < 0.9
    assert hidden
    assert min(hidden) > 0.9


LINE = """const sent = [], stubbed = { bufferedAmount: 0, send: (data) => sent.push(data) };
    const link = new it.Link({});
    Object.assign(link, { socket: stubbed, ready: true, binary: true });
    const went = [link.show(new ArrayBuffer(9))];
    stubbed.bufferedAmount = 30_000;
    went.push(link.show(new ArrayBuffer(9)), link.append(new ArrayBuffer(8)));
    stubbed.bufferedAmount = 0;
    link.binary = false;
    went.push(link.show(new ArrayBuffer(9)));
    return [went, sent.map((data) => data.byteLength), link.outbox.count, link.outbox.resume(0)];"""


def test_a_picture_gives_way_to_sound_and_counts_as_sent(still: Browser, served: Any) -> None:
    with opened(still, served(look).url) as page:
        found = page.evaluate(f"async () => {{ const it = await import('/link.js'); {LINE} }}")
    assert found == [[True, False, True, False], [9, 8], 2, []]


PACE = """async ([went, moves]) => {
    const worker = new Worker("/shutter-worker.js", { type: "module" });
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ line: port2 }, [port2]);
    const answers = [...went], gaps = [];
    let sent = 0;
    port1.onmessage = ({ data }) => {
        if (new Uint8Array(data.jpeg)[0] === 0xff) sent += 1;
        port1.postMessage(answers.shift() ?? true);
    };
    for (let n = 0; n < moves.length; n++) {
        const canvas = new OffscreenCanvas(800, 400), brush = canvas.getContext("2d");
        brush.fillStyle = moves[n] ? (n % 2 ? "red" : "blue") : "green";
        brush.fillRect(0, 0, 800, 400);
        const picture = canvas.transferToImageBitmap();
        const takenAt = performance.timeOrigin + performance.now();
        worker.postMessage({ picture, takenAt }, [picture]);
        gaps.push(await new Promise((done) => { worker.onmessage = ({ data }) => done(data.gapMs); }));
    }
    worker.terminate();
    return [sent, gaps];
}"""


def test_a_busy_line_slows_it_down_and_a_free_one_lets_it_go_on(still: Browser, served: Any) -> None:
    with opened(still, served(look).url) as page:
        sent, gaps = page.evaluate(PACE, [[False, False, False], [True] * 12])
        unmoved, _ = page.evaluate(PACE, [[], [False] * 4])
    assert sent == 12
    assert gaps[:4] == [400, 800, 1000, 800]
    assert gaps[11] == 200
    assert unmoved == 1


def test_a_server_without_eyes_is_sent_nothing_more(lively: Browser, served: Any) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.agree()
        await conversation.receive("picture")
        for _ in range(2):
            error = {"type": "invalid_request_error", "code": "unsupported_picture", "message": "No eyes."}
            await conversation.send("error", error=error)
        await conversation.until_gone()

    server = served(script)
    with opened(lively, server.url) as page:
        begin(page)
        switch(page)
        expect(page.get_by_role("alert")).to_have_text(
            "This Parley has no eyes: no picture is sent to it any more, and only you see your camera."
        )
        shown(page, "Only you see this")
        before = len(server.conversations[0].pictures)
        wait(page, 1200)
        assert len(server.conversations[0].pictures) == before <= 3
        # The next conversation may be with a server that has some.
        page.get_by_role("button", name="End", exact=True).click()
        expect(page.locator(".on-air")).to_be_hidden()
        page.locator("#talk").click()
        state(page, "listening")
        switch(page)
        expect(page.get_by_role("alert")).to_contain_text("no eyes")
    assert len(server.conversations[1].pictures) >= 1


def test_a_server_that_knows_no_scenes_is_sent_nothing(lively: Browser, served: Any) -> None:
    async def script(conversation: Conversation) -> None:
        asked = await conversation.receive("session.update")
        param = {"code": "unknown_parameter", "message": "?", "param": "session.parley.scene"}
        await conversation.send("error", error={"type": "invalid_request_error"} | param)
        assert "scene" not in (await conversation.agree())
        assert asked["session"]["parley"]["scene"] is True
        await conversation.until_gone()

    server = served(script)
    with opened(lively, server.url) as page:
        begin(page)
        switch(page)
        shown(page, "Not seen by Parley now")
        wait(page, 800)
    assert {"picture", "parley.camera"} & set(server.kinds) == set()


def test_close_your_eyes_turns_it_off_at_once_and_says_so(lively: Browser, served: Any) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.agree()
        for _ in range(3):
            await conversation.receive("picture")
        await conversation.send("parley.camera", on=False, by="user")
        await conversation.receive("parley.camera")
        await conversation.until_gone()

    server = served(script)
    with opened(lively, server.url) as page:
        begin(page)
        switch(page)
        expect(page.locator("#transcript .notice")).to_have_text("The camera is off: you asked Parley not to look.")
        expect(page.locator("#announcer")).to_contain_text("The camera is off")
        expect(page.locator("#camera-view")).to_be_hidden()
        expect(page.locator("#camera")).to_have_attribute("aria-pressed", "false")
        assert page.evaluate("document.querySelector('#camera-picture').srcObject") is None
        wait(page, 600)
        before = len(server.conversations[0].pictures)
        wait(page, 600)
        assert len(server.conversations[0].pictures) == before
    assert cameras(server) == [True, False]


def test_open_your_eyes_is_up_to_the_person(lively: Browser, served: Any) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.agree()
        await conversation.receive("picture")
        await conversation.send("parley.camera", on=False, by="user")
        await conversation.receive("parley.camera")
        # A picture that was on its way.
        late = {"type": "invalid_request_error", "code": "camera_off", "message": "Nobody looks."}
        await conversation.send("error", error=late)
        await conversation.send("parley.camera", on=True, by="user")
        await conversation.until_gone()

    server = served(script)
    with opened(lively, server.url) as page:
        begin(page)
        switch(page)
        notices = page.locator("#transcript .notice")
        expect(notices.last).to_have_text("Parley may look again: press Camera to show it something.")
        expect(page.locator("#problem")).to_be_hidden()
        expect(page.locator("#camera-view")).to_be_hidden()
        switch(page)
        shown(page, "Parley sees this")
        wait(page, 300)
    assert cameras(server) == [True, False, True]


def test_it_is_off_before_the_browser_has_even_opened_it(still: Browser, served: Any) -> None:
    server = served(look)
    slow = """() => { const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            window.stream = await open(wanted);
            await new Promise((done) => { window.allow = done; });
            return window.stream; }; }"""
    with opened(still, server.url) as page:
        begin(page)
        page.evaluate(slow)
        switch(page)
        page.wait_for_function("() => window.allow !== undefined")
        switch(page)
        page.evaluate("window.allow()")
        page.wait_for_function("() => window.stream.getTracks()[0].readyState === 'ended'")
        expect(page.locator("#camera-view")).to_be_hidden()
    assert server.conversations[0].pictures == []


def test_the_overlay_draws_what_parley_believes_it_sees(still: Browser, served: Any) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.agree()
        await conversation.receive("picture")
        await conversation.send("parley.scene", **SCENE)
        await conversation.receive("response.create")
        things = [SCENE["things"][0] | {"box": [0.3, 0.2, 0.7, 0.9]}]
        gone = {"things": things, "faces": [], "text": None, "codes": [], "held": None, "summary": "A cat."}
        await conversation.send("parley.scene", **(SCENE | gone))
        await conversation.receive("response.create")
        await conversation.send("parley.scene", **(SCENE | gone | {"things": [], "summary": "", "light": "black"}))
        await conversation.until_gone()

    parts = """(label) => { const mark = [...document.querySelectorAll("#overlay div")]
            .find((one) => one.textContent === label).getBoundingClientRect();
        const picture = document.querySelector("#camera-picture").getBoundingClientRect();
        return [mark.left - picture.left, mark.top - picture.top, mark.right - picture.left, mark.bottom - picture.top]
            .map((value, at) => value / (at % 2 ? picture.height : picture.width)); }"""
    with opened(still, served(script).url, viewport={"width": 1280, "height": 900}) as page:
        begin(page)
        switch(page)
        shown(page, "Parley sees this")
        expect(page.locator("#overlay")).to_be_hidden()
        page.get_by_role("button", name="What Parley sees").click()
        expect(page.get_by_role("button", name="What Parley sees")).to_have_attribute("aria-pressed", "true")
        marks = page.locator("#overlay div")
        expect(marks).to_have_text(
            ["cat", "<b>cup</b>, held up", "facing you", "looking away", "face", "MILK", "EAN-13: 4006381333931"]
        )
        # The preview is a mirror, and what is drawn on it is mirrored with it.
        wait(page, 300)
        assert page.evaluate(parts, "cat") == pytest.approx([0.5, 0.2, 0.9, 0.9], abs=0.01)
        expect(page.get_by_text("Parley believes it sees")).to_be_visible()
        expect(page.locator("#seen")).to_have_text(SCENE["summary"])
        # It changes all the time: nobody wants to have that read out.
        assert (
            page.evaluate("document.querySelector('#seen').closest('[aria-live], [role=status], [role=alert]')") is None
        )
        type_in(page, "And now?")
        expect(marks).to_have_text(["cat"])
        wait(page, 300)
        assert page.evaluate(parts, "cat") == pytest.approx([0.3, 0.2, 0.7, 0.9], abs=0.01)
        page.get_by_role("button", name="End", exact=True).click()
        expect(marks).to_have_count(0)


def test_what_the_overlay_says_where_there_is_nothing_to_see(still: Browser, served: Any) -> None:
    draw = """async ([scene, mirrored]) => {
        const { Overlay } = await import("/overlay.js");
        const layer = document.createElement("div"), words = document.createElement("p");
        new Overlay(layer, words).draw(scene, mirrored);
        return [layer.children.length, words.textContent]; }"""
    empty = SCENE | {"things": [], "faces": [], "text": None, "codes": None, "summary": ""}
    with opened(still, served(look).url) as page:
        assert page.evaluate(draw, [empty, True]) == [0, "Nothing that it knows."]
        assert page.evaluate(draw, [empty | {"light": "dark"}, True]) == [0, "It is too dark to see much."]
        assert page.evaluate(draw, [empty | {"light": "black"}, False]) == [0, "Only black: the lens may be covered."]


def test_the_overlay_is_remembered(still: Browser, served: Any) -> None:
    server = served(look)
    with opened(still, server.url) as page:
        begin(page)
        switch(page)
        page.get_by_role("button", name="What Parley sees").click()
        expect(page.locator("#camera-view figcaption")).to_be_visible()
        page.reload()
        begin(page)
        switch(page)
        expect(page.locator("#camera-view figcaption")).to_be_visible()
        page.get_by_role("button", name="What Parley sees").click()
        expect(page.locator("#camera-view figcaption")).to_be_hidden()


def test_what_was_watched_for_is_told_in_the_conversation(still: Browser, served: Any) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.agree()
        await conversation.send("parley.watch", watch="a cat appears", text="I see a cat.")
        await conversation.until_gone()

    with opened(still, served(script).url) as page:
        begin(page)
        expect(page.locator("#transcript .notice")).to_have_text("Parley saw: a cat appearsI see a cat.")
        expect(page.locator("#announcer")).to_contain_text("Parley saw: a cat appears")


def test_a_picture_that_left_the_machine_is_accounted_for(still: Browser, served: Any) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.agree()
        await conversation.receive("response.create")
        await conversation.begin_answer("A cat.", tone(0.3))
        left = [{"what": what, "to": "api.example.com"} for what in ("text", "picture")]
        made = {"made_on": "cloud", "made_by": "big", "reason": "This needs eyes.", "left_machine": left}
        await conversation.send("parley.turn.timings", response_id="response_1", first_audio_ms=400, **made)
        await conversation.hear(0.5)
        await conversation.end_answer()
        await conversation.until_gone()

    with opened(still, served(script).url, viewport={"width": 1280, "height": 900}) as page:
        begin(page)
        type_in(page, "What is this?")
        expect(page.locator("#account-place")).to_contain_text(
            "What left this machine: text to api.example.com, a picture to api.example.com."
        )


def test_a_new_server_is_told_that_the_camera_is_on(lively: Browser, served: Any) -> None:
    first = served(look)
    with opened(lively, first.url, complaints=("ERR_CONNECTION_REFUSED", "WebSocket connection")) as page:
        begin(page)
        switch(page)
        shown(page, "Parley sees this")
        first.end()
        shown(page, "Not seen by Parley now")
        again = served(look, port=first.port)
        shown(page, "Parley sees this")
        page.wait_for_function("() => new Promise((done) => setTimeout(() => done(true), 1500))")
    assert cameras(again) == [True]
    assert again.conversations[-1].pictures


def test_no_camera_and_no_permission_are_sentences(still: Browser, served: Any) -> None:
    deny = "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', NAME); } }"
    with opened(still, served(look).url) as page:
        begin(page)
        for name, says in [
            ("NotAllowedError", "may not use the camera. Allow it"),
            ("NotFoundError", "No camera was found. Plug one in"),
            ("NotReadableError", "another program may hold it"),
        ]:
            page.evaluate(deny.replace("NAME", repr(name)))
            switch(page)
            expect(page.get_by_role("alert")).to_contain_text(says)
        page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: false })")
        switch(page)
        expect(page.get_by_role("alert")).to_contain_text("http://localhost:")


def test_a_camera_that_is_pulled_out_is_a_sentence(still: Browser, served: Any) -> None:
    server = served(look)
    with opened(still, server.url) as page:
        begin(page)
        switch(page)
        shown(page, "Parley sees this")
        track = "document.querySelector('#camera-picture').srcObject.getTracks()[0]"
        page.evaluate(f"{track}.dispatchEvent(new Event('ended'))")
        expect(page.get_by_role("alert")).to_contain_text("The camera went away. Plug it in")
        expect(page.locator("#camera-view")).to_be_hidden()
        state(page, "listening")
    assert cameras(server) == [True, False]


def test_where_there_are_several_another_can_be_chosen(playwright: Playwright, served: Any) -> None:
    used = "document.querySelector('#camera-picture').srcObject.getTracks()[0].getSettings().deviceId"
    with (
        launch(playwright, "--use-fake-device-for-media-stream=device-count=2") as browser,
        opened(browser, served(look).url) as page,
    ):
        begin(page)
        switch(page)
        shown(page, "Parley sees this")
        first = page.evaluate(used)
        page.get_by_role("button", name="Use the other camera").click()
        page.wait_for_function(
            f"(first) => document.querySelector('#camera-picture').srcObject && {used} !== first", arg=first
        )
        shown(page, "Parley sees this")
        page.get_by_role("button", name="Use the other camera").click()
        page.wait_for_function(
            f"(first) => document.querySelector('#camera-picture').srcObject && {used} === first", arg=first
        )


def test_the_back_camera_is_no_mirror(still: Browser, served: Any) -> None:
    back = """() => { const settings = MediaStreamTrack.prototype.getSettings;
        MediaStreamTrack.prototype.getSettings = function () {
            return { ...settings.call(this), facingMode: "environment" }; }; }"""
    with opened(still, served(look).url) as page:
        page.evaluate(back)
        begin(page)
        switch(page)
        shown(page, "Parley sees this")
        assert page.evaluate("getComputedStyle(document.querySelector('#camera-picture')).transform") == "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(320, 568), (390, 844), (844, 390), (1280, 800)])
def test_axe_finds_nothing_and_it_fits(still: Browser, served: Any, scheme: Any, size: tuple[int, int]) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.agree()
        await conversation.user_said("What do you see?")
        await conversation.begin_answer("A cat.", tone(0.1))
        await conversation.end_answer()
        await conversation.receive("picture")
        await conversation.send("parley.watch", watch="a cat appears", text="I see a cat.")
        await conversation.send("parley.scene", **SCENE)
        await conversation.until_gone()

    width, height = size
    viewport = {"width": width, "height": height}
    with opened(still, served(script).url, viewport=viewport, color_scheme=scheme) as page:
        begin(page)
        switch(page)
        shown(page, "Parley sees this")
        expect(page.locator(".notice small")).to_have_text("I see a cat.")
        assert findings(page) == []
        page.get_by_role("button", name="What Parley sees").click()
        expect(page.locator("#overlay div")).to_have_count(7)
        assert findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.documentElement.scrollHeight") <= height
        for part in ("#talk", "#camera", "#words", ".on-air"):
            expect(page.locator(part)).to_be_in_viewport(ratio=1)
