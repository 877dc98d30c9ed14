"""Where the rest of an answer meets what was told of it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.router.continuing import Joint, Told, request_to_continue
from pipeline.engines import ChatMessage, ChatRequest
from pipeline.speech_text import ClauseSplitter


def joined(told: str, pieces: Sequence[str]) -> str:
    joint = Joint(told)
    return told + "".join(joint.feed(piece) for piece in pieces) + joint.flush()


def letters(text: str) -> list[str]:
    return list(text)


@pytest.mark.parametrize(
    ("told", "rest", "whole"),
    [
        ("The capital of France", "is Paris.", "The capital of France is Paris."),
        ("The capital of France", " is Paris.", "The capital of France is Paris."),
        ("The capital of France ", "is Paris.", "The capital of France is Paris."),
        ("The capital of France ", " is Paris.", "The capital of France is Paris."),
        ("The capital of France", "The capital of France is Paris.", "The capital of France is Paris."),
        ("The capital of France", "of France is Paris.", "The capital of France is Paris."),
        ("The capital of France", "… is Paris.", "The capital of France is Paris."),
        ("The capital of France", "of france, which", "The capital of France, which"),
        ("The capital of France,", "of France, which", "The capital of France, which"),
        ("It is Paris.", "Paris. It lies on the Seine.", "It is Paris. It lies on the Seine."),
        ("It is Paris.", "It is Paris.", "It is Paris."),
        ("It is Paris.", "", "It is Paris."),
        ("", "It is Paris.", "It is Paris."),
        ("Das heißt", "'Paris'", "Das heißt 'Paris'"),
        ("It isn’t", "isn’t far.", "It isn’t far."),
        ("パリはフランス", "フランスの首都です。", "パリはフランスの首都です。"),
        ("パリはフランス", "の首都です。", "パリはフランスの首都です。"),
        ("The first is red. The second", "The second is blue.", "The first is red. The second is blue."),
        ("It is the", "The end.", "It is the end."),
        ("for x in y:\n", "    print(x)\n", "for x in y:\nprint(x)\n"),
    ],
)
def test_joints(told: str, rest: str, whole: str) -> None:
    assert joined(told, letters(rest)) == joined(told, [rest]) == whole


WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=5), min_size=1, max_size=20, unique=True)


@given(WORDS, st.data())
def test_no_word_is_repeated_or_lost_however_far_back_the_rest_begins(words: list[str], data: st.DataObject) -> None:
    broke = data.draw(st.integers(1, len(words)))
    begins = data.draw(st.integers(0, broke))
    rest = " ".join(words[begins:])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rest)), max_size=6)))
    pieces = [rest[a:b] for a, b in zip([0, *cuts], [*cuts, len(rest)], strict=True)]
    assert joined(" ".join(words[:broke]), pieces).split() == words


@given(st.lists(st.sampled_from(["One two. ", "three, ", "four ", "Dr. ", "five! ", "six\n"]), max_size=30))
def test_of_speech_only_what_makes_no_clause_is_taken_back(pieces: list[str]) -> None:
    told, splitter = Told(spoken=True), ClauseSplitter()
    spoken = [clause for piece in pieces for clause in splitter.feed(told.feed(piece))]
    whole = told.text
    assert whole == "".join(pieces)
    back = told.take_back()
    assert told.text + back == whole
    assert splitter.rest == back
    assert " ".join(spoken).split() == told.text.split()


@given(st.lists(st.text("ab c.é漢-'", max_size=6), max_size=20))
def test_of_writing_nothing_is_taken_back_and_no_half_word_given_out(pieces: list[str]) -> None:
    told = Told(spoken=False)
    given_out = ""
    for piece in pieces:
        given_out += told.feed(piece, whole_words=True)
        assert not given_out or not given_out[-1].isascii() or not given_out[-1].isalpha()
        assert "".join(pieces).startswith(given_out)
    assert told.text == given_out
    assert given_out + told.flush() == "".join(pieces)
    assert told.take_back() == ""


def test_a_word_without_end_is_given_out() -> None:
    told = Told(spoken=False)
    assert len(told.feed("a" * 100, whole_words=True)) == 40


def test_parts_of_an_answer_are_told_apart() -> None:
    told = Told(spoken=True)
    told.feed("I look")
    assert told.mark() == "\n"
    assert (told.text, told.mark()) == ("", "")
    told.feed("Then")
    assert told.take_back() == "Then"


def test_how_a_model_is_asked_to_go_on() -> None:
    request = ChatRequest((ChatMessage("user", "Why?"),))
    assert request_to_continue(request, " ", embedded=True) is request
    here = request_to_continue(request, "Because ", embedded=True)
    assert (here.messages, here.begun) == (request.messages, "Because")
    elsewhere = request_to_continue(request, "Because ", embedded=False)
    assert [message.role for message in elsewhere.messages] == ["user", "assistant", "user"]
