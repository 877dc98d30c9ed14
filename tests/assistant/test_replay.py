"""A recorded conversation is the same again when it is replayed, and says what is different when it isn't."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.record import format as stored_format
from assistant.record.compare import Pair, compare, words_of
from assistant.record.reading import folders, read
from assistant.record.replay import replay
from assistant.record.stored import ReplayError, Stored
from assistant.record.timeline import differ, timeline
from audio.types import Samples
from pipeline import events
from pipeline.engines import (
    Adjusted,
    Bridge,
    Finish,
    Routed,
    TakenBack,
    TextDelta,
    Tool,
    Toolbox,
    ToolCall,
    Transcript,
)
from pipeline.tool_servers import ListedTool, ToolError, ToolFailure, ToolServer
from tests.assistant.recording import (
    QUESTION,
    Talk,
    announced,
    barge_in,
    beside,
    function,
    long_pause,
    messages,
    nothing_said,
    push_to_talk,
    question,
    record,
    shown,
    talk,
    truncation,
)
from tests.pipeline.doubles import (
    WAIT,
    LevelVad,
    RoutedLlm,
    ScriptedEyes,
    ScriptedLlm,
    ScriptedServers,
    ScriptedStt,
    ScriptedTts,
    ScriptedTurnDetector,
    taking,
)

LIVE = ["what is", "what is the capital", QUESTION]


def replayed(folder: Path, **turn: Any) -> tuple[Stored, list[Pair], str]:
    stored = read(folder)
    done = replay(stored, turn)
    pairs = compare(stored, done, turn)
    return stored, pairs, "\n".join(timeline(stored, done, pairs))


TOOLS = replace(taking(), toolbox=Toolbox((Tool("look_up", "Look something up."),)))


def caller() -> ScriptedLlm:
    return ScriptedLlm(["", "It is Paris."], calls={"": (ToolCall("c", "look_up", '{"what": "capital"}'),)})


SERVED = replace(taking(), tool_servers=(ToolServer("web", "1"),))
BROKEN = ToolError(ToolFailure("http_error", "It is closed.", 503))


def servers(result: str | Exception) -> ScriptedServers:
    listed = (ListedTool("look_up", "Look something up."), ListedTool("open", asks=True))
    return ScriptedServers({"web": listed}, {"look_up": result}, takes_s=2.0)


async def slow_tool(talk: Talk) -> None:
    await question(talk)
    await talk.hush(4.0)


def router() -> RoutedLlm:
    cloud = Routed("big", "cloud", "It needs thought.", "reasoning", "api.example.com")
    here = Routed("embedded", "device", "The cloud is down.")
    words = (TextDelta("It is Paris. And"), 0.2, TakenBack(" And"), here, TextDelta(" It is lovely there."))
    return RoutedLlm(scripts=[[cloud, WAIT, Bridge("Let me look."), 2.0, Adjusted(volume=0.4, speed=0.9), *words, END]])


END = Finish("stop", 20, 10, 9)
CONVERSATIONS = {
    "a question": (question, lambda: {}),
    "a barge-in": (barge_in, lambda: {}),
    "a pause inside": (long_pause, lambda: {"turn": ScriptedTurnDetector([0.1, 0.2, 0.9])}),
    "live words": (barge_in, lambda: {"live": ScriptedStt(LIVE, takes_s=0.05)}),
    "push to talk": (push_to_talk, lambda: {}),
    "messages": (messages, lambda: {}),
    "a truncation": (truncation, lambda: {}),
    "beside it": (beside, lambda: {}),
    "pictures that are seen": (beside, lambda: {"llm": ScriptedLlm(takes_pictures=True)}),
    "a function": (function, lambda: {"llm": caller(), "settings": TOOLS}),
    "a tool of a server": (slow_tool, lambda: {"llm": caller(), "settings": SERVED, "tools": servers("Paris")}),
    "a tool that fails": (slow_tool, lambda: {"llm": caller(), "settings": SERVED, "tools": servers(BROKEN)}),
    "a server that fails": (question, lambda: {"settings": SERVED, "tools": ScriptedServers({"web": BROKEN})}),
    "a camera": (shown, lambda: {"eyes": ScriptedEyes()}),
    "a camera that nothing sees": (shown, lambda: {}),
    "a routed answer": (announced, lambda: {"llm": router()}),
    "nothing": (nothing_said, lambda: {}),
    "no words": (question, lambda: {"stt": ScriptedStt([""])}),
    "a recogniser that fails": (question, lambda: {"stt": ScriptedStt(error=ValueError("deaf"))}),
    "a model that fails": (question, lambda: {"llm": ScriptedLlm(error=MemoryError("out of it"), error_after=2)}),
    "a voice that fails": (question, lambda: {"tts": ScriptedTts(error=RuntimeError("mute"))}),
    "a turn detector that fails": (question, lambda: {"turn": ScriptedTurnDetector(error=OSError(5, "lost"))}),
    "a prompt that can't be prepared": (question, lambda: {"llm": ScriptedLlm(prefill_error=LookupError("no"))}),
    "other turn-taking": (barge_in, lambda: {"settings": taking(mode="silence", max_silence_s=0.5)}),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_replay_is_what_was_recorded(tmp_path: Path, name: str) -> None:
    script, parts = CONVERSATIONS[name]
    held = talk(**parts())
    stored, pairs, text = replayed(record(tmp_path, held, script))
    assert differ(pairs) == 0, text
    assert stored.whole
    assert stored.remarks == []
    assert "stands in" not in text
    assert len(stored.events) == len(held.log) - len(held.of(events.SceneSeen))
    # On virtual time nothing was late, so not even a millisecond differs.
    assert all(abs(pair.then.at - pair.now.at) < 1e-3 for pair in pairs if pair.then and pair.now)


def test_what_the_camera_showed_is_kept_in_words_only(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(eyes=ScriptedEyes()), shown)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b"THE HOBBIT" in kept["calls.jsonl"]
    frame = b"secret book: THE HOBBIT"
    assert not any(frame in data or base64.b64encode(frame) in data for data in kept.values())


def test_two_replays_are_identical(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(live=ScriptedStt(LIVE, takes_s=0.05)), barge_in)
    assert replay(read(folder)) == replay(read(folder))


@dataclass
class RememberedTts(ScriptedTts):
    made: list[Samples] = field(default_factory=list)

    async def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        async for chunk in super().speak(text, voice=voice, speed=speed):
            self.made.append(chunk)
            yield chunk


def test_the_reply_sounds_as_it_did(tmp_path: Path) -> None:
    """Whatever looks at the reply's sound, such as an echo guard, finds the same."""
    tts = RememberedTts()
    stored = read(record(tmp_path, talk(tts=tts), question))
    kept = [piece.value for call in stored.calls if call.kind == "tts.speak" for piece in call.pieces]
    assert len(kept) == len(tts.made) > 1
    assert all(np.array_equal(one, other) for one, other in zip(kept, tts.made, strict=True))


