"""Which recorded answer a call gets, and what stands in where there is none."""

import asyncio
from typing import Any

import numpy as np
import pytest

from assistant.record.answers import Answers, Moments, Scores, describe
from assistant.record.calls import Trace
from assistant.record.format import encode, identity
from assistant.record.replaying import replaying
from assistant.record.stored import Call, Look, Piece, ReplayError, Score, Stored, Wait
from assistant.record.virtual_time import run
from audio.types import INPUT_RATE, Samples
from pipeline.engines import ChatMessage, ChatRequest, Engines, Finish, TextDelta, Transcript
from pipeline.lanes import Lane
from pipeline.settings import Settings

SOUND = np.linspace(-1, 1, 10 * INPUT_RATE, dtype=np.float32)


def cut(start_s: float, end_s: float) -> Samples:
    return SOUND[int(start_s * INPUT_RATE) : int(end_s * INPUT_RATE)]


def call(kind: str, begin: float, at: float, **fields: Any) -> Call:
    arguments = {name: encode(value, identity) for name, value in fields.pop("arguments").items()}
    return Call(kind, arguments, fields.pop("heard", int(begin * INPUT_RATE)), begin, at=at, asked=begin, **fields)


def transcription(
    start_s: float, end_s: float, text: str | None, *, kind: str = "stt.transcribe", **fields: Any
) -> Call:
    """A call at `end_s`, for the sound until then; without a text it was left."""
    arguments = {"audio": cut(start_s, end_s), "language": None, "prompt": ""}
    end = {"end": "left"} if text is None else {"end": "returned", "value": Transcript(text)}
    return call(kind, end_s, end_s + 0.2, arguments=arguments, **end | fields)


def answer(question: str, *words: str, begin: float = 1.0, end: str = "returned", **fields: Any) -> Call:
    pieces = [TextDelta(word) for word in words] + ([Finish("stop", 9, 0, len(words))] if end == "returned" else [])
    timed = [Piece(begin + 0.1 * at, begin + 0.1 * (at + 1), piece) for at, piece in enumerate(pieces)]
    messages = (ChatMessage("system", "Be brief."), ChatMessage("user", question))
    arguments = {"messages": messages, "max_tokens": 9, "temperature": 0.5}
    done = call("llm.stream", begin, begin + 0.1 * len(pieces), arguments=arguments, end=end, pieces=timed, **fields)
    done.asked = done.at
    return done


def speech(text: str, *samples: int, begin: float = 1.0, end: str = "returned", speed: float = 1.0) -> Call:
    pieces = [Piece(begin, begin + 0.1, np.full(count, 0.1 * (at + 1), np.float32)) for at, count in enumerate(samples)]
    arguments = {"text": text, "voice": None, "speed": speed}
    return call("tts.speak", begin, begin + 0.1, arguments=arguments, end=end, pieces=pieces)


def replay(calls: list[Call], ask: Any, **stored: Any) -> tuple[Any, Trace, float]:
    """Ask engines that answer from these calls; return what they said, the trace and how long it took."""
    trace = Trace(heard=stored.pop("heard", 0))
    recording = Stored(None, Settings(), live=True, cores=2, calls=calls, end_s=stored.pop("end_s", 99.0), **stored)  # type: ignore[arg-type]
    engines = replaying(recording, trace)

    async def main() -> tuple[Any, float]:
        return await ask(engines), asyncio.get_running_loop().time()

    said, took_s = run(main())
    return said, trace, took_s


async def collect(stream: Any) -> list[Any]:
    return [piece async for piece in stream]


def transcribe(start_s: float, end_s: float, kind: str = "stt") -> Any:
    async def ask(engines: Engines) -> Transcript:
        return await getattr(engines, kind).transcribe(cut(start_s, end_s))  # type: ignore[no-any-return]

    return ask


def think(question: str) -> Any:
    async def ask(engines: Engines) -> list[Any]:
        messages = (ChatMessage("system", "Be brief."), ChatMessage("user", question))
        return await collect(engines.llm.stream(ChatRequest(messages, max_tokens=9, temperature=0.5)))

    return ask


def speak(text: str, **wishes: Any) -> Any:
    async def ask(engines: Engines) -> list[Samples]:
        return await collect(engines.tts.speak(text, **wishes))

    return ask


# --- The same call ---


def test_the_same_call_gets_its_answer_and_takes_as_long() -> None:
    calls = [transcription(0, 1, "one"), transcription(1, 2, "two")]
    said, trace, took_s = replay(calls, transcribe(1, 2), heard=2 * INPUT_RATE)
    assert said == Transcript("two")
    assert trace.stand_ins == []
    assert took_s == pytest.approx(0.2)


def test_a_call_at_the_same_moment_ends_at_the_same_moment() -> None:
    """However late it began: so what it races with comes before or after it, as it did."""

    async def ask(engines: Engines) -> Transcript:
        await asyncio.sleep(1.015)
        return await engines.stt.transcribe(cut(0, 1))

    assert replay([transcription(0, 1, "one")], ask)[2] == pytest.approx(1.2)


