"""Functions that the client runs, in scripted conversations on virtual time."""

import asyncio
from dataclasses import replace

import pytest

from pipeline import events
from pipeline.engines import ChatMessage, NamedTool, Tool, Toolbox, ToolCall
from pipeline.errors import RequestError
from pipeline.history import History, Item, Spoken, Text, ToolResult, prompt
from pipeline.settings import Settings
from pipeline.turn import APOLOGY
from tests.pipeline.doubles import Conversation, ScriptedLlm, ScriptedStt, ScriptedTts, ScriptedTurnDetector, taking
from tests.pipeline.scripts import HELLO, SPOKEN_TURN, ended, one_question, rejected

WEATHER = Tool("get_weather", "The weather of a city.")
TOOLBOX = Toolbox((WEATHER,))
ROME = ToolCall("c1", "get_weather", '{"city": "Rome"}')
OSLO = ToolCall("c1", "get_weather", '{"city": "Oslo"}')
SUNNY = "It is sunny in Rome."


def tooled(settings: Settings | None = None, toolbox: Toolbox = TOOLBOX) -> Settings:
    return replace(settings or taking(), toolbox=toolbox)


def calling(*answers: str, calls: tuple[ToolCall, ...] = (ROME,)) -> ScriptedLlm:
    """Call after the first of the answers."""
    return ScriptedLlm([*answers], calls={answers[0]: calls})


def result(call: events.ToolCalled, output: str = "sunny") -> events.CreateItem:
    assert call.item.call is not None
    return events.CreateItem(Item(f"result_of_{call.item.id}", "tool", (ToolResult(call.item.call.call_id, output),)))


async def answer_the_call(talk: Conversation) -> None:
    """Be a client that runs the function as soon as it can."""
    await one_question(talk)
    for call in talk.of(events.ToolCalled):
        await talk.ask(result(call))
    await talk.ask(events.CreateResponse())
    await talk.hush(4.0)


def test_a_spoken_question_calls_and_the_answer_uses_the_result() -> None:
    talk = Conversation(llm=calling("", SUNNY), settings=tooled())
    talk.hold(answer_the_call)
    assert talk.kinds == [
        *SPOKEN_TURN[:6],
        "ToolCalled",
        "TurnTimed",
        "ResponseEnded",
        "ItemAdded",
        "ResponseStarted",
        "MessageStarted",
        *SPOKEN_TURN[6:],
    ]
    calls, says = talk.of(events.ResponseEnded)
    assert (calls.status, calls.text, calls.usage.output_tokens) == ("completed", "", 1)
    assert (says.status, says.text) == ("completed", SUNNY)
    (called,) = talk.of(events.ToolCalled)
    assert called.item == Item("item_3", "assistant", (replace(ROME, call_id="call_1"),))
    assert called.previous_item_id == talk.of(events.AudioCommitted)[0].item_id
    assert talk.llm.prompts[-1] == [
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "what time is it"),
        ChatMessage("assistant", "", calls=(replace(ROME, call_id="call_1"),)),
        ChatMessage("tool", "sunny", call_id="call_1"),
    ]
    assert talk.llm.toolboxes == [TOOLBOX, TOOLBOX]


def test_words_before_a_call_are_sent_first() -> None:
    talk = Conversation(llm=calling("Let me look.", calls=(ROME, OSLO)), settings=tooled())
    talk.hold(one_question)
    assert talk.kinds[5:] == [
        "ResponseStarted",
        "MessageStarted",
        "ResponseText",
        "ResponseAudio",
        "ToolCalled",
        "TurnTimed",
        "ResponseEnded",
    ]
    assert ended(talk).text == "Let me look."
    rome, oslo = talk.of(events.ToolCalled)
    (message,) = talk.of(events.MessageStarted)
    assert rome.previous_item_id == message.item_id
    assert oslo.previous_item_id == rome.item.id
    assert [call.item.call.call_id for call in (rome, oslo)] == ["call_1", "call_2"]


