"""The language model beside which a smaller one tells whether a message is over."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from assistant.llm.embedded import EmbeddedLlm
from assistant.llm.judged import JUDGE_BEGINNING, Judged, load_judge
from pipeline.engines import Asker, ChatMessage, ChatRequest, Finish, Generated, TextDelta

SYSTEM = ChatMessage("system", "Be brief.")
LONG = "please tell me how far it is from here to the old lighthouse"


@dataclass
class Model:
    """Stands for a model of llama.cpp's: counts what it is asked."""

    finished: float | None = 0.1
    error: Exception | None = None
    read: list[tuple[ChatMessage, ...]] = field(default_factory=list)
    slow: asyncio.Event | None = None
    steps: list[str] = field(default_factory=list)

    async def warm(self) -> None:
        self.steps.append("warm")

    async def prefill(self, request: ChatRequest) -> float | None:
        self.read.append(request.messages)
        if self.slow is not None:
            await self.slow.wait()
        if self.error is not None:
            raise self.error
        return self.finished

    def unread(self, request: ChatRequest) -> int:
        return len(request.messages[-1].content)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        yield TextDelta(request.messages[-1].content)
        yield Finish("stop", 1, 0, 1)

    def close(self) -> None:
        self.steps.append("close")


def judged(model: Model, judge: Model) -> Judged:
    return Judged(cast("EmbeddedLlm", model), cast("EmbeddedLlm", judge))


def said(words: str, *before: ChatMessage, urgent: bool = False, language: str | None = None) -> ChatRequest:
    messages = (SYSTEM, *before, ChatMessage("user", words))
    return ChatRequest(messages, urgent=urgent, asker=Asker(language=language))


def reads(llm: Judged, *requests: ChatRequest) -> list[float | None]:
    async def read() -> list[float | None]:
        found = []
        for request in requests:
            found.append(await llm.prefill(request))
            await asyncio.sleep(0)
        return found

    return asyncio.run(read())


def test_the_judge_tells_and_the_model_reads_all_but_the_last_word() -> None:
    model, judge = Model(), Model(0.1)
    assert reads(judged(model, judge), said(LONG)) == [0.1]
    assert model.read == [(SYSTEM, ChatMessage("user", LONG.removesuffix(" lighthouse")))]
    assert judge.read == [(*JUDGE_BEGINNING, ChatMessage("user", LONG))]


@pytest.mark.parametrize(
    ("finished", "request_"),
    [(0.1, said(LONG, urgent=True)), (0.3, said(LONG)), (None, said(LONG)), (0.1, said("tell me how"))],
    ids=["somebody waits", "it may be all", "nobody can tell", "too little"],
)
def test_the_model_does_not_read_what_will_soon_be_read_anyway(finished: float | None, request_: ChatRequest) -> None:
    model = Model()
    assert reads(judged(model, Model(finished)), request_) == [finished]
    assert model.read == []


def test_the_model_reads_one_thing_at_a_time() -> None:
    async def read() -> None:
        llm = judged(model, Model())
        for words in (LONG, f"{LONG} by the sea"):
            await llm.prefill(said(words))
            await asyncio.sleep(0)
        assert model.slow is not None
        model.slow.set()

    model = Model(slow=asyncio.Event())
    asyncio.run(read())
    assert len(model.read) == 1


def test_what_cannot_be_read_ahead_is_only_noted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert reads(judged(Model(error=RuntimeError(LONG)), Model()), said(LONG), said(LONG)) == [0.1, 0.1]
    assert "could not be read ahead: RuntimeError" in caplog.text
    assert LONG not in caplog.text


@pytest.mark.parametrize(
    "request_",
    [ChatRequest((SYSTEM,)), said("où est la gare"), said("quelle heure", language="fr"), ChatRequest(())],
    ids=["no message", "letters of other languages", "another language", "nothing"],
)
def test_the_model_judges_what_the_judge_knows_nothing_of(request_: ChatRequest) -> None:
    model, judge = Model(0.7), Model()
    assert reads(judged(model, judge), request_) == [0.7]
    assert (model.read, judge.read) == ([request_.messages], [])


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("There are many. Which city?", ["Which city?"]),
        ("It's noon.", []),
        ("Which? I know only one.", []),
        ("y" * 200 + "?", []),
    ],
)
def test_the_judge_sees_what_was_asked_last_and_the_last_words(answer: str, question: list[str]) -> None:
    judge = Model()
    before = [ChatMessage("user", "Hi"), ChatMessage("assistant", answer), ChatMessage("user", "Hm")]
    reads(judged(Model(), judge), said("z" * 700 + " Paris", *before))
    system, *asked, words = judge.read[0]
    assert system == JUDGE_BEGINNING[0]
    assert [message.content for message in asked if message.role == "assistant"] == question
    assert len(words.content) == 600
    assert words.content.endswith("Paris")


def test_the_model_answers_and_both_are_warmed_and_closed() -> None:
    async def answer() -> list[Generated]:
        await llm.warm()
        return [piece async for piece in llm.stream(said("Hello"))]

    model, judge = Model(), Model()
    llm = judged(model, judge)
    assert asyncio.run(answer())[0] == TextDelta("Hello")
    llm.close()
    assert model.steps == judge.steps == ["warm", "close"]
    assert not llm.takes_pictures


@pytest.fixture(scope="module")
def judge(model_path: Callable[[str], Path]) -> Iterator[EmbeddedLlm]:
    llm = load_judge(model_path("smollm2-135m"))
    yield llm
    llm.close()


@pytest.mark.models
class TestJudge:
    def test_whole_messages_are_set_apart_from_their_beginnings(self, judge: EmbeddedLlm) -> None:
        whole = [
            "Turn on the kitchen light",
            "How old is the Brooklyn Bridge",
            "What's the weather like in New York",
            "Can I have a medium double shot americano",
            "Cancel the timer",
            "Should I get a dog or a cat",
        ]
        parts = [" ".join(words.split()[:-1]) for words in whole]
        llm = judged(Model(), cast("Model", judge))
        found = [each or 0.0 for each in reads(llm, *map(said, whole + parts))]
        assert sum(each > 0.2 for each in found[: len(whole)]) >= len(whole) - 1
        assert sum(each < 0.2 for each in found[len(whole) :]) >= len(whole) - 1

    def test_an_answer_to_a_question_is_a_whole_message(self, judge: EmbeddedLlm) -> None:
        llm = judged(Model(), cast("Model", judge))
        asked = ChatMessage("assistant", "In which city do you live?")
        alone, answer = reads(llm, said("In Paris"), said("In Paris", asked))
        assert alone is not None
        assert answer is not None
        assert answer > alone

    def test_a_long_message_still_fits(self, judge: EmbeddedLlm) -> None:
        words = "and then we walked along the river to the old mill where my uncle used to live " * 20
        (found,) = reads(judged(Model(), cast("Model", judge)), said(f"{words}with his"))
        assert found is not None
        assert found < 0.2