def test_a_client_that_reads_slowly_is_as_slow_again(tmp_path: Path) -> None:
    async def slow(talk: Talk) -> None:
        async def take() -> None:
            while True:
                event = await talk.session.next_event()
                await asyncio.sleep(1.5 if isinstance(event, events.ResponseStarted) else 0)

        reader = asyncio.create_task(take())
        await question(talk)
        reader.cancel()

    folder = record(tmp_path, talk(), slow, read=False)
    stored, pairs, text = replayed(folder)
    assert differ(pairs) == 0, text
    (busy,) = stored.busy
    assert busy.end - busy.start == pytest.approx(1.5)
    (told,) = [pair for pair in pairs if pair.now and pair.now.kind == "ResponseText" and "Paris" in str(pair.now)]
    assert told.at == pytest.approx(busy.end, abs=0.01)


class DeafVad(LevelVad):
    """Fails after a second."""

    windows = 0

    def score(self, window: Samples) -> float:
        self.windows += 1
        if self.windows > 31:
            raise TimeoutError("no sound card")
        return super().score(window)


def test_a_session_that_fails_fails_again(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup):
        record(tmp_path, talk(), question, vad=DeafVad())
    (folder,) = tmp_path.iterdir()
    stored, pairs, text = replayed(folder)
    assert stored.failure == "TimeoutError"
    assert differ(pairs) == 0, text
    assert "the session failed: TimeoutError" in text
    lines = (folder / "calls.jsonl").read_text().replace('"probability":null', '"probability":0.5')
    (folder / "calls.jsonl").write_text(lines)  # as if that were mended
    assert [pair.mark for pair in replayed(folder)[1] if pair.then and pair.then.kind == "SessionFailed"] == [
        "recorded"
    ]


