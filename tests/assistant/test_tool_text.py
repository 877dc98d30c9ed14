"""How functions stand in a prompt, and how words are told from calls."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.llm.prompts import Template
from assistant.llm.tool_text import CALL_MARK, Words, call_grammar, call_text, plain
from pipeline.engines import NO_TOOLS, ChatMessage, Tool, Toolbox, ToolCall

WEATHER = Tool("get_weather", "The weather.", '{"type": "object", "properties": {"city": {"type": "string"}}}')
TOOLBOX = Toolbox((WEATHER,))
ROME = ToolCall("a", "get_weather", '{"city": "Rome"}')
SYSTEM = ChatMessage("system", "Be brief.")
QUESTION = ChatMessage("user", "Rome?")


def test_without_functions_nothing_changes():
    messages = [SYSTEM, QUESTION, ChatMessage("assistant", "What of it?"), ChatMessage("user", "The weather!")]
    assert plain(messages, NO_TOOLS) == messages


def test_the_functions_follow_the_instructions():
    (system, question) = plain([SYSTEM, QUESTION], TOOLBOX)
    assert system.content.startswith("Be brief.\n\n# Tools")
    signature = json.loads(system.content.split("<tools>\n")[1].split("\n</tools>")[0])
    assert signature["function"]["name"] == "get_weather"
    assert question == QUESTION
    assert plain([QUESTION], TOOLBOX)[0].content.startswith("# Tools")
    assert plain([], TOOLBOX)[0].role == "system"


def test_calls_are_the_assistants_and_results_the_users():
    oslo = ToolCall("b", "get_weather", '{"city": "Oslo"}')
    messages = [
        QUESTION,
        ChatMessage("assistant", "I look.", calls=(ROME, oslo)),
        ChatMessage("tool", "sunny", call_id="a"),
        ChatMessage("tool", "", call_id="b"),
        ChatMessage("user", "And?"),
    ]
    *_, calls, results = plain(messages[:4], NO_TOOLS)
    assert calls == ChatMessage("assistant", "\n".join(["I look.", call_text(ROME), call_text(oslo)]))
    responses = "<tool_response>\nsunny\n</tool_response>\n<tool_response>\ndone\n</tool_response>\n"
    assert results.role == "user"
    assert results.content.startswith(f"{responses}Now tell me")
    assert plain(messages, NO_TOOLS)[-1] == ChatMessage("user", f"{responses}And?")


def test_a_call_is_what_models_were_trained_to_write():
    text = call_text(ROME).removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")
    assert json.loads(text) == {"name": "get_weather", "arguments": {"city": "Rome"}}


def test_a_grammar_has_a_rule_for_each_function():
    grammar = call_grammar([WEATHER, Tool("stop")])
    assert "start: call_0 | call_1\n" in grammar
    assert '"stop\\", \\"arguments\\": " arguments_1' in grammar


def fed(*pieces: str) -> tuple[str, bool]:
    words = Words()
    said = "".join(map(words.feed, pieces))
    return said + words.flush(), words.called


@pytest.mark.parametrize(
    ("pieces", "said", "called"),
    [
        (["It is", " sunny."], "It is sunny.", False),
        (["\n", ' {"', "name"], "", True),
        (["```json"], "", True),
        (["<tool", "_call>"], "", True),
        (["I look.\n<tool", "_call>\n{"], "I look.\n", True),
        (["2 <", " 3"], "2 < 3", False),
        (["less <too"], "less <too", False),
        ([" "], "", False),
    ],
)
def test_words_are_told_from_calls(pieces, said, called):
    assert fed(*pieces) == (said, called)


def test_ordinary_words_are_not_kept_back():
    words = Words()
    assert [words.feed(piece) for piece in ("It", " is", " 1 < 2", " now.")] == ["It", " is", " 1 < 2", " now."]


@given(st.text("a <tol_c>{\n", max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_how_a_text_is_cut_makes_no_difference(text, cuts):
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    said, called = fed(*(text[one:other] for one, other in pairwise(at)))
    whole = fed(text)
    assert called == whole[1]
    assert said.rstrip() == whole[0].rstrip()
    assert CALL_MARK not in said


def chat_ml(messages):
    return "".join(f"<{m.role}>{m.content}</s>" for m in messages) + "<assistant>"


def test_a_prompt_ends_where_the_answer_begins():
    template = Template(chat_ml)
    assert template.answered([SYSTEM, QUESTION]) == "<system>Be brief.</s><user>Rome?</s><assistant>"
    assert template.answered([SYSTEM]) == "<system>Be brief.</s><user></s><assistant>"
    odd = [SYSTEM, ChatMessage("assistant", "Hi."), QUESTION]
    assert template.answered(odd) == "<system>Be brief.</s><assistant>Hi.</s><user>Rome?</s><assistant>"