def test_a_written_answer_calls() -> None:
    talk = Conversation(llm=calling("Let me look."), settings=tooled())

    async def type_it(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    talk.hold(type_it)
    assert talk.kinds[1:] == [
        "ResponseStarted",
        "MessageStarted",
        "ResponseText",
        "ToolCalled",
        "TurnTimed",
        "ResponseEnded",
    ]
    assert ended(talk).item.parts == (Text("Let me look."),)


def test_a_call_waits_for_the_commit() -> None:
    talk = Conversation(llm=calling(""), settings=tooled(taking(min_silence_s=0.8)))
    talk.hold(one_question)
    assert talk.at(events.ToolCalled) == pytest.approx(talk.at(events.ResponseStarted), abs=0.01)
    assert talk.at(events.ToolCalled) > 2.2
    assert len(talk.llm.prompts) == 1, "it was prepared"


def test_a_call_that_was_prepared_for_other_words_leaves_no_trace() -> None:
    talk = Conversation(
        turn=ScriptedTurnDetector([0.0, 0.0, 1.0]),
        stt=ScriptedStt(["weather in Rome", "weather in Rome and tell me a joke"]),
        llm=calling("", "Knock, knock."),
        settings=tooled(),
    )

    async def go_on(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(0.4)
        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(go_on)
    assert len(talk.llm.prompts) == 2
    assert talk.of(events.ToolCalled) == []
    assert ended(talk).text == "Knock, knock."
    assert not any(message.calls for message in talk.llm.prompts[-1])


def test_words_that_are_corrected_after_the_call_do_not_call_again() -> None:
    talk = Conversation(
        live=ScriptedStt(["weather in Rome"], takes_s=0.05),
        stt=ScriptedStt(["feather in Rome"], takes_s=1.2),
        llm=calling("", "A feather?"),
        settings=tooled(),
    )
    talk.hold(one_question)
    assert len(talk.of(events.ToolCalled)) == 1
    assert [event.text for event in talk.of(events.TranscriptCompleted)] == ["feather in Rome"]
    assert len(talk.of(events.ResponseEnded)) == 1


def test_going_on_after_the_call_keeps_it_on_record() -> None:
    talk = Conversation(
        stt=ScriptedStt(["weather in Rome", "weather in Rome and Oslo"]),
        llm=calling("Wait.", "One moment."),
        settings=tooled(),
    )

    async def go_on(talk: Conversation) -> None:
        await talk.say(1.0)
        while not talk.of(events.ToolCalled):
            await talk.hush(0.032)
        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(go_on)
    assert talk.of(events.ItemDeleted) == []
    first, second = talk.of(events.ResponseEnded)
    assert (first.status, first.reason) == ("cancelled", "turn_detected")
    assert second.status == "completed"
    roles = [message.role for message in talk.llm.prompts[-1]]
    assert roles == ["system", "user", "assistant", "tool", "user"]


def test_a_barge_in_before_the_call_is_sent_prevents_it() -> None:
    talk = Conversation(
        stt=ScriptedStt(["weather in Rome", "never mind"]),
        llm=calling("Let me look at the sky over Rome.", "All right."),
        settings=tooled(),
    )

    async def interrupt(talk: Conversation) -> None:
        await talk.say(1.0)
        await talk.hush(1.8)
        assert talk.of(events.ResponseAudio)
        await talk.say(1.0)
        await talk.hush(4.0)

    talk.hold(interrupt)
    assert [end.status for end in talk.of(events.ResponseEnded)] == ["cancelled", "completed"]
    assert talk.of(events.ToolCalled) == []
    assert not any(message.calls for message in talk.llm.prompts[-1])


def test_cancelling_before_the_call_is_sent_prevents_it() -> None:
    talk = Conversation(llm=ScriptedLlm([""], calls={"": (ROME,)}, first_s=1.0), settings=tooled())

    async def cancel(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(0.5)
        await talk.ask(events.CancelResponse())
        await asyncio.sleep(2.0)

    talk.hold(cancel)
    assert talk.kinds == ["ItemAdded", "ResponseStarted", "TurnTimed", "ResponseEnded"]
    assert (ended(talk).status, ended(talk).reason, ended(talk).text) == ("cancelled", "client_cancelled", "")


def test_while_a_call_runs_the_model_knows_that_it_does() -> None:
    talk = Conversation(
        stt=ScriptedStt(["weather in Rome", "tell me a joke"]),
        llm=calling("", "Knock, knock.", SUNNY),
        settings=tooled(),
    )

    async def slow_client(talk: Conversation) -> None:
        await one_question(talk)
        await talk.say(1.0)
        await talk.hush(4.0)
        await talk.ask(result(talk.of(events.ToolCalled)[0]))
        await talk.ask(events.CreateResponse())
        await talk.hush(4.0)

    talk.hold(slow_client)
    joke, sunny = talk.llm.prompts[1:]
    assert [message.role for message in joke] == ["system", "user", "assistant", "tool", "user"]
    assert "still running" in joke[3].content
    assert [message.role for message in sunny] == ["system", "user", "assistant", "tool", "user", "assistant"]
    assert sunny[3].content == "sunny"
    assert talk.of(events.ResponseEnded)[-1].text == SUNNY


def test_a_result_that_comes_while_the_user_speaks_voids_what_was_prepared() -> None:
    talk = Conversation(
        stt=ScriptedStt(["weather in Rome", "and then"]),
        llm=calling("", "Well.", SUNNY),
        settings=tooled(taking(min_silence_s=0.6)),
    )

    async def meanwhile(talk: Conversation) -> None:
        await one_question(talk)
        await talk.say(1.0)
        await talk.hush(0.4)
        assert len(talk.llm.prompts) == 2
        await talk.ask(result(talk.of(events.ToolCalled)[0]))
        await talk.hush(4.0)

    talk.hold(meanwhile)
    assert talk.llm.prompts[-1][3].content == "sunny"
    assert talk.of(events.ResponseEnded)[-1].text == SUNNY


def test_an_answer_without_a_call_is_as_it_always_was() -> None:
    plain, talk = Conversation(), Conversation(settings=tooled())
    plain.hold(one_question)
    talk.hold(one_question)
    assert talk.kinds == [*SPOKEN_TURN[:6], "MessageStarted", *SPOKEN_TURN[6:]]
    assert talk.at(events.ResponseAudio) == plain.at(events.ResponseAudio)


@pytest.mark.parametrize("toolbox", [Toolbox(), Toolbox((WEATHER,), "none")])
def test_where_nothing_can_be_called_the_message_begins_with_the_response(toolbox: Toolbox) -> None:
    talk = Conversation(settings=tooled(toolbox=toolbox))
    talk.hold(one_question)
    assert talk.kinds == SPOKEN_TURN


def test_a_model_that_fails_after_its_call_has_called() -> None:
    talk = Conversation(llm=calling("Wait."), tts=ScriptedTts(error=RuntimeError("no")), settings=tooled())
    talk.hold(one_question)
    assert ended(talk).status == "failed"
    assert talk.of(events.ToolCalled) == []


def test_a_model_that_fails_is_apologised_for() -> None:
    talk = Conversation(llm=ScriptedLlm(error=RuntimeError("no")), settings=tooled())

    async def script(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(4.0)

    talk.hold(script)
    assert (ended(talk).status, ended(talk).text) == ("failed", APOLOGY)
    assert len(talk.of(events.MessageStarted)) == 1


def test_a_response_may_have_tools_of_its_own() -> None:
    talk = Conversation(llm=calling("", SUNNY))
    forced = Toolbox((WEATHER,), NamedTool("get_weather"))

    async def type_it(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(HELLO))
        await talk.ask(events.CreateResponse(toolbox=forced))
        await asyncio.sleep(1.0)

    talk.hold(type_it)
    assert talk.llm.toolboxes == [forced]
    assert len(talk.of(events.ToolCalled)) == 1


def test_new_tools_are_read_ahead_and_another_choice_is_not() -> None:
    talk = Conversation()

    async def update(talk: Conversation) -> None:
        await asyncio.sleep(0.1)
        for toolbox in (TOOLBOX, Toolbox((WEATHER,), "none"), Toolbox()):
            await talk.ask(events.Update(tooled(toolbox=toolbox)))
            await asyncio.sleep(0.1)

    talk.hold(update)
    assert len(talk.llm.prefilled) == 3


def test_a_client_that_answers_what_was_not_asked_is_told() -> None:
    talk = Conversation(llm=calling(""), settings=tooled())

    async def confuse(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(Item("r1", "tool", (ToolResult("nothing", "?"),)), request_id="a"))
        await one_question(talk)
        (call,) = talk.of(events.ToolCalled)
        await talk.ask(result(call))
        await talk.ask(replace(result(call), item=Item("r2", "tool", (ToolResult("call_1", "?"),)), request_id="b"))
        await talk.ask(events.CreateItem(Item("c2", "assistant", (replace(ROME, call_id="call_1"),)), request_id="c"))

    talk.hold(confuse)
    assert rejected(talk) == [("invalid_call_id", "a"), ("invalid_call_id", "b"), ("invalid_call_id", "c")]


def call_item(number: int, call_id: str) -> Item:
    return Item(f"call_{number}", "assistant", (replace(ROME, call_id=call_id),))


def result_item(number: int, call_id: str, output: str = "sunny") -> Item:
    return Item(f"result_{number}", "tool", (ToolResult(call_id, output),))


def test_results_follow_the_calls_that_were_made_at_once() -> None:
    items = [
        Item("1", "user", (Text("Rome and Oslo?"),)),
        Item("2", "assistant", (Spoken("I look."),)),
        call_item(3, "a"),
        call_item(4, "b"),
        Item("5", "user", (Text("And?"),)),
        result_item(6, "b", "snow"),
        result_item(7, "a"),
        call_item(8, "c"),
    ]
    messages = prompt(items, "", max_chars=1000)
    assert [(message.role, message.content, message.call_id) for message in messages] == [
        ("user", "Rome and Oslo?", None),
        ("assistant", "I look.", None),
        ("tool", "sunny", "a"),
        ("tool", "snow", "b"),
        ("user", "And?", None),
        ("assistant", "", None),
        ("tool", "(still running: its result isn't known yet)", "c"),
    ]
    assert [call.call_id for call in messages[1].calls] == ["a", "b"]


def test_a_long_result_leaves_room_for_its_question() -> None:
    items = [Item("1", "user", (Text("Rome?"),)), call_item(2, "a"), result_item(3, "a", "x" * 500)]
    question, _, output = prompt(items, "", max_chars=200)
    assert question.content == "Rome?"
    assert output.content.startswith("x" * 100 + "…")


def test_a_call_and_its_result_leave_a_long_prompt_together() -> None:
    items = [call_item(1, "a"), result_item(2, "a"), Item("3", "user", (Text("x" * 190),))]
    assert [message.role for message in prompt(items, "", max_chars=200)] == ["user"]


def test_history_knows_calls_and_results() -> None:
    history = History()
    history.add(Item("1", "user", (Text("Rome?"),)))
    history.add(call_item(2, "a"))
    history.add(call_item(3, "b"))
    history.add(result_item(4, "b"))
    with pytest.raises(RequestError, match="take the call_id of a function_call"):
        history.add(result_item(5, "c"))
    with pytest.raises(RequestError, match="can't be truncated"):
        history.truncate("call_2", 1.0)
    assert [item.text for item in history] == ["Rome?", "", "", ""]
