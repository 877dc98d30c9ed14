import asyncio
import gc
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import pytest

from assistant.config import load
from assistant.cpu import cores
from assistant.llm.embedded import EmbeddedLlm, LlmError
from assistant.llm.slots import Slots
from pipeline.engines import (
    ChatMessage,
    ChatRequest,
    Finish,
    LanguageModel,
    NamedTool,
    TextDelta,
    Tool,
    Toolbox,
    ToolCall,
    ToolChoice,
)

SYSTEM = ChatMessage("system", load().assistant.instructions)
FRANCE = ChatMessage("user", "What is the capital of France?")
ROLES: tuple[Literal["system", "user", "assistant"], ...] = ("system", "user", "assistant", "user")
STORY = ChatMessage("user", "Tell me a very long story about a dragon and a princess.")


@pytest.fixture(scope="module")
def llm(model_path: Callable[[str], Path]) -> Iterator[EmbeddedLlm]:
    llm = EmbeddedLlm(model_path("smollm2-135m"), threads=1, context_tokens=1024, parallel=4)
    yield llm
    llm.close()


async def ask(
    llm: LanguageModel, *messages: ChatMessage, max_tokens: int = 40, temperature: float = 0.0
) -> tuple[str, Finish]:
    request = ChatRequest(messages, max_tokens=max_tokens, temperature=temperature)
    *deltas, finish = [piece async for piece in llm.stream(request)]
    assert isinstance(finish, Finish)
    assert all(isinstance(piece, TextDelta) and piece.text for piece in deltas)
    return "".join(piece.text for piece in deltas if isinstance(piece, TextDelta)), finish


async def first_pieces(llm: EmbeddedLlm, count: int, *messages: ChatMessage) -> None:
    """Take `count` pieces of a long answer, then close it."""
    async with aclosing(llm.stream(ChatRequest(messages, max_tokens=300, temperature=0.0))) as pieces:
        async for _ in pieces:
            count -= 1
            if count == 0:
                return


class Chunks:
    """Counts what llama.cpp calls back with."""

    def __init__(self, llm: EmbeddedLlm, monkeypatch: pytest.MonkeyPatch) -> None:
        self._server = llm._server
        self.count = 0
        self.second = threading.Event()
        self.over = threading.Event()
        monkeypatch.setattr(llm, "_server", self)

    def handle_chat_completions(self, body: str, take: Callable[[str], bool]) -> None:
        def counted(chunk: str) -> bool:
            self.count += 1
            if self.count == 2:
                self.second.set()
            return take(chunk)

        self._server.handle_chat_completions(body, counted)
        self.over.set()