# --- Other settings, other code ---


def test_other_settings_show_what_they_would_have_changed(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(), question)
    (committed,) = (at for at, event in read(folder).events if event["$"] == "SpeechStopped")
    _, pairs, text = replayed(folder, max_silence_s=2.0, min_silence_s=0.8)
    (moved,) = [pair for pair in pairs if pair.now and pair.now.kind == "SpeechStopped"]
    assert moved.mark == "changed"
    assert moved.at > committed + 0.2
    assert f"(recorded: at {committed:.3f} s)" in text
    assert "events differ" in text


def test_settings_that_a_client_changes_stay_overridden(tmp_path: Path) -> None:
    async def configured(talk: Talk) -> None:
        await talk.ask(events.Update(replace(talk.settings, temperature=0.1)))
        await question(talk)

    folder = record(tmp_path, talk(), configured)
    _, pairs, _ = replayed(folder, mode="manual")
    kinds = {(pair.mark, (pair.now or pair.then).event["$"]) for pair in pairs}  # type: ignore[union-attr]
    assert ("same", "SettingsUpdated") in kinds  # as asked for: that is no difference
    assert ("recorded", "SpeechStarted") in kinds
    assert not any(mark == "replayed" for mark, _ in kinds)


def test_a_call_that_was_given_up_and_is_needed_now_has_a_stand_in(tmp_path: Path) -> None:
    """In the recording the pause was no end; with less patience it is."""
    held = talk(
        turn=ScriptedTurnDetector([0.2]),
        stt=ScriptedStt(["what is", QUESTION], takes_s=0.3),
        settings=taking(max_silence_s=0.6),
    )
    folder = record(tmp_path, held, long_pause)
    assert len([event for _, event in read(folder).events if event["$"] == "SpeechStopped"]) == 1
    stored, pairs, text = replayed(folder, max_silence_s=0.2)
    assert differ(pairs) > 0
    assert "the recording has no answer to stt.transcribe" in text
    assert len([pair for pair in pairs if pair.now and pair.now.kind == "SpeechStopped"]) == 2
    assert replay(stored, {"max_silence_s": 0.2}) == replay(stored, {"max_silence_s": 0.2})


def test_a_reply_that_was_interrupted_and_now_is_not_goes_on(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(llm=ScriptedLlm([ANSWER_OF_MANY], word_s=0.3)), barge_in)
    _, pairs, text = replayed(folder, barge_in_s=30.0, hold_s=20.0, look_s=25.0)
    ended = [pair.now.event["status"] for pair in pairs if pair.now and pair.now.kind == "ResponseEnded"]
    assert "completed" in ended
    assert "stopped here in the recording" in text


ANSWER_OF_MANY = "One is here. " + " ".join(f"And then comes number {number}." for number in range(20))


def test_ids_that_a_client_was_told_mean_the_same_message(tmp_path: Path) -> None:
    """With other settings there are more turns, and so other ids, before the one that is truncated."""
    folder = record(tmp_path, talk(), truncation)
    lines = (folder / "requests.jsonl").read_text().splitlines()
    extra = json.dumps({"at": 0.0, "made": "item", "id": "item_more"})
    (folder / "requests.jsonl").write_text("\n".join([extra, *lines]) + "\n")
    _, pairs, text = replayed(folder)
    assert differ(pairs) == 0, text
    assert any(pair.now and pair.now.kind == "ItemTruncated" for pair in pairs)


