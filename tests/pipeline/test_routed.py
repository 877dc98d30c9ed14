"""Answers that are routed: who makes them, what bridges the wait for them, and what becomes of one that breaks off."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from audio.types import OUTPUT_RATE
from pipeline import events
from pipeline.engines import Adjusted, Bridge, Finish, Routed, TakenBack, TextDelta, Tool, Toolbox, ToolCall
from pipeline.history import Clause, Spoken, heard
from pipeline.lanes import Lane
from pipeline.turn import APOLOGY, FRAME_S, LEAD_S
from tests.pipeline.doubles import WAIT, Conversation, RoutedLlm, ScriptedStt
from tests.pipeline.scripts import HELLO, ended, one_question, rejected

END = Finish("stop", 9, 0, 3)
HERE = Routed("embedded", "device", "It is quick.", "fact")
CLOUD = Routed("big", "cloud", "You asked for it.", "fact", "api.example.com")
LAN = Routed("den", "lan", "The cloud is down.", "fact", "den.local")
LOOK = Bridge("Let me look that up.")  # two seconds
ANSWER = TextDelta("The bridge was opened in the year 1883.")


def routed(*script: object) -> RoutedLlm:
    return RoutedLlm(scripts=[script])  # type: ignore[list-item]


def sound_s(talk: Conversation) -> float:
    return sum(len(event.samples) for event in talk.of(events.ResponseAudio)) / OUTPUT_RATE


def ahead_s(talk: Conversation) -> float:
    """How far ahead of its playback sound was sent, at the most; a gap plays as silence."""
    silent_at, most_s = 0.0, 0.0
    for stamped in talk.log:
        if isinstance(stamped.event, events.ResponseAudio):
            silent_at = max(silent_at, stamped.at) + len(stamped.event.samples) / OUTPUT_RATE
            most_s = max(most_s, silent_at - stamped.at)
    return most_s


def texts(talk: Conversation) -> str:
    return "".join(event.text for event in talk.of(events.ResponseText))


# --- Who answers ---


def test_a_client_is_told_who_answers_after_the_response_has_begun() -> None:
    """A prepared answer was routed before anybody knew of it."""
    talk = Conversation(llm=routed(HERE, TextDelta("It is noon."), END), stt=ScriptedStt(takes_s=0.02))
    talk.hold(one_question)
    start = talk.of(events.ResponseStarted)[0]
    assert talk.of(events.ResponseRouted) == [events.ResponseRouted(start.response_id, HERE)]
    assert talk.kinds.index("ResponseRouted") == talk.kinds.index("ResponseStarted") + 1
    (timed,) = talk.of(events.TurnTimed)
    assert timed.routes == (HERE,)
    assert timed.timings.first_token_s < timed.timings.commit_s


def test_another_model_that_takes_over_is_told_of_when_it_does() -> None:
    script = (CLOUD, WAIT, 0.2, TextDelta("It is "), TakenBack("It is "), LAN, 0.5, TextDelta("Noon it is."), END)
    talk = Conversation(llm=routed(*script))
    talk.hold(one_question)
    assert [event.routed for event in talk.of(events.ResponseRouted)] == [CLOUD, LAN]
    assert talk.of(events.TurnTimed)[0].routes == (CLOUD, LAN)
    assert ended(talk).text == "Noon it is."


def test_what_left_for_words_that_were_others_is_not_forgotten() -> None:
    llm = RoutedLlm(scripts=[[CLOUD, WAIT, 3.0, TextDelta("Tides."), END], [HERE, TextDelta("It is noon."), END]])
    live = ScriptedStt(["what tide is it"], takes_s=0.05)
    talk = Conversation(live=live, stt=ScriptedStt(["what time is it"], takes_s=0.6), llm=llm)
    talk.hold(one_question)
    assert talk.of(events.TurnTimed)[0].routes == (CLOUD, HERE)
    assert ended(talk).text == "It is noon."


def test_another_machine_s_work_takes_no_core_of_this_one() -> None:
    free: list[bool] = []
    script = (CLOUD, WAIT, 1.0, TextDelta("It "), TakenBack("It "), HERE, 1.0, TextDelta("Noon."), HERE, END)
    talk = Conversation(llm=routed(*script))

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateResponse(output="text"))
        for _ in range(3):
            await asyncio.sleep(0.5)
            free.append(talk.engines.lanes.free(Lane.CHECK))
            await asyncio.sleep(0.5)

    talk.hold(ask)
    assert free == [True, False, True]
    assert ended(talk).status == "completed"


def test_a_response_beside_the_conversation_is_routed_too() -> None:
    talk = Conversation(llm=routed(CLOUD, WAIT, LOOK, ANSWER, END))

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(beside=True, toolbox=Toolbox((Tool("look"),))))
        await asyncio.sleep(8.0)

    talk.hold(ask)
    start = talk.of(events.ResponseStarted)[0]
    assert talk.of(events.ResponseRouted) == [events.ResponseRouted(start.response_id, CLOUD)]
    assert [event.text for event in talk.of(events.ResponseBridged)] == [LOOK.text]
    assert len(talk.of(events.MessageStarted)) == 1
    assert ended(talk).text == ANSWER.text


# --- Bridges ---


def slow(*rest: object) -> RoutedLlm:
    """An answer that is awaited for a second after the bridge has begun."""
    return routed(CLOUD, WAIT, LOOK, 3.0, *(rest or (ANSWER, END)))


def test_a_bridge_is_heard_and_stands_nowhere() -> None:
    talk = Conversation(llm=slow())

    async def two_questions(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(6.0)
        await talk.say(1.0)
        await talk.hush(1.0)

    talk.hold(two_questions)
    reply = talk.of(events.ResponseEnded)[0]
    (bridged, *_) = talk.of(events.ResponseBridged)
    assert (bridged.text, bridged.item_id, bridged.at_s) == (LOOK.text, reply.item.id, 0.0)
    assert talk.tts.spoken[:2] == [LOOK.text, "The bridge was opened"]
    order = [talk.kinds.index(name) for name in ("ResponseBridged", "ResponseAudio", "ResponseText")]
    assert order == sorted(order)
    assert (reply.text, reply.item.text) == (ANSWER.text, ANSWER.text)
    assert talk.of(events.ResponseText)[0].text == "The bridge was opened", "no space before the first words"
    assert not any("look" in message.content for message in talk.llm.prompts[-1])
    timings = talk.of(events.TurnTimed)[0].timings
    assert timings.commit_s < timings.bridge_s < timings.bridge_s + 2.9 < timings.first_audio_s


def hold_and_report(talk: Conversation) -> None:
    """Ask one question, and be told which words of its answer have been heard."""
    talk.settings = replace(talk.settings, report_heard=True)

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.Update(talk.settings))
        await one_question(talk)
        await talk.hush(6.0)

    talk.hold(ask)


def test_the_words_of_the_answer_are_heard_when_they_sound() -> None:
    talk = Conversation(llm=slow())
    hold_and_report(talk)
    told = talk.of(events.ReplyHeard)
    bridge_s = len(LOOK.text) / 10
    assert told[0].text == "The"
    assert told[0].at_s == pytest.approx(bridge_s + 0.2, abs=0.1)
    assert told[-1].text == ANSWER.text
    assert told[-1].at_s == pytest.approx(sound_s(talk), abs=0.01)


def test_a_client_truncates_by_the_sound_that_it_played() -> None:
    talk = Conversation(llm=slow())

    async def ask(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(6.0)
        item = talk.of(events.ResponseEnded)[0].item
        await talk.ask(events.TruncateItem(item.id, len(LOOK.text) / 10 + 1.1))
        await talk.ask(events.RetrieveItem(item.id))
        await talk.ask(events.TruncateItem(item.id, 1.0))
        await talk.ask(events.RetrieveItem(item.id))

    talk.hold(ask)
    assert [event.item.text for event in talk.of(events.ItemRetrieved)] == ["The bridge", ""]


def test_who_cuts_in_on_the_bridge_has_heard_nothing_of_the_answer() -> None:
    talk = Conversation(llm=slow(), stt=ScriptedStt(["how old is the bridge", "stop that please"]))

    async def cut_in(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.5)
        await talk.say(1.5)
        await talk.hush(1.0)

    talk.hold(cut_in)
    first = talk.of(events.ResponseEnded)[0]
    assert (first.status, first.reason, first.text, first.item.text) == ("cancelled", "turn_detected", "", "")
    assert first.item.parts == (Spoken("", clauses=(Clause("", 2.0),)),)
    assert sound_s(talk) > 0
    assert talk.llm.running <= 1, "the answer that was awaited is awaited no more"


def test_the_echo_of_a_bridge_is_known_by_its_words() -> None:
    talk = Conversation(llm=slow())
    said: list[str] = []

    async def listen(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.0)
        said.append(talk.session._floor.last_words)

    talk.hold(listen)
    assert said == [LOOK.text]


def test_a_bridge_between_clauses_shifts_what_follows_it() -> None:
    clauses = (Clause("one two", 1.0), Clause("", 2.0), Clause("three four", 1.0))
    assert heard(clauses, 0.5) == "one"
    assert heard(clauses, 2.9) == "one two"
    assert heard(clauses, 3.6) == "one two three"
    assert heard(clauses, 4.0) == "one two three four"


def test_where_functions_may_be_called_the_bridge_begins_the_message() -> None:
    talk = Conversation(llm=slow(ToolCall("c", "look", "{}"), END))

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(toolbox=Toolbox((Tool("look"),))))
        await asyncio.sleep(5.0)

    talk.hold(ask)
    assert talk.kinds.index("MessageStarted") < talk.kinds.index("ResponseBridged") < talk.kinds.index("ToolCalled")
    assert (ended(talk).status, ended(talk).text) == ("completed", "")


def test_a_written_answer_has_no_bridge_and_nothing_to_take_back() -> None:
    talk = Conversation(llm=routed(CLOUD, LOOK, TextDelta("It is "), TakenBack(""), TextDelta("noon."), END))

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    talk.hold(ask)
    assert talk.of(events.ResponseBridged) == []
    assert (ended(talk).text, talk.tts.spoken) == ("It is noon.", [])


@pytest.mark.parametrize("after_s", [0.3, 3.0])
def test_who_heard_only_a_bridge_hears_of_the_failure(after_s: float) -> None:
    """However much of the bridge was sent, the words that follow are heard when they sound."""
    talk = Conversation(llm=routed(CLOUD, WAIT, LOOK, after_s, RuntimeError("no route to host")))
    hold_and_report(talk)
    assert (ended(talk).status, ended(talk).text) == ("failed", APOLOGY)
    assert [event.text for event in talk.of(events.ResponseBridged)] == [LOOK.text]
    first = talk.of(events.ReplyHeard)[0]
    bridge_s = sound_s(talk) - len(APOLOGY.replace(". ", ".")) / 10
    assert first.text == "Sorry,"
    assert first.at_s == pytest.approx(bridge_s + 0.35, abs=0.1)
    assert bridge_s == pytest.approx(min(2.0, after_s + 0.3), abs=0.15)
    assert ahead_s(talk) < LEAD_S + FRAME_S + 0.01


# --- A model that fails in mid-answer ---


def test_half_a_clause_is_taken_back_while_the_answer_is_only_prepared() -> None:
    script = (HERE, TextDelta("It is noon. And the"), TakenBack(" And the"), LAN, TextDelta(" Time for lunch."), END)
    talk = Conversation(llm=routed(*script))
    talk.hold(one_question)
    assert talk.of(events.TurnTimed)[0].timings.first_clause_s < talk.at(events.ResponseStarted)
    assert ended(talk).item.text == ended(talk).text == "It is noon. Time for lunch."
    assert talk.tts.spoken == ["It is noon.", "Time for lunch."]


def test_half_a_clause_is_taken_back_while_the_one_before_it_sounds() -> None:
    script = (CLOUD, WAIT, TextDelta("It is noon. And the"), 0.5, TakenBack(" And the"), LAN)
    talk = Conversation(llm=routed(*script, 1.5, TextDelta(" Time for lunch."), END))
    talk.hold(one_question)
    assert ended(talk).item.text == texts(talk) == "It is noon. Time for lunch."
    assert ended(talk).status == "completed"


def test_an_answer_that_is_taken_back_whole_leaves_no_trace() -> None:
    talk = Conversation(llm=routed(CLOUD, WAIT, TextDelta("It"), TakenBack("It"), HERE, TextDelta("Noon."), END))
    talk.hold(one_question)
    assert texts(talk) == "Noon."


# --- How the assistant speaks ---


def levels(talk: Conversation) -> list[float]:
    return [float(np.abs(event.samples).mean()) for event in talk.of(events.ResponseAudio)]


def test_volume_is_a_gain_on_what_is_sent_from_then_on() -> None:
    script = (HERE, TextDelta("One two three four five. "), 1.5, Adjusted(volume=0.5), TextDelta("Six seven."), END)
    talk = Conversation(llm=routed(*script))

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(2.0)
        await talk.say(1.0)
        await talk.hush(5.0)

    talk.hold(twice)
    heard_levels = levels(talk)
    assert heard_levels[5] == pytest.approx(0.3, rel=0.1)
    assert heard_levels[-1] == pytest.approx(0.15, rel=0.1)
    changed = talk.kinds.index("SpeechAdjusted")
    assert "ResponseAudio" in talk.kinds[changed:]
    assert talk.of(events.SpeechAdjusted)[0] == events.SpeechAdjusted(0.5, None)
    steps = np.abs(np.diff([level for level in heard_levels if level > 0]))
    assert steps.max() < 0.12, "it fades"


def test_speed_holds_for_later_clauses_and_turns() -> None:
    slower = Adjusted(speed=0.8)
    llm = RoutedLlm(scripts=[[HERE, TextDelta("One two three. "), 1.0, slower, TextDelta("Four."), END], [ANSWER, END]])
    talk = Conversation(llm=llm)

    async def twice(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(2.0)
        await talk.say(1.0)
        await talk.hush(5.0)

    talk.hold(twice)
    assert talk.tts.speeds[:2] == [1.0, 0.8]
    assert set(talk.tts.speeds[2:]) == {0.8}


def test_nothing_is_adjusted_before_the_commit() -> None:
    llm = routed(HERE, Adjusted(volume=0.2, speed=1.2), TextDelta("Like this?"), END)
    talk = Conversation(llm=llm, stt=ScriptedStt(takes_s=0.02))
    talk.hold(one_question)
    assert talk.kinds.index("ResponseStarted") < talk.kinds.index("SpeechAdjusted")
    assert talk.tts.speeds == [1.2]


def test_a_speed_that_the_user_asked_for_outlives_other_settings_but_not_a_speed_of_the_client_s() -> None:
    llm = RoutedLlm(scripts=[[Adjusted(speed=0.8), TextDelta("Slowly."), END], [TextDelta("As you like."), END]])
    talk = Conversation(llm=llm)

    async def change(talk: Conversation) -> None:
        for update in (None, events.Update(talk.settings), events.Update(talk.settings, sets_speed=True)):
            if update is not None:
                await talk.ask(update)
            await talk.ask(events.CreateResponse())
            await asyncio.sleep(3.0)

    talk.hold(change)
    assert talk.tts.speeds == [0.8, 0.8, 1.0]
    assert [event.settings.speed for event in talk.of(events.SettingsUpdated)] == [0.8, 1.0]
    assert rejected(talk) == []


def test_a_reply_under_way_is_held_and_adjusted_at_once() -> None:
    """An answer beside the conversation turns the volume down while the reply is held."""
    llm = RoutedLlm(scripts=[[ANSWER, END], [Adjusted(volume=0.0), TextDelta("Quiet."), END]])
    talk = Conversation(llm=llm)

    async def ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(1.0)
        await talk.ask(events.ClientLeft())
        await talk.ask(events.CreateResponse(output="text", beside=True))
        await asyncio.sleep(1.0)
        await talk.ask(events.ClientReturned(0.0))
        await asyncio.sleep(5.0)

    talk.hold(ask)
    assert levels(talk)[0] == pytest.approx(0.3, rel=0.1)
    assert levels(talk)[-1] == 0.0
    assert talk.of(events.ResponseEnded)[-1].text == ANSWER.text
