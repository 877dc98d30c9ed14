"""Personal data: what is found, what takes its place, and how it comes back."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.privacy.masking import NOTE, Masks, Unmask
from assistant.privacy.numbers import is_card
from pipeline.engines import NO_TOOLS, Asker, ChatMessage, ChatRequest, Picture, Sampling, Tool, Toolbox, ToolCall
from tests.assistant.privacy.sentences import NAMES, Sentence, harmless, personal


def masked(text: str, names: tuple[str, ...] = NAMES) -> tuple[str, Unmask]:
    (message,), unmask = Masks(names).mask([ChatMessage("user", text)])
    return message.content, unmask


def whole(unmask: Unmask, text: str) -> str:
    return unmask.feed(text) + unmask.flush()


def user(text: str, session: str = "one") -> ChatRequest:
    return ChatRequest((ChatMessage("user", text),), asker=Asker(session=session))


def test_the_lists_are_as_long_as_they_should_be() -> None:
    sentences = personal()
    assert len(sentences) == 200
    assert sum(sentence.held_out for sentence in sentences) == 66
    assert len(harmless()) == 100


@pytest.mark.parametrize("sentence", personal(), ids=str)
def test_what_is_planted_is_hidden_and_nothing_else(sentence: Sentence) -> None:
    text, unmask = masked(sentence.text)
    kinds = re.findall(r"\[([A-Z]+)_\d+\]", text)
    assert kinds == [kind for kind, _ in sentence.planted]
    rest = re.sub(r"\[[A-Z]+_\d+\]", "|", text)
    expected = sentence.text
    for _, item in sentence.planted:
        expected = expected.replace(item, "|", 1)
    assert rest == expected
    assert whole(unmask, text) == sentence.text


@pytest.mark.parametrize("text", harmless())
def test_numbers_that_are_nobodys_stay(text: str) -> None:
    assert masked(text)[0] == text


@pytest.mark.parametrize(
    "text", ["What happened on 11 09 2001?", "In 2019, 2020 and 2021 we stayed.", "Ten, twenty, thirty, forty, fifty."]
)
def test_dates_years_and_counting_are_no_phone_numbers(text: str) -> None:
    assert masked(text)[0] == text


def test_no_name_is_hidden_without_a_list() -> None:
    assert masked("Ask Anna Berger.", ())[0] == "Ask Anna Berger."


def test_a_name_that_is_a_word_needs_its_capital() -> None:
    assert masked("Will will mark the May report, Mark may not.", ("Will", "Mark"))[0] == (
        "[PERSON_1] will mark the May report, [PERSON_2] may not."
    )


# One thing, one placeholder.


def test_a_conversation_keeps_its_placeholders() -> None:
    masks = Masks(NAMES)
    first = [ChatMessage("user", "Call Mia at 415-555-2671.")]
    (one,), _ = masks.mask(first, session="a")
    later = [
        ChatMessage("assistant", "I called Tobias and MIA."),
        ChatMessage("user", "Her number is (415) 555 2671, or four one five, five five five, two six seven one."),
    ]
    (two, three), unmask = masks.mask(later, session="a")
    assert one.content == "Call [PERSON_1] at [PHONE_1]."
    assert two.content == "I called [PERSON_2] and [PERSON_1]."
    assert three.content == "Her number is [PHONE_1], or [PHONE_1]."
    assert whole(unmask, "[PERSON_2], [PHONE_1]") == ("Tobias, four one five, five five five, two six seven one")
    (other,), _ = masks.mask([ChatMessage("user", "Call Tobias.")], session="b")
    assert other.content == "Call [PERSON_1]."


def test_the_same_address_written_and_spoken_is_one() -> None:
    text, _ = masked("Mail john.smith@gmail.com, that is john dot smith at gmail dot com.", ())
    assert text == "Mail [EMAIL_1], that is [EMAIL_1]."


def test_conversations_that_are_long_over_are_forgotten() -> None:
    masks = Masks(NAMES)
    for number in range(400):
        masks.mask([ChatMessage("user", "Mia")], session=str(number))
    assert len(masks._conversations) == 256


# The way back.


@given(st.data())
def test_an_answer_comes_back_however_it_is_cut(data: st.DataObject) -> None:
    question, unmask = masked("Anna, Mia and Tobias: 415-555-2671, a@b.io, 12 Maple Street.")
    rest = "Phone me, [1] in a row [PHONE_9] per person."
    answer = f"Well: {question} {rest}"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)))))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert "".join([*map(unmask.feed, pieces), unmask.flush()]) == (
        f"Well: Anna, Mia and Tobias: 415-555-2671, a@b.io, 12 Maple Street. {rest}"
    )


@pytest.mark.parametrize(
    "written",
    [
        "[PERSON_1]",
        "[person_1]",
        "[Person_1]",
        "[Person 1]",
        "[PERSON-1]",
        "PERSON_1",
        "person_1",
        r"[PERSON\_1]",
        "[ PERSON_1 ]",
    ],
)
def test_a_placeholder_comes_back_however_it_is_written(written: str) -> None:
    for piece in (1, 3, 100):
        _, unmask = masked("Ask Mia.")
        text = f"Yes, {written}'s."
        pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
        assert "".join([*map(unmask.feed, pieces), unmask.flush()]) == "Yes, Mia's."


def test_the_next_but_one_is_not_the_first_one() -> None:
    (message,), unmask = Masks().mask([ChatMessage("user", ", ".join(f"p{n}@x.io" for n in range(12)))])
    assert whole(unmask, message.content) == ", ".join(f"p{n}@x.io" for n in range(12))
    pieces = "EMAIL_1", "2 EMAIL_1"
    assert "".join([*map(unmask.feed, pieces), unmask.flush()]) == "p11@x.io p0@x.io"


def test_little_is_held_back() -> None:
    _, unmask = masked("Ask Mia.")
    assert unmask.feed("A plain answer") == "A plain answer"
    assert unmask.feed(" to a per") == " to a "
    assert unmask.feed("fect question") == "perfect question"


def test_what_looks_like_a_placeholder_in_the_question_is_no_danger() -> None:
    text, unmask = masked("What does [PERSON_1] mean, or PHONE_2? Ask Mia.")
    assert text.endswith("Ask [PERSON_1].")
    assert text.count("[PERSON_1]") == 1
    assert whole(unmask, text) == "What does [PERSON_1] mean, or PHONE_2? Ask Mia."


def test_the_number_of_things_that_are_hidden() -> None:
    assert masked("Ask Mia, Mia and Tobias.")[1].masked == 2
    assert masked("Ask me.")[1].masked == 0


# Whole requests.


def test_a_request_hides_what_functions_say_and_list() -> None:
    tool = Tool(
        "call",
        "Calls Mia or others.",
        json.dumps(
            {"type": "object", "properties": {"who": {"enum": ["Anna", "Tobias"]}, "n": {"maximum": 2147483647}}}
        ),
    )
    call = ToolCall("c1", "call", '{"who": "Tobias", "number": 4155552671}')
    request = ChatRequest(
        (
            ChatMessage("system", "You are Parley."),
            ChatMessage("user", "Call Tobias.", pictures=(Picture("data:image/png;base64,AAAA"),)),
            ChatMessage("assistant", "", calls=(call,)),
            ChatMessage("tool", '{"Jos\\u00e9 Garc\\u00eda": "jose@x.io"}', call_id="c1"),
        ),
        toolbox=Toolbox((tool,)),
        sampling=Sampling(schema='{"enum": ["Grandma Rose"]}'),
        asker=Asker(session="one"),
    )
    sent, unmask = Masks(NAMES).mask_request(request)
    assert sent.messages[0].content == f"You are Parley.\n\n{NOTE}"
    assert sent.messages[1] == ChatMessage("user", "Call [PERSON_1].", request.messages[1].pictures)
    assert json.loads(sent.messages[2].calls[0].arguments) == {"who": "[PERSON_1]", "number": "[PHONE_1]"}
    assert sent.messages[3].content == '{"[PERSON_2]": "[EMAIL_1]"}'
    parameters = json.loads(sent.toolbox.tools[0].parameters)
    assert parameters["properties"] == {"who": {"enum": ["[PERSON_4]", "[PERSON_1]"]}, "n": {"maximum": 2147483647}}
    assert sent.toolbox.tools[0].description == "Calls [PERSON_3] or others."
    assert sent.sampling is not None
    assert sent.sampling.schema == '{"enum": ["[PERSON_5]"]}'
    assert unmask.masked == 7
    assert unmask.arguments('{"who": "[person_4]", "list": ["PHONE_1"]}') == '{"who": "Anna", "list": ["4155552671"]}'


def test_arguments_stay_json_whatever_comes_back() -> None:
    _, unmask = Masks(('Mia "Mimi" Berger',)).mask([ChatMessage("user", 'Ask Mia "Mimi" Berger.')])
    assert json.loads(unmask.arguments('{"who": "[PERSON_1]"}')) == {"who": 'Mia "Mimi" Berger'}


def test_a_request_without_anything_personal_goes_as_it_is() -> None:
    request = user("What is 128 times 47?")
    sent, unmask = Masks(NAMES).mask_request(request)
    assert sent == request
    assert sent.toolbox is NO_TOOLS or sent.toolbox == NO_TOOLS
    assert whole(unmask, "A [person] is 1") == "A [person] is 1"


def test_a_note_is_given_where_there_are_no_instructions() -> None:
    sent, _ = Masks(NAMES).mask_request(user("Ask Mia."))
    assert sent.messages == (ChatMessage("system", NOTE), ChatMessage("user", "Ask [PERSON_1]."))


@given(st.text())
def test_any_text_comes_back_whole(text: str) -> None:
    there, unmask = masked(text)
    assert whole(unmask, there) == text


@given(st.integers(10**11, 10**18))
def test_one_wrong_digit_is_no_card(number: int) -> None:
    digits = "4" + str(number)
    checks = [is_card(digits + str(last)) for last in range(10)]
    assert sum(checks) == (1 if len(digits) + 1 <= 19 else 0)
