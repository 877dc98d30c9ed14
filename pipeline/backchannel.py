"""What a sound of the user's during a reply was: words that take the floor, or a sign of listening that doesn't."""

import re
from typing import Final

from pipeline.engines import Transcript
from pipeline.moves import Said

_BACKCHANNELS: Final = frozenset(
    "mm mmm mhm mmhm mmhmm hm hmm hmmm huh uh uhhuh um ah aha ahh oh ooh yeah yea yes yep yup ya right okay ok sure "
    "cool good great nice wow really true exactly alright fine thanks "
    "ja genau klar gut oui ouais voilà sí si vale claro bien".split()
)
_PHRASES: Final = (("i", "see"), ("got", "it"), ("of", "course"), ("all", "right"), ("uh", "huh"), ("go", "on"))
_LONGEST: Final = 4
"""Words in a backchannel: "yeah, okay, I see"."""
_UNSURE: Final = -1.2
"""Log-probability of the least likely token below which a short sound's words are taken for noise."""
_SHORT: Final = 2
"""Words that a recogniser makes up for a cough."""


def what_was_said(heard: Transcript, *, ended: bool) -> Said:
    """Tell what the user's sound was by its words; `ended`: there are no more of them."""
    words = re.findall(r"[^\W_]+", heard.text.lower().replace("'", "").replace("-", ""))
    if not words:
        return Said.NOTHING
    if _is_backchannel(words):
        return Said.BACKCHANNEL
    if heard.logprob < _UNSURE and len(words) <= _SHORT:
        return Said.NOTHING
    # The last word may be half spoken, and half of one may sound like anything.
    return Said.WORDS if ended or len(words) > 1 else Said.UNKNOWN


def _is_backchannel(words: list[str]) -> bool:
    if len(words) > _LONGEST:
        return False
    at = 0
    while at < len(words):
        if tuple(words[at : at + 2]) in _PHRASES:
            at += 2
        elif words[at] in _BACKCHANNELS:
            at += 1
        else:
            return False
    return True
