"""Two recognisers and a model that reads along, in scripted conversations on virtual time."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from audio.types import Samples
from pipeline import events
from pipeline.context import Heard, Read
from pipeline.engines import ChatMessage, ChatRequest, Generated, Transcript
from pipeline.lanes import Lane
from pipeline.settings import TurnTaking
from pipeline.turn import Says
from tests.pipeline.doubles import Conversation, ScriptedLlm, ScriptedStt, ScriptedTurnDetector, taking
from tests.pipeline.scripts import SPOKEN_TURN, ended, one_question, say_and_wait

GROWING = {0.0: "", 0.4: "what", 0.7: "what time", 1.0: "what time is it"}


def quick(growing: dict[float, str] | None = None, **changes: object) -> ScriptedStt:
    """The fast recogniser."""
    return ScriptedStt(growing=growing or GROWING, takes_s=0.03, **changes)  # type: ignore[arg-type]


def reader(finished: float | None = 0.9, **changes: object) -> ScriptedLlm:
    """A model that finds every message finished to this degree."""
    return ScriptedLlm(finished=finished, **changes)  # type: ignore[arg-type]


class ReaderOfWords(ScriptedLlm):
    """Finds only messages that end with one of these words finished."""

    def __init__(self, *last: str, **changes: Any) -> None:
        super().__init__(**changes)
        self.last = last

    async def prefill(self, request: ChatRequest) -> float | None:
        await super().prefill(request)
        return 0.95 if request.messages[-1].content.rpartition(" ")[2] in self.last else 0.001


def prompts(talk: Conversation) -> list[str]:
    return [messages[-1].content for messages in talk.llm.prompts]


def test_the_fast_words_are_answered_and_the_checked_ones_are_told() -> None:
    talk = Conversation(live=quick(), stt=ScriptedStt(["What time is it?"], takes_s=1.5), llm=reader())
    talk.hold(one_question)
    assert prompts(talk)[-1] == "what time is it"
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["What time is it?"]
    assert talk.at(events.ResponseStarted) < talk.at(events.TranscriptCompleted)
    assert ended(talk).status == "completed"


def test_the_answer_is_under_way_before_the_user_has_stopped() -> None:
    talk = Conversation(live=quick({0.0: "", 0.4: "what time is it"}), llm=reader())
    talk.hold(one_question)
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.first_token_s < 0
    assert timings.first_audio_s == pytest.approx(timings.commit_s, abs=0.01)
    assert timings.discarded == 0
    assert len(talk.llm.prompts) == 1


def test_words_that_do_not_look_finished_are_only_read() -> None:
    talk = Conversation(live=quick(), llm=reader(0.1))
    talk.hold(one_question)
    assert prompts(talk) == ["what time is it"]
    assert [messages[-1].content for messages in talk.llm.prefilled[1:]] == ["what", "what time", "what time is it"]


@pytest.mark.parametrize(("mode", "reads"), [("silence", False), ("semantic", True)])
def test_where_nobody_answers_the_model_reads_only_to_tell_when_the_utterance_is_over(mode: str, reads: bool) -> None:
    def stopped_s(*, answers: bool) -> tuple[float, list[str]]:
        talk = Conversation(live=quick(), llm=reader(0.6), settings=taking(mode=mode, create_response=answers))
        talk.hold(one_question)
        assert len(talk.of(events.TranscriptCompleted)) == 1
        return talk.at(events.SpeechStopped), [messages[-1].content for messages in talk.llm.prefilled[1:]]

    (listens_s, read), (converses_s, read_along) = stopped_s(answers=False), stopped_s(answers=True)
    assert listens_s == pytest.approx(converses_s, abs=1e-6), "the end of the turn is where it would be"
    assert read == (read_along if reads else [])
    assert read_along


def test_an_answer_to_words_that_become_others_leaves_no_trace() -> None:
    growing = {0.0: "", 0.4: "turn on the light", 1.0: "turn on the light in the kitchen"}
    talk = Conversation(live=quick(growing), stt=ScriptedStt(["turn on the light in the kitchen"]), llm=reader())
    talk.hold(one_question)
    assert prompts(talk) == ["turn on the light", "turn on the light in the kitchen"]
    assert talk.of(events.TurnTimed)[0].timings.discarded == 1
    assert set(talk.kinds) == {"TranscriptDelta", *SPOKEN_TURN}
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["turn on the light in the kitchen"]
    assert talk.llm.running == 0


def test_a_pause_inside_the_utterance_keeps_the_answer_only_while_the_words_stay() -> None:
    growing = {0.0: "", 0.4: "what time is it", 2.2: "what time is it in Rome"}
    talk = Conversation(
        turn=ScriptedTurnDetector([0.0, 0.0, 1.0]),
        live=quick(growing),
        stt=ScriptedStt(growing=growing),
        llm=reader(),
    )

    async def hesitate(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.4)
        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(hesitate)
    assert prompts(talk) == ["what time is it", "what time is it in Rome"]
    assert len(talk.of(events.ResponseEnded)) == 1
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["what time is it in Rome"]


def test_unsure_words_wait_for_the_check() -> None:
    talk = Conversation(live=quick(logprob=-1.5), stt=ScriptedStt(["what tide is it"], takes_s=0.6), llm=reader())
    talk.hold(one_question)
    assert prompts(talk)[-1] == "what tide is it"
    assert talk.at(events.TranscriptCompleted) <= talk.at(events.ResponseStarted)


def test_unsure_words_are_read_and_not_answered_while_they_are_checked() -> None:
    words = {0.0: "", 0.4: "what", 0.7: "what time", 1.2: "what time is it"}  # these are heard once, in the pause
    talk = Conversation(
        live=quick(words, logprob=-1.5), stt=ScriptedStt(["What time is it?"], takes_s=0.6), llm=reader()
    )
    talk.hold(one_question)
    assert prompts(talk) == ["What time is it?"]
    assert talk.llm.prefilled[-1][-1].content == "what time is it"
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.transcript_s <= timings.commit_s < timings.first_token_s


def test_unsure_words_end_no_turn_before_they_are_checked() -> None:
    whole = "would you please turn on the lamp"
    live = quick({0.0: "", 0.4: "what you peas", 1.9: whole}, logprob=-1.5)
    stt = ScriptedStt(growing={0.0: "would you please", 1.9: whole}, takes_s=0.35)
    talk = Conversation(live=live, stt=stt, llm=ReaderOfWords("peas", "lamp"))

    async def hesitate(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.9)
        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(hesitate)
    assert talk.kinds.count("SpeechStopped") == 1
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == [whole]
    assert prompts(talk)[-1] == whole


def test_checked_words_end_the_turn_when_it_is_known_how_finished_they_are() -> None:
    """And not because others were, that were heard before."""

    def commit_s(*last: str) -> float:
        live = quick({0.0: "", 0.4: "what you peas"})
        stt = ScriptedStt(["would you please"], takes_s=0.35)
        llm = ReaderOfWords(*last, prefill_s=0.15, first_s=0.05)
        patient = taking(min_silence_s=0.5)  # the check comes before, and the model reads until after
        talk = Conversation(turn=ScriptedTurnDetector([0.9]), live=live, stt=stt, llm=llm, settings=patient)
        talk.hold(one_question)
        return talk.of(events.TurnTimed)[0].timings.commit_s

    assert commit_s("peas", "please") == pytest.approx(0.6, abs=0.02)
    assert commit_s("peas") > 1.2


@pytest.mark.parametrize("checked", ["Pico voice.", "Pick a voice."])
def test_a_name_that_is_called_is_not_all_whatever_the_check_makes_of_it(checked: str) -> None:
    words = {0.0: "", 0.4: "pico voice,"}
    talk = Conversation(live=quick(words, logprob=-1.5), stt=ScriptedStt([checked], takes_s=0.2), llm=reader(0.99))
    talk.hold(one_question)
    assert 1.1 < talk.of(events.TurnTimed)[0].timings.commit_s < 1.3


@pytest.mark.parametrize(("checked", "discarded"), [("What time is it?", 0), ("what tide is it", 1)])
def test_unsure_words_that_were_heard_twice_are_answered_and_not_heard_before_the_check(
    checked: str, discarded: int
) -> None:
    talk = Conversation(live=quick(logprob=-1.5), stt=ScriptedStt([checked], takes_s=0.6), llm=reader())
    talk.hold(one_question)
    assert prompts(talk) == ["what time is it", *([checked] if discarded else [])]
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.discarded == discarded
    assert (timings.first_token_s < 0.6) is not bool(discarded)
    assert timings.first_audio_s > 0.6
    assert talk.at(events.TranscriptCompleted) <= talk.at(events.ResponseStarted)
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == [checked]


def test_sure_words_are_checked_when_their_answer_has_been_thought_of() -> None:
    began: list[str] = []

    class Stt(ScriptedStt):
        async def transcribe(self, audio: Samples, **how: Any) -> Transcript:  # type: ignore[override]
            began.append("check")
            return await super().transcribe(audio, **how)

    class Llm(ScriptedLlm):
        async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
            async for piece in super().stream(request):
                began.append("word")
                yield piece

    live = quick({0.0: "", 1.0: "what time is it"})
    llm = Llm(finished=0.9, prefill_s=0.04, first_s=0.3, word_s=0.1, answers=["It is noon, my friend."])
    talk = Conversation(turn=ScriptedTurnDetector(takes_s=0.01), live=live, stt=Stt(), llm=llm)
    talk.hold(lambda talk: say_and_wait(talk, 9.0))
    assert began == ["word"] * 6 + ["check"], "the last one is the end of the answer"


def test_in_a_pause_the_answer_does_not_wait_until_the_words_have_been_read() -> None:
    talk = Conversation(live=quick({0.0: "", 1.0: "what time is it"}), llm=reader(prefill_s=0.3, first_s=0.1))
    talk.hold(lambda talk: say_and_wait(talk, 9.0))
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.first_token_s < 0.3 < timings.commit_s


def test_words_that_change_with_every_look_are_no_guess() -> None:
    growing = {0.0: "", **{0.1 * count: " ".join(["go"] * count) for count in range(4, 20)}}
    talk = Conversation(live=quick(growing), llm=reader())
    talk.hold(one_question)
    assert len(talk.llm.prompts) == 1
    assert talk.of(events.TurnTimed)[0].timings.discarded == 0


def test_a_check_that_comes_in_time_is_answered_instead() -> None:
    talk = Conversation(live=quick(), stt=ScriptedStt(["what tide is it"], takes_s=0.2), llm=reader(first_s=4.0))
    talk.hold(lambda talk: say_and_wait(talk, 12.0))
    assert prompts(talk)[-1] == "what tide is it"
    assert len(talk.of(events.ResponseStarted)) == len(talk.of(events.ResponseEnded)) == 1
    assert ended(talk).text == "It is noon."


def test_a_check_after_the_first_sound_changes_the_history_only() -> None:
    talk = Conversation(
        live=quick(), stt=ScriptedStt(["what tide is it"], takes_s=0.8), llm=reader(answers=["It is noon, my friend."])
    )

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        await one_question(talk)

    talk.hold(twice)
    assert ChatMessage("user", "what tide is it") in talk.llm.prompts[-1][:-1]
    first, second = talk.of(events.ResponseEnded)
    assert first.status == second.status == "completed"


@pytest.mark.parametrize("checked", ["what tide is it", "what time is it"])
def test_what_was_said_is_read_to_its_end_as_soon_as_the_user_speaks_again(checked: str) -> None:
    talk = Conversation(live=quick(), stt=ScriptedStt([checked], takes_s=0.8), llm=reader(answers=["It is noon."]))

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        await one_question(talk)

    talk.hold(twice)
    read = [messages for messages in talk.llm.prefilled if messages[-1].role == "assistant"]
    assert len(read) == 1
    assert ChatMessage("user", checked) in read[0]


@pytest.mark.parametrize("checked", ["", "error"])
def test_sure_words_stand_when_the_check_finds_none(checked: str) -> None:
    stt = ScriptedStt([checked], error=RuntimeError("no") if checked == "error" else None)
    talk = Conversation(live=quick(), stt=stt, llm=reader())
    talk.hold(one_question)
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["what time is it"]
    assert ended(talk).status == "completed"


def test_noise_that_both_find_no_words_in_is_no_turn() -> None:
    talk = Conversation(live=quick({0.0: ""}), stt=ScriptedStt([""]), llm=reader())
    talk.hold(one_question)
    assert talk.kinds == ["SpeechStarted", "SpeechStopped", "AudioCleared"]
    assert talk.llm.prompts == []


def test_made_up_words_that_the_check_denies_are_no_turn() -> None:
    talk = Conversation(live=quick({0.0: "thank you"}, logprob=-1.5), stt=ScriptedStt([""]), llm=reader())
    talk.hold(one_question)
    assert talk.kinds == ["SpeechStarted", "TranscriptDelta", "SpeechStopped", "AudioCleared"]
    assert talk.llm.running == 0


def test_one_recogniser_for_everything() -> None:
    only = quick(logprob=-2.0)
    talk = Conversation(live=only, stt=only, llm=reader())
    talk.hold(one_question)
    assert talk.kinds == ["SpeechStarted", "TranscriptDelta", *SPOKEN_TURN[1:]]
    assert prompts(talk)[-1] == "what time is it"


def test_one_recogniser_that_finds_no_words() -> None:
    only = quick({0.0: ""})
    talk = Conversation(live=only, stt=only, llm=reader())
    talk.hold(one_question)
    assert talk.kinds == ["SpeechStarted", "SpeechStopped", "AudioCleared"]


def test_a_failing_fast_recogniser_leaves_it_to_the_other() -> None:
    talk = Conversation(live=quick(error=RuntimeError("no")), stt=ScriptedStt(["what time is it"]), llm=reader())
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN
    assert prompts(talk) == ["what time is it"]


def test_a_model_that_cannot_read_ahead_still_answers() -> None:
    talk = Conversation(live=quick(), llm=reader(prefill_error=RuntimeError("no")))
    talk.hold(one_question)
    assert ended(talk).status == "completed"


def test_where_the_last_look_found_nothing_the_other_recogniser_is_asked_at_once() -> None:
    talk = Conversation(live=quick({0.0: ""}), stt=ScriptedStt(["wie spät ist es"], language="de"), llm=reader())
    talk.hold(one_question)
    assert talk.live is not None
    assert max(talk.live.heard_s) < min(talk.stt.heard_s), "the fast one isn't asked again about the same sound"
    assert talk.of(events.TurnTimed)[0].timings.transcript_s == pytest.approx(0.064 + talk.stt.takes_s, abs=0.001)
    assert prompts(talk) == ["wie spät ist es"]


def test_another_language_is_left_to_the_reference_recogniser() -> None:
    talk = Conversation(live=quick(logprob=-1.5), stt=ScriptedStt(["wie spät ist es"], language="de"), llm=reader())

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        heard = len(talk.live.heard_s) if talk.live else 0
        await one_question(talk)
        assert talk.live is not None
        assert len(talk.live.heard_s) == heard + 1, "only in the pause, in case they were English"

    talk.hold(twice)
    assert prompts(talk)[-1] == "wie spät ist es"
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["completed", "completed"]


def test_the_first_words_in_another_language_are_weighed_as_such() -> None:
    live = quick({0.0: "", 1.2: "get out it's you"}, logprob=-1.5)
    talk = Conversation(live=live, stt=ScriptedStt(["quelle heure"], language="fr"), llm=reader())
    talk.hold(one_question)
    read = [(request.messages[-1].content, request.asker.language) for request in talk.llm.read]
    assert read[-2:] == [("get out it's you", None), ("quelle heure", "fr")]


def test_without_speculation_nothing_is_begun_before_the_commit() -> None:
    talk = Conversation(live=quick(), llm=reader(), settings=taking(speculate=False))
    talk.hold(one_question)
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.first_token_s > timings.commit_s
    assert len(talk.llm.prompts) == 1


def test_an_utterance_nobody_answers_is_not_prepared() -> None:
    talk = Conversation(live=quick(), llm=reader(), settings=taking(create_response=False))
    talk.hold(one_question)
    assert talk.llm.prompts == []
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["what time is it"]


def test_where_nobody_answers_what_was_said_is_not_read_again() -> None:
    talk = Conversation(live=quick(), llm=reader(), settings=taking(create_response=False, mode="silence"))

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        read = len(talk.llm.prefilled)
        await one_question(talk)
        assert len(talk.llm.prefilled) == read

    talk.hold(twice)
    assert len(talk.of(events.TranscriptCompleted)) == 2


@pytest.mark.parametrize(("finished", "at_most"), [(1.0, 0.35), (0.0, 1.2)])
def test_words_decide_how_long_the_silence_must_be(finished: float, at_most: float) -> None:
    talk = Conversation(live=quick(), llm=reader(finished))
    talk.hold(one_question)
    commit_s = talk.of(events.TurnTimed)[0].timings.commit_s
    assert at_most - 0.4 < commit_s < at_most


def test_partials_thin_out_under_load() -> None:
    idle, busy = Conversation(live=quick()), Conversation(live=quick())
    lanes = busy.engines.lanes

    async def under_load(talk: Conversation) -> None:
        async with lanes.enter(Lane.WORDS), lanes.enter(Lane.SPEECH):
            await talk.say(1.0)
        await talk.hush(3.0)

    idle.hold(one_question)
    busy.hold(under_load)
    assert idle.live is not None
    assert busy.live is not None
    assert len(busy.live.heard_s) < len(idle.live.heard_s)
    assert ended(busy).status == "completed"


def test_clear_words_keep_their_answer_when_a_doubtful_transcript_comes_between() -> None:
    """Of "light" half spoken the recogniser makes anything; twice in a row, it is something else."""
    live = quick({0.0: "", 0.4: "turn on the light"})
    talk = Conversation(live=live, llm=reader())

    async def flicker(talk: Conversation) -> None:
        await talk.say(0.7)
        live.growing, live.logprob = {0.0: "turn on the lighthouse"}, -3.0
        await talk.say(0.16)
        live.growing, live.logprob = {0.0: "turn on the light"}, 0.0
        await talk.say(0.4)
        await talk.hush(3.0)

    talk.hold(flicker)
    assert talk.of(events.TurnTimed)[0].timings.discarded == 0


def test_doubtful_words_that_stay_are_read_and_void_an_answer() -> None:
    live = quick({0.0: "", 0.4: "turn on the light"})
    talk = Conversation(live=live, stt=ScriptedStt(["turn on the lighthouse by the sea"]), llm=reader())

    async def drift(talk: Conversation) -> None:
        await talk.say(0.7)
        live.growing, live.logprob = {0.0: "turn on the lighthouse by the sea"}, -3.0
        await talk.say(1.2)
        await talk.hush(3.0)

    talk.hold(drift)
    assert prompts(talk)[-1] == "turn on the lighthouse by the sea"
    assert "turn on the lighthouse by the" in [messages[-1].content for messages in talk.llm.prefilled]
    assert ended(talk).status == "completed"


def test_after_some_guesses_in_vain_the_next_one_waits_for_a_pause() -> None:
    growing = {0.0: "", **{0.4 + 0.4 * count: " ".join(["go"] * (count + 1)) for count in range(8)}}
    talk = Conversation(live=quick(growing), llm=reader())

    async def ramble(talk: Conversation) -> None:
        await talk.say(3.6)
        await talk.hush(3.0)

    talk.hold(ramble)
    assert talk.of(events.TurnTimed)[0].timings.discarded == 2


def test_a_model_that_reads_slowly_goes_on_with_the_newest_words() -> None:
    talk = Conversation(live=quick(), llm=reader(prefill_s=0.4))
    talk.hold(one_question)
    read = [messages[-1].content for messages in talk.llm.prefilled[1:]]
    assert read[0] == "what"
    assert read[-1] == "what time is it"
    assert ended(talk).status == "completed"


def test_checked_words_with_the_same_end_need_not_be_read() -> None:
    live = quick({0.0: "", 0.6: "turn of the kitchen light"}, logprob=-3.0)
    stt = ScriptedStt(["turn on the kitchen light"])
    talk = Conversation(turn=ScriptedTurnDetector([0.1]), live=live, stt=stt, llm=reader(0.5))
    talk.hold(one_question)
    assert prompts(talk)[-1] == "turn on the kitchen light"
    assert "turn on the kitchen light" not in [messages[-1].content for messages in talk.llm.prefilled]


def test_a_read_that_ends_after_the_answer_has_begun_begins_no_other() -> None:
    live = quick({0.0: "", 0.4: "the kitchen light"})
    stt = ScriptedStt(["turn on the kitchen light"])
    talk = Conversation(turn=ScriptedTurnDetector([0.1]), live=live, stt=stt, llm=reader(0.5))

    async def mumble(talk: Conversation) -> None:
        await talk.say(0.9)
        talk.llm.prefill_s = 0.6
        live.growing, live.logprob = {0.0: "turn of the kitchen lights"}, -3.0
        await talk.say(0.1)
        await talk.hush(5.0)

    talk.hold(mumble)
    assert prompts(talk).count("turn on the kitchen light") == 1


def test_a_slow_fast_recogniser_is_asked_again_in_the_pause() -> None:
    talk = Conversation(live=ScriptedStt(["what time is it"], takes_s=0.35), llm=reader())
    talk.hold(one_question)
    assert ended(talk).status == "completed"
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["what time is it"]


def test_reports_about_what_is_over_mean_nothing() -> None:
    talk = Conversation(live=quick(), llm=reader())

    async def late(talk: Conversation) -> None:
        await one_question(talk)
        item_id = talk.of(events.AudioCommitted)[0].item_id
        for report in (
            Heard("nobody", 0, Transcript("who"), 1.0, checked=True),
            Heard(item_id, 0, Transcript("who"), 1.0, checked=False),
            Read("nobody", "who", 1.0),
            Says(999, "who"),
        ):
            await talk.session._inbox.put(report)
        await talk.hush(2.0)

    talk.hold(late)
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["what time is it"]
    assert len(talk.of(events.ResponseEnded)) == 1


def test_a_check_of_the_question_before_leaves_the_next_answer_alone() -> None:
    talk = Conversation(
        live=quick(),
        stt=ScriptedStt(["what tide is it"], takes_s=3.5),
        llm=reader(first_s=1.5),
        settings=taking(reopen_s=0.0),
    )

    async def two_questions(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(2.6)
        await talk.say(1.0)
        await talk.hush(9.0)

    talk.hold(two_questions)
    assert prompts(talk)[-1].endswith("what time is it")
    assert talk.of(events.ResponseEnded)[-1].status == "completed"


def test_a_question_whose_words_are_never_found_fails_alone() -> None:
    talk = Conversation(settings=taking(reopen_s=0.0), stt=ScriptedStt(error=RuntimeError("no"), takes_s=2.5))

    async def hurry(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(TurnTaking().max_silence_s + 0.2)
        await talk.say(1.0)
        await talk.hush(9.0)

    talk.hold(hurry)
    assert len(talk.of(events.TranscriptFailed)) == 2
    assert ended(talk).status == "failed"


def test_going_on_while_the_words_are_being_checked_makes_one_question() -> None:
    growing = {0.0: "what time", 2.0: "what time is it"}
    talk = Conversation(
        live=quick(growing, logprob=-3.0), stt=ScriptedStt(growing=growing, takes_s=1.5), llm=reader(1.0)
    )

    async def go_on(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.6)
        await talk.say(0.8)
        await talk.hush(6.0)

    talk.hold(go_on)
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["what time is it"]
    assert len(talk.of(events.ResponseEnded)) == 1


def test_an_answer_that_is_under_way_again_is_not_begun_twice() -> None:
    clear = {0.0: "", 0.4: "turn on the light"}
    live = quick(clear)
    talk = Conversation(live=live, stt=ScriptedStt(["turn on the light"]), llm=reader(prefill_s=0.6))

    async def back_and_forth(talk: Conversation) -> None:
        await talk.say(1.6)
        live.growing, live.logprob = {0.0: "turn on the lighthouse by the sea"}, -3.0
        await talk.say(0.6)
        live.growing, live.logprob = clear, 0.0
        await talk.say(0.4)
        await talk.hush(4.0)

    talk.hold(back_and_forth)
    assert prompts(talk) == ["turn on the light", "turn on the light"]
    assert talk.of(events.TurnTimed)[0].timings.discarded == 1


def test_a_transcript_of_the_utterance_before_is_no_guess_at_this_one() -> None:
    live = ScriptedStt(["what time is it"], takes_s=2.0)
    talk = Conversation(live=live, llm=reader(), settings=taking(max_utterance_s=1.1))

    async def on_and_on(talk: Conversation) -> None:
        await talk.say(2.4)
        await talk.hush(8.0)

    talk.hold(on_and_on)
    assert talk.of(events.TranscriptCompleted)[0].text == "what time is it"
    assert talk.llm.running == 0
