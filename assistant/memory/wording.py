"""Words about the person: turned so that they can be said back, and taken apart to be compared."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_YOURS: Final = re.compile(r"\b(?:you|your|yours|yourself|you['’](?:re|ve|d|ll))\b", re.IGNORECASE)
_QUOTED: Final = re.compile(r"[\"“”„«»]")
_SECOND: Final = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "i'm": "you're",
    "i've": "you've",
    "i'd": "you'd",
    "i'll": "you'll",
    "we": "you",
    "us": "you",
    "our": "your",
    "ours": "yours",
    "ourselves": "yourselves",
    "we're": "you're",
    "we've": "you've",
    "we'd": "you'd",
    "we'll": "you'll",
}
_BE: Final = {"am": "are", "was": "were", "wasn't": "weren't", "ain't": "aren't"}
_WITH_I: Final = re.compile(
    r"\bi((?:\s+\w+ly|\s+still|\s+always|\s+never|\s+also)?)\s+(am|was|wasn['’]t|ain['’]t)\b", re.IGNORECASE
)
_AFTER: Final = re.compile(r"\b(am|was)\s+i\b", re.IGNORECASE)
_STOP: Final = frozenset(
    "a an the and or but of to in on at by for with from as is are was were be been am do does did done have has had "
    "i me my mine myself we us our you your he she it its they them their this that these those there here what when "
    "where who whom whose which why how will would can could shall should may might must not no yes please tell know "
    "remember forget about told said say give again any some much many so if than then i'm i've i'd i'll we're it's "
    "what's when's where's who's how's don't doesn't didn't isn't aren't one ones thing things every everything all "
    "get got go goes ask want name called like".split()
)


def second_person(words: str) -> str | None:
    """Return English words of a person about themselves as they are said to that person; None where that isn't safe.

    "my sister's birthday is the 3rd of May" becomes "your sister's birthday is the 3rd of May".
    """
    if _YOURS.search(words) or _QUOTED.search(words):
        return None  # whose "you" is it?
    turned = _WITH_I.sub(lambda found: f"I{found[1]} {_BE[_ascii(found[2])]}", words)
    turned = _AFTER.sub(lambda found: f"{_BE[found[1].lower()]} I", turned)
    return _WORD.sub(lambda found: _SECOND.get(_ascii(found[0]), found[0]), turned)


def quoted(words: str) -> str:
    """Return words as their speaker's own."""
    return f"“{words}”"


def content(text: str) -> frozenset[str]:
    """Return the words that say what a text is about, without their endings: "my sisters' dogs" is {sister, dog}."""
    return frozenset(_stem(word) for word in map(_ascii, _WORD.findall(text)) if word not in _STOP)


def numbers(text: str) -> frozenset[str]:
    """Return the numbers in digits that a text has, such as "3" of "the 3rd"."""
    return frozenset(re.findall(r"\d+", text))


def tidy(words: str) -> str:
    """Return words without what surrounds a statement: space, full stops."""
    return " ".join(words.split()).strip(" .,;:!…").strip()


def sentence(words: str) -> str:
    """Return words as a sentence."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}"


def _ascii(word: str) -> str:
    return word.lower().replace("’", "'")


def _stem(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
