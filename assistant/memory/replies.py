"""What is said about facts, in English: whoever keeps facts in another language hears them in their own words."""

from collections.abc import Sequence
from typing import Final

from assistant.memory.facts import Fact
from assistant.memory.wording import quoted, second_person, sentence

NOTHING: Final = "I don't know anything about you yet. Say “remember that”, and what I should keep."
NOTHING_LIKE_IT: Final = "I have nothing like that, so there is nothing to forget."
NOTHING_SAID: Final = "Tell me what I should remember, such as: remember that my sister's name is Anna."
FORGET_ALL: Final = "Shall I forget everything that I know about you, for good? Say yes, and it is gone."
FORGOT_ALL: Final = "I have forgotten everything about you."
KEPT_ALL: Final = "All right, I keep it."
TROUBLE: Final = "Sorry, I can't get at my memory right now."
FULL: Final = "My memory of you is full. Let me forget something first."
MANY: Final = 8
"""Facts that are told at once: nobody listens to more."""


def remembered(words: str, language: str, *, instead: bool) -> str:
    """Return the answer to "remember that …"."""
    back = _back(words, language)
    return (
        f"I'll remember that {back}{', and no longer what I had there' if instead else ''}." if back else _noted(words)
    )


def known_already(words: str, language: str) -> str:
    """Return the answer where that is known."""
    back = _back(words, language)
    return f"I know that {back}." if back else f"I know that already: {quoted(words)}."


def forgotten(fact: Fact) -> str:
    """Return the answer to "forget that …"."""
    back = _back(fact.words, fact.language)
    return f"I've forgotten that {back}." if back else f"I've forgotten what you told me: {quoted(fact.words)}."


def which(facts: Sequence[Fact]) -> str:
    """Return the answer where it isn't sure which one is to be forgotten."""
    told = " ".join(map(_told, facts))
    if len(facts) == 1:
        return f"I'm not sure that you mean this: {told} If so, say “forget that”, and these words."
    return f"I'm not sure which you mean. I know this: {told} Say “forget that”, and the one."


def all_known(facts: Sequence[Fact], messages: int) -> str:
    """Return the answer to "what do you know about me?", the newest first."""
    kept = f"I also keep {messages} messages of our conversations." if messages else ""
    if not facts:
        return kept.replace("I also keep", "I keep") or NOTHING
    told = " ".join(_told(fact) for fact in list(reversed(facts))[:MANY])
    more = len(facts) - MANY
    rest = f"And {more} more {'thing' if more == 1 else 'things'}." if more > 0 else ""
    return " ".join(filter(None, (told, rest, kept)))


def said_back(fact: Fact) -> str:
    """Return a fact as it is said to the person; where that isn't safe, as they said it."""
    return _back(fact.words, fact.language) or f"you said: {quoted(fact.words)}"


def _told(fact: Fact) -> str:
    return sentence(said_back(fact))


def _noted(words: str) -> str:
    return f"I'll remember what you said: {quoted(words)}."


def _back(words: str, language: str) -> str | None:
    return second_person(words) if language.startswith("en") else None
