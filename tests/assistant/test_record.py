"""Recording: what is written down, for whom, and that the conversation never notices."""

import asyncio
import io
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from assistant import cli
from assistant.config import Config
from assistant.models import Store
from assistant.record import command, tape, wav
from assistant.record.format import CALLS, MICROPHONE, REQUESTS, identity, inline
from assistant.record.reading import read
from assistant.record.recorder import Recorder, RecordError
from assistant.record.tape import Tape, open_private
from assistant.record.virtual_time import run
from assistant.server import app
from assistant.server.listener import bind
from assistant.server.realtime import Recording
from audio.pcm import read_wav
from audio.types import INPUT_RATE
from pipeline import events
from pipeline.engines import VAD_WINDOW, Asker
from tests.assistant.recording import ANSWER, QUESTION, Talk, barge_in, noise, question, record, talk
from tests.pipeline.doubles import ScriptedLlm


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Whatever isn't asked to be private is for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_full(name: str) -> Callable[[Path], io.FileIO]:
    """Create files of which one lies on a full disk."""

    def open_file(path: Path) -> io.FileIO:
        return io.FileIO("/dev/full", "w") if path.name == name else open_private(path)

    return open_file


# --- What is written ---


@pytest.mark.usefixtures("open_umask")
def test_only_the_owner_can_read_a_recording(tmp_path: Path) -> None:
    folder = record(tmp_path / "recordings", talk(), question, recorder=Recorder(tmp_path / "recordings", []))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.iterdir())}
    assert modes.pop("recordings") == 0o700
    assert modes.pop(folder.name) == 0o700
    assert len(modes) == 6
    assert set(modes.values()) == {0o600}


def test_a_folder_is_named_by_time_and_session(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(), question)
    manifest = json.loads((folder / "manifest.json").read_text())
    started = manifest["started"][:19].replace("-", "").replace(":", "")
    assert folder.name == f"{started}Z-{manifest['session']}"
    assert manifest["models"] == ["a-model"]
    assert manifest["settings"]["instructions"] == "Be brief."


def test_the_microphones_sound_is_bit_for_bit_what_was_heard(tmp_path: Path) -> None:
    async def loud(talk: Talk) -> None:
        for seed in range(3):
            await talk.session.put(events.Audio(noise(0.3, seed) / 3))
        await asyncio.sleep(0.1)

    folder = record(tmp_path, talk(), loud)
    sound, rate = read_wav(folder / "microphone.wav")
    assert rate == INPUT_RATE
    assert np.array_equal(sound, np.concatenate([noise(0.3, seed) / 3 for seed in range(3)]))
    assert [at for at, _ in read(folder).requests] == [0.0, 0.0, 0.0]


def test_every_call_is_there_with_its_result(tmp_path: Path) -> None:
    stored = read(record(tmp_path, talk(llm=ScriptedLlm([ANSWER], word_s=0.1)), barge_in))
    kinds = {call.kind for call in stored.calls}
    assert kinds == {"turn.score", "stt.transcribe", "llm.stream", "llm.prefill", "tts.speak"}
    assert {call.value.text for call in stored.calls if call.kind == "stt.transcribe" and call.value} == {QUESTION}
    answers = [call for call in stored.calls if call.kind == "llm.stream"]
    assert any("".join(piece.value.text for piece in call.pieces[:-1]) == ANSWER for call in answers)
    assert {call.end for call in stored.calls} <= {"returned", "left"}
    assert all(call.begin <= call.at <= stored.end_s for call in stored.calls)
    heard = sum(len(request.samples) for _, request in stored.requests if isinstance(request, events.Audio))
    assert len(stored.scores) == heard // VAD_WINDOW


def test_half_a_surrogate_pair_is_no_reason_to_stop(tmp_path: Path) -> None:
    async def odd(talk: Talk) -> None:
        await talk.ask(events.RetrieveItem("\ud800"))

    (request,) = read(record(tmp_path, talk(), odd)).requests
    assert request[1] == events.RetrieveItem("\ud800")


def test_a_conversation_that_never_ran_leaves_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, [])
    held = talk()
    recorder("sess_1", lambda *_, **__: held.session)(
        held.session._context.engines, held.settings, new_id=str, asker=Asker()
    )
    recorder.close()
    assert list(tmp_path.iterdir()) == []
    assert not any(thread.name == "record" for thread in threading.enumerate())


# --- When it can't be written ---


