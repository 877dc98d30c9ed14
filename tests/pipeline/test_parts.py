"""The small parts of a session, each alone."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.record.virtual_time import run
from audio.types import INPUT_RATE
from pipeline.engines import ChatMessage
from pipeline.events import Audio, Clear
from pipeline.history import Clause, Item, Spoken, Text, heard, prompt
from pipeline.inbox import Inbox
from pipeline.partials import StablePrefix
from pipeline.playhead import Playhead
from pipeline.recording import Recording
from pipeline.timings import Timings

# --- Playhead ---


def test_the_playhead_follows_real_time_and_waits_in_gaps() -> None:
    playhead = Playhead()
    playhead.send(1.0, now=10.0)
    assert playhead.played_s(10.5) == pytest.approx(0.5)
    assert playhead.ahead_s(10.5) == pytest.approx(0.5)
    playhead.send(1.0, now=20.0)
    assert playhead.played_s(20.0) == pytest.approx(1.0)
    assert playhead.played_s(99.0) == pytest.approx(2.0)


# --- Recording ---


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 90_000)), max_size=30))
def test_a_recording_gives_back_what_it_got(script: list[tuple[int, int]]) -> None:
    recording, everything = Recording(), np.empty(0, dtype=np.float32)
    for count, before in script:
        samples = np.arange(len(everything), len(everything) + count, dtype=np.float32)
        everything = np.concatenate([everything, samples])
        recording.append(samples)
        recording.forget(min(before, recording.end))
        assert recording.end == len(everything)
        assert np.array_equal(recording.cut(0), everything[recording.start :])
        middle = (recording.start + recording.end) // 2
        assert np.array_equal(recording.cut(middle, recording.end + 9), everything[middle:])


def test_a_recording_lets_go_of_memory() -> None:
    recording = Recording()
    recording.append(np.zeros(INPUT_RATE * 120, dtype=np.float32))
    recording.forget(INPUT_RATE * 119)
    assert recording._data.nbytes < INPUT_RATE * 4 * 10


# --- Inbox ---


def test_sound_drops_its_oldest_and_nothing_else_is_lost() -> None:
    async def script() -> list[object]:
        inbox: Inbox[Clear] = Inbox(max_audio_s=2.0)
        await inbox.put(Clear("before"))
        for level in range(5):
            await inbox.put(Audio(np.full(INPUT_RATE, level, dtype=np.float32)))
        await inbox.put(Clear("after"))
        assert inbox.dropped_s == pytest.approx(3.0)
        return [await inbox.get() for _ in range(4)]

    first, third, fourth, last = run(script())
    assert (first, last) == (Clear("before"), Clear("after"))
    assert [entry.samples[0] for entry in (third, fourth)] == [3.0, 4.0]  # type: ignore[attr-defined]


def test_everything_but_sound_waits_for_room() -> None:
    async def script() -> None:
        inbox: Inbox[Clear] = Inbox(max_others=1)
        await inbox.put(Clear())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await inbox.put(Clear())
        await inbox.put(Audio(np.zeros(1, dtype=np.float32)))
        await inbox.get()
        await inbox.put(Clear())

    run(script())


# --- Partial transcripts ---


def test_words_are_given_out_once_when_two_transcripts_agree() -> None:
    stable = StablePrefix()
    heard_so_far = ["What", "What time", "What's time is", "What time is it", "What time is it now", "What", ""]
    assert [stable.feed(text) for text in heard_so_far] == ["", "", "", "", "What time is", "", ""]
    assert stable.feed("What time is it now please") == ""
    assert stable.feed("what time, is it now please then") == " it now"
    assert stable.agreed == "what time, is it now"


def test_agreed_is_what_two_transcripts_begin_with_whatever_was_given_out_before() -> None:
    stable = StablePrefix()
    agreed = []
    for text in ["what you", "what you please", "would you please", "would you please turn", "would you please go on"]:
        stable.feed(text)
        agreed.append(stable.agreed)
    assert agreed == ["", "what", "", "would you", "would you please"]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=12))
def test_given_words_are_never_taken_back(transcripts: list[list[str]]) -> None:
    stable, given_out = StablePrefix(), ""
    for words in transcripts:
        fresh = stable.feed(" ".join(words))
        assert not fresh or fresh.startswith(" ") == bool(given_out)
        given_out += fresh
    assert len(given_out.split()) <= max((len(words) for words in transcripts), default=0)


# --- History ---

CLAUSES = (Clause("It is noon.", 1.1), Clause("The sun is up.", 1.4))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, ""),
        (0.05, ""),
        (0.15, "It"),
        (1.0, "It is noon."),
        (1.1, "It is noon."),
        (1.75, "It is noon. The sun"),
        (9.0, "It is noon. The sun is up."),
    ],
)
def test_what_was_heard_by_then(seconds: float, words: str) -> None:
    assert heard(CLAUSES, seconds) == words


def test_a_clause_that_is_still_being_made_counts_by_its_letters() -> None:
    assert heard([Clause("a" * 15 + " " + "b" * 14)], 1.0) == "a" * 15


@given(
    st.lists(st.tuples(st.text("ab ", min_size=1).filter(str.strip), st.floats(0.1, 5)), max_size=5), st.floats(0, 30)
)
def test_more_time_never_means_fewer_words(clauses: list[tuple[str, float]], seconds: float) -> None:
    spoken = [Clause(*clause) for clause in clauses]
    assert len(heard(spoken, seconds).split()) <= len(heard(spoken, seconds + 0.5).split())


def item(number: int, role: str, text: str) -> Item:
    return Item(f"i{number}", role, (Text(text),))  # type: ignore[arg-type]


def test_the_prompt_joins_messages_of_one_role_and_skips_silent_ones() -> None:
    items = [
        item(1, "user", "a"),
        Item("i2", "assistant", (Spoken(""),), "incomplete"),
        item(3, "user", "b"),
        item(4, "assistant", "c"),
        Item("i5", "user", (Spoken(None),)),
    ]
    assert prompt(items, "", "d", max_chars=100) == [
        ChatMessage("user", "a\nb"),
        ChatMessage("assistant", "c"),
        ChatMessage("user", "d"),
    ]


def test_a_long_conversation_loses_its_oldest_part_in_blocks() -> None:
    items = [item(number, "user" if number % 2 else "assistant", f"{number:010}") for number in range(40)]
    firsts = [prompt(items[:count], "", max_chars=100)[0].content for count in range(1, 40)]
    assert len(set(firsts)) <= 8
    for count in range(1, 40):
        messages = prompt(items[:count], "", max_chars=100)
        assert sum(len(message.content) for message in messages) <= 100
        assert messages[-1].content == f"{count - 1:010}"


def test_the_question_stays_however_long_it_is() -> None:
    assert prompt([item(1, "user", "a")], "", "b" * 500, max_chars=100) == [ChatMessage("user", "b" * 500)]


def test_timings_need_nothing_but_time() -> None:
    assert Timings().first_audio_s is None
