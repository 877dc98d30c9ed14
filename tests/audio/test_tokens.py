"""Tokens spell a text, character by character."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from audio.stt.tokens import spelled
from audio.types import Token


def test_bytes_of_one_character_are_one_token() -> None:
    pieces = [b" caf", b"\xc3", b"\xa9", b"!"]
    tokens = spelled(
        [0, 1, 2, 3], [-1.0, -0.5, -0.25, 0.0], lambda at: b"".join(pieces[i] for i in at).decode("utf-8", "replace")
    )
    assert tokens == (Token("caf", -1.0), Token("é", -0.75), Token("!", 0.0))


def test_a_character_that_never_ends_is_shown_as_such() -> None:
    tokens = spelled([0], [-1.0], lambda _: "\ufffd")
    assert tokens == (Token("\ufffd", -1.0),)


def test_what_spells_nothing_counts_for_what_follows() -> None:
    assert spelled([0, 1], [-1.0, -1.0], lambda at: "a" if at[-1] else "") == (Token("a", -2.0),)
    assert spelled([], [], lambda _: "a") == ()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")), st.data())
def test_together_they_are_the_text(rest: str, data: st.DataObject) -> None:
    text = f"a{rest}"
    whole = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole)), max_size=8)) | {0, len(whole)})
    pieces = [whole[start:end] for start, end in itertools.pairwise(cuts)]
    tokens = spelled(
        range(len(pieces)),
        [-1.0] * len(pieces),
        lambda at: b"".join(pieces[i] for i in at).decode("utf-8", "replace"),
    )
    assert "".join(token.text for token in tokens) == text
    assert sum(token.logprob for token in tokens) == -len(pieces)
