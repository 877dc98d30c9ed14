"""The user's voice during a reply, in scripted conversations on virtual time."""

import asyncio

import numpy as np
import pytest

from pipeline import events
from pipeline.engines import VAD_WINDOW
from pipeline.settings import TurnTaking
from tests.pipeline.doubles import Conversation, ScriptedLlm, ScriptedStt, taking
from tests.pipeline.scripts import ended

ANSWER = "It is noon now. The sun stands high above the houses and nobody is in the street."


def conversation(said: str, *, logprob: float = 0.0, live: bool = True, **changes: object) -> Conversation:
    """A conversation in which `said` is what the fast recogniser hears after the question."""
    question = {0.0: "", 0.5: "what time is it"}
    fast = ScriptedStt(growing=question, takes_s=0.03)
    talk = Conversation(
        live=fast if live else None,
        stt=ScriptedStt(["what time is it", said]),
        llm=ScriptedLlm([ANSWER, "Done."], finished=0.9),
        settings=taking(**changes),
    )

    async def ask_and_wait(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(2.0)
        fast.growing, fast.logprob = {0.0: said}, logprob

    talk.ask_and_wait = ask_and_wait  # type: ignore[attr-defined]
    return talk


def spoken_over(talk: Conversation, seconds: float, *, wait: float = 12.0) -> events.ResponseEnded:
    """Make a sound of so many seconds during the reply, and return how that ended."""

    async def script(talk: Conversation) -> None:
        await talk.ask_and_wait(talk)  # type: ignore[attr-defined]
        await talk.say(seconds)
        await talk.hush(wait)

    talk.hold(script)
    first: events.ResponseEnded = talk.of(events.ResponseEnded)[0]
    return first


def sound_s(talk: Conversation) -> float:
    return float(sum(len(event.samples) for event in talk.of(events.ResponseAudio))) / 24_000


@pytest.mark.parametrize("said", ["Mm-hmm.", "Yeah", "Right.", "Okay, I see."])
def test_a_sign_of_listening_does_not_end_the_reply(said: str) -> None:
    talk = conversation(said)
    end = spoken_over(talk, 0.4)
    assert (end.status, end.item.text) == ("completed", ANSWER)
    assert len(talk.of(events.SpeechStarted)) == 1
    assert len(talk.of(events.TranscriptCompleted)) == 1


@pytest.mark.parametrize(("said", "logprob"), [("", 0.0), ("You", -1.5)])
def test_a_cough_does_not_end_the_reply(said: str, logprob: float) -> None:
    talk = conversation(said, logprob=logprob)
    assert spoken_over(talk, 0.3).status == "completed"


def test_a_held_reply_loses_nothing() -> None:
    quiet, coughed = conversation(""), conversation("")
    spoken_over(quiet, 0.0)
    spoken_over(coughed, 0.4)
    assert sound_s(coughed) == pytest.approx(sound_s(quiet))
    assert ended(coughed).text == ended(quiet).text == ANSWER


def test_a_short_sound_is_not_heard_in_the_reply() -> None:
    """What was sent ahead lasts until it is known what the sound was."""
    talk = conversation("")
    spoken_over(talk, 0.128)
    sent = [(s.at, len(s.event.samples) / 24_000) for s in talk.log if isinstance(s.event, events.ResponseAudio)]
    played_until = sent[0][0]
    for at, seconds in sent:
        assert at <= played_until + 1e-6 or at == sent[0][0], "the client never runs dry"
        played_until = max(played_until, at) + seconds


def test_the_client_hears_of_the_voice_before_it_hears_that_the_reply_is_over() -> None:
    """A client that is told of the end first takes the reply for played out, and truncates nothing."""
    talk = conversation("Stop, please tell me the date")
    end = spoken_over(talk, 0.8)
    voices = [at for at, event in enumerate(talk.events) if isinstance(event, events.SpeechStarted)]
    assert voices[-1] < talk.events.index(end)


def test_words_end_the_reply_and_are_answered() -> None:
    talk = conversation("Stop, please tell me the date")
    end = spoken_over(talk, 0.8)
    assert (end.status, end.reason) == ("cancelled", "turn_detected")
    assert ANSWER.startswith(end.item.text)
    assert end.item.text != ANSWER
    assert talk.of(events.ResponseEnded)[1].status == "completed"
    assert talk.llm.prompts[-1][-1].content == "Stop, please tell me the date"


def test_a_single_short_word_ends_the_reply() -> None:
    talk = conversation("Stop.")
    end = spoken_over(talk, 0.35)
    assert end.status == "cancelled"
    assert talk.of(events.TranscriptCompleted)[1].text == "Stop."


def test_the_last_sound_of_the_reply_is_sent_at_the_first_sign_of_a_voice() -> None:
    talk = conversation("Stop, please tell me the date")
    spoken_over(talk, 0.8)
    (first, second) = [stamped.at for stamped in talk.log if isinstance(stamped.event, events.ResponseEnded)]
    last = max(s.at for s in talk.log if isinstance(s.event, events.ResponseAudio) and s.at < first)
    voice_at = 3.0 - 0.008  # a second of question and two of silence, in whole windows
    assert last - voice_at <= 0.1
    assert second > first


def test_without_a_fast_recogniser_the_length_of_the_voice_decides() -> None:
    assert spoken_over(conversation("stop", live=False), 0.4).status == "completed"
    assert spoken_over(conversation("stop", live=False), 0.9).status == "cancelled"


def test_a_failing_recogniser_leaves_it_to_the_length_of_the_voice() -> None:
    for seconds, status in ((0.4, "completed"), (0.9, "cancelled")):
        talk = conversation("stop")
        ask = talk.ask_and_wait  # type: ignore[attr-defined]

        async def ask_and_break(talk: Conversation, ask: object = ask) -> None:
            await ask(talk)  # type: ignore[operator]
            assert talk.live is not None
            talk.live.error = RuntimeError("no")

        talk.ask_and_wait = ask_and_break  # type: ignore[attr-defined]
        assert spoken_over(talk, seconds).status == status


def test_the_reply_s_own_words_do_not_end_it() -> None:
    talk = conversation("The sun stands high")
    assert spoken_over(talk, 0.5).status == "completed"


def test_two_barge_ins_in_a_row() -> None:
    talk = conversation("What about tomorrow then")
    talk.llm.answers = [ANSWER, ANSWER, "Done."]

    async def script(talk: Conversation) -> None:
        await talk.ask_and_wait(talk)  # type: ignore[attr-defined]
        for _ in range(2):
            await talk.say(0.8)
            await talk.hush(2.5)
        await talk.hush(6.0)

    talk.hold(script)
    assert [event.status for event in talk.of(events.ResponseEnded)] == ["cancelled", "cancelled", "completed"]


def test_a_backchannel_and_then_words() -> None:
    talk = conversation("Mm-hmm")

    async def script(talk: Conversation) -> None:
        await talk.ask_and_wait(talk)  # type: ignore[attr-defined]
        await talk.say(0.3)
        await talk.hush(1.0)
        assert talk.live is not None
        talk.live.growing = {0.0: "wait a moment"}
        talk.stt.texts = ["wait a moment"]
        await talk.say(0.7)
        await talk.hush(4.0)

    talk.hold(script)
    assert talk.of(events.ResponseEnded)[0].status == "cancelled"
    assert talk.llm.prompts[-1][-1].content == "wait a moment"


def test_a_client_that_cancels_while_the_reply_is_held() -> None:
    talk = conversation("Mm-hmm")

    async def script(talk: Conversation) -> None:
        await talk.ask_and_wait(talk)  # type: ignore[attr-defined]
        await talk.say(0.16)
        await talk.ask(events.CancelResponse())
        await talk.hush(4.0)

        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(script)
    cancelled, answered = talk.of(events.ResponseEnded)
    assert cancelled.reason == "client_cancelled"
    assert answered.status == "completed"


def test_going_on_after_the_first_sound_of_the_answer_makes_one_question() -> None:
    talk = conversation("what time is it in Rome")
    talk.stt.texts = ["what time is it", "what time is it in Rome"]

    async def script(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.7)
        assert talk.of(events.ResponseAudio), "the answer is being heard"
        assert talk.live is not None
        talk.live.growing = {0.0: "what time is it in Rome"}
        await talk.say(0.6)
        # As clients do that are told of the voice; the message is gone by then.
        await talk.ask(events.TruncateItem(talk.of(events.ResponseStarted)[0].item_id, 0.1))
        await talk.hush(5.0)

    talk.hold(script)
    first, second = talk.of(events.ResponseEnded)
    assert first.status == "cancelled"
    assert not talk.of(events.Rejected)
    assert not talk.of(events.ItemTruncated)
    voices = [at for at, event in enumerate(talk.events) if isinstance(event, events.SpeechStarted)]
    assert voices[1] < talk.events.index(first), "the client hears of the voice first"
    assert {event.item_id for event in talk.of(events.ItemDeleted)} >= {first.item.id}
    assert [message.content for message in talk.llm.prompts[-1]] == ["Be brief.", "what time is it in Rome"]
    assert second.status == "completed"


def test_the_last_sound_of_the_question_neither_ends_nor_delays_its_answer() -> None:
    """The breath after the last word, say: with what was right before it, it would be heard as that word again."""

    def asked(sound_s: float) -> tuple[Conversation, float]:
        talk = conversation("time is it")

        async def script(talk: Conversation) -> None:
            await talk.say(1.0)
            await talk.hush(0.35)
            assert talk.of(events.ResponseStarted), "the question is committed"
            assert talk.live is not None
            talk.live.growing = {0.0: "time is it"}
            await talk.say(sound_s)
            await talk.hush(12.0)

        talk.hold(script)
        assert ended(talk).text == ANSWER
        assert ended(talk).status == "completed"
        assert len(talk.of(events.SpeechStarted)) == 1
        return talk, max(stamped.at for stamped in talk.log if isinstance(stamped.event, events.ResponseAudio))

    (_, plain_s), (talk, held_s) = asked(0.0), asked(0.064)
    assert held_s - plain_s <= 0.1
    assert talk.live is not None
    assert len(talk.live.heard_s) == len(asked(0.0)[0].live.heard_s), "nobody looks for words in it"  # type: ignore[union-attr]


def test_history_after_a_held_and_resumed_reply_is_the_whole_of_it() -> None:
    talk = conversation("Mm-hmm")

    async def script(talk: Conversation) -> None:
        await talk.ask_and_wait(talk)  # type: ignore[attr-defined]
        await talk.say(0.3)
        await talk.hush(9.0)
        assert talk.live is not None
        talk.live.growing = {0.0: "thank you for that"}
        await talk.say(1.0)
        await talk.hush(5.0)

    talk.hold(script)
    assert ("assistant", ANSWER) in [(message.role, message.content) for message in talk.llm.prompts[-1]]


@pytest.mark.parametrize("delay_s", [0.05, 0.15, 0.25])
def test_the_reply_that_comes_back_through_the_microphone_does_not_end_it(delay_s: float) -> None:
    talk = conversation("It is noon", live=False)

    async def script(talk: Conversation) -> None:
        await talk.ask_and_wait(talk)  # type: ignore[attr-defined]
        began = next(s.at for s in talk.log if isinstance(s.event, events.ResponseAudio))
        loop = asyncio.get_running_loop()
        for _ in range(250):
            # The client plays at 24 kHz what it was sent; the microphone hears it at 16 kHz.
            sent = np.concatenate([event.samples for event in talk.of(events.ResponseAudio)])
            at = (loop.time() - began - delay_s) * 24_000
            moments = at + np.arange(VAD_WINDOW) * 1.5
            echo = np.interp(moments, np.arange(len(sent)), sent, left=0.0, right=0.0).astype(np.float32)
            await talk.session.put(events.Audio(echo))
            await asyncio.sleep(VAD_WINDOW / 16_000)
        await talk.hush(2.0)

    talk.hold(script)
    assert ended(talk).status == "completed"
    assert len(talk.of(events.SpeechStarted)) == 1


def test_going_on_with_an_utterance_while_an_earlier_one_is_still_answered() -> None:
    talk = conversation("", interrupt_response=False)
    talk.stt.texts = ["what time is it", ""]

    async def script(talk: Conversation) -> None:
        await talk.ask_and_wait(talk)  # type: ignore[attr-defined]
        await talk.say(0.3)
        await talk.hush(TurnTaking().max_silence_s + 0.05)
        await talk.ask(events.Update(taking()))
        await talk.say(0.9)
        await talk.hush(4.0)

    talk.hold(script)
    assert talk.of(events.ResponseEnded)[0].status == "cancelled"
    assert not talk.of(events.ItemDeleted)