def test_an_id_that_stands_for_another_message_is_a_difference(tmp_path: Path) -> None:
    stored = read(record(tmp_path, talk(), question))
    done = replay(stored)
    ids = [event["item_id"] for _, event in done.events if event["$"] in ("SpeechStarted", "ResponseStarted")]
    for _, event in done.events:
        if event["$"] == "SpeechStopped":
            event["item_id"] = ids[1]
    pairs = compare(stored, done, {})
    assert "changed" in {pair.mark for pair in pairs}
    assert "was that of something else" in "\n".join(timeline(stored, done, pairs))


@pytest.mark.parametrize(("fewer", "same"), [(1, True), (2, False)])
def test_a_machine_that_was_late_had_said_a_word_less_of_a_reply_that_was_stopped(
    tmp_path: Path, fewer: int, same: bool
) -> None:
    stored = read(record(tmp_path, talk(), barge_in))
    done = replay(stored)
    (stopped,) = (event for _, event in done.events if event["$"] == "ResponseEnded" and event["status"] == "cancelled")
    heard = words_of(stopped["item"])
    stopped["item"]["parts"] = [{"$": "Text", "text": " ".join(heard.split()[:-fewer])}]
    pairs = compare(stored, done, {})
    assert (differ(pairs) == 0) is same
    assert (f"heard of it: “{heard}”" in "\n".join(timeline(stored, done, pairs))) is not same


def test_what_nothing_answers_is_named(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(), question)
    calls = [line for line in (folder / "calls.jsonl").read_text().splitlines() if "stt." not in line]
    (folder / "calls.jsonl").write_text("\n".join(calls) + "\n")
    with pytest.raises(ReplayError, match=r"line \d+, is not what a recording holds"):  # its end has no beginning
        read(folder)
    kept = [line for line in calls if json.loads(line).get("call") not in transcriptions(folder, calls)]
    (folder / "calls.jsonl").write_text("\n".join(kept) + "\n")
    stored = read(folder)
    with pytest.raises(ReplayError, match=r"nothing in the recording answers stt.transcribe of 1.\d\d s of sound"):
        replay(stored)


def transcriptions(folder: Path, calls: list[str]) -> set[int]:
    numbered = {json.loads(line)["call"] for line in calls if "kind" in json.loads(line)}
    return {json.loads(line)["call"] for line in calls if "call" in json.loads(line)} - numbered


def test_windows_that_were_never_heard_are_counted(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(), question)
    sound = bytearray((folder / "microphone.wav").read_bytes())
    sound[444:448] = b"\0\0\0\x3f"  # 0.5, in the first window
    (folder / "microphone.wav").write_bytes(sound)
    _, pairs, text = replayed(folder)
    assert "1 windows of sound were not heard like that" in text
    assert differ(pairs) == 0


# --- Recordings that are not whole ---


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return record(tmp_path, talk(), barge_in)


@pytest.mark.parametrize("name", ["requests.jsonl", "calls.jsonl", "events.jsonl"])
def test_a_last_line_that_is_cut_off_is_left_out(whole: Path, name: str) -> None:
    content = (whole / name).read_bytes()
    (whole / name).write_bytes(content[:-9])
    stored, pairs, text = replayed(whole)
    assert differ(pairs) == 0, text
    assert stored.whole == (name != "events.jsonl")


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.9])
def test_a_process_that_was_killed_leaves_a_recording_up_to_that_moment(whole: Path, share: float) -> None:
    at = share * read(whole).end_s
    for name in ("requests.jsonl", "calls.jsonl", "events.jsonl"):
        lines = (whole / name).read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["at"] <= at]
        (whole / name).write_bytes(b"".join(kept) + b'{"at":')
    stored, pairs, text = replayed(whole)
    assert not stored.whole
    assert f"cut off: it is replayed up to {stored.end_s:.3f} s" in text
    assert stored.end_s == pytest.approx(at, abs=0.05)
    assert differ(pairs) == 0, text


