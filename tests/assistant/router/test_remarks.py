"""What is said beside the answers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.router.bridges import bridge
from assistant.router.conversations import Conversations
from assistant.router.kinds import Kind
from assistant.router.notices import Notice, words
from pipeline.speech_text import ClauseSplitter

LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pt"]


@given(st.lists(st.sampled_from(Kind), min_size=2, max_size=20), st.sampled_from(LANGUAGES))
def test_never_the_same_remark_twice_in_a_row(kinds: list[Kind], language: str) -> None:
    said = [""]
    for kind in kinds:
        remark = bridge(kind, language, said[-1])
        assert remark is not None
        said.append(remark)
    assert all(one != other for one, other in pairwise(said))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_remark_is_short_and_whole(kind: Kind, language: str) -> None:
    remark = bridge(kind, language, "")
    assert remark is not None
    assert len(remark) <= 40
    splitter = ClauseSplitter()
    assert splitter.feed(remark + " ")[-1].endswith(".")


def test_languages() -> None:
    assert bridge(Kind.FACT, None, "") == bridge(Kind.FACT, "en-GB", "") == "Let me look that up."
    assert bridge(Kind.FACT, "fi", "") is None
    assert words(Notice.OFFLINE, "de").startswith("Ich bin gerade offline")
    assert words(Notice.OFFLINE, "fi") == words(Notice.OFFLINE, None)


def test_the_router_does_not_remember_for_ever() -> None:
    conversations = Conversations()
    first = conversations.of("s0")
    first.private = True
    assert conversations.of("s0") is first
    for number in range(1, 1001):
        conversations.of(f"s{number}")
    assert conversations.of("s0") is not first
    assert conversations.of("") is not conversations.of("")
