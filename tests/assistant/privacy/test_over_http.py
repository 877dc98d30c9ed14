"""Masks and ledger on the way to a stand-in for a cloud API, over real HTTP."""

import asyncio
from contextlib import aclosing
from pathlib import Path

from assistant.llm.endpoint import Endpoint
from assistant.llm.endpoint_errors import Where
from assistant.privacy.entries import overall
from assistant.privacy.ledger import Ledger, digest
from assistant.privacy.masking import Masks
from assistant.router.backend import Backend, Profile
from assistant.router.budget import Budgets, Price
from assistant.router.sending import Errand, Sender
from assistant.store.database import Database
from pipeline.engines import Asker, ChatMessage, ChatRequest, TextDelta, Tool, Toolbox, ToolCall
from tests.assistant.privacy.sentences import NAMES, personal
from tests.faults.cloud import Cloud, Received
from tests.faults.replies import Call, Reply

ERRAND = Errand("fact", "It is better at facts.")


def echo_in_crumbs(received: Received) -> Reply:
    """Answer with what was asked, three characters at a time, every second placeholder in another case."""
    asked = received.asked.replace("_2]", "_2]".lower()).replace("[PERSON_1]", "[Person_1]")
    return Reply(tuple(asked[at : at + 3] for at in range(0, len(asked), 3)))


def backend(cloud: Cloud) -> Backend:
    profile = Profile("big", "cloud", "api.example.com", "large")
    return Backend(profile, Endpoint(Where("big", cloud.url, "127.0.0.1", "large"), direct=True))


async def ask(sender: Sender, to: Backend, request: ChatRequest) -> tuple[str, list[ToolCall]]:
    said, calls = "", []
    async with aclosing(sender.send(to, request, ERRAND)) as pieces:
        async for piece in pieces:
            match piece:
                case TextDelta(text):
                    said += text
                case ToolCall():
                    calls.append(piece)
                case _:
                    pass
    return said, calls


def test_nothing_that_was_planted_in_two_hundred_sentences_arrives(tmp_path: Path) -> None:
    """Conversations of ten turns, each with all that was said before."""

    async def main(cloud: Cloud) -> None:
        to = backend(cloud)
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, Budgets(prices={"big": Price(1.0, 2.0)})) as ledger,
        ):
            sender = Sender(Masks(NAMES), ledger)
            for first in range(0, len(sentences), 10):
                told: list[ChatMessage] = [ChatMessage("system", "You know Anna Berger, at 12 Maple Street.")]
                for sentence in sentences[first : first + 10]:
                    told.append(ChatMessage("user", sentence.text))
                    request = ChatRequest(tuple(told), asker=Asker(session=f"sess_{first}"))
                    answer, _ = await ask(sender, to, request)
                    answers[sentence.text] = answer
                    told.append(ChatMessage("assistant", answer))
            entries = await ledger.today()
            assert len(entries) == len(cloud.received) == 200
            assert {entry.outcome for entry in entries} == {"answered"}
            assert all(entry.masked > 0 for entry in entries)
            assert overall(entries).sent_bytes < sum(len(received.raw) for received in cloud.received)
        await to.close()

    sentences = personal()
    answers: dict[str, str] = {}
    with Cloud(echo_in_crumbs) as cloud:
        asyncio.run(main(cloud))
    assert {text: answer for text, answer in answers.items() if answer != text} == {}
    texts = [message["content"] for received in cloud.received for message in received.body["messages"]]
    everything = "\n".join(texts).casefold()
    items = {item for sentence in sentences for _, item in sentence.planted}
    # Alone, the shortest names are syllables of other words; the masks' own tests look at those.
    left = [item for item in items if item.casefold() in everything and item.casefold() not in {"mia"}]
    assert left == []
    assert len(items) > 190


def test_a_call_comes_back_with_what_its_placeholders_stand_for(tmp_path: Path) -> None:
    async def main(cloud: Cloud) -> None:
        tool = Tool("call", "Calls somebody.", '{"type": "object", "properties": {"who": {"enum": ["Tobias", "Mia"]}}}')
        request = ChatRequest(
            (ChatMessage("user", "Call my son on 415-555-2671."),),
            toolbox=Toolbox((tool,)),
            asker=Asker(session="one"),
        )
        to = backend(cloud)
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, Budgets()) as ledger,
        ):
            _, calls = await ask(Sender(Masks(NAMES), ledger), to, request)
            (entry,) = await ledger.today()
        await to.close()
        assert [call.arguments for call in calls] == ['{"who": "Tobias", "number": "415-555-2671"}']
        assert entry.masked == 3
        sent = cloud.received[0].body["messages"]
        assert entry.sha256 == digest([ChatMessage(one["role"], one["content"]) for one in sent])

    with Cloud(Reply((), calls=(Call("call", '{"who": "[PERSON_1]", "number": "[PHONE_1]"}'),))) as cloud:
        asyncio.run(main(cloud))
    assert b"Tobias" not in cloud.received[0].raw
    assert b"Mia" not in cloud.received[0].raw
    assert b"2671" not in cloud.received[0].raw


def test_a_backend_that_cannot_be_reached_is_in_the_ledger_as_failed(tmp_path: Path) -> None:
    async def main(cloud: Cloud) -> None:
        cloud.kill()
        to = backend(cloud)
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            Ledger(database, Budgets()) as ledger,
        ):
            try:
                await ask(Sender(Masks(NAMES), ledger), to, ChatRequest((ChatMessage("user", "Hello"),)))
            except Exception as error:  # noqa: BLE001 - whichever it is, it is a failure
                failure = type(error).__name__
            (entry,) = await ledger.today()
        await to.close()
        assert (entry.outcome, entry.error, entry.output_tokens) == ("failed", failure, 0)

    with Cloud() as cloud:
        asyncio.run(main(cloud))
