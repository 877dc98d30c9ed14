"""`parley ask` against a scripted server."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from audio.pcm import read_wav, write_wav
from clients.ask import ask, command
from clients.exchange import Exchange
from clients.link import LinkError
from clients.speech_end import find_speech_end

SPEECH = Path(__file__).resolve().parents[1] / "data" / "speech"


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * 24_000)) / 24_000)).astype(np.float32)


def asked(serving, script, *args, **options) -> Exchange:
    async def main() -> Exchange:
        async with serving(script) as server:
            return await ask(server.url, *args, **options)

    return asyncio.run(main())


def test_a_spoken_question(serving) -> None:
    async def script(conversation) -> None:
        await conversation.receive("session.update")
        await conversation.hear(0.5)
        await conversation.send("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)
        await conversation.user_said("How old is it?")
        await conversation.begin_answer("It is old.", np.concatenate([np.zeros(4800, np.float32), tone(0.3)]))
        await conversation.send("parley.turn.timings", response_id="response_1", commit_ms=250, first_token_ms=None)
        await conversation.end_answer()
        await conversation.until_gone()

    question = np.concatenate([tone(0.3), np.zeros(2400, np.float32)])
    exchange = asked(serving, script, question, 0.3)
    assert (exchange.transcript, exchange.reply, exchange.status) == ("How old is it?", "It is old.", "completed")
    assert exchange.reply_s == pytest.approx(0.5)
    assert exchange.timings == {"commit_s": 0.25, "first_token_s": None}
    # The answer came once 0.5 s were heard, and the last voiced sample went out at 0.3 s, or later where all was late.
    assert exchange.voice_to_voice_s is not None
    assert 0 < exchange.voice_to_voice_s < 1.0
    assert exchange.speech_end_s == 0.3
    assert exchange.answered


def test_sound_is_sent_in_real_time_and_a_room_follows(serving) -> None:
    took = 0.0
    heard = []

    async def script(conversation) -> None:
        nonlocal took
        begin = asyncio.get_running_loop().time()
        await conversation.hear(0.4)
        took = asyncio.get_running_loop().time() - begin
        heard.extend(conversation.received)
        await conversation.begin_answer("Yes.", tone(0.1))
        await conversation.end_answer()
        await conversation.until_gone()

    asked(serving, script, tone(0.2))
    assert took >= 0.37
    wanted = [event["session"]["parley"] for event in heard if event["type"] == "session.update"]
    assert wanted == [{"resume": True}, {"timings": True}]


def test_a_typed_question(serving) -> None:
    async def script(conversation) -> None:
        item = (await conversation.receive("conversation.item.create"))["item"]
        assert item["content"] == [{"type": "input_text", "text": "hello"}]
        await conversation.receive("response.create")
        await conversation.begin_answer("Hello there.", None)
        await conversation.end_answer()
        await conversation.until_gone()

    exchange = asked(serving, script, text="hello")
    assert (exchange.transcript, exchange.reply) == ("", "Hello there.")
    assert exchange.voice_to_voice_s is None
    assert exchange.first_text_s is not None


def test_a_server_that_knows_none_of_our_extensions_is_asked_all_the_same(serving) -> None:
    async def script(conversation) -> None:
        for _ in range(2):
            unknown = await conversation.receive("session.update")
            error = {"type": "invalid_request_error", "code": "unknown_parameter", "event_id": unknown["event_id"]}
            await conversation.send("error", error=error | {"message": "Unknown parameter: session.parley."})
        await conversation.receive("response.create")
        await conversation.begin_answer("Hello there.", None)
        await conversation.end_answer()
        await conversation.until_gone()

    exchange = asked(serving, script, text="hello")
    assert (exchange.reply, exchange.error) == ("Hello there.", None)


def test_an_answer_that_cut_in_is_not_the_answer(serving) -> None:
    async def script(conversation) -> None:
        await conversation.hear(0.2)
        await conversation.user_said("How old", "user_1")
        await conversation.begin_answer("Who?", tone(0.1), 1)
        await conversation.end_answer("cancelled", 1, type="cancelled", reason="turn_detected")
        await conversation.hear(0.5)
        await conversation.user_said("is the bridge?", "user_2")
        await conversation.begin_answer("Very.", tone(0.1), 2)
        await conversation.end_answer("completed", 2)
        await conversation.until_gone()

    exchange = asked(serving, script, tone(0.6), 0.6)
    assert exchange.transcript == "How old is the bridge?"
    assert exchange.reply == "Very."


def test_no_words_is_no_answer(serving) -> None:
    exchange = asked(serving, lambda conversation: conversation.until_gone(), tone(0.1), patience_s=0.1)
    assert not exchange.answered
    assert (exchange.status, exchange.voice_to_voice_s) == ("none", None)


def test_a_voice_whose_words_are_slow_to_come_is_waited_for(serving) -> None:
    async def script(conversation) -> None:
        await conversation.send("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)
        await conversation.hear(0.4)
        await conversation.user_said("How old is it?")
        await conversation.begin_answer("Old.", None)
        await conversation.end_answer()
        await conversation.until_gone()

    assert asked(serving, script, tone(0.1), patience_s=0.05).reply == "Old."


def test_a_cough_is_no_question(serving) -> None:
    async def script(conversation) -> None:
        await conversation.send("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)
        await conversation.hear(0.2)
        await conversation.send("input_audio_buffer.cleared")
        await conversation.until_gone()

    assert not asked(serving, script, tone(0.1), patience_s=0.3).answered


def test_a_server_that_never_ends_its_answer(serving) -> None:
    async def script(conversation) -> None:
        await conversation.begin_answer("Well", None)
        await conversation.until_gone()

    with pytest.raises(LinkError, match=r"did not finish its answer within 0\.2 s"):
        asked(serving, script, text="hello", timeout_s=0.2)


def test_a_server_that_leaves_in_mid_turn(serving) -> None:
    async def script(conversation) -> None:
        await conversation.hear(0.05)
        await conversation.websocket.close(1011, "It broke")

    with pytest.raises(LinkError, match="It broke"):
        asked(serving, script, tone(1.0))


def test_a_server_without_timings_is_not_waited_for(serving) -> None:
    async def script(conversation) -> None:
        update = await conversation.receive("session.update")
        error = {
            "type": "invalid_request_error",
            "code": "unknown_parameter",
            "message": "?",
            "param": "session.parley",
        }
        await conversation.send("error", error=error | {"event_id": update["event_id"]})
        await conversation.receive("response.create")
        await conversation.begin_answer("Hello.", None)
        await conversation.end_answer()
        await conversation.until_gone()

    exchange = asked(serving, script, text="hello")
    assert (exchange.reply, exchange.error, exchange.timings) == ("Hello.", None, {})


# --- The command ---


@contextmanager
def running(serving, script) -> Iterator[str]:
    """The scripted server in a thread of its own: the command runs its own loop."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[tuple[asyncio.AbstractEventLoop, str]] = []

    async def main() -> None:
        async with serving(script) as server:
            found.append((asyncio.get_running_loop(), server.url))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(5)
    loop, url = found[0]
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)