def test_of_several_same_calls_each_answer_is_given_once_and_the_nearest_first() -> None:
    calls = [answer("why", "one", begin=1), answer("why", "two", begin=5), answer("why", "three", begin=9)]
    answers = Answers(calls)
    arguments = calls[0].arguments
    given = [answers.same("llm.stream", arguments, 6.0) for _ in range(4)]
    assert [each.begin for each in given if each] == [5, 9, 1, 5]
    assert answers.same("llm.prefill", arguments, 6.0) is None


def test_what_was_raised_is_raised() -> None:
    failed = transcription(0, 1, "", end="raised", error=("MemoryError", "too long"))
    with pytest.raises(MemoryError, match="too long"):
        replay([failed], transcribe(0, 1))
    odd = transcription(0, 1, "", end="raised", error=("OnnxError", "bad graph"))
    with pytest.raises(Exception, match="bad graph") as caught:
        replay([odd], transcribe(0, 1))
    assert type(caught.value).__name__ == "OnnxError"
    strict = transcription(0, 1, "", end="raised", error=("UnicodeDecodeError", "bad byte"))
    with pytest.raises(Exception, match="bad byte") as caught:
        replay([strict], transcribe(0, 1))
    assert type(caught.value).__name__ == "UnicodeDecodeError"


# --- Stand-ins ---


def test_sound_that_was_never_transcribed_has_the_words_of_what_overlaps_most() -> None:
    calls = [
        transcription(0.0, 1.0, "one"),
        transcription(3.0, 5.0, "two"),
        transcription(3.0, 4.0, "half of two", kind="live.transcribe"),
    ]
    said, trace, _ = replay(calls, transcribe(3.0, 4.1), heard=int(4.1 * INPUT_RATE))
    assert said == Transcript("half of two")
    ((_, told),) = trace.stand_ins
    assert told == (
        "the recording has no answer to stt.transcribe of 1.10 s of sound up to 4.10 s: "
        "that to live.transcribe of 1.00 s of sound up to 4.00 s stands in"
    )


def test_sound_that_overlaps_with_nothing_has_the_words_of_what_is_as_long() -> None:
    calls = [transcription(0.0, 1.0, "short"), transcription(1.0, 3.0, "long")]
    assert replay(calls, transcribe(6, 7.9), heard=8 * INPUT_RATE)[0] == Transcript("long")


def test_a_call_that_was_left_and_now_is_not_is_answered_a_little_later() -> None:
    calls = [transcription(0, 1, None), transcription(0, 2, "all of it")]
    said, trace, took_s = replay(calls, transcribe(0, 1), heard=INPUT_RATE)
    assert said == Transcript("all of it")
    assert len(trace.stand_ins) == 1
    assert took_s == pytest.approx(0.25)


def test_an_unknown_prompt_has_the_answer_to_the_same_question_or_the_same_beginning() -> None:
    calls = [answer("What is new?", "Nothing."), answer("What time is it?", "Noon.")]
    assert replay(calls, think("What is new?"))[1].stand_ins == []
    calls[0].arguments["messages"].insert(1, {"$": "ChatMessage", "role": "user", "content": "Hi"})
    said, trace, _ = replay(calls, think("What is new?"))
    assert said[0] == TextDelta("Nothing.")
    assert len(trace.stand_ins) == 1
    said, trace, _ = replay(calls, think("What time is it now?"))
    assert said == [TextDelta("Noon."), Finish("stop", 9, 0, 1)]


def test_an_answer_that_was_left_goes_on_as_in_another_one() -> None:
    calls = [answer("why", "Because ", begin=0, end="left"), answer("why", "Because ", "it ", "is.", begin=8)]
    said, trace, _ = replay(calls, think("why"))
    assert said == [TextDelta("Because "), TextDelta("it is."), Finish("stop", 9, 0, 3)]
    assert trace.stand_ins[0][1].endswith("it goes on as in another answer")


def test_an_answer_that_was_left_and_whose_rest_nothing_tells_ends() -> None:
    calls = [answer("why", "Because ", begin=0, end="left"), answer("why", "So ", "it is.", begin=8)]
    said, trace, _ = replay(calls, think("why"))
    assert said == [TextDelta("Because "), Finish("stop", 0, 0, 1)]
    assert trace.stand_ins[0][1].endswith("its answer ends")


def test_an_answer_that_was_left_before_its_first_word_has_a_stand_in() -> None:
    calls = [answer("why", begin=0, end="left"), answer("why not", "Because.", begin=8)]
    assert replay(calls, think("why"))[0] == [TextDelta("Because."), Finish("stop", 9, 0, 1)]


def test_an_answer_that_was_left_after_its_end_is_whole() -> None:
    done = answer("why", "Because.", begin=0)
    done.end = "left"
    said, trace, _ = replay([done], think("why"))
    assert said == [TextDelta("Because."), Finish("stop", 9, 0, 1)]
    assert trace.stand_ins == []


