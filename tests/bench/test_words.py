import pytest

from tests.bench.words import errors, normalise


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What's the date?", ["whats", "the", "date"]),
        ("A 20-ounce mocha, 12oz.", ["a", "twenty", "ounce", "mocha", "twelve", "ounce"]),
        ("  30 SECONDS…", ["thirty", "seconds"]),
        ("", []),
    ],
)
def test_one_spelling(text: str, words: list[str]) -> None:
    assert normalise(text) == words


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b", "a b b b", 2),
        ("", "a", 1),
        ("a", "", 1),
    ],
)
def test_errors_are_counted(said: str, heard: str, count: int) -> None:
    assert errors(said.split(), heard.split()) == count
