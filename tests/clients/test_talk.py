"""`parley talk`: the conversation with devices that are lists, and what is shown and told."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.text import Text

from audio.devices import DeviceError
from clients.captions import Captions
from clients.link import Lost, connect
from clients.playback import Cut, Playback
from clients.showing import ShowError
from clients.talk import Filming, Talk, command
from vision.types import Frame


class ListedMicrophone:
    """Delivers a tone in real time, for so many blocks; then it is unplugged."""

    def __init__(self, blocks: int = 10_000) -> None:
        self.blocks = blocks

    async def read(self) -> np.ndarray:
        if self.blocks == 0:
            raise DeviceError("The microphone stopped delivering sound.")
        self.blocks -= 1
        await asyncio.sleep(0.002)
        return np.full(480, 0.25, np.float32)


class ListedSpeaker:
    """Has taken the first `taken_s` seconds of what was written."""

    latency_s = 0.05

    def __init__(self, taken_s: float = 0.0) -> None:
        self.taken_s = taken_s
        self.written = 0
        self.flushed = 0
        self.finished = 0

    @property
    def queued_s(self) -> float:
        return self.written / 24_000

    async def write(self, samples: np.ndarray) -> None:
        self.written += samples.size

    def finish(self) -> None:
        self.finished += 1

    def flush(self) -> float:
        self.flushed += 1
        self.written = 0
        return self.taken_s


def talked(
    serving: Any,
    script: Any,
    speaker: ListedSpeaker,
    *,
    blocks: int = 10_000,
    half: bool = False,
    camera: Filming | None = None,
) -> Any:
    """Talk until the script hangs up; return the printed lines, the captions and the conversation."""
    lines: list[Text] = []
    captions = Captions(lines.append)

    async def main() -> Any:
        async with serving(script) as server, connect(server.url) as link:
            talk = Talk(link, ListedMicrophone(blocks), speaker, captions, half=half, camera=camera)  # type: ignore[arg-type]
            with pytest.raises((Lost, DeviceError)) as caught:
                await talk.run()
            return [line.plain for line in lines], server.conversations[0], str(caught.value)

    return asyncio.run(main())


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * 24_000)) / 24_000)).astype(np.float32)


def test_a_turn_is_played_and_captioned(serving) -> None:
    async def script(conversation) -> None:
        await conversation.hear(0.1)
        await conversation.send("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)
        await conversation.user_said("How old is it?")
        await conversation.begin_answer("It is old.", tone(1.0))
        await conversation.end_answer()
        await conversation.websocket.close(1001, "Bye")

    speaker = ListedSpeaker()
    lines, _, why = talked(serving, script, speaker)
    assert lines == ["   You  How old is it?", "Parley  It is old."]
    assert (speaker.written, speaker.finished) == (24_000, 1)
    assert "Bye" in why


def test_barge_in_flushes_and_truncates_at_what_was_heard(serving) -> None:
    async def script(conversation) -> None:
        await conversation.begin_answer("Once upon a time", tone(2.0))
        await conversation.send("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)
        await conversation.receive("conversation.item.truncate")
        at = {"response_id": "response_1", "item_id": "assistant_1", "output_index": 0, "content_index": 0}
        await conversation.send("response.output_audio.delta", delta="AAAA", **at)
        await conversation.end_answer("cancelled", type="cancelled", reason="turn_detected")
        await conversation.websocket.close(1001, "Bye")

    speaker = ListedSpeaker(taken_s=0.75)
    lines, conversation, _ = talked(serving, script, speaker)
    assert lines == ["Parley  Once upon a time  — you cut in"]
    truncation = conversation.received[-1]
    assert (truncation["item_id"], truncation["audio_end_ms"]) == ("assistant_1", 700)
    assert (speaker.flushed, speaker.written) == (1, 0)


def test_speech_after_the_answer_was_played_truncates_nothing(serving) -> None:
    async def script(conversation) -> None:
        await conversation.begin_answer("Yes.", tone(0.5))
        await conversation.end_answer()
        await conversation.send("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)
        await conversation.hear(0.1)
        await conversation.websocket.close(1001, "Bye")

    _, conversation, _ = talked(serving, script, ListedSpeaker(taken_s=0.5))
    assert {event["type"] for event in conversation.received} == {"input_audio_buffer.append"}


def test_half_duplex_hears_nothing_while_it_speaks(serving) -> None:
    async def script(conversation) -> None:
        await conversation.hear(0.02)
        await conversation.begin_answer("Yes.", tone(0.5))
        await conversation.hear(1.0)
        await conversation.websocket.close(1001, "Bye")

    _, conversation, _ = talked(serving, script, ListedSpeaker(), half=True)
    quiet = [set(event["audio"]) <= {"A", "="} for event in conversation.received]
    assert quiet[0] is False
    assert quiet[-1] is True


def test_what_the_server_complains_of_does_not_end_the_conversation(serving) -> None:
    async def script(conversation) -> None:
        await conversation.send("error", error={"type": "invalid_request_error", "message": "That can't be done."})
        await conversation.begin_answer("", None)
        await conversation.end_answer("failed", type="failed", error={"message": "The voice broke."})
        await conversation.websocket.close(1001, "Bye")

    lines, _, _ = talked(serving, script, ListedSpeaker())
    assert lines == ["That can't be done.", "The voice broke."]


def test_an_unplugged_microphone_ends_it_with_a_sentence(serving) -> None:
    _, _, why = talked(serving, lambda conversation: conversation.until_gone(), ListedSpeaker(), blocks=3)
    assert why == "The microphone stopped delivering sound."


def test_the_captions_show_words_as_they_come() -> None:
    console = Console(width=60, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        captions = Captions(console.print)
        captions.floor = "hearing"
        captions.heard("How old ")
        captions.heard("is")
        console.print(captions)
    shown = console.export_text()
    assert "You  How old is …" in shown
    assert "Hearing you" in shown


def test_positions_are_mapped_to_messages() -> None:
    playback = Playback()
    assert playback.cut(0.0) is None
    playback.queue("a", 1.0)
    playback.queue("a", 0.5)
    playback.queue("b", 2.0)
    assert playback.cut(2.0) == Cut("b", 0.5)
    playback.queue("c", 1.0)
    assert playback.cut(2.25) == Cut("c", 0.25)
    playback.queue("d", 1.0)
    assert playback.cut(3.25) is None


def test_no_server_is_a_sentence(unused_port: int) -> None:
    result = CliRunner().invoke(command, ["--url", f"ws://127.0.0.1:{unused_port}/v1/realtime"])
    assert result.exit_code == 1
    assert "start it with `make run` or `parley serve`" in result.stderr


# --- A camera ---


class ListedCamera:
    """Shows numbered frames, quickly; `fails` says why it breaks after three of them."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.opened = 0
        self.closed = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncIterable[Frame]]:
        self.opened += 1
        try:
            yield self.frames()
        finally:
            self.closed += 1

    async def frames(self) -> AsyncIterator[Frame]:
        n = 0
        while not (self.fails and n == 3):
            n += 1
            await asyncio.sleep(0.005)
            yield Frame(b"\xff\xd8" + bytes([n % 256]), n / 10)
        raise ShowError(self.fails)