@pytest.mark.models
class TestAnswers:
    @pytest.mark.parametrize("temperature", [0.0, 0.3])
    def test_smollm2_knows_the_capital(self, llm: EmbeddedLlm, temperature: float) -> None:
        text, finish = asyncio.run(ask(llm, SYSTEM, FRANCE, temperature=temperature))
        assert "Paris" in text
        assert finish.reason == "stop"
        assert finish.input_tokens > 50
        assert 3 < finish.output_tokens <= 40

    def test_qwen_knows_the_capital_and_what_it_cannot_do(self, model_path: Callable[[str], Path]) -> None:
        async def talk(llm: EmbeddedLlm) -> tuple[str, str]:
            await llm.warm()
            capital, _ = await ask(llm, SYSTEM, FRANCE, temperature=0.3)
            lights, _ = await ask(llm, SYSTEM, ChatMessage("user", "Turn off the lights in the office."))
            return capital, lights

        llm = EmbeddedLlm(model_path("qwen2.5-coder-0.5b-iq4"), threads=1, context_tokens=1024, parallel=1)
        try:
            capital, lights = asyncio.run(talk(llm))
        finally:
            llm.close()
        assert "Paris" in capital
        assert "orry" in lights

    def test_an_answer_that_was_begun_elsewhere_goes_on(self, llm: EmbeddedLlm) -> None:
        async def talk() -> tuple[str, Finish]:
            request = ChatRequest((SYSTEM, FRANCE), temperature=0.0, begun="The capital of France ")
            rest = "".join([piece.text async for piece in llm.stream(request) if isinstance(piece, TextDelta)])
            whole = ChatMessage("assistant", "The capital of France" + rest)
            _, finish = await ask(llm, SYSTEM, FRANCE, whole, ChatMessage("user", "And of Spain?"), max_tokens=2)
            return rest, finish

        rest, finish = asyncio.run(talk())
        assert rest.startswith(" is Paris")
        assert finish.input_tokens - finish.cached_tokens < 20  # it remembers what it went on from

    def test_an_answer_ends_at_its_longest(self, llm: EmbeddedLlm) -> None:
        _, finish = asyncio.run(ask(llm, SYSTEM, STORY, max_tokens=7))
        assert (finish.reason, finish.output_tokens) == ("length", 7)

    def test_two_conversations_at_once_do_not_mix(self, llm: EmbeddedLlm) -> None:
        async def both() -> list[str]:
            numbers = ChatMessage("user", "Repeat after me: one two three four five six seven.")
            answers = await asyncio.gather(ask(llm, SYSTEM, FRANCE), ask(llm, SYSTEM, numbers))
            return [text for text, _ in answers]

        capital, numbers = asyncio.run(both())
        assert "Paris" in capital
        assert "Paris" not in numbers

    def test_more_conversations_than_can_generate_wait_their_turn(self, llm: EmbeddedLlm) -> None:
        async def five() -> list[tuple[str, Finish]]:
            return await asyncio.gather(*(ask(llm, SYSTEM, FRANCE) for _ in range(5)))

        assert all("Paris" in text for text, _ in asyncio.run(five()))

    def test_a_prompt_beyond_the_context_is_refused_in_words(self, llm: EmbeddedLlm) -> None:
        with pytest.raises(LlmError, match=r"has \d+ tokens, .* holds 1024: shorten"):
            asyncio.run(ask(llm, SYSTEM, ChatMessage("user", "word " * 2000)))
        assert "Paris" in asyncio.run(ask(llm, SYSTEM, FRANCE))[0]

    def test_nobody_can_connect_to_it_and_nothing_is_printed(
        self, model_path: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        llm = EmbeddedLlm(model_path("smollm2-135m"), threads=1, context_tokens=512, parallel=1)
        asyncio.run(llm.warm())
        address = llm._server.listening_address
        llm.close()
        assert address.startswith("unix:///")
        assert not Path(address.removeprefix("unix://")).parent.exists()
        assert capfd.readouterr() == ("", "")


@pytest.mark.models
class TestStopping:
    def test_closing_stops_within_two_tokens(self, llm: EmbeddedLlm, monkeypatch: pytest.MonkeyPatch) -> None:
        async def stop() -> int:
            chunks = Chunks(llm, monkeypatch)
            await first_pieces(llm, 5, SYSTEM, STORY)
            before = chunks.count
            await asyncio.to_thread(chunks.over.wait)
            return chunks.count - before

        assert asyncio.run(stop()) <= 2
        assert "Paris" in asyncio.run(ask(llm, SYSTEM, FRANCE))[0]

    def test_cancelling_stops_while_the_prompt_is_read(self, llm: EmbeddedLlm, monkeypatch: pytest.MonkeyPatch) -> None:
        async def stop() -> int:
            chunks = Chunks(llm, monkeypatch)
            prompt = ChatMessage("user", "an unread prompt of many words " * 60)
            task = asyncio.create_task(ask(llm, SYSTEM, prompt, max_tokens=300))
            await asyncio.to_thread(chunks.second.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            before = chunks.count
            await asyncio.to_thread(chunks.over.wait)
            return chunks.count - before

        assert asyncio.run(stop()) <= 2

    def test_the_next_request_goes_on_from_what_the_stopped_one_did(self, llm: EmbeddedLlm) -> None:
        async def speculate() -> Finish:
            await first_pieces(llm, 2, SYSTEM, ChatMessage("user", "Why do birds sing so"))
            return (await ask(llm, SYSTEM, ChatMessage("user", "Why do birds sing so early?")))[1]

        finish = asyncio.run(speculate())
        assert finish.input_tokens - finish.cached_tokens < 15

    def test_closing_the_engine_ends_an_answer(self, model_path: Callable[[str], Path]) -> None:
        async def close_meanwhile() -> None:
            llm = EmbeddedLlm(model_path("smollm2-135m"), threads=1, context_tokens=512, parallel=1)
            async with aclosing(llm.stream(ChatRequest((STORY,), max_tokens=400, temperature=0.0))) as pieces:
                await anext(pieces)
                await asyncio.to_thread(llm.close)
                async for _ in pieces:
                    pass

        with pytest.raises(LlmError, match="shutting down"):
            asyncio.run(close_meanwhile())
        gc.collect()


@pytest.mark.models
class TestRememberedWork:
    def test_a_prefilled_prompt_is_not_read_again(self, llm: EmbeddedLlm) -> None:
        async def prefilled() -> Finish:
            system = ChatMessage("system", "You are a pirate who talks of the sea, of ships and of treasure islands.")
            await llm.prefill(ChatRequest((system,)))
            return (await ask(llm, system, FRANCE))[1]

        finish = asyncio.run(prefilled())
        assert finish.cached_tokens > 15
        assert finish.input_tokens - finish.cached_tokens < 20

    def test_a_question_waits_for_its_prompt_to_be_prefilled(self, llm: EmbeddedLlm) -> None:
        async def at_once() -> Finish:
            system = ChatMessage("system", "You are a gardener and you speak about flowers, trees and vegetables. " * 3)
            async with asyncio.TaskGroup() as group:
                group.create_task(llm.prefill(ChatRequest((system,))))
                await asyncio.sleep(0)
                answer = group.create_task(ask(llm, system, FRANCE))
            return answer.result()[1]

        assert asyncio.run(at_once()).cached_tokens > 40

    def test_each_of_many_conversations_goes_on_from_its_last_answer(self, model_path: Callable[[str], Path]) -> None:
        async def talk(llm: EmbeddedLlm) -> list[int]:
            talks = [[SYSTEM, ChatMessage("user", f"Let us talk about {topic}.")] for topic in ("cats", "tea", "rain")]
            for _ in talks:
                await llm.prefill(ChatRequest((SYSTEM,)))
            read = []
            for _ in range(3):
                for messages in talks:
                    answer, finish = await ask(llm, *messages, max_tokens=12)
                    read.append(finish.input_tokens - finish.cached_tokens)
                    messages += [ChatMessage("assistant", answer), ChatMessage("user", "Tell me more about that.")]
            return read

        llm = EmbeddedLlm(model_path("smollm2-135m"), threads=1, context_tokens=1024, parallel=2, beginning=[SYSTEM])
        try:
            assert max(asyncio.run(talk(llm))) < 20
        finally:
            llm.close()


@pytest.mark.models
class TestExpectation:
    @pytest.mark.parametrize("model", ["smollm2-135m", "qwen2.5-coder-0.5b-iq4"])
    def test_the_end_of_a_message_is_expected_where_it_could_be(
        self, model_path: Callable[[str], Path], model: str
    ) -> None:
        async def expect(llm: EmbeddedLlm) -> tuple[list[float | None], float | None]:
            said = ("Turn on the kitchen light", "Turn on the", "How old is the Brooklyn Bridge", "How old is the")
            asked = [ChatRequest((SYSTEM, ChatMessage("user", words))) for words in said]
            return [await llm.prefill(request) for request in asked], await llm.prefill(ChatRequest((SYSTEM,)))

        llm = EmbeddedLlm(model_path(model), threads=1, context_tokens=1024, parallel=1, beginning=[SYSTEM])
        try:
            (light, on_the, bridge, old_is), system = asyncio.run(expect(llm))
        finally:
            llm.close()
        assert system is None
        assert light is not None
        assert bridge is not None
        assert min(light, bridge) > 0.2
        assert on_the is not None
        assert old_is is not None
        assert max(on_the, old_is) < 0.05

    def test_every_conversation_begins_with_what_was_read_once(self, model_path: Callable[[str], Path]) -> None:
        async def talk(llm: EmbeddedLlm) -> list[Finish]:
            await llm.warm()
            topics = ("cats", "tea", "rain", "ships", "trains", "bees", "snow", "bread")
            asked = [ask(llm, SYSTEM, ChatMessage("user", f"Tell me about {topic}."), max_tokens=4) for topic in topics]
            return [finish for _, finish in await asyncio.gather(*asked)]

        llm = EmbeddedLlm(model_path("smollm2-135m"), threads=1, context_tokens=1024, parallel=4, beginning=[SYSTEM])
        try:
            finishes = asyncio.run(talk(llm))
        finally:
            llm.close()
        assert all(finish.input_tokens - finish.cached_tokens < 20 for finish in finishes)

    def test_what_was_read_of_a_message_is_not_read_again(self, llm: EmbeddedLlm) -> None:
        async def read_and_ask() -> Finish:
            words = "Please tell me everything that you know about the long history of the old lighthouse by the sea"
            await llm.prefill(ChatRequest((SYSTEM, ChatMessage("user", words))))
            return (await ask(llm, SYSTEM, ChatMessage("user", f"{words}."), max_tokens=4))[1]

        finish = asyncio.run(read_and_ask())
        assert finish.input_tokens - finish.cached_tokens < 10

    def test_a_conversation_is_read_with_its_last_answer(self, llm: EmbeddedLlm) -> None:
        told = "The lighthouse was built two hundred years ago, of grey stone, by three brothers who had lost a ship."
        past = (SYSTEM, ChatMessage("user", "Who built the lighthouse?"), ChatMessage("assistant", told))

        async def read_and_ask() -> Finish:
            assert await llm.prefill(ChatRequest(past)) is None
            return (await ask(llm, *past, ChatMessage("user", "When?"), max_tokens=4))[1]

        finish = asyncio.run(read_and_ask())
        assert finish.input_tokens - finish.cached_tokens < 10


class TestSlots:
    def lend(self, slots: Slots, *texts: str, answer: str = "", prefill: bool = False) -> int:
        messages = [ChatMessage(role, text) for role, text in zip(ROLES, texts, strict=False)]
        with slots.lend(messages, threading.Event(), prefill=prefill) as slot:
            if answer:
                slot.answered(answer)
            return slot.number

    def test_a_conversation_keeps_its_slot_though_its_answer_was_interrupted(self) -> None:
        slots = Slots(3)
        first = self.lend(slots, "Be kind.", "I like to sail on the sea.", answer="Sail on!" * 3)
        second = self.lend(slots, "Be kind.", "My house has a garden.", answer="How nice!" * 9)
        assert first != second
        assert self.lend(slots, "Be kind.", "I like to sail on the sea.", "Sail on!", "Where?") == first

    def test_a_prefilled_slot_goes_to_the_next_conversation(self) -> None:
        slots = Slots(3)
        first, second = (self.lend(slots, "Be kind.", prefill=True) for _ in range(2))
        assert first != second
        assert {self.lend(slots, "Be kind.", text, answer="!" * 99) for text in ("One", "Two")} == {first, second}

    def test_the_longest_unused_slot_is_given_up(self) -> None:
        slots = Slots(2)
        first = self.lend(slots, "a" * 50)
        self.lend(slots, "b" * 50)
        assert self.lend(slots, "c" * 50) == first

    def test_a_busy_slot_is_not_lent(self) -> None:
        slots = Slots(2)
        with slots.lend([SYSTEM], threading.Event()) as slot:
            assert self.lend(slots, SYSTEM.content) != slot.number

    @pytest.mark.parametrize("prefill", [True, False])
    def test_a_slot_about_to_be_useful_is_waited_for(self, prefill: bool) -> None:
        slots = Slots(2)
        stop = threading.Event()
        number: list[int] = []
        waiting = threading.Thread(target=lambda: number.append(self.lend(slots, SYSTEM.content, "More.")))
        with slots.lend([SYSTEM], stop, prefill=prefill) as slot:
            if not prefill:
                stop.set()
            waiting.start()
        waiting.join()
        assert number == [slot.number]

    def test_a_short_conversation_that_goes_on_is_not_given_up_for_a_long_one_that_ended(self) -> None:
        slots = Slots(2)
        ended = self.lend(slots, "Be kind.", "x" * 900, answer="y" * 900)
        live = self.lend(slots, "Be kind.", "z" * 300, answer="y" * 50)
        assert self.lend(slots, "Be kind.", "w" * 10) == ended != live

    def test_what_no_slot_has_read_is_counted(self) -> None:
        slots = Slots(2)
        self.lend(slots, "Be kind.", "Where are")
        asked = [ChatMessage("system", "Be kind."), ChatMessage("user", "Where are you?")]
        assert slots.unread(asked) == len(" you?")
        with slots.lend(asked, threading.Event()):
            assert slots.unread(asked) == 0, "it is being read"

    def test_two_conversations_are_prefilled_side_by_side(self) -> None:
        slots = Slots(2)
        with slots.lend([SYSTEM], threading.Event(), prefill=True) as slot:
            assert self.lend(slots, SYSTEM.content, prefill=True) != slot.number


class TestBadModels:
    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(LlmError, match="Cannot read the language model"):
            EmbeddedLlm(tmp_path / "none.gguf", threads=1, context_tokens=512, parallel=1)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LlmError, match=r"no \.gguf file"):
            EmbeddedLlm(tmp_path, threads=1, context_tokens=512, parallel=1)

    def test_another_kind_of_file(self, tmp_path: Path) -> None:
        (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04")
        with pytest.raises(LlmError, match="not a GGUF file"):
            EmbeddedLlm(tmp_path, threads=1, context_tokens=512, parallel=1)

    @pytest.mark.models
    def test_half_a_file(self, tmp_path: Path, model_path: Callable[[str], Path]) -> None:
        whole = next(model_path("smollm2-135m").glob("*.gguf"))
        with whole.open("rb") as file:
            (tmp_path / "model.gguf").write_bytes(file.read(9_000_000))
        with pytest.raises(LlmError, match="incomplete"):
            EmbeddedLlm(tmp_path, threads=1, context_tokens=512, parallel=1)


class TestCores:
    @pytest.mark.parametrize(
        ("quota", "expected"),
        [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("nonsense", None), ("a b", None)],
    )
    def test_a_container_may_allow_fewer(self, tmp_path: Path, quota: str, expected: int | None) -> None:
        (tmp_path / "cpu.max").write_text(quota)
        assert cores(tmp_path / "cpu.max") == (expected or len(os.sched_getaffinity(0)))


WEATHER = Tool(
    "get_weather",
    "Get the current weather of a city.",
    '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}',
)
TIMER = Tool(
    "set_timer",
    "Start a timer.",
    '{"type": "object", "properties": {"seconds": {"type": "integer"}}, "required": ["seconds"]}',
)
TOOLBOX = Toolbox((WEATHER, TIMER))


async def use(
    llm: EmbeddedLlm,
    *messages: ChatMessage,
    toolbox: Toolbox = TOOLBOX,
    max_tokens: int = 60,
    temperature: float = 0.0,
) -> tuple[str, list[ToolCall], Finish]:
    request = ChatRequest(messages, max_tokens=max_tokens, temperature=temperature, toolbox=toolbox)
    *pieces, finish = [piece async for piece in llm.stream(request)]
    assert isinstance(finish, Finish)
    text = "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))
    return text, [piece for piece in pieces if isinstance(piece, ToolCall)], finish


@pytest.fixture(scope="module")
def qwen(model_path: Callable[[str], Path]) -> Iterator[EmbeddedLlm]:
    llm = EmbeddedLlm(model_path("qwen2.5-coder-0.5b-iq4"), threads=1, context_tokens=1024, parallel=1)
    yield llm
    llm.close()


@pytest.mark.models
class TestFunctions:
    INSTRUCTIONS = ChatMessage("system", load().assistant.tool_instructions)
    ROME = ChatMessage("user", "What is the weather in Rome?")

    def test_a_question_for_a_function_calls_it_and_says_nothing(self, qwen: EmbeddedLlm) -> None:
        text, (call,), finish = asyncio.run(use(qwen, self.INSTRUCTIONS, self.ROME))
        assert text == ""
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Rome"})
        assert finish.reason == "stop"

    def test_any_other_question_is_answered(self, qwen: EmbeddedLlm) -> None:
        text, calls, _ = asyncio.run(use(qwen, self.INSTRUCTIONS, FRANCE))
        assert "Paris" in text
        assert calls == []

    def test_the_answer_uses_the_result_and_goes_on_from_what_was_read(self, qwen: EmbeddedLlm) -> None:
        async def both() -> tuple[str, list[ToolCall], Finish]:
            _, (call,), _ = await use(qwen, self.INSTRUCTIONS, self.ROME)
            asked = ChatMessage("assistant", "", calls=(call,))
            result = ChatMessage("tool", '{"celsius": 24, "sky": "sunny"}', call_id=call.call_id)
            return await use(qwen, self.INSTRUCTIONS, self.ROME, asked, result)

        text, calls, finish = asyncio.run(both())
        assert "24" in text
        assert calls == []
        assert finish.input_tokens - finish.cached_tokens < 60

    def test_what_a_result_says_does_not_hang_on_chance(self, qwen: EmbeddedLlm) -> None:
        asked = ChatMessage("assistant", "", calls=(ToolCall("c", "get_weather", '{"city": "Rome"}'),))
        result = ChatMessage("tool", '{"celsius": 24, "sky": "sunny"}', call_id="c")
        past = (self.INSTRUCTIONS, self.ROME, asked, result)
        toolbox = Toolbox(TOOLBOX.tools, "none")

        async def often() -> list[str]:
            return [(await use(qwen, *past, toolbox=toolbox, temperature=1.0))[0] for _ in range(5)]

        first, *others = asyncio.run(often())
        assert "24" in first
        assert others == [first] * 4

    @pytest.mark.parametrize("told", ["done", '{"error": "unknown city"}', '[{"day": "Monday", "celsius": 24}]'])
    def test_no_result_is_answered_with_a_greeting(self, qwen: EmbeddedLlm, told: str) -> None:
        asked = ChatMessage("assistant", "", calls=(ToolCall("c", "get_weather", '{"city": "Rome"}'),))
        past = (self.INSTRUCTIONS, self.ROME, asked, ChatMessage("tool", told, call_id="c"))
        text, _, _ = asyncio.run(use(qwen, *past, toolbox=Toolbox(TOOLBOX.tools, "none")))
        assert text
        assert "help" not in text.lower()

    @pytest.mark.parametrize("model", ["qwen", "llm"])
    @pytest.mark.parametrize(
        ("choice", "names"), [("required", {"get_weather", "set_timer"}), (NamedTool("set_timer"), {"set_timer"})]
    )
    def test_a_call_that_must_be_is_valid(
        self, model: str, choice: ToolChoice, names: set[str], request: pytest.FixtureRequest
    ) -> None:
        llm = request.getfixturevalue(model)
        text, (call,), _ = asyncio.run(use(llm, ChatMessage("user", "Hello!"), toolbox=Toolbox(TOOLBOX.tools, choice)))
        assert text == ""
        assert call.name in names
        assert json.loads(call.arguments).keys() == ({"city"} if call.name == "get_weather" else {"seconds"})

    def test_nothing_is_called_where_that_is_forbidden(self, qwen: EmbeddedLlm) -> None:
        text, calls, _ = asyncio.run(use(qwen, self.INSTRUCTIONS, self.ROME, toolbox=Toolbox(TOOLBOX.tools, "none")))
        assert text
        assert calls == []

    def test_half_a_call_is_none(self, qwen: EmbeddedLlm) -> None:
        text, calls, finish = asyncio.run(
            use(qwen, self.ROME, toolbox=Toolbox(TOOLBOX.tools, "required"), max_tokens=3)
        )
        assert (text, calls, finish.reason) == ("", [], "length")