@pytest.mark.parametrize("name", ["manifest.json", "calls.jsonl", "microphone.wav", "events.jsonl"])
def test_a_full_disk_ends_the_recording_and_not_the_conversation(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = talk()
    folder = record(tmp_path, held, question, recorder=Recorder(tmp_path, [], open_file=open_full(name)))
    assert held.kinds[-1] == "ResponseEnded"
    (line,) = [entry for entry in caplog.records if entry.name == tape.__name__]
    assert line.levelno == logging.ERROR
    assert line.getMessage() == (
        f"The recording in {folder} has stopped: No space left on device. The conversation goes on unrecorded."
    )


def test_a_disk_that_fills_up_leaves_what_fitted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Filling(io.FileIO):
        room = 100_000

        def write(self, data: "memoryview[int]") -> int:  # type: ignore[override]
            if self.room == 0:
                raise OSError(28, "No space left on device")
            written = super().write(data[: self.room])
            self.room -= written
            return written

    def open_file(path: Path) -> io.FileIO:
        open_private(path).close()
        return Filling(path, "w") if path.name == MICROPHONE else io.FileIO(path, "w")

    held = talk()
    folder = record(tmp_path, held, question, recorder=Recorder(tmp_path, [], open_file=open_file))
    assert held.kinds[-1] == "ResponseEnded"
    assert "No space left on device" in caplog.text
    stored = read(folder)
    assert not stored.whole
    assert (folder / MICROPHONE).stat().st_size == 100_000


def test_a_slow_disk_ends_the_recording_and_not_the_conversation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    woken = threading.Event()

    class Slow(io.FileIO):
        def write(self, data: "memoryview[int]") -> int:  # type: ignore[override]
            woken.wait(20)
            return super().write(data)

    async def talk_on() -> None:
        writing.start()
        for _ in range(1000):
            writing.note(REQUESTS, MICROPHONE, at=writing.now(), request=events.Audio(noise(0.032, 1)))
        writing.close()

    writing = Tape(tmp_path / "one", {}, open_file=lambda path: Slow(path, "w"), max_waiting_bytes=100_000)
    run(talk_on())
    assert caplog.text.count("has stopped: the disk doesn't keep up.") == 1
    assert not writing.join(0)
    woken.set()
    assert writing.join(20)
    lines = (tmp_path / "one" / REQUESTS).read_text().splitlines()
    assert 0 < len(lines) < 100_000 // 2048  # what was there in time, whole
    assert len(wav.read(tmp_path / "one" / MICROPHONE, INPUT_RATE)) == len(lines) * 512


def test_what_cannot_be_written_down_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def odd() -> None:
        writing.start()
        writing.note(CALLS, inline, at=0.0, value=object())
        writing.close()

    writing = Tape(tmp_path / "one", {})
    run(odd())
    assert writing.join(20)
    assert "has stopped: FormatError: nobody knows how to store a object." in caplog.text


def test_a_server_that_ends_waits_for_the_disk_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    woken = threading.Event()

    class Stuck(io.FileIO):
        def write(self, data: "memoryview[int]") -> int:  # type: ignore[override]
            woken.wait(20)
            return super().write(data)

    monkeypatch.setattr("assistant.record.recorder._FINISH_S", 0.01)
    recorder = Recorder(tmp_path, [], open_file=lambda path: Stuck(path, "w"))
    record(tmp_path, talk(), question, recorder=recorder)
    assert "lacks its end: the disk doesn't keep up." in caplog.text
    woken.set()
    monkeypatch.undo()
    recorder.close()


def test_a_note_costs_the_conversation_nothing_but_a_place_in_the_queue(tmp_path: Path) -> None:
    """Hashing and writing are the thread's: it isn't even running here."""

    async def note() -> None:
        sound = noise(60, 1)
        for _ in range(8):
            writing.note(CALLS, identity, at=0.0, audio=sound)

    writing = Tape(tmp_path / "one", {})
    run(note())
    assert not (tmp_path / "one").exists()


# --- Where it can't be written at all ---


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"can't be recorded in .*file/x: Not a directory\. Pass another folder"):
        Recorder(tmp_path / "file" / "x", [])


def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RecordError, match="Permission denied"):
        Recorder(tmp_path, [])


# --- parley serve --record, parley replay ---


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Recording | None]:
    """How the server was told to record; it is ready at once, and stops."""
    told: list[Recording | None] = []

    async def serve(
        _config: Config, _store: Store, on_ready: Callable[[str], None], record: Recording | None, _tls: None
    ) -> None:
        await asyncio.sleep(0)
        told.append(record)
        on_ready("http://127.0.0.1:8765")

    monkeypatch.setattr(app, "serve", serve)
    monkeypatch.setattr(Config, "models", lambda _self: ())
    monkeypatch.delenv("PARLEY_TOKEN", raising=False)
    return told


