"""`parley ask --image` and `--video`: what is shown with a question, and files that can't be."""

import asyncio
import base64
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audio.pcm import write_wav
from clients.ask import ask
from clients.showing import ShowError, filming, read_pictures, video_file
from tests.clients.conftest import tone
from tests.clients.test_ask import run, running
from vision.types import Frame

DATA = Path(__file__).resolve().parents[1] / "data"
CAT = DATA / "images" / "cat_chelsea.jpg"
PAGE = DATA / "images" / "page_text.png"
CLIP = DATA / "images" / "video_googlework_tiny.mp4"


def content(conversation) -> list[list[dict[str, str]]]:
    return [event["item"]["content"] for event in conversation.received if event["type"] == "conversation.item.create"]


async def answer_typed(conversation) -> None:
    await conversation.receive("response.create")
    await conversation.begin_answer("A cat.", None)
    await conversation.end_answer()
    await conversation.until_gone()


def test_pictures_go_with_a_typed_question(serving) -> None:
    seen = []

    async def script(conversation) -> None:
        seen.append(conversation)
        await answer_typed(conversation)

    with running(serving, script) as url:
        result = run("--text", "What is this?", "--image", str(CAT), "--image", str(PAGE), "--url", url)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Parley: A cat.\n")
    [[cat, page, question]] = content(seen[0])
    assert question == {"type": "input_text", "text": "What is this?"}
    for part, kind, file in [(cat, "jpeg", CAT), (page, "png", PAGE)]:
        assert part["type"] == "input_image"
        head, data = part["image_url"].split(",")
        assert head == f"data:image/{kind};base64"
        assert base64.b64decode(data) == file.read_bytes()


def test_a_picture_goes_before_a_spoken_question(serving, tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    write_wav(question, tone(0.3), 24_000)
    order = []

    async def script(conversation) -> None:
        await conversation.hear(0.3)
        order.extend(event["type"] for event in conversation.received)
        assert [[part["type"] for part in parts] for parts in content(conversation)] == [["input_image"]]
        await conversation.user_said("What is this?")
        await conversation.begin_answer("A cat.", tone(0.2))
        await conversation.end_answer()
        await conversation.until_gone()

    with running(serving, script) as url:
        result = run(str(question), "--image", str(CAT), "--url", url)
    assert result.exit_code == 0, result.output
    assert order.index("conversation.item.create") < order.index("input_audio_buffer.append")
    # Nothing is asked but what is said.
    assert "response.create" not in order


def damaged(tmp_path: Path, name: str) -> Path:
    file = tmp_path / name
    match name:
        case "cut.jpg":
            file.write_bytes(CAT.read_bytes()[:20_000])
        case "cut.png":
            file.write_bytes(PAGE.read_bytes()[:-40_000])
        case "notes.jpg":
            file.write_text("Milk, bread, eggs.")
        case "huge.png":
            buffer = io.BytesIO()
            Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
            file.write_bytes(buffer.getvalue())
        case "long.jpg":
            file.write_bytes(CAT.read_bytes() + bytes(10 * 2**20))
        case "folder.jpg":
            file.mkdir()
    return file


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.jpg", r"There is no file .*missing\.jpg\. Check the path\."),
        ("folder.jpg", r"folder\.jpg can't be read: Is a directory\."),
        ("notes.jpg", r"notes\.jpg: This is no image that can be read"),
        ("cut.jpg", r"cut\.jpg: The .*image is damaged,? .*cut short"),
        ("cut.png", r"cut\.png: The .*image is damaged,? .*cut short"),
        ("huge.png", r"huge\.png: The image is 20000 x 20000 pixels; at least one and at most 50 million"),
        ("long.jpg", r"long\.jpg has more than 10 MiB: make the picture smaller\."),
    ],
)
def test_a_file_that_is_no_picture_is_one_sentence(tmp_path: Path, name: str, says: str) -> None:
    result = run("--text", "What is this?", "--image", str(CAT), "--image", str(damaged(tmp_path, name)))
    assert result.exit_code == 2
    assert re.search(says, result.output)
    assert result.output.count("\n") == 1


def test_many_pictures_are_limited_together(tmp_path: Path) -> None:
    file = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    assert len(read_pictures([file] * 2)) == 2
    with pytest.raises(ShowError, match="more than 10 MiB together"):
        read_pictures([file] * 3)


def test_a_video_is_shown_in_real_time_before_a_typed_question(serving) -> None:
    seen = []

    async def script(conversation) -> None:
        seen.append(conversation)
        await answer_typed(conversation)

    with running(serving, script) as url:
        result = run("--text", "What happened?", "--video", str(CLIP), "--url", url)
    assert result.exit_code == 0, result.output
    [conversation] = seen
    pictures = conversation.pictures
    for _, frame in pictures:
        picture = Image.open(io.BytesIO(frame.payload))
        picture.load()
        assert picture.format == "JPEG"
        assert frame.id == ""
    taken = [frame.time_ms for _, frame in pictures]
    assert taken == sorted(taken)
    # As long as the clip is, at most five a second.
    assert len(pictures) >= 5
    assert len(pictures) / ((taken[-1] - taken[0]) / 1000 + 0.2) <= 5.5
    kinds = [event["type"] for event in conversation.received]
    assert kinds.index("conversation.item.create") > max(at for at, kind in enumerate(kinds) if kind == "picture")
    wanted = [event["session"]["parley"] for event in conversation.received if event["type"] == "session.update"]
    assert {"binary": True} in wanted


