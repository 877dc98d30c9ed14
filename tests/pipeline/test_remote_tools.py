"""Tools that the session has carried out, in scripted conversations on virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import events
from pipeline.engines import ChatMessage, Finish, NamedTool, RemoteChoice, TextDelta, Tool, Toolbox, ToolCall
from pipeline.errors import RequestError
from pipeline.history import Approval, ApprovalRequest, History, Item, RemoteCall, Text, ToolList, prompt
from pipeline.lanes import Lane
from pipeline.remote_calls import MOST_ROUNDS, RemoteCalls
from pipeline.remote_tools import chosen, named, own
from pipeline.settings import Settings
from pipeline.tool_servers import (
    ListedTool,
    NoToolServers,
    RemoteTool,
    ToolError,
    ToolFailure,
    ToolServer,
)
from pipeline.turn import PATIENCE
from tests.pipeline.doubles import Conversation, RoutedLlm, ScriptedServers, ScriptedStt, ScriptedTts, taking
from tests.pipeline.scripts import HELLO, ended, one_question, rejected

HOME = ToolServer("home", "k1")
WEB = ToolServer("web", "k2")
LIGHT = ListedTool("light", "Turns the light on or off.")
DOOR = ListedTool("door", "Opens the door.", asks=True)
END = Finish("stop", 9, 0, 3)
ON = ToolCall("c1", "light", '{"on": true}')
OPEN = ToolCall("c1", "door", "{}")
DONE = TextDelta("The light is on.")


def served(**changes: object) -> ScriptedServers:
    return ScriptedServers({"home": (LIGHT, DOOR)}, {"light": "is on", "door": "is open"}, **changes)  # type: ignore[arg-type]


def home(settings: Settings | None = None, *, toolbox: Toolbox | None = None) -> Settings:
    return replace(settings or taking(), tool_servers=(HOME,), toolbox=toolbox or Toolbox())


def talking(*answers: Sequence[object], tools: ScriptedServers | None = None, **parts: object) -> Conversation:
    llm = RoutedLlm(scripts=[[0.1, *answer, END] for answer in answers])  # type: ignore[list-item]
    return Conversation(llm=llm, settings=home(), tools=tools or served(), **parts)  # type: ignore[arg-type]


async def type_it(talk: Conversation, seconds: float = 4.0, **asked: object) -> None:
    await asyncio.sleep(0.2)
    await talk.ask(events.CreateItem(HELLO))
    await talk.ask(events.CreateResponse(**asked))  # type: ignore[arg-type]
    await asyncio.sleep(seconds)


async def question_and_answer(talk: Conversation) -> None:
    await one_question(talk)
    await talk.hush(4.0)


def remote(event: events.RemoteReturned | events.RemoteCalled) -> RemoteCall:
    call = event.item.remote
    assert call is not None
    return call


# --- What there is ---


def test_a_server_is_asked_for_its_tools_when_the_session_begins() -> None:
    talk = talking([DONE])
    talk.hold(one_question)
    added, asked, listed = talk.events[:3]
    assert isinstance(added, events.ItemAdded)
    assert (added.item.parts, added.item.status) == ((ToolList("home"),), "in_progress")
    assert asked == events.ToolsAsked(added.item.id)
    done = replace(added.item, parts=(ToolList("home", (LIGHT, DOOR)),), status="completed")
    assert listed == events.ToolsListed(done)
    assert [tool.name for tool in talk.llm.toolboxes[-1].tools] == ["light", "door"]
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", "what time is it"), "the list is no message"


def test_until_a_server_has_answered_the_model_answers_without_its_tools() -> None:
    talk = talking([DONE], tools=served(listing_s=20.0))
    talk.hold(one_question)
    assert talk.llm.toolboxes == [Toolbox()]
    assert ended(talk).text == DONE.text


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ToolError(ToolFailure("http_error", "No such host.", 404)), ToolFailure("http_error", "No such host.", 404)),
        (KeyError("secret"), ToolFailure("protocol_error", "The tool's server could not be used (KeyError).")),
    ],
)
def test_a_server_that_fails_is_told_of_and_asked_again_with_the_next_settings(
    error: Exception, failure: ToolFailure
) -> None:
    talk = talking([DONE], tools=ScriptedServers({"home": error}))

    async def update(talk: Conversation) -> None:
        await asyncio.sleep(0.5)
        talk.tools.listed["home"] = (LIGHT,)  # type: ignore[attr-defined]
        await talk.ask(events.Update(home()))
        await talk.ask(events.Update(home()))
        await type_it(talk)

    talk.hold(update)
    first, second = talk.of(events.ToolsListed)
    assert (first.failure, first.item.parts) == (failure, (ToolList("home"),))
    assert second.failure is None
    assert talk.tools.asked == ["home", "home"]  # type: ignore[attr-defined]
    assert [tool.name for tool in talk.llm.toolboxes[-1].tools] == ["light"]


def test_without_servers_nobody_can_be_asked() -> None:
    talk = Conversation(settings=home())
    talk.hold(lambda _: asyncio.sleep(1.0))
    (listed,) = talk.of(events.ToolsListed)
    assert listed.failure == ToolFailure("protocol_error", "There is no tool server 'home'.")
    with pytest.raises(ToolError, match="to call 'x' on"):
        asyncio.run(NoToolServers().call(HOME, "x", "{}"))


def test_a_server_that_is_not_named_any_more_has_no_tools() -> None:
    talk = talking([DONE])

    async def update(talk: Conversation) -> None:
        await asyncio.sleep(0.5)
        await talk.ask(events.Update(replace(home(), tool_servers=())))
        await type_it(talk)

    talk.hold(update)
    assert talk.llm.toolboxes == [Toolbox()]


# --- A call ---


def test_a_spoken_question_is_answered_with_what_a_tool_returns() -> None:
    talk = talking([ON], [DONE])
    talk.hold(question_and_answer)
    names = [name for name in talk.kinds if name not in ("TranscriptCompleted", "SpeechStarted", "SpeechStopped")]
    assert names[3:] == [
        "AudioCommitted",
        "ItemAdded",
        "ResponseStarted",
        "RemoteCalled",
        "RemoteReturned",
        "TurnTimed",
        "ResponseEnded",
        "ResponseStarted",
        "MessageStarted",
        "ResponseText",
        "ResponseAudio",
        "TurnTimed",
        "ResponseEnded",
    ]
    assert talk.tools.called == [("home", "light", '{"on": true}')]  # type: ignore[attr-defined]
    (called,), (returned,) = talk.of(events.RemoteCalled), talk.of(events.RemoteReturned)
    calls, says = talk.of(events.ResponseEnded)
    assert remote(called) == RemoteCall(replace(ON, call_id="call_1"), RemoteTool(HOME, "light"))
    assert called.item.status == "in_progress"
    assert (remote(returned).output, returned.item.status) == ("is on", "completed")
    assert returned.response_id == calls.response_id
    assert (says.status, says.text) == ("completed", DONE.text)
    assert talk.llm.prompts[-1] == [
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "what time is it"),
        ChatMessage("assistant", "", calls=(replace(ON, call_id="call_1"),)),
        ChatMessage("tool", "is on", call_id="call_1"),
    ]
    first, second = talk.of(events.TurnTimed)
    assert first.timings.first_audio_s is None
    assert second.timings.commit_s == first.timings.commit_s, "the wait is counted from the user's voice"


def test_a_call_is_not_carried_out_before_the_commit() -> None:
    talk = talking([ON], [DONE])
    talk.settings = home(taking(min_silence_s=0.8))
    talk = Conversation(llm=talk.llm, settings=home(taking(min_silence_s=0.8)), tools=served())

    async def look(talk: Conversation) -> None:
        await talk.hush(0.5)
        await talk.say(1.0)
        await talk.hush(0.5)
        assert talk.llm.requests, "it is prepared"
        assert talk.tools.called == []  # type: ignore[attr-defined]
        await talk.hush(4.0)

    talk.hold(look)
    assert len(talk.tools.called) == 1  # type: ignore[attr-defined]


def test_a_tool_takes_no_core_of_this_machine_while_it_is_carried_out() -> None:
    talk = talking([ON], [DONE], tools=served(takes_s=2.0))
    free: list[bool] = []

    async def look(talk: Conversation) -> None:
        await type_it(talk, 1.0, output="text")
        free.append(talk.engines.lanes.free(Lane.CHECK))
        await asyncio.sleep(4.0)

    talk.hold(look)
    assert free == [True]


def test_a_tool_that_fails_is_told_of_and_the_model_goes_on() -> None:
    failure = ToolFailure("tool_execution_error", "The bulb is broken.")
    tools = served()
    tools.results["light"] = ToolError(failure)
    talk = talking([ON], [TextDelta("The bulb is broken.")], tools=tools)
    talk.hold(question_and_answer)
    (returned,) = talk.of(events.RemoteReturned)
    assert (remote(returned).failure, returned.item.status) == (failure, "incomplete")
    assert talk.llm.prompts[-1][-1].content == "(It failed: The bulb is broken.)"
    assert talk.of(events.ResponseEnded)[-1].text == "The bulb is broken."


def test_an_error_of_another_kind_is_not_quoted() -> None:
    tools = served()
    tools.results["light"] = RuntimeError("Bearer secret")
    talk = talking([ON], [DONE], tools=tools)
    talk.hold(question_and_answer)
    assert "secret" not in repr(talk.events)
    assert "RuntimeError" in talk.llm.prompts[-1][-1].content


def test_calls_that_are_made_at_once_are_carried_out_at_once() -> None:
    tools = served()
    tools.listed["home"] = (LIGHT, replace(DOOR, asks=False))
    talk = talking([ON, OPEN], [DONE], tools=tools)
    talk.hold(question_and_answer)
    assert [name for _, name, _ in talk.tools.called] == ["light", "door"]  # type: ignore[attr-defined]
    assert len(talk.of(events.RemoteReturned)) == 2
    assert len(talk.of(events.ResponseEnded)) == 2
    assert [message.role for message in talk.llm.prompts[-1]] == ["system", "user", "assistant", "tool", "tool"]


def test_where_the_client_has_a_function_to_run_it_asks_for_the_answer() -> None:
    talk = talking([ON, ToolCall("c2", "mine", "{}")], [DONE])

    async def update(talk: Conversation) -> None:
        await talk.ask(events.Update(home(toolbox=Toolbox((Tool("mine"),)))))
        await type_it(talk)

    talk.hold(update)
    assert len(talk.of(events.ToolCalled)) == 1
    assert len(talk.of(events.RemoteReturned)) == 1
    assert len(talk.of(events.ResponseEnded)) == 1


def test_the_model_calls_in_four_responses_in_a_row_at_most() -> None:
    talk = talking([ON])
    talk.hold(lambda talk: type_it(talk, 20.0))
    assert MOST_ROUNDS == 4
    assert [box.choice for box in talk.llm.toolboxes] == ["auto"] * 4 + ["none"]


def test_what_is_forced_is_forced_once() -> None:
    talk = talking([ON], [DONE])
    forced = Toolbox((), RemoteChoice("home", "light"))
    talk.hold(lambda talk: type_it(talk, toolbox=forced))
    assert [box.choice for box in talk.llm.toolboxes] == [NamedTool("light"), "auto"]


def test_the_answer_is_as_the_client_asked_for_the_call() -> None:
    talk = talking([ON], [DONE])
    talk.hold(lambda talk: type_it(talk, output="text", instructions="Rhyme.", metadata={"a": "b"}))
    assert [start.asked.metadata for start in talk.of(events.ResponseStarted)] == [{"a": "b"}] * 2
    assert talk.of(events.ResponseEnded)[-1].item.parts == (Text(DONE.text),)
    assert [prompt[0].content for prompt in talk.llm.prompts] == ["Rhyme.", "Rhyme."]
    assert talk.of(events.ResponseAudio) == []


def test_an_answer_to_messages_of_the_client_s_own_goes_on_from_them() -> None:
    talk = talking([ON], [DONE])
    given = Item("mine", "user", (Text("Light, please."),))
    talk.hold(lambda talk: type_it(talk, input=(given,), output="text"))
    assert [message.role for message in talk.llm.prompts[-1]] == ["system", "user", "assistant", "tool"]
    assert talk.llm.prompts[-1][1].content == "Light, please."


def test_a_response_may_have_servers_of_its_own_once_they_are_known() -> None:
    talk = talking([DONE])

    async def ask(talk: Conversation) -> None:
        await type_it(talk, 3.0, tool_servers=())
        await talk.ask(events.CreateResponse(tool_servers=(HOME, WEB)))
        await asyncio.sleep(3.0)

    talk.hold(ask)
    assert [[tool.name for tool in box.tools] for box in talk.llm.toolboxes] == [[], ["light", "door"]]


def test_beside_the_conversation_nothing_is_carried_out() -> None:
    talk = talking([DONE])
    choice = RemoteChoice("home")

    async def ask(talk: Conversation) -> None:
        await asyncio.sleep(0.5)
        await talk.ask(events.CreateResponse(beside=True))
        await asyncio.sleep(3.0)
        await talk.ask(events.CreateResponse(beside=True, toolbox=Toolbox((), choice)))
        await asyncio.sleep(3.0)

    talk.hold(ask)
    assert talk.llm.toolboxes == [Toolbox(), Toolbox()]


# --- Clients that ask for the answer themselves ---


async def until_the_second_response(talk: Conversation) -> None:
    while len(talk.of(events.ResponseStarted)) < 2:
        await talk.hush(0.032)


def test_a_client_that_asks_for_the_answer_as_well_gets_one_answer() -> None:
    """@openai/agents does, after every call."""
    talk = talking([ON], [DONE])

    async def ask_too(talk: Conversation) -> None:
        await type_it(talk, 0.0)
        await until_the_second_response(talk)
        await talk.ask(events.CreateResponse(request_id="first"))
        await talk.ask(events.CreateResponse(request_id="second"))
        await asyncio.sleep(5.0)

    talk.hold(ask_too)
    assert rejected(talk) == [("conversation_already_has_active_response", "second")]
    assert len(talk.of(events.ResponseEnded)) == 2


def test_a_client_may_ask_for_the_answer_before_it_begins() -> None:
    """It is then as the client wants it."""
    talk = talking([TextDelta("Let me see to the light at once."), ON], [DONE])
    none = Toolbox((Tool("mine"),), "none")

    async def ask_early(talk: Conversation) -> None:
        await type_it(talk, 0.0)
        while not talk.of(events.RemoteReturned):
            await talk.hush(0.032)
        await talk.ask(events.CreateResponse(output="text", toolbox=none, request_id="first"))
        await talk.hush(5.0)
        await talk.ask(events.CreateResponse(output="text"))
        await talk.hush(2.0)

    talk.hold(ask_early)
    assert rejected(talk) == []
    assert talk.of(events.ResponseEnded)[1].item.parts == (Text(DONE.text),)
    assert [box.choice for box in talk.llm.toolboxes] == ["auto", "none", "auto"]


@pytest.mark.parametrize(("after_s", "responses"), [(0.5, 2), (3.0, 3)])
def test_a_client_that_asks_when_the_answer_has_just_been_given_has_got_it(after_s: float, responses: int) -> None:
    """Written answers are quick."""
    talk = talking([ON], [DONE])

    async def ask_late(talk: Conversation) -> None:
        await type_it(talk, 1.0, output="text")
        assert len(talk.of(events.ResponseEnded)) == 2
        await asyncio.sleep(after_s)
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)

    talk.hold(ask_late)
    assert len(talk.of(events.ResponseStarted)) == responses
    assert rejected(talk) == []


@pytest.mark.parametrize("asked", [events.CreateResponse(input=(), request_id="x"), None])
def test_what_is_not_a_request_for_that_answer_is_refused_as_ever(asked: events.CreateResponse | None) -> None:
    talk = talking([ON], [DONE])

    async def ask_too(talk: Conversation) -> None:
        await type_it(talk, 0.0)
        await until_the_second_response(talk)
        if asked is None:
            await talk.ask(events.CreateItem(replace(HELLO, id="more")))
        await talk.ask(asked or events.CreateResponse(request_id="x"))
        await asyncio.sleep(5.0)

    talk.hold(ask_too)
    assert rejected(talk) == [("conversation_already_has_active_response", "x")]


# --- While it takes long ---


def test_whoever_waits_hears_that_it_is_not_forgotten() -> None:
    talk = talking([ON], [DONE], tools=served(takes_s=15.0))

    async def wait(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(20.0)

    talk.hold(wait)
    assert [event.text for event in talk.of(events.ResponseBridged)] == [words for _, words in PATIENCE]
    assert talk.tts.spoken == [*(words for _, words in PATIENCE), DONE.text]
    called = talk.at(events.RemoteCalled)
    assert talk.at(events.ResponseBridged) == pytest.approx(called + PATIENCE[0][0], abs=0.2)
    first, second = talk.of(events.ResponseEnded)
    assert (first.text, first.item.text, second.text) == ("", "", DONE.text)
    assert not any("moment" in message.content for message in talk.llm.prompts[-1])
    assert [message.role for message in talk.llm.prompts[-1]] == ["system", "user", "assistant", "tool"]


def test_words_before_the_call_are_heard_while_it_is_carried_out() -> None:
    talk = talking([TextDelta("Let me see to the light."), ON], [DONE], tools=served(takes_s=0.2))

    async def wait(talk: Conversation) -> None:
        await one_question(talk)
        await talk.hush(6.0)

    talk.hold(wait)
    assert talk.of(events.ResponseBridged) == [], "nobody waited for a second"
    assert talk.at(events.RemoteReturned) < talk.at(events.ResponseEnded) - 0.1, "it had begun with the words"
    assert talk.of(events.ResponseEnded)[0].item.text == "Let me see to the light."


def test_a_voice_that_fails_meanwhile_does_no_harm() -> None:
    tts = ScriptedTts(error=RuntimeError("hoarse"))
    talk = talking([ON], [DONE], tools=served(takes_s=4.0), tts=tts)

    async def wait(talk: Conversation) -> None:
        await one_question(talk)
        tts.error = None
        await talk.hush(6.0)

    talk.hold(wait)
    assert [end.status for end in talk.of(events.ResponseEnded)] == ["completed", "completed"]


def test_a_barge_in_cancels_the_call_and_is_answered() -> None:
    talk = talking(
        [ON], [TextDelta("All right.")], tools=served(takes_s=10.0), stt=ScriptedStt(["light", "never mind"])
    )

    async def interrupt(talk: Conversation) -> None:
        await one_question(talk)
        assert talk.of(events.RemoteCalled)
        await talk.say(1.0)
        await talk.hush(6.0)

    talk.hold(interrupt)
    assert talk.tools.cancelled == ["light"]  # type: ignore[attr-defined]
    (returned,) = talk.of(events.RemoteReturned)
    assert returned.cancelled
    assert remote(returned).failure == ToolFailure("tool_execution_error", "It was cancelled before it was done.")
    first, second = talk.of(events.ResponseEnded)
    assert (first.status, first.reason) == ("cancelled", "turn_detected")
    assert (second.status, second.text) == ("completed", "All right.")
    assert "cancelled" in talk.llm.prompts[-1][-2].content


def test_a_client_s_cancel_cancels_the_call() -> None:
    talk = talking([ON], tools=served(takes_s=10.0))

    async def cancel(talk: Conversation) -> None:
        await type_it(talk, 0.5)
        await talk.ask(events.CancelResponse())
        await asyncio.sleep(5.0)

    talk.hold(cancel)
    assert talk.tools.cancelled == ["light"]  # type: ignore[attr-defined]
    assert talk.kinds[-4:] == ["RemoteCalled", "RemoteReturned", "TurnTimed", "ResponseEnded"]
    assert (ended(talk).status, ended(talk).reason) == ("cancelled", "client_cancelled")


def test_a_sound_of_the_user_s_holds_the_answer_and_does_not_end_it() -> None:
    talk = talking([ON], [DONE], tools=served(takes_s=3.0), stt=ScriptedStt(["light on", ""]))

    async def cough(talk: Conversation) -> None:
        await talk.hush(0.5)
        await talk.say(1.0)
        while not talk.of(events.RemoteCalled):
            await talk.hush(0.032)
        await talk.hush(2.6)
        await talk.say(0.3)
        await talk.hush(5.0)

    talk.hold(cough)
    assert [end.status for end in talk.of(events.ResponseEnded)] == ["completed", "completed"]
    assert talk.tools.cancelled == []  # type: ignore[attr-defined]


# --- Permission ---


async def ask_for_the_door(talk: Conversation) -> None:
    await type_it(talk, 1.0)


def approval(talk: Conversation, *, approves: bool, reason: str | None = None, number: int = 1) -> events.CreateItem:
    (asked,) = talk.of(events.ApprovalAsked)
    answer = Approval(asked.item.id, approves, reason)
    return events.CreateItem(Item(f"answer_{number}", "user", (answer,)), request_id=f"answer {number}")


def test_a_call_waits_for_the_user_s_permission() -> None:
    talk = talking([OPEN], [TextDelta("It is open.")])

    async def allow(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        assert ended(talk).status == "completed"
        assert talk.tools.called == []  # type: ignore[attr-defined]
        await talk.ask(approval(talk, approves=True))
        await asyncio.sleep(5.0)

    talk.hold(allow)
    (called,), (asked,) = talk.of(events.RemoteCalled), talk.of(events.ApprovalAsked)
    assert asked.item.parts == (ApprovalRequest(RemoteTool(HOME, "door", asks=True), "{}"),)
    assert (remote(called).waits, remote(called).request_id) == (True, asked.item.id)
    kinds = talk.kinds[talk.kinds.index("RemoteRuns") - 1 :]
    assert kinds[:4] == ["ItemAdded", "RemoteRuns", "RemoteReturned", "ResponseStarted"]
    (returned,) = talk.of(events.RemoteReturned)
    assert (returned.response_id, remote(returned).output, remote(returned).waits) == (None, "is open", False)
    assert talk.of(events.ResponseEnded)[-1].text == "It is open."


def test_a_call_that_the_user_does_not_allow_is_not_carried_out() -> None:
    talk = talking([OPEN], [TextDelta("Then not.")])

    async def refuse(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        await talk.ask(approval(talk, approves=False, reason="it is late"))
        await asyncio.sleep(5.0)

    talk.hold(refuse)
    assert talk.tools.called == []  # type: ignore[attr-defined]
    assert talk.llm.prompts[-1][-1].content == "(It failed: The user didn't allow it: it is late)"
    assert talk.of(events.ResponseEnded)[-1].text == "Then not."


def test_meanwhile_the_user_goes_on_talking() -> None:
    answers = [OPEN], [TextDelta("I have asked you.")], [TextDelta("It is open.")]
    talk = talking(*answers, tools=served(takes_s=1.5))

    async def go_on(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        await talk.ask(approval(talk, approves=True))
        await one_question(talk)
        await talk.hush(6.0)

    talk.hold(go_on)
    assert [end.text for end in talk.of(events.ResponseEnded)] == ["", "I have asked you.", "It is open."]
    assert [end.status for end in talk.of(events.ResponseEnded)] == ["completed"] * 3


def test_while_it_waits_the_model_knows_that_the_user_was_asked() -> None:
    talk = talking([OPEN], [TextDelta("I have asked you.")])

    async def go_on(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(3.0)

    talk.hold(go_on)
    assert "asked for permission" in talk.llm.prompts[-1][-1].content


def test_a_client_that_asks_before_it_is_said_gets_the_answer_once() -> None:
    answers = [OPEN], [TextDelta("I have asked you, and I am waiting for you.")], [TextDelta("It is open.")]
    talk = talking(*answers, tools=served(takes_s=0.2))

    async def ask(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        await talk.ask(events.CreateResponse())
        await asyncio.sleep(0.5)
        await talk.ask(approval(talk, approves=True))
        await asyncio.sleep(0.5)
        await talk.ask(events.CancelResponse())
        await asyncio.sleep(4.0)

    talk.hold(ask)
    assert len(talk.of(events.ResponseEnded)) == 3


@pytest.mark.parametrize("user", ["speaks", "has asked"])
def test_a_request_of_the_client_s_own_replaces_the_answer_that_waits(user: str) -> None:
    talk = talking([OPEN], [TextDelta("It is open.")], tools=served(takes_s=0.2))

    async def ask(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        await talk.say(0.5)
        if user == "speaks":
            await talk.ask(approval(talk, approves=True))
            await talk.say(0.4)
            await talk.ask(events.CreateResponse())
        await talk.hush(8.0)

    talk.hold(ask)
    assert len(talk.of(events.ResponseStarted)) >= 2


def test_permission_is_asked_and_given_once() -> None:
    talk = talking([OPEN], [TextDelta("It is open.")])

    async def twice(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        wrong = Item("wrong", "user", (Approval("nothing", approves=True),))
        await talk.ask(events.CreateItem(wrong, request_id="wrong"))
        await talk.ask(events.CreateItem(replace(wrong, parts=(Approval("hello", approves=True),)), request_id="hello"))
        await talk.ask(approval(talk, approves=True))
        await talk.ask(approval(talk, approves=True, number=2))
        await asyncio.sleep(4.0)

    talk.hold(twice)
    assert rejected(talk) == [("invalid_value", each) for each in ("wrong", "hello", "answer 2")]
    assert len(talk.tools.called) == 1  # type: ignore[attr-defined]


def test_a_call_that_was_deleted_meanwhile_is_of_no_interest() -> None:
    tools = served()
    tools.results["door"] = RuntimeError("jammed")
    talk = talking([OPEN], [TextDelta("Never said.")], tools=tools)

    async def delete(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        await talk.ask(approval(talk, approves=True))
        await talk.ask(events.DeleteItem(talk.of(events.RemoteCalled)[0].item.id))
        await asyncio.sleep(4.0)

    talk.hold(delete)
    assert talk.of(events.RemoteReturned) == []
    assert len(talk.of(events.ResponseEnded)) == 1


def test_a_call_that_was_allowed_and_fails_is_told_of() -> None:
    tools = served()
    tools.results["door"] = ToolError(ToolFailure("tool_execution_error", "It is jammed."))
    talk = talking([OPEN], [TextDelta("It is jammed.")], tools=tools)

    async def allow(talk: Conversation) -> None:
        await ask_for_the_door(talk)
        await talk.ask(approval(talk, approves=True))
        await asyncio.sleep(4.0)

    talk.hold(allow)
    assert talk.llm.prompts[-1][-1].content == "(It failed: It is jammed.)"


# --- Parts ---


def test_equal_names_are_told_apart_by_the_server_and_a_function_keeps_its_own() -> None:
    listed = [
        (HOME, ListedTool("light")),
        (HOME, ListedTool("search")),
        (WEB, ListedTool("search")),
        (WEB, ListedTool("go.to/page")),
        (WEB, ListedTool("web__search")),
    ]
    tools = named([Tool("light")], listed)
    names = ["light", "home__light", "home__search", "web__search_2", "go_to_page", "web__search"]
    assert [tool.name for tool in tools] == names
    assert tools[3].remote == RemoteTool(WEB, "search")
    assert named([], [(HOME, ListedTool(""))])[0].name == "_"


NAMES = st.text("ab_.é", max_size=3) | st.text("a", min_size=62, max_size=70)


@given(st.lists(NAMES, unique=True), st.lists(st.tuples(st.sampled_from([HOME, WEB, ToolServer("a")]), NAMES)))
def test_names_always_differ_and_can_always_be_written(
    functions: list[str], listed: list[tuple[ToolServer, str]]
) -> None:
    own_tools = [Tool(f"f{number}"[:64]) for number, _ in enumerate(functions)]
    tools = named(own_tools, [(server, ListedTool(name)) for server, name in listed])
    names = [tool.name for tool in tools]
    assert len(set(names)) == len(names)
    assert all(name and len(name) <= 64 and name.isascii() for name in names)
    assert [tool.remote and tool.remote.name for tool in tools[len(own_tools) :]] == [name for _, name in listed]


def test_a_choice_among_a_server_s_tools_becomes_one_that_models_know() -> None:
    tools = named([Tool("mine")], [(HOME, LIGHT), (HOME, DOOR), (WEB, ListedTool("search"))])

    def choose(label: str, name: str | None = None) -> Toolbox:
        return chosen(Toolbox(tools, RemoteChoice(label, name)))

    assert choose("web").choice == NamedTool("search")
    assert choose("web").tools == tools
    assert choose("home", "door").choice == NamedTool("door")
    assert choose("home") == Toolbox(tools[1:3], "required")
    assert choose("home", "roof").choice == "auto"
    assert chosen(Toolbox(tools, "required")).choice == "required"


def test_only_the_client_s_own_functions_are_left() -> None:
    tools = named([Tool("mine")], [(HOME, LIGHT)])
    assert own(Toolbox(tools, NamedTool("mine"))) == Toolbox(tools[:1], NamedTool("mine"))
    assert own(Toolbox(tools, NamedTool("light"))) == Toolbox(tools[:1], "auto")


def test_a_choice_not_to_call_holds_for_what_follows() -> None:
    assert RemoteCalls(Toolbox((Tool("x"),), "none")).next_toolbox().choice == "none"
    assert RemoteCalls(Toolbox((Tool("x"),), "required")).next_toolbox().choice == "auto"


def test_what_concerns_tools_has_no_words_and_does_not_part_calls() -> None:
    tool = RemoteTool(HOME, "light")
    items = [
        Item("1", "user", (Text("Light."),)),
        Item("2", "assistant", (RemoteCall(replace(ON, call_id="a"), tool, output="on"),)),
        Item("3", "assistant", (ApprovalRequest(tool, "{}"),)),
        Item("4", "user", (Approval("3", approves=True),)),
        Item("5", "assistant", (RemoteCall(replace(ON, call_id="b"), tool),)),
    ]
    assert [item.text for item in items] == ["Light.", "", "", "", ""]
    _, asked, first, second = prompt(items, "", max_chars=1000)
    assert [call.call_id for call in asked.calls] == ["a", "b"]
    assert (first.content, second.content) == ("on", "(still running: its result isn't known yet)")


def test_history_refuses_an_answer_to_what_was_not_asked() -> None:
    history = History()
    with pytest.raises(RequestError, match="There is no mcp_approval_request 'x'"):
        history.add(Item("1", "user", (Approval("x", approves=True),)))