def run(*args: str) -> Result:
    return CliRunner().invoke(command, list(args))


async def answer_once(conversation) -> None:
    await conversation.hear(0.3)
    await conversation.user_said("How old is it?")
    await conversation.begin_answer("It is old.", tone(0.3))
    await conversation.send("parley.turn.timings", response_id="response_1", commit_ms=250)
    await conversation.end_answer()
    await conversation.until_gone()


def test_the_command_prints_the_answer_and_writes_it(serving, tmp_path: Path) -> None:
    question, reply = tmp_path / "question.wav", tmp_path / "reply.wav"
    write_wav(question, tone(0.3)[::3], 8_000)
    with running(serving, answer_once) as url:
        result = run(str(question), "--url", url, "--out", str(reply))
    assert result.exit_code == 0, result.output
    assert result.output.startswith("You:    How old is it?\nParley: It is old.\nVoice to voice ")
    assert f"reply 0.3 s, written to {reply}" in result.output
    assert "commit 250" in result.output
    samples, rate = read_wav(reply)
    assert (samples.size, rate) == (7200, 24_000)


def test_the_command_prints_json(serving, tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    write_wav(question, tone(0.3), 24_000)
    with running(serving, answer_once) as url:
        result = run(str(question), "--url", url, "--json")
    told = json.loads(result.output)
    assert (told["transcript"], told["reply"], told["reply_s"]) == ("How old is it?", "It is old.", 0.3)
    assert told["timings"] == {"commit_s": 0.25}
    assert "last voiced sample" in told["voice_to_voice_is"]
    assert "20 ms frame" in told["speech_end_is"]


def test_a_file_that_is_no_wav_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"ID3")
    for wav in (tmp_path / "song.wav", tmp_path / "none.wav"):
        result = run(str(wav))
        assert result.exit_code == 2
        assert str(wav) in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_question_is_needed() -> None:
    assert run().exit_code == 2


def test_no_server_is_one_sentence(unused_port: int) -> None:
    result = run("--text", "hello", "--url", f"ws://127.0.0.1:{unused_port}/v1/realtime")
    assert result.exit_code == 1
    assert "start it with `make run` or `parley serve`" in result.stderr


def test_no_words_exits_3(serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.ask.ask.__kwdefaults__", ask.__kwdefaults__ | {"patience_s": 0.1})
    question = tmp_path / "question.wav"
    write_wav(question, np.zeros(2400, np.float32), 24_000)
    with running(serving, lambda conversation: conversation.until_gone()) as url:
        result = run(str(question), "--url", url)
    assert result.exit_code == 3
    assert result.stderr == f"No words were heard in {question}.\n"


def test_a_failed_answer_says_why(serving) -> None:
    async def script(conversation) -> None:
        await conversation.receive("response.create")
        await conversation.begin_answer("", None)
        await conversation.end_answer("failed", type="failed", error={"code": "tts", "message": "The voice broke."})
        await conversation.until_gone()

    with running(serving, script) as url:
        result = run("--text", "hello", "--url", url)
    assert result.exit_code == 1
    assert "The voice broke." in result.stderr


# --- Where the speech ends ---


def test_the_end_of_speech_in_the_recordings(clips) -> None:
    known = [row for row in clips if row.get("end_conf") in ("high", "medium")]
    away = []
    for row in known:
        found = find_speech_end(*read_wav(SPEECH / row["file"]))
        assert found is not None, row["id"]
        away.append(found - row["speech_end_s"])
    assert len(known) > 40
    assert abs(np.median(away)) < 0.05
    assert np.mean(np.abs(away) < 0.25) > 0.9


def test_silence_has_no_end_of_speech() -> None:
    assert find_speech_end(np.zeros(24_000, np.float32), 24_000) is None
    assert find_speech_end(np.zeros(10, np.float32), 24_000) is None
    assert find_speech_end(tone(0.05), 24_000) is None


def test_tone_then_silence_ends_where_the_tone_does() -> None:
    found = find_speech_end(
        np.concatenate([np.zeros(12_000, np.float32), tone(0.5), np.zeros(24_000, np.float32)]), 24_000
    )
    assert found == pytest.approx(1.0, abs=0.03)
