"""Going on with an answer that broke off, as if nothing had happened.

`Told` knows what of an answer has been given out. `request_to_continue` asks the next model for the rest, and `Joint`
drops from it what the first one had said already: models like to begin a sentence, or all of it, again.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pipeline.engines import ChatMessage, ChatRequest
from pipeline.speech_text import ClauseSplitter

_GO_ON: Final = (
    "(The connection broke off in the middle of your answer. The person has received it up to its last word above. "
    "Go on from exactly there, in the same language and tone: write only what comes next. Repeat nothing, don't begin "
    "again, don't mention the interruption.)"
)

_SIGN: Final = r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""Writing without spaces: each sign counts for a word."""
_WORD: Final = re.compile(rf"{_SIGN}|(?:(?!{_SIGN})\w)+(?:['’](?:(?!{_SIGN})\w)+)*")
_PART: Final = re.compile(rf"(?:(?!{_SIGN})[\w'’-])+\Z")
"""A word that may not be over."""
_STOPS: Final = ".,;:!?…。，、！？"
_LONGEST_WORD: Final = 60


class Told:
    """What of one answer has been given out, and what of that can still be taken back.

    Of a spoken answer, the words that don't make a whole clause yet; it splits them as the turn does. Of a written one
    nothing, so with `whole_words` it gives out no half words.
    """

    def __init__(self, *, spoken: bool) -> None:
        self._splitter = ClauseSplitter() if spoken else None
        self._held = ""
        self.text = ""
        """Given out and valid, since `mark`."""

    def feed(self, text: str, *, whole_words: bool = False) -> str:
        """Take the next piece of the answer, and return what is to be given out now."""
        if self._splitter is None and whole_words:
            text = self._held + text
            part = _PART.search(text, max(0, len(text) - _LONGEST_WORD))
            self._held = part.group() if part else ""
            text = text[: len(text) - len(self._held)]
        elif self._splitter is not None:
            self._splitter.feed(text)
        self.text += text
        return text

    def flush(self) -> str:
        """Return what was held back: the model has said all it wants to."""
        held, self._held = self._held, ""
        self.text += held
        return held

    def take_back(self) -> str:
        """Drop what isn't valid any more, since its model failed, and return what of it had been given out."""
        self._held = ""
        if self._splitter is None:
            return ""
        rest = self._splitter.rest
        self._splitter.drop()
        rest = rest[-len(self.text) :] if self.text else ""
        self.text = self.text[: len(self.text) - len(rest)]
        return rest

    def mark(self) -> str:
        """Begin the next part of the answer, after a call; return what must stand between the two."""
        between = "\n" if self.text and not self.text.endswith("\n") else ""
        if self._splitter is not None:
            self._splitter.feed(between)
        self.text = ""
        return between


def request_to_continue(request: ChatRequest, told: str, *, embedded: bool) -> ChatRequest:
    """Return what to ask a model, so that it goes on after `told`; models behind an API must be asked to in words."""
    if not told.strip():
        return request
    if embedded:
        return replace(request, begun=told.strip())
    asked = (ChatMessage("assistant", told.strip()), ChatMessage("user", _GO_ON))
    return replace(request, messages=request.messages + asked)


class Joint:
    """Where the rest of an answer meets what was `told` of it: drops the words that stand on both sides."""

    def __init__(self, told: str) -> None:
        self._told = told
        self._words = [word.group().casefold() for word in _WORD.finditer(told)]
        self._text = ""
        self._open = not self._words

    def feed(self, text: str) -> str:
        """Take the next piece of the rest, and return what of it is new, as far as that is sure."""
        if self._open:
            return text
        self._text += text
        words = list(_WORD.finditer(self._text))
        heads = [word.group().casefold() for word in words if _is_over(word, self._text)]
        if any(self._words[-k:][: len(heads)] == heads for k in range(len(heads) + 1, len(self._words) + 1)):
            return ""  # it may become a longer repetition yet
        return self._decide(words, heads)

    def flush(self) -> str:
        """Return what was held back: the rest is over."""
        if self._open:
            return ""
        words = list(_WORD.finditer(self._text))
        return self._decide(words, [word.group().casefold() for word in words])

    def _decide(self, words: Sequence[re.Match[str]], heads: Sequence[str]) -> str:
        self._open = True
        most = min(len(heads), len(self._words))
        repeated = next((k for k in range(most, 0, -1) if self._words[-k:] == list(heads[:k])), 0)
        rest = self._text[words[repeated - 1].end() :] if repeated else self._text.lstrip(" .…\n")
        before = self._told.rstrip()
        if before[-1:] in _STOPS:
            rest = rest.lstrip(_STOPS)
        if self._told != before:
            return rest.lstrip(" ")
        glued = not rest or rest[0].isspace() or rest[0] in _STOPS or bool(re.match(_SIGN, rest))
        return rest if glued else " " + rest


def _is_over(word: re.Match[str], text: str) -> bool:
    return text[word.end() :] not in {"", "'", "’"} or bool(re.match(_SIGN, word.group()))
