"""The whole of a server but its sockets: what is asked reaches the part that can answer it, and facts are kept."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant import assembly
from assistant.assembly import Assembled, assemble
from assistant.config import Config, ConfigError, load
from assistant.models import Store
from assistant.server.present import Present
from pipeline.engines import Asker, ChatMessage, ChatRequest, Engines, Routed, TextDelta
from pipeline.session import Session
from tests.e2e.fakes import ANSWER, OneAnswerModel, fake_engines
from tests.faults.cloud import Cloud
from tests.faults.replies import Reply


async def ask(assembled: Assembled, *said: str) -> tuple[str, list[Routed]]:
    """Ask the last of what was said (user and assistant by turns); return the answer and who gave it."""
    roles = ("user", "assistant") * len(said)
    messages = tuple(ChatMessage(role, text) for role, text in zip(roles, said, strict=False))
    async with aclosing(
        assembled.engines.llm.stream(ChatRequest(messages, max_tokens=12, asker=Asker("talk")))
    ) as pieces:
        got = [piece async for piece in pieces]
    text = "".join(piece.text for piece in got if isinstance(piece, TextDelta))
    return text, [piece for piece in got if isinstance(piece, Routed)]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> OneAnswerModel:
    """The language model among quick engines, which stand for the real ones."""
    answering = OneAnswerModel()

    @asynccontextmanager
    async def build(_config: Config, _models: Store) -> AsyncIterator[Engines]:
        yield fake_engines(answering)

    monkeypatch.setattr(assembly, "build", build)
    monkeypatch.setattr(Config, "models", lambda _config: ())
    return answering


def configured(tmp_path: Path, more: str = "") -> Config:
    file = tmp_path / "my.toml"
    file.write_text(f'[store]\nurl = "sqlite:///{tmp_path / "parley.db"}"\n{more}')
    return load(profile="tiny", file=file)


def within(config: Config, use: Callable[[Assembled], Any]) -> Any:
    """Assemble, run `use` with what came of it, and take it apart."""

    async def session() -> Any:
        async with assemble(config, Store(Path("nowhere")), Present()) as assembled:
            return await use(assembled)

    return asyncio.run(session())


def test_a_reflex_answers_without_the_model(tmp_path: Path, model: OneAnswerModel) -> None:
    sum_, (routed,) = within(configured(tmp_path), lambda it: ask(it, "What is seven times eight?"))
    assert "56" in sum_
    assert routed.backend == "reflex"
    assert model.prompts == []


def test_what_no_reflex_knows_is_asked_of_the_model(tmp_path: Path, model: OneAnswerModel) -> None:
    answer, (routed,) = within(configured(tmp_path), lambda it: ask(it, "Why is the sky blue?"))
    assert (answer, routed.backend, len(model.prompts)) == (ANSWER, "device", 1)


def test_facts_are_kept_from_one_run_to_the_next_and_put_to_the_model(tmp_path: Path, model: OneAnswerModel) -> None:
    config = configured(tmp_path)
    within(config, lambda it: ask(it, "Remember that my dog is called Rex."))
    known, _ = within(config, lambda it: ask(it, "What do you know about me?"))
    assert "Rex" in known
    within(config, lambda it: ask(it, "What is my dog called?"))
    assert model.prompts[-1][-1].content == "What is my dog called? (I told you: Your dog is called Rex.)"


def test_what_left_today_can_be_asked(tmp_path: Path, model: OneAnswerModel) -> None:
    said, _ = within(configured(tmp_path), lambda it: ask(it, "What did you send today?"))
    assert "othing" in said
    assert model.prompts == []


def test_without_reflexes_the_model_is_asked_everything(tmp_path: Path, model: OneAnswerModel) -> None:
    config = configured(tmp_path, "[reflexes]\nenabled = false")

    async def use(it: Assembled) -> str:
        assert it.timers is None
        return (await ask(it, "What is seven times eight?"))[0]

    assert within(config, use) == ANSWER
    assert len(model.prompts) == 1


def test_without_a_store_conversations_go_on(
    tmp_path: Path, model: OneAnswerModel, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "parley.db").write_bytes(b"this is no database" * 100)

    async def use(it: Assembled) -> str:
        assert (it.ledger, it.timers, it.begin) == (None, None, Session)
        return (await ask(it, "Remember that my dog is called Rex."))[0]

    with Cloud(Reply(("It is", " Rex."))) as cloud:
        backend = f'name = "big"\nurl = "{cloud.url}"\nmodel = "big-1"\nplace = "cloud"\nquality = 0.9'
        assert within(configured(tmp_path, f'[router]\npreset = "best"\n[[backends]]\n{backend}'), use) == ANSWER
    assert cloud.received == []
    assert "nothing is sent to other machines" in caplog.text
    assert model.prompts


@pytest.mark.usefixtures("model")
def test_conversations_are_kept_where_the_owner_wants_that(tmp_path: Path) -> None:
    async def use(it: Assembled) -> bool:
        return it.begin is Session

    assert within(configured(tmp_path), use)
    assert not within(configured(tmp_path, "[memory]\nconversations = true"), use)


@pytest.mark.usefixtures("model")
def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    backend = '[[backends]]\nname = "big"\nurl = "https://api.example/v1"\nmodel = "m"\nkey_env = "NO_SUCH_KEY"\n'
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        within(configured(tmp_path, backend + 'place = "cloud"'), ask)


@pytest.mark.models
def test_backends_are_asked_through_the_router(model_path: Callable[[str], Path], tmp_path: Path) -> None:
    async def session(config: Config) -> list[tuple[str, list[Routed]]]:
        async with assemble(config, Store(), Present()) as assembled:
            questions = ("What is the capital of Mongolia?", "My wife and I argue all the time.")
            return [await ask(assembled, question) for question in questions]

    with Cloud(Reply(("It is", " Ulaanbaatar."))) as cloud:
        backend = f'name = "big"\nurl = "{cloud.url}"\nmodel = "big-1"\nplace = "cloud"\nquality = 0.9'
        config = configured(tmp_path, f'[embeddings]\nengine = "minilm"\n[[backends]]\n{backend}')
        for name in config.models():
            model_path(name)
        (fact, to_cloud), (private, kept_here) = asyncio.run(session(config))
    assert (fact, len(cloud.received)) == ("It is Ulaanbaatar.", 1)
    assert private
    assert [(route.backend, route.place, route.kind) for route in to_cloud + kept_here] == [
        ("big", "cloud", "fact"),
        ("device", "device", "personal"),
    ]
