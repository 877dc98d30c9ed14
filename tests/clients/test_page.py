"""The page in Chromium against a scripted server: what needs no model."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.clients.chromium import launched, needs_chromium, opened, servers, state, type_in, wait
from tests.clients.conftest import pcm, tone

pytestmark = needs_chromium


@pytest.fixture
def served(serving: Any) -> Iterator[Any]:
    with servers(serving) as start:
        yield start


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


async def a_turn(conversation: Any) -> None:
    await conversation.hear(0.6)
    await conversation.send("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)
    kind = "conversation.item.input_audio_transcription.delta"
    await conversation.send(kind, item_id="user_1", content_index=0, delta="How old ")
    await conversation.hear(0.2)
    await conversation.user_said("How old is the bridge?")
    await conversation.begin_answer("It is old.", tone(0.5))
    await conversation.hear(0.6)
    await conversation.end_answer()
    await conversation.until_gone()


def test_a_spoken_turn_is_captioned_and_heard(chromium: Browser, served: Any) -> None:
    server = served(a_turn)
    with opened(chromium, server.url) as page:
        state(page, "idle")
        expect(page.get_by_text("What is the capital of France?")).to_be_visible()
        page.get_by_role("button", name="Start talking").click()
        expect(page.locator("#transcript .user p")).to_have_text("How old is the bridge?")
        expect(page.locator("#transcript .assistant p")).to_have_text("It is old.")
        expect(page.locator("#transcript .assistant small")).to_contain_text("answered after ")
        state(page, "listening")
        expect(page.locator("#announcer")).to_contain_text("Parley: It is old.")
        # Half a second of a tone, in samples of the loudspeaker's rate; a few cross zero.
        assert 0.4 * 44_100 < int(page.locator("body").get_attribute("data-heard") or 0) < 0.55 * 48_000
        page.get_by_role("button", name="End", exact=True).click()
        state(page, "stopped")
    assert "session.update" in server.kinds


def test_barge_in_silences_at_once_and_says_how_much_was_heard(chromium: Browser, served: Any) -> None:
    truncated: list[dict[str, Any]] = []

    async def script(conversation: Any) -> None:
        await conversation.user_said("Tell me a story.")
        await conversation.begin_answer("Once upon a time there was a very long story.", tone(8.0))
        await conversation.hear(1.5)
        await conversation.send("input_audio_buffer.speech_started", item_id="user_2", audio_start_ms=1000)
        truncated.append(await conversation.receive("conversation.item.truncate"))
        await conversation.send("conversation.item.truncated", item_id="assistant_1", content_index=0, audio_end_ms=900)
        await conversation.receive("conversation.item.retrieve")
        content = [{"type": "output_audio", "transcript": "Once upon a time"}]
        item = {"id": "assistant_1", "type": "message", "role": "assistant", "content": content}
        await conversation.send("conversation.item.retrieved", item=item)
        late = {"response_id": "response_1", "item_id": "assistant_1", "output_index": 0, "content_index": 0}
        await conversation.send("response.output_audio.delta", delta="AAA=", **late)
        await conversation.end_answer("cancelled", type="cancelled", reason="turn_detected")
        await conversation.until_gone()

    with opened(chromium, served(script).url) as page:
        page.locator("#talk").click()
        state(page, "speaking")
        state(page, "hearing")
        expect(page.locator("#transcript .unheard")).to_have_text(" there was a very long story.")
        expect(page.locator("#transcript .assistant p")).to_have_text("Once upon a time there was a very long story.")
        state(page, "hearing")
        heard = page.locator("body").get_attribute("data-heard")
        wait(page, 250)
        assert page.locator("body").get_attribute("data-heard") == heard
    [event] = truncated
    assert (event["item_id"], event["content_index"]) == ("assistant_1", 0)
    assert 300 < event["audio_end_ms"] < 3_000


def test_a_bridge_is_a_remark_and_the_answer_says_where_and_why_it_was_made(chromium: Browser, served: Any) -> None:
    told: list[Any] = []

    async def script(conversation: Any) -> None:
        told.append(await conversation.receive("session.update"))
        await conversation.user_said("How old is the bridge?")
        place = {"response_id": "response_1", "item_id": "assistant_1", "content_index": 0}
        await conversation.send("response.created", response={"id": "response_1", "status": "in_progress"})
        await conversation.send("parley.bridge", audio_start_ms=0, text="Let me look that up.", **place)
        for piece in np.array_split(tone(0.5), 5):
            await conversation.send("response.output_audio.delta", delta=pcm(piece), output_index=0, **place)
        await conversation.hear(1.0)
        await conversation.begin_answer("It is old.", tone(0.5))
        made = {"made_on": "cloud", "made_by": "big", "reason": "It asks for facts."}
        moments = {"bridge_ms": 900, "first_audio_ms": 1900}
        left = [{"what": "text", "to": "api.example.com"}]
        await conversation.send("parley.turn.timings", response_id="response_1", left_machine=left, **made, **moments)
        await conversation.end_answer()
        await conversation.until_gone()

    with opened(chromium, served(script).url, viewport={"width": 1280, "height": 900}) as page:
        page.locator("#talk").click()
        remark, note = (
            page.locator("#transcript .assistant small").first,
            page.locator("#transcript .assistant small").last,
        )
        expect(remark).to_have_text("Let me look that up.")
        expect(page.locator("#transcript .assistant p")).to_have_text("It is old.")
        expect(page.locator("#announcer")).to_contain_text("Parley: It is old.")
        expect(page.locator("#announcer")).not_to_contain_text("look that up")
        # A second passed between the remark and the answer: the answer is what the person waited for.
        expect(note).to_have_text(re.compile(r"^answered after [1-9]\.\d\d s · in the cloud$"))
        expect(note).to_have_attribute("title", re.compile(r"It asks for facts\.$"))
        expect(page.locator("#account-place")).to_have_text(
            "Answered by big in the cloud. It asks for facts. What left this machine: text to api.example.com."
        )
        expect(page.locator("#waterfall")).to_contain_text("You are told to wait")
        expect(page.locator("#whereabouts")).to_have_text("Answered in the cloud")
    assert told[0]["session"]["parley"]["route"] is True


def test_escape_stops_the_answer(chromium: Browser, served: Any) -> None:
    async def script(conversation: Any) -> None:
        await conversation.receive("response.create")
        await conversation.begin_answer("A long answer.", tone(8.0))
        await conversation.receive("response.cancel")
        await conversation.end_answer("cancelled", type="cancelled", reason="client_cancelled")
        await conversation.receive("response.create")
        await conversation.begin_answer("A short answer.", tone(0.2), n=2)
        await conversation.end_answer(n=2)
        await conversation.until_gone()

    server = served(script)
    with opened(chromium, server.url) as page:
        type_in(page, "Talk on.")
        state(page, "speaking")
        page.keyboard.press("Escape")
        state(page, "ready")
        type_in(page, "Be brief.")
        expect(page.locator("#transcript .assistant p").nth(1)).to_have_text("A short answer.")
        expect(page.locator("#transcript .assistant small").nth(1)).to_contain_text("spoken after ")
    assert "conversation.item.truncate" in server.kinds


def test_a_hint_is_a_question(chromium: Browser, served: Any) -> None:
    async def script(conversation: Any) -> None:
        await conversation.receive("response.create")
        await conversation.begin_answer("Paris.", tone(0.2))
        await conversation.end_answer()
        await conversation.until_gone()

    with opened(chromium, served(script).url) as page:
        page.get_by_role("button", name="What is the capital of France?").click()
        expect(page.locator("#transcript .user p")).to_have_text("What is the capital of France?")
        expect(page.locator("#transcript .assistant p")).to_have_text("Paris.")
        expect(page.locator("#hints")).to_be_hidden()
        state(page, "ready")


def test_muted_it_sends_silence(chromium: Browser, served: Any) -> None:
    sound: list[bool] = []

    async def script(conversation: Any) -> None:
        async for data in conversation.websocket:
            if "input_audio_buffer.append" in data:
                sound.append(len(set(data[80:])) > 12)

    with opened(chromium, served(script).url) as page:
        page.locator("#talk").click()
        state(page, "listening")
        page.keyboard.press("m")
        state(page, "muted")
        expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
        seen = len(sound)
        wait(page, 600)
        assert len(sound) > seen + 10
        assert not any(sound[seen + 5 :])
        page.get_by_role("button", name="Unmute", exact=True).click()
        state(page, "listening")


def test_no_permission_is_a_sentence_and_typing_still_works(chromium: Browser, served: Any) -> None:
    async def script(conversation: Any) -> None:
        await conversation.receive("response.create")
        await conversation.begin_answer("Hello.", tone(0.1))
        await conversation.end_answer()
        await conversation.until_gone()

    deny = "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', NAME); } }"
    with opened(chromium, served(script).url) as page:
        for name, says in [
            ("NotAllowedError", "may not use the microphone. Allow it"),
            ("NotFoundError", "No microphone was found. Plug one in"),
            ("NotReadableError", "another program may hold it"),
        ]:
            page.evaluate(deny.replace("NAME", repr(name)))
            page.locator("#talk").click()
            expect(page.get_by_role("alert")).to_contain_text(says)
        type_in(page, "hello")
        expect(page.locator("#transcript .assistant p")).to_have_text("Hello.")
        expect(page.locator("#problem")).to_be_hidden()


def test_an_insecure_page_says_how_to_get_the_microphone(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(lambda conversation: conversation.until_gone()).url) as page:
        page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: false })")
        page.locator("#talk").click()
        expect(page.get_by_role("alert")).to_contain_text("http://localhost:")


def test_a_server_that_goes_away_is_waited_for(chromium: Browser, served: Any) -> None:
    first = served(lambda conversation: conversation.until_gone())
    network = ("ERR_CONNECTION_REFUSED", "WebSocket connection")
    with opened(chromium, first.url, complaints=network) as page:
        page.locator("#talk").click()
        state(page, "listening")
        first.end()
        expect(page.get_by_role("alert")).to_contain_text("parley serve")
        state(page, "connecting")
        again = served(a_turn, port=first.port)
        expect(page.locator("#transcript .assistant p")).to_have_text("It is old.")
        expect(page.locator("#problem")).to_be_hidden()
        assert len(again.conversations) == 1


def test_a_full_server_is_tried_again(chromium: Browser, served: Any) -> None:
    async def script(conversation: Any) -> None:
        await conversation.websocket.close(1013, "All 8 conversations are taken.")

    with opened(chromium, served(script).url) as page:
        page.locator("#talk").click()
        expect(page.get_by_role("alert")).to_have_text("All 8 conversations are taken. This page tries by itself.")


def test_the_resampler_keeps_tones_and_drops_what_would_fold(chromium: Browser, served: Any) -> None:
    script = """async ([from, to, hertz]) => {
      const { Resampler } = await import("/resampler.js");
      const resampler = new Resampler(from, to);
      const out = [];
      for (let at = 0; at < from; at += 128) {
        const wave = (_, n) => Math.sin(2 * Math.PI * hertz * (at + n) / from);
        out.push(...resampler.feed(Float32Array.from({ length: 128 }, wave)));
      }
      return out;
    }"""
    with opened(chromium, served(lambda conversation: conversation.until_gone()).url) as page:
        for source, target, hertz in [(48_000, 24_000, 1_000), (44_100, 24_000, 3_000), (24_000, 44_100, 5_000)]:
            out = np.array(page.evaluate(script, [source, target, hertz]))
            assert out.size == pytest.approx(target, abs=200)
            middle = out[1000:-1000]
            spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
            assert np.argmax(spectrum) * target / middle.size == pytest.approx(hertz, abs=2)
            assert np.sqrt(np.mean(middle**2)) == pytest.approx(np.sqrt(0.5), rel=0.01)
        folded = np.array(page.evaluate(script, [48_000, 24_000, 15_000]))
        assert np.abs(folded[1000:-1000]).max() < 0.003


def run(page: Page, module: str, script: str) -> Any:
    return page.evaluate(f"async () => {{ const it = await import('/{module}'); {script} }}")


def test_the_buffer_grows_when_sound_comes_late_and_shrinks_when_it_is_calm(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(lambda conversation: conversation.until_gone()).url) as page:
        script = """const jitter = new it.Jitter(), seen = [jitter.targetS];
            for (let n = 0; n < 9; n++) { jitter.late(); seen.push(jitter.targetS); }
            for (let n = 0; n < 400; n++) { jitter.played(1); seen.push(jitter.targetS); }
            return seen;"""
        seen = run(page, "jitter.js", script)
    assert seen[0] == 0.06
    assert seen[1:10] == sorted(seen[1:10])
    assert seen[9] == 0.4
    assert seen[10:] == sorted(seen[10:], reverse=True)
    assert seen[-1] == 0.04


def test_what_a_broken_connection_lost_is_sent_again_without_its_sound(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(lambda conversation: conversation.until_gone()).url) as page:
        script = """const out = new it.Outbox();
            out.note({ type: "one" }); out.sound(); out.note({ type: "two" }); out.sound(); out.note({ type: "three" });
            const missing = out.resume(2).map(({ type }) => type);
            return [missing, out.count, out.resume(2).length];"""
        assert run(page, "outbox.js", script) == [["two", "three"], 2, 0]


def test_a_server_that_comes_up_a_moment_too_late_has_refused_nobody(chromium: Browser, served: Any) -> None:
    with opened(chromium, served(lambda conversation: conversation.until_gone()).url) as page:
        script = """const seen = [];
            const link = new it.Link({ down: (cause) => seen.push(cause), ticket: () => {} });
            link.dial = () => seen.push("dial");
            link.failures = 2;  // it was away, and answers now
            link.fail("refused", "");
            link.fail("refused", "");
            return seen;"""
        assert run(page, "link.js", script) == ["dial", "refused"]


def test_binary_messages_are_as_the_wire_has_them(chromium: Browser, served: Any) -> None:
    header = np.array([1, 2, 6, 0], "u1").tobytes() + np.array([258, 1500], "<u4").tobytes()
    speech = header + b"resp_7\0\0" + np.array([1, -2, 300], "<i2").tobytes()
    with opened(chromium, served(lambda conversation: conversation.until_gone()).url) as page:
        script = f"""const speech = it.speechOf(new Uint8Array({list(speech)}).buffer);
            const broken = [[], [1, 2], [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 2, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0]];
            return [speech.response, speech.sequence, speech.atMs, [...new Int16Array(speech.pcm)],
                [...new Uint8Array(it.microphoneFrame(new Int16Array([513]).buffer))],
                broken.map((bytes) => it.speechOf(new Uint8Array(bytes).buffer))];"""
        found = run(page, "frames.js", script)
    assert found[:4] == ["resp_7", 258, 1500, [1, -2, 300]]
    assert found[4] == [1, 1, *[0] * 10, 1, 2]
    assert found[5] == [None] * 4


def test_it_fits_a_phone_and_a_desktop(chromium: Browser, served: Any) -> None:
    url = served(lambda conversation: conversation.until_gone()).url
    for width, height in [(320, 568), (390, 844), (844, 390), (1280, 800)]:
        with opened(chromium, url, viewport={"width": width, "height": height}) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.documentElement.scrollHeight") <= height
            for part in ("#talk", "#words", "#state"):
                expect(page.locator(part)).to_be_in_viewport(ratio=1)


def test_the_page_is_small_and_asks_nobody_else(chromium: Browser, served: Any) -> None:
    asked: list[str] = []
    server = served(lambda conversation: conversation.until_gone())
    with opened(chromium, "about:blank") as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url)
        page.locator("#talk").click()
        state(page, "listening")
    assert len(asked) > 5
    assert all(url.startswith(server.url) for url in asked)
