"""What is kept about the person: what was said of it, and who does it.

Whoever keeps the facts fits `Facts`; `handlers(facts)` plugs it in.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol

from assistant.reflex.reflex import Handler, Match, Reflex


class Facts(Protocol):
    """Keeps facts about each user. Each method returns the answer in `language`, whatever came of it."""

    async def remember(self, user: str, fact: str, language: str) -> str:
        """Keep a fact, as it was said: "my sister's name is Anna"."""
        ...

    async def forget(self, user: str, about: str, language: str) -> str:
        """Forget the facts that are about this."""
        ...

    async def known(self, user: str, language: str) -> str:
        """Say what is known; changes nothing."""
        ...


_OWN: Final = frozenset(
    "i i'm i've i'd i'll my mine our we we're we've he she they it's there's today tomorrow".split()
)
_VERBS: Final = frozenset(
    "is are was were am 's has have had likes like loves love hates hate lives live works work needs need wants want "
    "can can't doesn't don't isn't aren't goes comes means".split()
)
_NO_FACT: Final = frozenset(
    "time day night guy one song movie film book show story joke when how what who where why which me us it him her "
    "them that this to".split()
)


def handlers(facts: Facts) -> Mapping[str, Handler]:
    """Return what remembers, forgets, and tells what is known."""

    def remember(match: Match) -> Reflex | None:
        fact = match.words("fact")
        if not is_fact(fact) or match.text.rstrip().endswith("?"):
            return None
        user, language = match.asker.user, match.language
        return Reflex(match.intent, act=lambda: facts.remember(user, fact, language))

    def forget(match: Match) -> Reflex | None:
        about = match.words("fact")
        words = _words(about)
        if not words or (len(words) == 1 and words[0] in _NO_FACT) or match.text.rstrip().endswith("?"):
            return None
        user, language = match.asker.user, match.language
        return Reflex(match.intent, act=lambda: facts.forget(user, about, language))

    def known(match: Match) -> Reflex:
        user, language = match.asker.user, match.language
        return Reflex(match.intent, reads=lambda: facts.known(user, language))

    return {"Remember": remember, "Forget": forget, "KnownFacts": known}


def is_fact(text: str) -> bool:
    """Tell whether this states something, as "my bike is red" does and "the Alamo" or "that time in Paris" doesn't."""
    words = _words(text)
    if len(words) < 2 or words[0] in _NO_FACT:
        return False
    return words[0] in _OWN or any(word in _VERBS or word.endswith("'s") for word in words[1:])


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.casefold().replace("’", "'"))
