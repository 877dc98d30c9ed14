"""What is remembered, forgotten and told, in SQLite and in PostgreSQL, without a model."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from assistant import cli
from assistant.memory import replies
from assistant.memory.conversations import Conversations, Message, keeping
from assistant.memory.memory import Memory
from assistant.memory.records import record
from assistant.memory.search import search
from assistant.memory.wording import content, second_person, sentence, tidy
from assistant.store.database import Database

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ("my sister's birthday is the 3rd of May", "your sister's birthday is the 3rd of May"),
        ("I'm allergic to nuts", "you're allergic to nuts"),
        ("I am 43", "you are 43"),
        ("I was born in Bristol", "you were born in Bristol"),
        ("I still am a member and I really was there", "you still are a member and you really were there"),
        ("the red bike is mine", "the red bike is yours"),
        ("my wife and I met in Rome", "your wife and you met in Rome"),
        ("we’re moving in June", "you're moving in June"),
        ("he was late", "he was late"),
        ("the wifi password is bluebird", "the wifi password is bluebird"),
        ("I was late and she was not", "you were late and she was not"),
        # Whose "you"?
        ("you should call me Ben", None),
        ("my mother always says “I am fine”", None),
    ],
)
def test_words_are_turned_to_the_person_where_that_is_safe(said: str, back: str | None) -> None:
    assert second_person(said) == back


@given(st.text())
def test_any_words_can_be_taken_apart(words: str) -> None:
    second_person(words)
    assert tidy(tidy(words)) == tidy(words)
    assert all(word == word.lower() for word in content(words.lower()))
    sentence(words)


def test_words_are_compared_without_their_endings() -> None:
    assert content("What do my sisters' dogs eat?") == {"sister", "dog", "eat"}
    assert content("berries in the bus") == {"berry", "bus"}


def test_a_fact_is_said_back_and_found_again(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url) as database:
            memory = Memory(database)
            assert not await memory.has_facts()
            assert await memory.known("ann", "en") == replies.NOTHING
            said = await memory.remember("ann", " my sister's birthday is the 3rd of May. ", "en")
            assert said == "I'll remember that your sister's birthday is the 3rd of May."
            assert await memory.remember("ann", "My sister's birthday is the 3rd of May", "en") == (
                "I know that your sister's birthday is the 3rd of May."
            )
            assert await memory.remember("ann", "meine Katze heißt Minka", "de") == (
                "I'll remember what you said: “meine Katze heißt Minka”."
            )
            assert await memory.known("ann", "en") == (
                "You said: “meine Katze heißt Minka”. Your sister's birthday is the 3rd of May."
            )
            assert await memory.relevant("ann", "When is my sister's birthday?") == (
                "Your sister's birthday is the 3rd of May.",
            )
            assert await memory.relevant("ann", "What is the capital of France?") == ()
            assert await memory.relevant("ben", "When is my sister's birthday?") == ()
            assert await memory.has_facts()
            assert await memory.remember("ann", " . ", "en") == replies.NOTHING_SAID

    asyncio.run(main())


def test_what_there_is_one_of_is_replaced_and_nothing_else(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url) as database:
            memory = Memory(database)
            for fact in ("my favourite colour is green", "my sister is a nurse", "my sister's name is Anna"):
                await memory.remember("ann", fact, "en")
            said = await memory.remember("ann", "my favourite colour is blue", "en")
            assert said == "I'll remember that your favourite colour is blue, and no longer what I had there."
            assert await memory.remember("ann", "my sister is tall", "en") == "I'll remember that your sister is tall."
            await memory.remember("ann", "my brother's name is Tom", "en")
            assert [fact["text"] for fact in (await record(database, "ann"))["facts"]] == [
                "my sister is a nurse",
                "my sister's name is Anna",
                "my favourite colour is blue",
                "my sister is tall",
                "my brother's name is Tom",
            ]

    asyncio.run(main())


def test_another_program_that_erases_is_noticed(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url) as here, await Database.open(store_url) as elsewhere:
            server, command = Memory(here), Memory(elsewhere)
            await server.remember("ann", "my bike is red", "en")
            assert await server.relevant("ann", "What about my bike?") == ("Your bike is red.",)
            assert await command.erase("ann") == 1
            assert await server.relevant("ann", "What about my bike?") == ()
            await command.remember("ann", "my bike is blue", "en")
            assert await server.relevant("ann", "What about my bike?") == ("Your bike is blue.",)

    asyncio.run(main())


def test_everything_is_forgotten_only_after_a_question(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url) as database:
            memory = Memory(database)
            assert await memory.forget("ann", "everything about me", "en") == replies.NOTHING
            await memory.remember("ann", "my bike is red", "en")
            await memory.remember("ben", "my bike is green", "en")
            assert await memory.forget("ann", "Everything about me.", "en") == replies.FORGET_ALL
            assert await memory.relevant("ann", "my bike") != ()
            assert await memory.forget_all("ann") == replies.FORGOT_ALL
            assert await memory.known("ann", "en") == replies.NOTHING
            assert await memory.known("ben", "en") == "Your bike is green."

    asyncio.run(main())


def test_what_is_told_is_not_endless(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url) as database:
            memory = Memory(database)
            for number in range(10):
                await memory.remember("ann", f"I have {number} spoons", "en")
            said = await memory.known("ann", "en")
            assert said.startswith("You have 9 spoons. You have 8 spoons.")
            assert said.endswith("You have 2 spoons. And 2 more things.")

    asyncio.run(main())


def message(number: int, text: str) -> Message:
    return Message(f"item_{number}", "user" if number % 2 else "assistant", text)


def test_conversations_are_kept_as_they_were_last_noted_and_found(store_url: str) -> None:
    async def main() -> None:
        async with await Database.open(store_url) as database:
            async with keeping(Conversations(database, now=lambda: NOON)) as conversations:
                conversations.note("ann", "one", [message(1, "Where do pelicans live?"), message(2, "By the sea, and")])
                conversations.note("ann", "one", [message(2, "By the sea.")])
                conversations.note("ann", "two", [message(3, "Are they pink?"), message(4, "No.")])
                conversations.note("ann", "two", [message(4, "")])
                conversations.note("ben", "three", [message(1, "Pelicans are dull.")])
            kept = (await record(database, "ann"))["conversations"]
            assert [(each["session"], [one["text"] for one in each["messages"]]) for each in kept] == [
                ("one", ["Where do pelicans live?", "By the sea."]),
                ("two", ["Are they pink?"]),
            ]
            assert kept[0]["messages"][0]["at"] == "2026-11-24T12:00:00+00:00"
            found = await search(database, None, "ann", "a pelican's life")
            assert [each.text for each in found] == ["Where do pelicans live?"]
            assert await search(database, None, "ann", '"the AND* (') == []
            assert await search(database, None, "ann", 'sea) OR "x') != []
            memory = Memory(database)
            assert await memory.known("ann", "en") == "I keep 3 messages of our conversations."
            assert await memory.erase("ann") == 3
            assert await search(database, None, "ann", "pelicans") == []
            assert len(await search(database, None, "ben", "pelicans")) == 1

    asyncio.run(main())


def test_conversations_that_are_too_old_are_erased_and_facts_stay(store_url: str) -> None:
    async def main() -> None:
        now = NOON
        async with await Database.open(store_url) as database:
            await Memory(database, now=lambda: now).remember("ann", "my bike is red", "en")
            conversations = Conversations(database, retention_days=7, now=lambda: now)
            async with keeping(conversations):
                conversations.note("ann", "one", [message(1, "old")])
                await conversations.flush()
                now += timedelta(days=6)
                conversations.note("ann", "two", [message(2, "newer")])
                await conversations.flush()
                now += timedelta(days=2)
                conversations.note("ann", "three", [message(3, "newest")])
            found = await record(database, "ann")
            texts = [one["text"] for each in found["conversations"] for one in each["messages"]]
            assert texts == ["newer", "newest"]
            assert len(found["facts"]) == 1

    asyncio.run(main())


def test_notes_that_nobody_can_write_are_refused_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/parley.db") as database:
            waiting = Conversations(database)
            taken = [waiting.note("ann", "one", [message(number, "secret")]) for number in range(300)]
            assert taken.count(True) == 256
            with sqlite3.connect(tmp_path / "parley.db") as raw:
                raw.execute("DROP TABLE memories")
            raw.close()
            async with keeping(waiting):
                pass
            assert await Memory(database).known("ann", "en") == replies.TROUBLE
            assert await Memory(database).remember("ann", "my secret", "en") == replies.TROUBLE
            assert await Memory(database).forget("ann", "my secret", "en") == replies.TROUBLE
            assert await Memory(database).forget_all("ann") == replies.TROUBLE

    caplog.set_level(logging.INFO)
    asyncio.run(main())
    assert "could not be written down" in caplog.text
    assert "secret" not in caplog.text


def test_what_is_erased_is_gone_from_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/parley.db") as database:
            memory = Memory(database)
            async with keeping(Conversations(database)) as conversations:
                for number in range(50):
                    conversations.note("ann", "one", [message(number, f"xylophone quartz number {number}")])
            await memory.remember("ann", "my zither is vermilion", "en")
            await memory.remember("ben", "my bassoon is beige", "en")
            assert {b"xylophon", b"zither", b"bassoon"} <= {word for word in WORDS if word in on_disk(tmp_path)}
            await memory.erase("ann")
            found = on_disk(tmp_path)
            assert [word for word in WORDS if word in found] == [b"bassoon"]

    asyncio.run(main())


WORDS = (b"xylophon", b"quartz", b"zither", b"vermilion", b"bassoon")


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("parley.db*"))


# On the command line.


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "my.toml").write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/parley.db"\n[embeddings]\nengine = "none"\n'
    )

    def invoke(*options: str, answer: str = "") -> Any:
        return CliRunner().invoke(cli.main, ["memory", "--config", f"{tmp_path}/my.toml", *options], input=answer)

    return invoke


def test_looking_makes_no_store(command: Callable[..., Any], tmp_path: Path) -> None:
    result = command()
    assert (result.exit_code, result.output) == (0, "Nothing is remembered of owner.\n")
    assert command("erase", "--yes").output == "0 facts and messages of owner are erased.\n"
    assert command("search", "pelican").exit_code == 1
    assert json.loads(command("export").output)["facts"] == []
    assert not (tmp_path / "parley.db").exists()


def test_memory_is_shown_searched_exported_and_erased(command: Callable[..., Any], tmp_path: Path) -> None:
    async def fill() -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/parley.db") as database:
            await Memory(database, now=lambda: NOON).remember("owner", "my bike is red", "en")
            async with keeping(Conversations(database, now=lambda: NOON, retention_days=36500)) as conversations:
                conversations.note("owner", "one", [message(1, "Where do pelicans live?"), message(2, "By the sea.")])

    asyncio.run(fill())
    assert command().output == (
        "2026-11-24  my bike is red\n\n1 conversations, 2 messages:\n2026-11-24 12:00    2  Where do pelicans live?\n"
    )
    assert command("search", "pelican").output == "2026-11-24 12:00  user       Where do pelicans live?\n"
    file = tmp_path / "mine.json"
    assert command("export", str(file)).output == f"{file}: 1 facts, 1 conversations of owner.\n"
    assert file.stat().st_mode & 0o777 == 0o600
    exported = json.loads(file.read_text())
    assert exported["facts"] == [{"text": "my bike is red", "language": "en", "at": "2026-11-24T12:00:00+00:00"}]
    assert exported["conversations"][0]["messages"][1] == {
        "role": "assistant",
        "text": "By the sea.",
        "at": "2026-11-24T12:00:00+00:00",
    }
    assert exported == json.loads(command("export").output) | {"exported_at": exported["exported_at"]}
    again = command("export", str(file))
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert "Cannot write" in command("export", str(tmp_path / "no" / "where.json")).output
    assert command("erase", answer="n\n").exit_code == 1
    assert "my bike" in command().output
    assert command("erase", answer="y\n").output.endswith("3 facts and messages of owner are erased.\n")
    assert command().output == "Nothing is remembered of owner.\n"
