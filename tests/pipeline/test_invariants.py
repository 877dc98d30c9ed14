"""What must hold in every conversation, whatever the user, the client and the engines do."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import events
from pipeline.engines import Adjusted, Bridge, Finish, Routed, TakenBack, TextDelta, ToolCall
from pipeline.history import Approval, Item, Text
from pipeline.settings import Settings, TurnTaking
from pipeline.tool_servers import ListedTool, ToolServer
from tests.pipeline.doubles import (
    WAIT,
    Conversation,
    RoutedLlm,
    ScriptedLlm,
    ScriptedServers,
    ScriptedStt,
    ScriptedTts,
    ScriptedTurnDetector,
)

BRIDGE = "Let me look."
MODES = st.sampled_from(["semantic", "silence", "manual"])
STEPS = st.one_of(
    st.tuples(st.just("say"), st.floats(0.05, 1.5)),
    st.tuples(st.just("hush"), st.floats(0.05, 3.0)),
    st.tuples(st.just("wait"), st.floats(0.0, 3.0)),
    st.tuples(
        st.sampled_from(
            [
                "commit",
                "clear",
                "create",
                "respond",
                "beside",
                "cancel",
                "truncate",
                "delete",
                "break",
                "mend",
                "announce",
                "leave",
                "return",
                "allow",
                "forbid",
            ]
        ),
        st.floats(0.0, 3.0),
    ),
    st.tuples(st.just("update"), MODES),
)


async def act(talk: Conversation, what: str, amount: float | str, number: int) -> None:
    replies = (*talk.of(events.ResponseStarted), *talk.of(events.MessageStarted))
    assistants = [event.item_id for event in replies if event.item_id]
    match what, amount:
        case "say", float(seconds):
            await talk.say(seconds)
        case "hush", float(seconds):
            await talk.hush(seconds)
        case "wait", float(seconds):
            await asyncio.sleep(seconds)
        case "commit", _:
            await talk.ask(events.Commit())
        case "clear", _:
            await talk.ask(events.Clear())
        case "create", _:
            await talk.ask(events.CreateItem(Item(f"typed_{number}", "user", (Text("hello"),))))
        case "respond", _:
            await talk.ask(events.CreateResponse())
        case "beside", float(seconds):
            given = (Item("own", "user", (Text("hi"),)),) if seconds > 1.0 else None
            await talk.ask(events.CreateResponse(beside=True, output="text" if seconds > 2.0 else None, input=given))
        case "cancel", float(seconds):
            started = [event.response_id for event in talk.of(events.ResponseStarted)]
            await talk.ask(events.CancelResponse(started[-1] if started and seconds > 1.5 else None))
        case "truncate", float(seconds):
            await talk.ask(events.TruncateItem(assistants[-1] if assistants else "none", seconds))
        case "delete", _:
            await talk.ask(events.DeleteItem(assistants[-1] if assistants else "none"))
        case "break", float(seconds):
            engine = (talk.stt, talk.llm, talk.tts)[int(seconds) % 3]
            engine.error = RuntimeError("broken")
        case "mend", _:
            talk.stt.error = talk.llm.error = talk.tts.error = None
        case "announce", _:
            await talk.ask(events.Announce(f"Timer {number} is over."))
        case "allow" | "forbid", _:
            asked = talk.of(events.ApprovalAsked)
            approval = Approval(asked[-1].item.id if asked else "none", what == "allow")
            await talk.ask(events.CreateItem(Item(f"answer_{number}", "user", (approval,))))
        case "leave", _:
            await talk.ask(events.ClientLeft())
        case "return", float(seconds):
            await talk.ask(events.ClientReturned(seconds / 10))
        case "update", str(mode):
            taking = TurnTaking(mode=mode)  # type: ignore[arg-type]
            await talk.ask(events.Update(Settings(instructions="Be brief.", turn_taking=taking)))


CLOUD = Routed("big", "cloud", "It needs thought.", "", "api.example.com")
LLMS = st.one_of(
    st.builds(lambda: ScriptedLlm(["It is noon now. The sun stands high."])),
    st.builds(
        lambda scripts: RoutedLlm(scripts=[[CLOUD, *script, Finish("stop", 9, 0, 3)] for script in scripts]),
        st.lists(
            st.lists(
                st.sampled_from(
                    [
                        WAIT,
                        0.3,
                        2.0,
                        TextDelta("It is noon now. "),
                        TextDelta("The sun "),
                        Bridge(BRIDGE),
                        TakenBack("The sun "),
                        Routed("den", "lan", "The cloud is down."),
                        Routed("embedded", "device", "The cloud is down."),
                        Adjusted(volume=0.3, speed=1.3),
                        ToolCall("a", "light", "{}"),
                        ToolCall("b", "door", "{}"),
                        ToolCall("c", "mine", "{}"),
                        ConnectionError("cut"),
                    ]
                ),
                max_size=7,
            ),
            min_size=1,
            max_size=3,
        ),
    ),
)


SERVERS = st.builds(
    lambda takes_s, light: ScriptedServers(
        {"home": (ListedTool("light"), ListedTool("door", asks=True))},
        {"light": light, "door": "is open"},
        takes_s=takes_s,
    ),
    st.sampled_from([0.0, 0.4, 3.0, 12.0]),
    st.sampled_from(["is on", RuntimeError("no")]),
)


@settings(max_examples=150)
@given(
    LLMS,
    SERVERS,
    st.lists(STEPS, max_size=14),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
    st.lists(st.sampled_from(["", "stop", "what time is it"]), min_size=1, max_size=4),
    st.builds(TurnTaking, interrupt_response=st.booleans(), create_response=st.booleans(), speculate=st.booleans()),
)
def test_conversations_keep_their_promises(  # noqa: PLR0917 - what a conversation has
    llm: ScriptedLlm,
    tools: ScriptedServers,
    script: list[tuple[str, float | str]],
    scores: list[float],
    texts: list[str],
    taking: TurnTaking,
) -> None:
    talk = Conversation(
        turn=ScriptedTurnDetector(scores),
        stt=ScriptedStt(texts),
        live=ScriptedStt(["what", "what time"], takes_s=0.05),
        llm=llm,
        tts=ScriptedTts(),
        tools=tools,
        settings=Settings("Be brief.", turn_taking=taking, tool_servers=(ToolServer("home"),)),
    )

    async def hold(talk: Conversation) -> None:
        for number, (what, amount) in enumerate(script):
            await act(talk, what, amount, number)
        await talk.ask(events.ClientReturned(0.0))
        await talk.hush(3.0)
        await asyncio.sleep(120.0 + 4.0 * sum(what == "announce" for what, _ in script))

    talk.hold(hold)
    check(talk)


def check(talk: Conversation) -> None:
    active: str | None = None  # the reply; there may be responses beside it
    said: dict[str, str] = {}  # by response, of those that are under way
    sent_s: dict[str, float] = {}
    began_at: dict[str, float] = {}
    over: set[str] = set()
    items: set[str] = set()
    calls: dict[str, str] = {}  # the responses of those that run
    for stamped in talk.log:
        match stamped.event:
            case events.ResponseStarted(response_id=response_id, item_id=item_id, asked=asked):
                if asked is None or not asked.beside:
                    assert active is None, "one reply at a time"
                    active = response_id
                assert response_id not in over | said.keys()
                if item_id is not None:  # where it may call, its message comes with its words
                    assert item_id not in items
                    items.add(item_id)
                said[response_id], sent_s[response_id] = "", 0.0
            case events.MessageStarted(item_id=item_id):
                assert item_id not in items
                items.add(item_id)
            case events.ResponseText(response_id=response_id, text=text):
                said[response_id] += text  # nothing of a response outside its time
                assert BRIDGE not in text
            case events.ResponseAudio(response_id=response_id, samples=samples):
                assert response_id in said
                sent_s[response_id] += len(samples) / 24_000
                since = began_at.setdefault(response_id, stamped.at)
                assert sent_s[response_id] <= stamped.at - since + 0.4 + 1e-6, "never a burst"
            case events.RemoteCalled(response_id=response_id, item=item):
                assert response_id == active, "nothing is carried out for a reply that isn't"
                assert item.remote is not None
                if not item.remote.waits:
                    calls[item.id] = response_id
            case events.RemoteReturned(response_id=str(response_id), item=item):
                assert calls.pop(item.id) == response_id == active
            case events.ResponseEnded(response_id=response_id) as end:
                assert response_id not in calls.values(), "what runs has an end before its response"
                words = said.pop(response_id)
                over.add(response_id)
                active = None if response_id == active else active
                assert end.text == words
                assert words.startswith(end.item.text), "history is what was heard"
                assert (end.status == "completed") <= (end.item.text == words)
            case events.AudioCommitted(item_id=item_id):
                assert item_id not in items
                items.add(item_id)
            case _:
                pass
    assert said == {}, "every response that started has ended"
    assert active is None
    assert calls == {}
    assert talk.tools.running == 0  # type: ignore[attr-defined]
    assert talk.llm.running == 0, "no work goes on for nobody"