def test_a_camera_is_shown_along(serving) -> None:
    wanted = []

    async def script(conversation) -> None:
        wanted.append((await conversation.receive("session.update"))["session"]["parley"])
        for _ in range(3):
            await conversation.receive("picture")
        await conversation.hear(0.1)
        await conversation.websocket.close(1001, "Bye")

    camera = ListedCamera()
    _, conversation, _ = talked(serving, script, ListedSpeaker(), camera=camera)
    assert wanted == [{"binary": True}]
    assert [(frame.payload, frame.time_ms) for _, frame in conversation.pictures[:2]] == [
        (b"\xff\xd8\x01", 100),
        (b"\xff\xd8\x02", 200),
    ]
    assert camera.closed == camera.opened == 1


def test_a_camera_is_closed_when_the_user_asks_and_opened_again(serving) -> None:
    camera, counts = ListedCamera(), []

    async def script(conversation) -> None:
        await conversation.receive("picture")
        await conversation.send("parley.camera", on=False, by="user")
        await conversation.hear(0.5)
        counts.append((camera.opened, camera.closed))
        before = len(conversation.pictures)
        await conversation.hear(0.5)
        assert len(conversation.pictures) == before
        late = {"type": "invalid_request_error", "code": "camera_off", "message": "Nobody looks."}
        await conversation.send("error", error=late)
        await conversation.send("parley.camera", on=True, by="user")
        await conversation.receive("picture")
        await conversation.websocket.close(1001, "Bye")

    lines, _, _ = talked(serving, script, ListedSpeaker(), camera=camera)
    assert counts == [(1, 1)]
    assert camera.opened == 2
    assert lines == ["The camera is off, as you asked."]


@pytest.mark.parametrize("code", ["unsupported_picture", "unknown_parameter"])
def test_a_server_that_takes_no_pictures(serving, code: str) -> None:
    camera = ListedCamera()

    async def script(conversation) -> None:
        update = await conversation.receive("session.update")
        await conversation.receive("picture")
        said = {"code": code, "message": "No.", "event_id": update["event_id"]}
        late = {"code": code if code == "unsupported_picture" else "invalid_event", "message": "No.", "event_id": None}
        for error in (said, late):
            await conversation.send("error", error={"type": "invalid_request_error"} | error)
        await conversation.hear(0.5)
        await conversation.websocket.close(1001, "Bye")

    lines, _, _ = talked(serving, script, ListedSpeaker(), camera=camera)
    assert lines == ["The server takes no pictures of a camera: it is off."]
    assert camera.closed == 1


def test_a_camera_that_breaks_leaves_the_voice_alone(serving) -> None:
    async def script(conversation) -> None:
        for _ in range(3):
            await conversation.receive("picture")
        await conversation.hear(0.3)
        await conversation.user_said("Are you there?")
        await conversation.hear(0.1)
        await conversation.websocket.close(1001, "Bye")

    camera = ListedCamera("The camera 0 broke.")
    lines, _, why = talked(serving, script, ListedSpeaker(), camera=camera)
    assert lines == ["The camera 0 broke. The conversation goes on without a camera.", "   You  Are you there?"]
    assert "Bye" in why


def test_the_captions_say_that_it_sees() -> None:
    captions, console = Captions(lambda _: None), Console(width=100)
    captions.watched = True
    with console.capture() as shown:
        console.print(captions)
    assert "● Camera on, Parley sees it" in shown.get()


def test_who_has_no_camera_needs_not_close_it(serving) -> None:
    async def script(conversation) -> None:
        await conversation.send("parley.camera", on=False, by="user")
        await conversation.hear(0.1)
        await conversation.websocket.close(1001, "Bye")

    lines, _, _ = talked(serving, script, ListedSpeaker())
    assert lines == []
