"""Whether an utterance is over: what its words say, how it sounds and how long the silence is, together.

None of the three can tell alone. A turn detector that only listens calls "turn on the" finished when the speaker stops
for breath; words alone call "it was the best of times" finished; silence alone makes everybody wait. So the first two
are weighed against each other, and the surer they are, the shorter the silence that ends the utterance.

The numbers were fitted on this project's questions and on its utterances with pauses inside (tests/data/turns).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pipeline.settings import TurnTaking

LIKELY: Final = 0.2
"""Words at least so finished are worth an answer while the user is still speaking."""

_SOUND_WEIGHT: Final = 0.4
"""Of how it sounds against what it says: a voice that breaks off often sounds finished."""
_OPEN_WEIGHT: Final = 0.38
"""The same of a voice that sounds unfinished, squared: a little means little, and none that plainly goes on is over."""
_COMMA: Final = 1.3
"""By so much the odds that words are all fall when the recogniser heard a comma behind them."""
_SURE: Final = 1.25
"""Evidence (log odds) from which on the shortest silence is enough."""
_UNLIKELY: Final = -5.0
"""Evidence up to which only the longest silence is."""
_CERTAIN: Final = 0.999
WHOLE: Final = 1.0
"""How finished a whole command is that no model was needed to understand. No model is as sure."""

_DANGLING: Final = frozenset(
    "a an the my your his her its our their this these some any no every each another of to in at by for from with "
    "without about into onto during since until than as and or but because so if when while where who whose which that "
    "what how why whether unless although though is are was were am be been being has have had can could will would "
    "shall should may might must i he she we they i'm i'd i'll you're we're they're there's what's let's "
    "very really more most too just also not um uh er".split()
)
"""Words that hardly ever end an utterance."""
_CALL: Final = re.compile(
    r"(?:hey |okay |ok )?(?:parley|computer|alexa|siri|jarvis|mycroft|nabu|cortana|bixby|pico ?voice)"
)
"""A name that assistants go by, said alone: what is wanted comes next."""
_READS_WELL: Final = 0.4
_READS_BADLY: Final = 0.02


def finished(words: str, model: float | None) -> float:
    """Return how finished (0..1) an utterance with these words is; `model`: what the language model thinks of it.

    A model that can't tell is replaced by a look at the last word.
    """
    said = _said(words)
    if not said or _calls(said):
        return 0.0
    if model is not None:
        return model / (model + (1 - model) * _COMMA) if words.rstrip().endswith(",") else model
    return _READS_BADLY if said[-1] in _DANGLING else _READS_WELL


def is_call(words: str) -> bool:
    """Tell whether the words only call an assistant by its name."""
    return _calls(_said(words))


def needed_silence_s(sounds: float | None, reads: float | None, settings: TurnTaking) -> float:
    """Return the silence that ends an utterance that sounds and reads finished to this degree (None: not known)."""
    if reads is None:
        return settings.max_silence_s
    if reads >= WHOLE:
        return min(settings.command_s, settings.min_silence_s, settings.max_silence_s)
    heard = 0.0 if sounds is None else _log_odds(sounds)
    evidence = _log_odds(reads) + (_SOUND_WEIGHT * heard if heard > 0 else -_OPEN_WEIGHT * heard**2)
    doubt = min(1.0, max(0.0, (_SURE - evidence) / (_SURE - _UNLIKELY)))
    shortest_s = min(settings.min_silence_s, settings.max_silence_s)
    return shortest_s + (settings.max_silence_s - shortest_s) * doubt


def eager(settings: TurnTaking, eagerness: str) -> TurnTaking:
    """Return the settings for a protocol's `eagerness`: "low" waits twice as long, "high" half; "auto" is "medium"."""
    factor = {"low": 2.0, "high": 0.5}.get(eagerness, 1.0)
    return replace(
        settings,
        command_s=max(settings.pause_s, factor * settings.command_s),
        min_silence_s=max(settings.pause_s, factor * settings.min_silence_s),
        max_silence_s=factor * settings.max_silence_s,
    )


def _said(words: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", words.lower().replace("’", "'"))


def _calls(said: Sequence[str]) -> bool:
    return _CALL.fullmatch(" ".join(said)) is not None


def _log_odds(probability: float) -> float:
    bounded = min(_CERTAIN, max(1 - _CERTAIN, probability))
    return math.log(bounded / (1 - bounded))
