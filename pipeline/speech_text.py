"""From a language model's text to what a voice can say: plain words, in clauses that stand alone."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_FENCE: Final = re.compile(r"```[^\n]*\n?")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>")
_LINE_START: Final = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•][ \t]+|\d{1,3}[.)][ \t]+)", re.MULTILINE)
_ITEM: Final = re.compile(
    r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+[^\n]*?[^\s.,;:!?…*_`~\"'”’)\]][*_`~\"'”’)\]]*(?=[ \t]*\n)", re.MULTILINE
)
"""An item of a list without a stop at its end, and with a line after it."""
_RULE: Final = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$|^[ \t]*\|?[ \t]*:?-{3,}[-:| \t]*$", re.MULTILINE)
_EMPHASIS: Final = re.compile(r"\*+|`+|~~|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)")
_SPACE: Final = re.compile(r"\s+")
_SPACE_BEFORE_STOP: Final = re.compile(r"\s+([.,;:!?…])")


def plain(text: str) -> str:
    """Return the words of `text`: no Markdown, no tags, no emoji, single spaces, a comma after a list's item."""
    text = _FENCE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _TAG.sub("", text)
    text = _RULE.sub("", text)
    text = "".join(letter for letter in text if not _is_pictorial(letter))
    text = _ITEM.sub(r"\g<0>,", text)
    text = _LINE_START.sub("", text)
    text = _EMPHASIS.sub("", text)
    text = text.replace("|", " ")
    return _SPACE_BEFORE_STOP.sub(r"\1", _SPACE.sub(" ", text)).strip()


def _is_pictorial(letter: str) -> bool:
    """Tell emoji and their parts: symbols, variation selectors, joiners, skin tones, key caps, flags, tags."""
    code = ord(letter)
    return (
        (unicodedata.category(letter) == "So" and letter not in "°©®™")
        or code in (0x200D, 0x20E3)
        or 0xFE00 <= code <= 0xFE0F
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0000 <= code <= 0xE007F
    )


_ABBREVIATIONS: Final = frozenset(
    "mr mrs ms dr prof st sr jr vs etc nr approx dept est fig inc ltd e.g i.e a.m p.m a.k.a u.s u.k ph.d bzw z.b usw "
    "ca mt ft gen col capt lt sgt sen gov rev pres ave blvd rd vol avg max min".split()
)
_BEFORE_NUMBERS: Final = frozenset("no jan feb mar apr jun jul aug sep sept oct nov dec ch p pp".split())
"""Words whose stop is theirs when a number follows: "No. 5", "Jan. 3"."""
_SENTENCE_END: Final = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]|\n+")
_CLAUSE_END: Final = re.compile(r"[,;:](?=\s)|(?<!\d)\s[–—-](?=\s)|[，；：、]")
_EARLY_END: Final = re.compile(r"(?<=[^\W\d_]{2})[,;:]$")
"""What ends a clause even though nothing follows yet; a comma in "1,000" and the stop of "Dr." might not."""
_BREATH: Final = re.compile(
    r"\s(?=(?:and|or|but|because|which|who|that|when|where|while|if|in|on|at|by|with|for|from|of|to|into|about|as|than|"
    r"is|was|are|were|has|have|had|can|will|would)\s)",
    re.IGNORECASE,
)
_SPACE_IN_SENTENCE: Final = re.compile(r"(?<!\.) ")
"""Not one after "Mr." or an initial: the name belongs to it."""
_WORD: Final = re.compile(r"\w+")


class ClauseSplitter:
    """Cuts a stream of text into pieces that can be spoken one by one.

    The first piece may be a clause or the beginning of one, since it is what the user waits for; the second must be
    made while that sounds; the later ones are sentences, which sound better. A sentence that runs on is cut at a
    clause, before a small word where a speaker might breathe, or in the end at a space.
    """

    def __init__(self, limits: Sequence[int] = (22, 48, 90, 160)) -> None:
        """Cut at these greatest lengths in letters: of the first piece, the second one …; the last is for the rest."""
        self._limits = list(limits)
        self._first = True
        self._text = ""

    def feed(self, text: str) -> list[str]:
        """Take the next piece of text and return the clauses that it completed, as `plain` text."""
        self._text += text
        clauses = []
        while (end := self._end()) is not None:
            clauses += self._take(end)
        return clauses

    def flush(self) -> list[str]:
        """Return what is left: the text is over."""
        return self._take(len(self._text))

    @property
    def rest(self) -> str:
        """The text, as it came, that isn't in any clause yet."""
        return self._text

    def drop(self) -> None:
        """Forget the rest: what follows continues the clauses."""
        self._text = ""

    def _take(self, end: int) -> list[str]:
        clause = plain(self._text[:end])
        self._text = self._text[end:]
        if not _WORD.search(clause):
            return []
        self._first = False
        self._limits = self._limits[1:] or self._limits
        return [clause]

    def _end(self) -> int | None:
        for stop in _SENTENCE_END.finditer(self._text):
            if stop.group() == "\n" * len(stop.group()) and not self._text[: stop.start()].strip():
                continue
            if not self._is_abbreviation(stop.start()):
                return stop.end()
        clause_ends = [stop.end() for stop in _CLAUSE_END.finditer(self._text)]
        if self._first:
            clause_ends += [stop.end() for stop in _EARLY_END.finditer(self._text)]
            for end in clause_ends:
                if _WORD.search(self._text[:end]):
                    return end
        limit = self._limits[0]
        if len(self._text) <= limit:
            return None
        if clause_ends and clause_ends[-1] > limit // 2:
            return clause_ends[-1]
        breaths = [breath.end() for breath in _BREATH.finditer(self._text, limit // 2, limit)]
        if breaths:
            return breaths[-1]
        spaces = [space.start() for space in _SPACE_IN_SENTENCE.finditer(self._text, limit // 2, limit)]
        return spaces[-1] if spaces else None

    def _is_abbreviation(self, dot: int) -> bool:
        """Tell whether the stop at `dot` belongs to its word: "Dr.", an initial, a list's number."""
        if self._text[dot] != ".":
            return False
        line = self._text[:dot].rsplit("\n", 1)[-1]
        word = line.rsplit(None, 1)[-1] if line.strip() else ""
        word = word.lstrip("(\"'“‘*_").lower()
        if word in _BEFORE_NUMBERS:
            rest = self._text[dot + 1 :].lstrip()
            return not rest or rest[0].isdigit()
        return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word != "i") or line.strip().isdigit()
