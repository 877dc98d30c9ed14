"""What must hold in every conversation, whatever the user, the client and the engines do."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import events
from pipeline.history import Item, Text
from pipeline.settings import Settings, TurnTaking
from tests.pipeline.doubles import Conversation, ScriptedLlm, ScriptedStt, ScriptedTts, ScriptedTurnDetector

MODES = st.sampled_from(["semantic", "silence", "manual"])
STEPS = st.one_of(
    st.tuples(st.just("say"), st.floats(0.05, 1.5)),
    st.tuples(st.just("hush"), st.floats(0.05, 3.0)),
    st.tuples(st.just("wait"), st.floats(0.0, 3.0)),
    st.tuples(
        st.sampled_from(["commit", "clear", "create", "respond", "cancel", "truncate", "delete", "break", "mend"]),
        st.floats(0.0, 3.0),
    ),
    st.tuples(st.just("update"), MODES),
)


async def act(talk: Conversation, what: str, amount: float | str, number: int) -> None:
    assistants = [event.item_id for event in talk.of(events.ResponseStarted)]
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
        case "cancel", _:
            await talk.ask(events.CancelResponse())
        case "truncate", float(seconds):
            await talk.ask(events.TruncateItem(assistants[-1] if assistants else "none", seconds))
        case "delete", _:
            await talk.ask(events.DeleteItem(assistants[-1] if assistants else "none"))
        case "break", float(seconds):
            engine = (talk.stt, talk.llm, talk.tts)[int(seconds) % 3]
            engine.error = RuntimeError("broken")
        case "mend", _:
            talk.stt.error = talk.llm.error = talk.tts.error = None
        case "update", str(mode):
            taking = TurnTaking(mode=mode)  # type: ignore[arg-type]
            await talk.ask(events.Update(Settings(instructions="Be brief.", turn_taking=taking)))


@settings(max_examples=80)
@given(
    st.lists(STEPS, max_size=14),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
    st.lists(st.sampled_from(["", "stop", "what time is it"]), min_size=1, max_size=4),
    st.builds(TurnTaking, interrupt_response=st.booleans(), create_response=st.booleans(), speculate=st.booleans()),
)
def test_conversations_keep_their_promises(
    script: list[tuple[str, float | str]],
    scores: list[float],
    texts: list[str],
    taking: TurnTaking,
) -> None:
    talk = Conversation(
        turn=ScriptedTurnDetector(scores),
        stt=ScriptedStt(texts),
        live=ScriptedStt(["what", "what time"], takes_s=0.05),
        llm=ScriptedLlm(["It is noon now. The sun stands high."]),
        tts=ScriptedTts(),
        settings=Settings(turn_taking=taking),
    )

    async def hold(talk: Conversation) -> None:
        for number, (what, amount) in enumerate(script):
            await act(talk, what, amount, number)
        await talk.hush(3.0)
        await asyncio.sleep(20.0)

    talk.hold(hold)
    check(talk)


def check(talk: Conversation) -> None:
    active: str | None = None
    over: set[str] = set()
    said = ""
    sent_s = 0.0
    began_at = 0.0
    items: set[str] = set()
    for stamped in talk.log:
        match stamped.event:
            case events.ResponseStarted(response_id=response_id, item_id=item_id):
                assert active is None, "one reply at a time"
                assert response_id not in over
                assert item_id not in items
                items.add(item_id)
                active, said, sent_s, began_at = response_id, "", 0.0, 0.0
            case events.ResponseText(response_id=response_id, text=text):
                assert response_id == active, "nothing of a response outside its time"
                said += text
            case events.ResponseAudio(response_id=response_id, samples=samples):
                assert response_id == active
                began_at = began_at or stamped.at
                sent_s += len(samples) / 24_000
                assert sent_s <= stamped.at - began_at + 0.4 + 1e-6, "never a burst"
            case events.ResponseEnded() as end:
                assert end.response_id == active
                over.add(end.response_id)
                active = None
                assert end.text == said
                assert said.startswith(end.item.text), "history is what was heard"
                assert (end.status == "completed") <= (end.item.text == said)
            case events.AudioCommitted(item_id=item_id):
                assert item_id not in items
                items.add(item_id)
            case _:
                pass
    assert active is None, "every response that started has ended"
    assert talk.llm.running == 0, "no work goes on for nobody"
