"""What the user is saying, or said last, and its words as they become known."""

import re
from dataclasses import dataclass
from typing import Final

from audio.types import Samples
from pipeline.engines import Transcript
from pipeline.errors import StageError
from pipeline.settings import Settings

_TO_TWENTY: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_TENS: Final = "thirty forty fifty sixty seventy eighty ninety".split()
_DIGITS: Final = {word: str(number) for number, word in enumerate(_TO_TWENTY)} | {
    word: str(10 * number) for number, word in enumerate(_TENS, 3)
}
_EMPTY: Final = frozenset({"a", "an", "the", "um", "uh", "er", "please", "so", "well", "and", "ok", "okay", "hey"})
"""Words that make no difference to an answer, and that recognisers often differ in."""


@dataclass(slots=True)
class Utterance:
    """One utterance, from its first voice until its words are settled. Owned by the session's loop."""

    id: str
    settings: Settings
    voice_end: float
    """When its last voiced window came; a moment of the loop's clock."""
    audio: Samples | None = None
    """Its sound, once it is committed."""
    hearing: int = 0
    """Numbers the attempts to find its words; the voice that goes on makes the earlier ones void."""
    asked: bool = False
    """Whether the attempt of this number is under way or over."""
    committed: float | None = None
    """When it was committed; a moment of the loop's clock."""
    checkable: bool = True
    """Whether there is a reference recogniser beside the fast one."""
    fast: Transcript | None = None
    """As the fast recogniser heard it."""
    checked: Transcript | StageError | None = None
    """As the reference recogniser heard it, or why it couldn't."""

    def goes_on(self) -> None:
        """Forget the words: there are more of them."""
        self.hearing += 1
        self.asked = False
        self.fast = self.checked = None

    def trusts(self, words: Transcript) -> bool:
        """Tell whether the fast recogniser is sure enough of these words for them to be answered."""
        return bool(words.text) and words.logprob >= self.settings.trust_logprob

    @property
    def trusted(self) -> bool:
        """Whether the fast recogniser's words may be answered before they have been checked."""
        return self.fast is not None and self.trusts(self.fast)

    @property
    def words(self) -> Transcript | StageError | None:
        """What is to be answered; None while that isn't known."""
        if self.checked is None:
            return self.fast if self.trusted or not self.checkable else None
        if self.trusted and not (isinstance(self.checked, Transcript) and self.checked.text):
            return self.fast  # one recogniser is sure of words that the other didn't find
        return self.checked

    @property
    def settled(self) -> bool:
        """Whether its words will not change any more."""
        return self.checked is not None or (self.fast is not None and not self.checkable)


def same_words(one: str, other: str) -> bool:
    """Tell whether two transcripts mean the same to whoever answers them: spelling, numbers and small words apart."""
    return meaning(one) == meaning(other)


def meaning(text: str) -> tuple[str, ...]:
    """Return the words that make a difference to whoever answers, in one spelling; all of them where none does."""
    spaced = re.sub(r"(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)", " ", text.lower().replace("'", "").replace("’", ""))
    words = re.findall(r"\w+", spaced)
    numbered = [_DIGITS.get(word, word) for word in words]
    return tuple(word for word in numbered if word not in _EMPTY) or tuple(numbered)
