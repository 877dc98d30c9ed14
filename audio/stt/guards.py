"""Tells what was heard from what a recogniser makes up when there is nothing to hear.

The numbers were measured on this project's recordings: 0.5 is where real words end to be likely, noise begins at 1.2,
and what is made up with confidence is nearly always the same few words over and over.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from audio.types import Token

Doubt: TypeAlias = Literal["no words", "unlikely", "no speech", "loops", "too fast", "ran on"]

_MAX_WORDS_PER_S: Final = 7.0
_MAX_LETTERS_PER_S: Final = 40.0
_SLACK_S: Final = 0.5
"""Added to a clip's length before its speed is judged: one short word needs little time."""
_MAX_PERIOD: Final = 12
"""Words in the longest phrase whose repetition is looked for."""
_STOCK: Final = frozenset({"you", "thank you", "thanks for watching", "mm hmm", "im sorry", "bye", "oh"})
"""What recognisers write most for noise; people say it too, but then it is clear."""
_STOCK_LOGPROB: Final = -0.4
_CAPTION_SIGNS: Final = frozenset("♪♫©")
"""Notes and the copyright sign: subtitles for sound without words, or their author's name."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to write down a sound, with what tells whether to believe it."""

    text: str
    language: str
    seconds: float
    """Of the sound."""
    word_logprob: float
    """Mean natural logarithm of the words' token probabilities."""
    least_logprob: float = 0.0
    """The least of them: one doubtful word changes the meaning, and hardly the mean."""
    no_speech: float = 0.0
    """Probability that there is no speech, where the recogniser says so."""
    finished: bool = True
    """Whether the recogniser came to an end by itself."""
    tokens: tuple[Token, ...] = ()
    """Those of the text."""


@dataclass(frozen=True, slots=True)
class Guards:
    """From where on an attempt isn't believed."""

    min_logprob: float
    max_no_speech: float
    max_repeats: int
    """How often in a row a phrase may come; a single word may come twice more often."""

    def doubt(self, attempt: Attempt) -> Doubt | None:
        """Return why the attempt isn't to be believed, or None."""
        if not any(letter.isalnum() for letter in attempt.text) or _CAPTION_SIGNS & set(attempt.text):
            return "no words"
        if not attempt.finished:
            return "ran on"
        if loops(attempt.text, self.max_repeats):
            return "loops"
        if too_fast(attempt.text, attempt.seconds):
            return "too fast"
        if attempt.no_speech > self.max_no_speech:
            return "no speech"
        stock = " ".join(_words(attempt.text)) in _STOCK
        least = max(self.min_logprob, _STOCK_LOGPROB) if stock else self.min_logprob
        return "unlikely" if attempt.word_logprob < least else None

    def is_lost(self, text: str) -> bool:
        """Tell whether an attempt that begins with `text`, cut anywhere, won't be believed however it goes on."""
        # The last word may be cut: "no, no, no, no, no" may become "nobody".
        return bool(_CAPTION_SIGNS & set(text)) or loops(text.rpartition(" ")[0], self.max_repeats)


def loops(text: str, max_repeats: int) -> bool:
    """Tell whether a phrase comes more than `max_repeats` times in a row (a word: twice more, a letter: 8 times)."""
    words = _words(text)
    for period in range(1, min(_MAX_PERIOD, len(words) // 2) + 1):
        allowed = max_repeats + 2 if period == 1 else max_repeats
        run = 0
        for word, before in zip(words[period:], words, strict=False):
            run = run + 1 if word == before else 0
            if run >= allowed * period:
                return True
    return re.search(r"(\D{1,12}?)\1{7,}", "".join(words)) is not None


def too_fast(text: str, seconds: float) -> bool:
    """Tell whether nobody can say `text` in `seconds`."""
    allowed_s = seconds + _SLACK_S
    letters = sum(letter.isalnum() for letter in text)
    return len(text.split()) > _MAX_WORDS_PER_S * allowed_s or letters > _MAX_LETTERS_PER_S * allowed_s


def _words(text: str) -> list[str]:
    return re.sub(r"[\W_]+", " ", text.lower().replace("'", "")).split()