def test_what_came_last_before_a_kill_may_not_have_been_written(whole: Path) -> None:
    lines = (whole / "events.jsonl").read_bytes().splitlines(keepends=True)
    (whole / "events.jsonl").write_bytes(b"".join(lines[:-8]))
    stored, pairs, text = replayed(whole)
    assert not stored.whole
    assert differ(pairs) == 0, text
    (whole / "events.jsonl").write_bytes(b"")
    assert replayed(whole)[1] == []


def test_sound_that_is_missing_ends_the_replay(whole: Path) -> None:
    content = (whole / "microphone.wav").read_bytes()
    (whole / "microphone.wav").write_bytes(content[: len(content) // 2])
    stored, pairs, text = replayed(whole)
    assert "microphone.wav ends too early: what follows" in text
    assert 0 < stored.end_s < 8
    assert differ(pairs) == 0, text


def test_a_recording_from_before_a_field_was_there_is_the_same(whole: Path) -> None:
    path = whole / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        for key in ("asked", "tokens"):
            (line.get("event") or {}).pop(key, None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    manifest = json.loads((whole / "manifest.json").read_text(encoding="utf-8"))
    del manifest["pictures"]
    (whole / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    _, pairs, report = replayed(whole)
    assert differ(pairs) == 0, report


def test_a_recording_from_before_answers_were_routed_is_the_same(tmp_path: Path) -> None:
    folder = record(tmp_path, talk(), push_to_talk)
    path = folder / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        event = line.get("event", {})
        event.pop("routes", None)
        event.get("timings", {}).pop("bridge_s", None)
        event.get("settings", {}).pop("route", None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    _, pairs, report = replayed(folder)
    assert differ(pairs) == 0, report
    assert {pair.now.kind for pair in pairs if pair.now} >= {"SettingsUpdated", "TurnTimed"}


def test_what_a_router_does_is_told(tmp_path: Path) -> None:
    _, _, text = replayed(record(tmp_path, talk(llm=router()), announced))
    assert "reply is made by big (cloud): It needs thought." in text
    assert "reply bridges the wait: “Let me look.”" in text
    assert "to be said: “Your pasta timer is over.”" in text


def test_a_field_that_is_no_more_is_named(whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    manifest["settings"]["turn_taking"]["patience_s"] = 3
    (whole / "manifest.json").write_text(json.dumps(manifest))
    _, pairs, text = replayed(whole)
    assert "The recording has a TurnTaking.patience_s, which this version doesn't know: it is left out." in text
    assert differ(pairs) == 0


def spoil_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def shorten(folder: Path, name: str, size: int) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:size])


def spoil_line(folder: Path, name: str, line: str) -> None:
    lines = (folder / name).read_text().splitlines()
    (folder / name).write_text("\n".join([lines[0], line, *lines[2:]]) + "\n")


SPOILT = [
    (lambda folder: spoil_manifest(folder, format=7), r"format 7, and this version of Parley reads format 1\. Replay"),
    (lambda folder: shorten(folder, "manifest.json", 99), r"manifest\.json is not JSON, or cut short"),
    (
        lambda folder: spoil_manifest(folder, settings={}),
        r"manifest\.json can't be used: there is no such thing as \[\]",
    ),
    (lambda folder: spoil_manifest(folder, settings={"$": "Nothing"}), r"knows nothing called 'Nothing'"),
    (lambda folder: (folder / "manifest.json").unlink(), r"manifest\.json is missing"),
    (lambda folder: (folder / "microphone.wav").unlink(), r"microphone\.wav is missing: .* record the conversation"),
    (lambda folder: (folder / "events.jsonl").unlink(), r"events\.jsonl is missing"),
    (lambda folder: shorten(folder, "speech.wav", 20), r"speech\.wav can't be used: .* is not mono 32-bit float sound"),
    (lambda folder: spoil_line(folder, "requests.jsonl", "{nonsense"), r"requests\.jsonl, line 2, is not JSON"),
    (lambda folder: spoil_line(folder, "events.jsonl", "[1]"), r"events\.jsonl, line 2, is not what a recording"),
    (lambda folder: spoil_line(folder, "calls.jsonl", '{"at": 1}'), r"calls\.jsonl, line 2, is not what a recording"),
    (
        lambda folder: spoil_line(folder, "requests.jsonl", '{"at": 1, "request": {"$": "CreateItem"}}'),
        r"CreateItem has a field 'item' by now, of which nothing is stored",
    ),
    (
        lambda folder: spoil_line(
            folder, "requests.jsonl", '{"at": 1, "request": {"$": "Audio", "samples": {"a": 1}}}'
        ),
        r"there is no such thing as \['a'\]",
    ),
]


@pytest.mark.parametrize(("spoil", "sentence"), SPOILT)
def test_what_cannot_be_read_is_one_sentence(whole: Path, spoil: Any, sentence: str) -> None:
    spoil(whole)
    with pytest.raises(ReplayError, match=sentence):
        read(whole)


def test_a_file_that_may_not_be_read_is_told(whole: Path) -> None:
    (whole / "calls.jsonl").unlink()
    (whole / "calls.jsonl").mkdir()
    with pytest.raises(ReplayError, match=r"calls\.jsonl can't be read: Is a directory"):
        read(whole)


def test_recordings_are_found(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="There is no folder"):
        folders(tmp_path / "nowhere")
    with pytest.raises(ReplayError, match="There is no recording in"):
        folders(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ReplayError, match="is a file"):
        folders(tmp_path / "file")
    first = record(tmp_path, talk(), nothing_said)
    second = tmp_path / "0-copy"
    shutil.copytree(first, second)
    assert folders(tmp_path) == [second, first]
    assert folders(first) == [first]


# --- The format ---


def test_everything_that_can_be_stored_comes_back() -> None:
    stored = {
        "numbers": (1, 2.5, float("-inf"), True, None),
        "words": Transcript("Grüße", "de", float("-inf")),
        "rejected": events.Rejected("a", "b"),
    }
    tree = json.loads(json.dumps(stored_format.encode(stored, stored_format.inline), allow_nan=False))
    assert stored_format.decode(tree, lambda _: None, set()) == stored  # type: ignore[arg-type, return-value]


class Mood(Enum):
    GOOD = "good"


@dataclass(frozen=True)
class Report:
    mood: Mood
    loudness: float


def test_enums_and_numpys_numbers_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {kind.__name__: kind for kind in stored_format._walk((Report,), set())}
    assert found == {"Report": Report, "Mood": Mood}
    monkeypatch.setattr(stored_format, "_types", lambda: found)
    tree = stored_format.encode(Report(Mood.GOOD, np.float32(0.5)), stored_format.inline)  # type: ignore[arg-type]
    assert tree == {"$": "Report", "mood": {"$enum": "Mood.GOOD"}, "loudness": 0.5}
    assert stored_format.decode(tree, lambda _: None, set()) == Report(Mood.GOOD, 0.5)  # type: ignore[arg-type, return-value]


def test_every_request_and_event_is_known_by_its_name() -> None:
    for union in (events.Request, events.Event):
        for kind in stored_format._walk((union,), set()):
            assert stored_format._type(kind.__name__) is kind


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(stored_format.FormatError, match="nobody knows how to store a object"):
        stored_format.encode(object(), stored_format.inline)


def test_a_replay_tells_of_calls_and_their_results(tmp_path: Path) -> None:
    _, pairs, report = replayed(record(tmp_path, talk(llm=caller(), settings=TOOLS), function))
    assert differ(pairs) == 0, report
    assert 'reply calls look_up with {"what": "capital"}' in report
    assert "the function returned: “Paris”" in report


@pytest.mark.parametrize(
    ("result", "told"),
    [("Paris", "the tool returned: “Paris”"), (BROKEN, "the tool failed: It is closed.")],
)
def test_a_tool_of_a_server_is_in_the_timeline(tmp_path: Path, result: str | Exception, told: str) -> None:
    held = talk(llm=caller(), settings=SERVED, tools=servers(result))
    _, _, report = replayed(record(tmp_path, held, slow_tool))
    assert 'reply calls look_up of web with {"what": "capital"}' in report
    assert told in report