def parley(*args: str | Path) -> Result:
    result = CliRunner().invoke(cli.main, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_nothing_is_recorded_unless_asked_for(
    tmp_path: Path, served: list[Recording | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = parley("serve", "--port", "0")
    assert result.exit_code == 0
    assert served == [None]
    assert "RECORDING" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_recording_is_said_aloud_at_the_start_and_when_ready(tmp_path: Path, served: list[Recording | None]) -> None:
    result = parley("serve", "--port", "0", "--record", tmp_path / "kept")
    assert result.exit_code == 0
    assert isinstance(served[0], Recorder)
    assert result.stderr.count("RECORDING: everything that is said to this server") == 2
    assert result.stderr.count(f"    {tmp_path / 'kept'}\n") == 2
    assert result.stdout.splitlines()[-1] == "Parley is ready: http://127.0.0.1:8765"


@pytest.mark.usefixtures("served")
def test_a_folder_that_cannot_be_used_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = parley("serve", "--port", "0", "--record", tmp_path / "file")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: Conversations can't be recorded in {tmp_path / 'file'}: ")
    assert "Loading" not in result.stdout


@pytest.mark.usefixtures("served")
def test_a_server_that_cannot_start_warns_of_nothing(tmp_path: Path) -> None:
    with bind(Config.model_validate(_defaults()).server) as taken:
        result = parley("serve", "--port", str(taken.getsockname()[1]), "--record", tmp_path)
    assert result.exit_code == 2
    assert "RECORDING" not in result.stderr


def _defaults() -> object:
    from assistant.config import load  # noqa: PLC0415

    return load(port=0).model_dump()


def test_the_same_exits_with_0_a_difference_with_1(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(), question)
    same = parley("replay", folder)
    assert same.exit_code == 0
    assert "you: “what is the capital of france”" in same.stdout
    assert same.stdout.endswith("The same as it was recorded.\n")
    other = parley("replay", folder, "--set", "turn.min_silence_s=0.9", "--set", "turn.max_silence_s=1.5")
    assert other.exit_code == 1
    assert "~" in other.stdout
    assert "(recorded: at " in other.stdout


def test_a_folder_of_recordings_is_replayed_whole(tmp_path: Path) -> None:
    first = record(tmp_path, talk(), question)
    second = record(tmp_path, talk(), barge_in)
    result = parley("replay", tmp_path)
    assert result.exit_code == 0
    assert first.name in result.stdout
    assert second.name in result.stdout
    (second / "microphone.wav").unlink()
    result = parley("replay", tmp_path)
    assert result.exit_code == 2
    assert first.name in result.stdout
    assert result.stderr == (
        f"Error: {second / 'microphone.wav'} is missing: without it nothing can be replayed. "
        "Restore it from a copy, or record the conversation again.\n"
    )


def test_json_is_for_programs(tmp_path: Path) -> None:
    record(tmp_path, talk(), question)
    result = parley("replay", tmp_path, "--json", "--set", "turn.max_silence_s=1.1")
    report = json.loads(result.stdout)
    assert report["same"] == (result.exit_code == 0)
    (only,) = report["recordings"]
    assert only["set"] == {"max_silence_s": 1.1}
    assert only["whole"] is True
    assert {line["mark"] for line in only["lines"]} <= {"same", "changed", "recorded", "replayed"}
    assert only["events"][0]["event"]["$"] == "SpeechStarted"


def test_no_such_folder(tmp_path: Path) -> None:
    result = parley("replay", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: There is no folder {tmp_path / 'nowhere'}. Pass one that `parley serve --record` has made.\n"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("turn.min_silense_s=1", "there is no turn.min_silense_s. Did you mean turn.min_silence_s?"),
        ("turn.zzz=1", "there is no turn.zzz."),
        ("turn.min_silence_s", "write it as turn.KEY=VALUE, such as turn.min_silence_s=0.3."),
        ("llm.model=x", "write it as turn.KEY=VALUE, such as turn.min_silence_s=0.3."),
        ("turn.min_silence_s=-1", "turn.min_silence_s should be greater than 0."),
        ("turn.min_silence_s=soon", "turn.min_silence_s should be a valid number, unable to parse string as a number."),
        ("turn.speculate=perhaps", "turn.speculate should be a valid boolean, unable to interpret input."),
    ],
)
def test_a_setting_that_cannot_be_is_told(tmp_path: Path, change: str, sentence: str) -> None:
    result = parley("replay", tmp_path, "--set", change)
    assert result.exit_code == 2
    assert result.stderr == f"Error: --set {change}: {sentence}\n"


@pytest.mark.parametrize(
    ("change", "value"),
    [("turn.mode=silence", "silence"), ("turn.speculate = false", False), ("turn.max_silence_s=2", 2.0)],
)
def test_settings_are_read_as_in_a_file(change: str, value: object) -> None:
    assert command._change(change)[1] == value
