"""What becomes of a picture that the user shows."""

import asyncio

from pipeline import events
from pipeline.blind import UNSEEN
from pipeline.conversation import MAX_PICTURES_BYTES
from pipeline.engines import ChatMessage, Picture
from pipeline.history import Item, Text, prompt
from tests.pipeline.doubles import Conversation, ScriptedLlm, ScriptedStt
from tests.pipeline.scripts import rejected

CAT = Picture("data:image/png;base64,Y2F0", "low")
DOG = Picture("data:image/jpeg;base64,ZG9n")
SHOWN = Item("shown", "user", (Text("What is"), CAT, Text("this?")))


async def show(talk: Conversation) -> None:
    await talk.ask(events.CreateItem(SHOWN))
    await talk.ask(events.CreateResponse(output="text"))
    await asyncio.sleep(2.0)
    await talk.ask(events.RetrieveItem("shown"))


def test_a_model_that_takes_pictures_is_given_it() -> None:
    talk = Conversation(llm=ScriptedLlm(takes_pictures=True))
    talk.hold(show)
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", "What is this?", (CAT,))


def test_one_that_does_not_is_told_in_words() -> None:
    talk = Conversation()
    talk.hold(show)
    assert talk.llm.prompts[-1][-1] == ChatMessage("user", f"What is this? {UNSEEN}")


def test_it_stays_in_the_conversation_unchanged() -> None:
    talk = Conversation()
    talk.hold(show)
    (retrieved,) = talk.of(events.ItemRetrieved)
    assert retrieved.item == SHOWN


def test_what_is_read_ahead_is_how_the_prompt_begins() -> None:
    talk = Conversation(live=ScriptedStt(takes_s=0.05))

    async def show_and_ask(talk: Conversation) -> None:
        await talk.ask(events.CreateItem(SHOWN))
        await talk.ask(events.CreateResponse(output="text"))
        await asyncio.sleep(1.0)
        await talk.ask(events.CreateItem(Item("more", "user", (CAT,))))
        await talk.say(1.0)
        await talk.hush(3.0)

    talk.hold(show_and_ask)
    asked = talk.llm.prompts[-1]
    assert asked[-1] == ChatMessage("user", f"what time is it {UNSEEN}")
    assert asked[:-1] == [
        ChatMessage("system", "Be brief."),
        ChatMessage("user", f"What is this? {UNSEEN}"),
        ChatMessage("assistant", "It is noon."),
    ]
    assert talk.llm.prefilled[-1] == [*asked[:-1], ChatMessage("user", "what time is it")]


def test_there_is_room_for_so_many() -> None:
    talk = Conversation()
    large = Picture("data:image/png;base64," + "A" * (MAX_PICTURES_BYTES // 2))

    async def show_all(talk: Conversation) -> None:
        for number in range(2):
            await talk.ask(events.CreateItem(Item(f"p{number}", "user", (large,)), request_id=f"r{number}"))
        await talk.ask(events.DeleteItem("p0"))
        await talk.ask(events.CreateItem(Item("p2", "user", (large,))))

    talk.hold(show_all)
    assert rejected(talk) == [("too_many_pictures", "r1")]
    assert [event.item.id for event in talk.of(events.ItemAdded)] == ["p0", "p2"]


def test_messages_of_one_role_keep_all_their_pictures() -> None:
    items = [Item("a", "user", (CAT,)), Item("b", "user", (Text("and this?"), DOG))]
    assert prompt(items, "", max_chars=9000) == [ChatMessage("user", "and this?", (CAT, DOG))]


def test_a_picture_takes_room_in_the_prompt() -> None:
    items = [Item(str(number), "user", (CAT,)) for number in range(4)]
    assert len(prompt(items, "", max_chars=6000)[0].pictures) == 2
    assert len(prompt(items, "", max_chars=6000, retention=1.0)[0].pictures) == 3
