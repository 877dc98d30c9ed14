import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech_text import ClauseSplitter, plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("**Paris** is the *capital*.", "Paris is the capital."),
        ("# Title\nText", "Title Text"),
        ("- one\n- two\n1. three", "one, two, three"),
        ("- **one**\n* two!\n2) `three` 🍎\n+ *four.*\n\nfive", "one, two! three, four. five"),
        ('- 5 apples (red)\n- "pears"\n- "plums."\n', '5 apples (red), "pears", "plums."'),
        ("> quoted", "quoted"),
        ("Use `ls -l` here", "Use ls -l here"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("See [the page](https://example.org/x).", "See the page."),
        ("![a cat](cat.png)", "a cat"),
        ("<b>bold</b> and 3 < 4", "bold and 3 < 4"),
        ("| a | b |\n|---|---|\n| c | d |", "a b c d"),
        ("above\n\n---\n\nbelow", "above below"),
        ("Hi 👋🏽! 👨‍👩‍👧 🇫🇷 ☀️ 1️⃣", "Hi! 1"),
        ("It is 20°C, snake_case stays, 2 * 3 too", "It is 20°C, snake_case stays, 2 3 too"),
        ("~~no~~ __yes__", "no yes"),
        ("", ""),
    ],
)
def test_only_words_are_said(text: str, said: str) -> None:
    assert plain(text) == said


def split(text: str, *limits: int) -> list[str]:
    splitter = ClauseSplitter(limits) if limits else ClauseSplitter()
    clauses = [clause for letter in text for clause in splitter.feed(letter)]
    return clauses + splitter.flush()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Paris.", ["Paris."]),
        ("It is noon. The sun is up.", ["It is noon.", "The sun is up."]),
        ("Yes, it is. No, it is, really.", ["Yes,", "it is.", "No, it is, really."]),
        ("Well, as far as I know, it is so.", ["Well,", "as far as I know, it is so."]),
        ("Dr. Smith met Mr. J. Jones at 3.14 p.m. today.", ["Dr. Smith met", "Mr. J. Jones at 3.14 p.m. today."]),
        ('He said "Stop!" and left.', ['He said "Stop!"', "and left."]),
        ("1. First point\n2. Second point", ["First point,", "Second point"]),
        ("Buy this:\n\n- apples\n- pears\n- plums\n\nBye!", ["Buy this:", "apples,", "pears,", "plums,", "Bye!"]),
        ("\n\nHello there.\n", ["Hello there."]),
        ("東京です。はい。", ["東京です。", "はい。"]),
        ("So do I. Really.", ["So do I.", "Really."]),
        ("I say no. 5 is it.", ["I say no. 5 is it."]),
        ("I say no. Never.", ["I say no.", "Never."]),
        ("😀 ... 🎉", []),
        (", well, yes.", [", well,", "yes."]),
        ("The Brooklyn Bridge was built in 1883.", ["The Brooklyn Bridge", "was built in 1883."]),
        ("Photosynthesis transforms sunlight energy.", ["Photosynthesis", "transforms sunlight energy."]),
        ("One word - then another - and more words follow.", ["One word -", "then another - and more words follow."]),
    ],
)
def test_clauses(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses


def test_a_long_first_sentence_is_cut_so_that_speech_can_begin() -> None:
    text = "the quick brown fox jumps over the lazy dog and runs into the forest where nobody can find it any more"
    clauses = split(text, 40)
    assert len(clauses[0]) <= 40
    assert " ".join(clauses) == text


def test_a_long_later_sentence_is_cut_at_a_clause() -> None:
    text = "Hello there. " + "some words, " * 12 + "and the end."
    clauses = split(text, 28, 80)
    assert clauses[0] == "Hello there."
    assert all(len(clause) <= 90 for clause in clauses)
    assert all(clause.endswith((",", ".")) for clause in clauses)


def test_a_word_without_spaces_is_not_cut() -> None:
    assert split("x" * 300) == ["x" * 300]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300), st.integers(1, 7))
def test_no_word_is_lost_however_the_text_arrives(text: str, step: int) -> None:
    whole = ClauseSplitter()
    at_once = whole.feed(text) + whole.flush()
    pieces = ClauseSplitter()
    in_pieces = [c for at in range(0, len(text), step) for c in pieces.feed(text[at : at + step])] + pieces.flush()
    assert all(clause == clause.strip() and clause for clause in at_once + in_pieces)
    assert sum(map(len, "".join(in_pieces).split())) <= len(text)


@given(st.lists(st.from_regex(r"[a-z]{2,9}[,.!?]?", fullmatch=True), max_size=60))
def test_plain_words_all_come_through_in_order(words: list[str]) -> None:
    assert " ".join(split(" ".join(words))) == " ".join(words)


@given(st.lists(st.from_regex(r"[a-z]{2,9}[,.!?]?", fullmatch=True), min_size=1, max_size=40), st.data())
def test_what_is_not_in_a_clause_yet_can_be_taken_back(words: list[str], data: st.DataObject) -> None:
    """Clauses and rest are the text so far; what is fed after the rest was dropped continues the clauses."""
    splitter = ClauseSplitter()
    text = " ".join(words)
    at = data.draw(st.integers(0, len(text)))
    clauses = splitter.feed(text[:at])
    rest = splitter.rest
    assert " ".join([*clauses, *rest.split()]) == text[:at].strip()
    splitter.drop()
    assert splitter.rest == ""
    assert splitter.flush() == []
    clauses += splitter.feed(rest + text[at:]) + splitter.flush()
    assert " ".join(clauses) == text