def test_a_clause_that_was_never_spoken_sounds_as_long_as_it_is_likely_to() -> None:
    calls = [speech("four", 4000), speech("a longer clause", 9000, 6000)]
    said, trace, _ = replay(calls, speak("a longer sentence!"))
    assert [len(piece) for piece in said] == [10_800, 7200]
    assert said[1][0] == pytest.approx(0.2)
    assert "tts.speak of “a longer clause” stands in" in trace.stand_ins[0][1]
    assert sum(map(len, replay(calls, speak("four", speed=0.5))[0])) == 8000


def test_a_clause_that_was_left_goes_on_for_as_long_as_it_is_likely_to() -> None:
    calls = [speech("four", 1000, begin=0, end="left"), speech("sixsix", 6000)]
    said, trace, _ = replay(calls, speak("four"))
    assert [len(piece) for piece in said] == [1000, 3000]
    assert trace.stand_ins[0][1].startswith("the voice was stopped here")
    assert [len(piece) for piece in replay(calls[:1], speak("four"))[0]] == [1000]


# --- Nothing at all ---


def test_what_nothing_answers_is_named() -> None:
    trace = Trace()
    with pytest.raises(ReplayError, match=r"Nothing in the recording answers tts.speak of “hello”\."):
        run(speak("hello")(replaying(Stored(None, Settings(), live=False, cores=1, end_s=9.0), trace)))  # type: ignore[arg-type]
    assert trace.unanswered == "tts.speak of “hello”"


def test_a_prompt_that_nobody_prepared_is_just_not_prepared() -> None:
    async def ask(engines: Engines) -> float | None:
        return await engines.llm.prefill(ChatRequest((ChatMessage("user", "Hi"),)))

    said, trace, _ = replay([], ask)
    assert said is None
    assert trace.unanswered is None


def test_after_the_end_of_the_recording_nothing_comes() -> None:
    async def ask(engines: Engines) -> str:
        try:
            async with asyncio.timeout(60):
                await transcribe(0, 1)(engines)
        except TimeoutError:
            return "nothing"
        return "something"

    said, trace, _ = replay([], ask, end_s=0.0)
    assert said == "nothing"
    assert trace.unanswered is None


def test_a_recording_without_a_heard_window_has_no_probability() -> None:
    trace = Trace()

    async def main() -> None:
        vad = replaying(Stored(None, Settings(), live=False, cores=1), trace).vad.stream()  # type: ignore[arg-type]
        vad.reset()
        vad.score(np.zeros(512, np.float32))

    with pytest.raises(ReplayError, match=r"voice detector's window of sound at 0\.000 s"):
        run(main())
    assert trace.unanswered is not None


# --- The voice detector ---


def test_the_same_silence_comes_often_and_has_its_own_probability_each_time() -> None:
    scores = Scores([Score(heard, "silence", number / 10) for number, heard in enumerate((512, 512, 1024, 2048))])
    asked = [scores.same("silence", heard) for heard in (512, 512, 1024, 1500, 2048, 9999)]
    assert [score.probability for score in asked if score] == [0.0, 0.1, 0.2, 0.3, 0.3, 0.3]
    assert scores.same("voice", 512) is None
    nearest = scores.nearest(1100)
    assert nearest is not None
    assert nearest.probability == 0.3
    assert Scores([]).nearest(512) is None


# --- The lanes ---


def test_lanes_are_as_busy_as_they_were() -> None:
    async def ask(engines: Engines) -> list[Any]:
        loop = asyncio.get_running_loop()
        said: list[Any] = [engines.lanes.free(Lane.PARTIAL), engines.lanes.free(Lane.PARTIAL)]
        async with engines.lanes.enter(Lane.WORDS):
            said.append(loop.time())
        await asyncio.sleep(5)
        async with engines.lanes.enter(Lane.WORDS):
            said.append(loop.time())
        return said

    looks = [Look(0.01, "WORDS", True), Look(0.01, "PARTIAL", False)]
    said, _, _ = replay([], ask, looks=looks, waits=[Wait(0.0, 0.7, "WORDS")])
    assert said == [False, True, pytest.approx(0.7), pytest.approx(5.7)]


def test_moments_are_found_only_when_they_are_close() -> None:
    moments = Moments([1.0, 2.0, 2.01], lambda moment: moment)
    assert moments.take(1.5, lambda _: True) is None
    assert [moments.take(2.0, lambda _: True) for _ in range(3)] == [2.0, 2.01, None]


def test_a_call_is_described_in_a_line() -> None:
    messages = [{"role": "user", "content": "one\ntwo"}, {"role": "assistant", "content": "x"}]
    assert describe("llm.stream", {"messages": messages}, 0) == "llm.stream after “one / two”"
    assert describe("tts.speak", {"text": "a" * 99}, 0) == f"tts.speak of “{'a' * 59}…”"