def test_a_video_is_shown_while_a_question_is_spoken(serving, tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    write_wav(question, tone(1.5), 24_000)
    seen = []

    async def script(conversation) -> None:
        seen.append(conversation)
        await conversation.hear(1.5)
        await conversation.user_said("What is this?")
        await conversation.begin_answer("A desk.", tone(0.2))
        await conversation.end_answer()
        await conversation.until_gone()

    with running(serving, script) as url:
        result = run(str(question), "--video", str(CLIP), "--url", url)
    assert result.exit_code == 0, result.output
    kinds = [event["type"] for event in seen[0].received]
    first, last = (order.index("input_audio_buffer.append") for order in (kinds, kinds[::-1]))
    assert kinds[first : len(kinds) - last].count("picture") >= 3


def test_a_server_without_eyes_is_shown_no_more_and_still_answers(serving) -> None:
    seen = []

    async def script(conversation) -> None:
        seen.append(conversation)
        await conversation.receive("picture")
        error = {"type": "invalid_request_error", "code": "unsupported_picture", "message": "No eyes."}
        await conversation.send("error", error=error)
        await answer_typed(conversation)

    with running(serving, script) as url:
        result = run("--text", "What is this?", "--video", str(CLIP), "--url", url)
    assert result.exit_code == 0, result.output
    assert "Parley: A cat." in result.output
    assert "The server has not seen the video: it takes no pictures of a camera." in result.output
    assert len(seen[0].pictures) <= 3


def test_a_server_that_knows_no_binary_messages_says_so_once(serving) -> None:
    async def script(conversation) -> None:
        while True:
            update = await conversation.receive("session.update")
            if "binary" in update["session"]["parley"]:
                break
        error = {"type": "invalid_request_error", "code": "unknown_parameter", "event_id": update["event_id"]}
        await conversation.send("error", error=error | {"message": "Unknown parameter: session.parley.binary."})
        await conversation.receive("picture")
        late = {"type": "invalid_request_error", "code": "invalid_event", "message": "Binary?", "event_id": None}
        await conversation.send("error", error=late)
        await answer_typed(conversation)

    with running(serving, script) as url:
        result = run("--text", "What is this?", "--video", str(CLIP), "--url", url)
    assert result.exit_code == 0, result.output
    assert "it takes no pictures of a camera" in result.output
    assert "Binary?" not in result.output


def test_files_that_are_no_video(tmp_path: Path) -> None:
    notes = tmp_path / "notes.mp4"
    notes.write_text("Milk, bread, eggs.")
    for file, says in [(tmp_path / "0", "There is no file"), (notes, "is no video that can be read")]:
        result = run("--text", "What is this?", "--video", str(file))
        assert result.exit_code == 2
        assert says in result.output
        assert result.output.count("\n") == 1


def test_a_file_is_never_taken_for_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert Path(video_file(Path("0"))).is_absolute()


def test_a_camera_that_breaks_in_the_middle_ends_the_question(serving, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaking() -> AsyncIterator[Frame]:
        yield Frame(b"\xff\xd8", 1.0)
        raise ShowError("The camera broke.")

    async def main() -> None:
        async with serving(lambda conversation: conversation.until_gone()) as server:
            with pytest.raises(ShowError, match="The camera broke"):
                await ask(server.url, text="What is this?", frames=breaking())

    asyncio.run(main())


def test_what_a_camera_says_when_it_breaks_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from vision import camera  # noqa: PLC0415 - OpenCV takes a while to load

    class Broken:
        def __init__(self, source: str, *, rate: float) -> None:
            pass

        async def __aenter__(self) -> "Broken":
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def __aiter__(self) -> AsyncIterator[Frame]:
            yield Frame(b"\xff\xd8", 1.0)
            raise camera.CameraError("The camera 0 broke.")

    monkeypatch.setattr(camera, "Camera", Broken)

    seen: list[Frame] = []

    async def main() -> None:
        async with filming("0") as frames:
            async for frame in frames:
                seen.append(frame)

    with pytest.raises(ShowError, match="The camera 0 broke"):
        asyncio.run(main())
    assert len(seen) == 1


def test_sound_that_comes_as_binary_messages_is_heard(serving) -> None:
    header = bytes([1, 2, 10, 0]) + bytes(4) + bytes(4) + b"response_1" + bytes(2)

    async def script(conversation) -> None:
        await conversation.receive("response.create")
        at = {"response_id": "response_1", "item_id": "assistant_1", "output_index": 0, "content_index": 0}
        await conversation.send("response.created", response={"id": "response_1", "status": "in_progress"})
        await conversation.send("response.output_audio_transcript.delta", delta="A cat.", **at)
        await conversation.websocket.send(header + (tone(0.5) * 32767).astype("<i2").tobytes())
        await conversation.end_answer()
        await conversation.until_gone()

    async def main() -> float:
        async with serving(script) as server:
            return (await ask(server.url, text="What is this?")).reply_s

    assert asyncio.run(main()) == pytest.approx(0.5)
