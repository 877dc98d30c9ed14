"""Words while the user speaks: of transcripts that keep changing, the part that has stopped to."""

import re
from typing import Final

_NOT_WORD: Final = re.compile(r"[^\w']+")


class StablePrefix:
    """Collects transcripts of a growing utterance and gives out each word once, when two in a row agree on it.

    The last word of a transcript may be half spoken, so it never counts.
    """

    def __init__(self) -> None:
        self.agreed = ""
        """The words that the last two transcripts begin with. Later ones may still begin with others."""
        self._given = 0  # words given out
        self._last: list[str] = []

    def feed(self, transcript: str) -> str:
        """Return the words that became certain, with a space before them unless they are the first; often none."""
        words = transcript.split()
        agreed = 0
        for new, old in zip(words[:-1], self._last[:-1], strict=False):
            if _bare(new) != _bare(old):
                break
            agreed += 1
        self._last = words
        self.agreed = " ".join(words[:agreed])
        fresh = words[self._given : agreed]
        lead = " " if self._given and fresh else ""
        self._given = max(self._given, agreed)
        return lead + " ".join(fresh)


def _bare(word: str) -> str:
    return _NOT_WORD.sub("", word).lower()
