"""Conversations over real sockets are kept as they were heard; only the models are doubles."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from assistant.memory.conversations import Conversations, Message, keeping
from assistant.memory.listening import listened
from assistant.memory.records import record
from assistant.store.database import Database
from pipeline.session import Session
from tests.e2e.fakes import ANSWER, HEARD, silence, voice

pytestmark = pytest.mark.e2e

TRANSCRIPTION = {"type": "realtime", "audio": {"input": {"transcription": None}}}


class Keeper:
    """Stands for what writes conversations down: it holds the notes until the server is gone, and writes them then."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._notes: list[tuple[str, str, tuple[Message, ...]]] = []

    def note(self, user: str, session: str, messages: Sequence[Message]) -> bool:
        self._notes.append((user, session, tuple(messages)))
        return True

    async def write(self) -> None:
        async with await Database.open(self._url) as database, keeping(Conversations(database)) as conversations:
            for note in self._notes:
                assert conversations.note(*note)


def kept(url: str) -> list[tuple[str, str]]:
    async def main():
        async with await Database.open(url) as database:
            return await record(database, "owner")

    conversations = asyncio.run(main())["conversations"]
    return [(each["role"], each["text"]) for one in conversations for each in one["messages"]]


@pytest.fixture
def keeper(tmp_path: Path):
    return Keeper(f"sqlite:///{tmp_path}/parley.db")


@pytest.mark.parametrize("shown", [True, False])
def test_a_spoken_turn_is_kept_and_the_client_sees_nothing_of_it(serve, keeper, tmp_path, shown):
    async def talk():
        async with serve(begin=listened(Session, keeper)).client() as client:
            if not shown:  # the client doesn't want to know what was said
                await client.send("session.update", session=TRANSCRIPTION)
                await client.until("session.updated")
            await client.speak(voice(0.8), paced=True)
            await client.speak(silence(1.2), paced=True)
            await client.until("response.done")
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
            return client

    client = asyncio.run(talk())
    asyncio.run(keeper.write())
    assert not any(kind.startswith("parley.") for kind in client.kinds())
    assert kept(f"sqlite:///{tmp_path}/parley.db") == [("user", HEARD), ("assistant", ANSWER)]


def test_of_a_reply_that_was_cut_what_was_heard_is_kept(serve, keeper, tmp_path):
    async def talk():
        async with serve(begin=listened(Session, keeper)).client() as client:
            await client.speak(voice(0.8), paced=True)
            await client.speak(silence(0.6), paced=True)
            delta = await client.until("response.output_audio.delta")
            await asyncio.sleep(0.5)
            await client.send("response.cancel")
            await client.until("response.done")
            item = {"item_id": delta["item_id"], "content_index": 0, "audio_end_ms": 400}
            await client.send("conversation.item.truncate", **item)
            await client.until("conversation.item.truncated")
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")

    asyncio.run(talk())
    asyncio.run(keeper.write())
    (user, heard) = kept(f"sqlite:///{tmp_path}/parley.db")
    assert user == ("user", HEARD)
    assert heard[0] == "assistant"
    assert heard[1]
    assert ANSWER.startswith(heard[1])
    assert len(heard[1]) < len(ANSWER) / 2


def test_a_client_that_leaves_in_the_middle_and_one_that_asks_for_the_messages(serve, keeper, tmp_path):
    async def talk():
        async with serve(begin=listened(Session, keeper)).client() as client:
            extensions = {"type": "realtime", "parley": {"extensions": ["heard"]}}
            await client.send("session.update", session=extensions)
            content = [{"type": "input_text", "text": "Are you there?"}]
            await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            await client.send("response.create", response={"output_modalities": ["text"]})
            await client.until("response.done")
            await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            await client.send("parley.conversation.retrieve")
            return [item["role"] for item in (await client.until("parley.conversation.retrieved"))["items"]]

    assert asyncio.run(talk()) == ["user", "assistant", "user"]
    asyncio.run(keeper.write())
    assert [role for role, _ in kept(f"sqlite:///{tmp_path}/parley.db")][:2] == ["user", "assistant"]
