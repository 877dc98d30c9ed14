"""The reply that comes back: out of the loudspeaker, through the room, into the microphone.

Two proofs, one from sound and one from words. The first knows two things of an echo. Its *offset* is how much later the
microphone's clock reads when a sound comes back than the reply's read when it was sent: it is found by correlation and
hardly changes within a reply. Its *path* is what loudspeaker, room and microphone do to each band of frequencies. With
both, what is heard is compared with what the echo should sound like: voice that it doesn't explain is the user's.
"""

import re
from typing import Final

import numpy as np

from audio.types import INPUT_RATE, Samples
from pipeline.echo_path import EchoPath, SentSound
from pipeline.spectra import FRAME, HOP, RATE, Spectra, from_input, powers, spectra

_SHORTEST: Final = FRAME * INPUT_RATE // RATE
_LONGEST: Final = INPUT_RATE  # of what is heard; the rest is older than a second
_SEARCHED: Final = RATE // 2  # of what is heard: more proves no better
_NEAR: Final = 8  # samples by which two sightings of one offset may differ
_REMEMBERED: Final = 3 * RATE  # between two sightings of one offset

# The correlation of a stretch with the sound that it is an echo of, by the stretch's length. Of speech with the most
# similar 1.25 s of other speech, 1 in 200 is above _CERTAIN and 1 in 20 above _LIKELY.
_SECONDS: Final = (0.064, 0.096, 0.128, 0.192, 0.288, 0.512)
_CERTAIN: Final = (0.50, 0.45, 0.40, 0.34, 0.29, 0.22)
_LIKELY: Final = (0.40, 0.34, 0.30, 0.25, 0.21, 0.16)


class EchoGuard:
    """Knows the reply that is being sent and tells whether a sound from the microphone is that reply coming back."""

    def __init__(self) -> None:
        self._reply = SentSound()
        self._path = EchoPath()
        self._offset: int | None = None  # where the echo was last; None: it must be found (again)
        self._sightings: list[tuple[int, int]] = []  # when an offset showed, and the offset
        self._heard_until = 0
        self._explained = False  # whether any of this reply's echo was explained

    def sent(self, samples: Samples) -> None:
        """Take note of reply sound at OUTPUT_RATE, in the order in which it is sent."""
        self._reply.append(samples)

    def clear(self) -> None:
        """Begin a new reply: the old one's sound comes back no more. What was learnt of the room stays."""
        self._reply = SentSound()
        self._offset = None
        self._sightings = []
        self._explained = False

    def is_echo(self, heard: Samples, end_s: float) -> bool:
        """Tell whether the voice in `heard` is mainly the reply coming back. 0.1 ms; 1 ms until the echo is known.

        `heard` is the latest voice at INPUT_RATE, 0.032..1.0 s, and ends at `end_s` of all that came from the
        microphone: without gaps, since the echo is known by its delay. 0.1..0.2 s tell an echo from a user best: of
        more, most may be older than the moment that the user began. 0.032 s are too short in a loud room.
        """
        if len(heard) < _SHORTEST or self._reply.end == 0:
            return False
        sound = from_input(heard[-_LONGEST:])
        sound = sound[(len(sound) - FRAME) % HOP :]  # whole frames, counted from the end
        end = round(end_s * RATE)
        frames = spectra(sound)
        self._path.hear(powers(frames), min(len(frames), max(1, (end - self._heard_until) // HOP)))
        self._heard_until = end
        if self._offset is not None:
            if self._path.explains(self._reply, end - self._offset):
                self._see(end, self._offset)
                return True
            self._offset = None  # it may have been no echo, or play may have paused: believe it when it shows again
        return self._search(sound, frames, end)

    def _search(self, sound: Samples, frames: Spectra, end: int) -> bool:
        sound = sound[-_SEARCHED:]
        likeness, stop = self._reply.find(sound)
        offset, seconds = end - stop, len(sound) / RATE
        if likeness < np.interp(seconds, _SECONDS, _LIKELY):
            return False
        # Chance finds another offset each time. Stretches that overlap are no two witnesses.
        again = any(seen <= end - len(sound) and abs(offset - old) <= _NEAR for seen, old in self._sightings)
        self._see(end, offset)
        if again:
            self._offset = offset
        elif likeness < np.interp(seconds, _SECONDS, _CERTAIN):
            return False
        if not self._path.explains(self._reply, stop):
            # Between two replies somebody may have turned the loudspeaker up.
            self._path.learn(frames, self._reply, stop, anew=not self._explained)
            if not self._path.explains(self._reply, stop):
                return False
        self._explained = True
        return True

    def _see(self, end: int, offset: int) -> None:
        recent = [sighting for sighting in self._sightings if sighting[0] > end - _REMEMBERED]
        self._sightings = [*recent, (end, offset)]


def says_the_same(heard: str, spoken: str) -> bool:
    """Tell whether the words of a partial transcript are words, perhaps misheard, of what the reply is saying.

    `heard` is what the recogniser made of the microphone; without a word in it the answer is no. `spoken` is what is
    being said at the moment, a sentence or two: the more it holds, the more is found in it by chance.
    """
    words, said = _WORD.findall(_plain(heard)), _WORD.findall(_plain(spoken))
    if not words or any(word in _COMMANDS and word not in said for word in words):
        return False
    letters, text = "".join(words), "".join(said)
    if len(letters) < _SHORT:
        return any(said[at : at + len(words)] == words for at in range(len(said)))
    # Somebody who talks over the echo is heard at the end.
    wrong = _WRONG_LONG if len(letters) >= _LONG else _WRONG
    return _misheard(letters, text) <= wrong and _misheard(letters[-_END:], text) <= _WRONG_END


_WORD: Final = re.compile(r"[^\W_]+")
_COMMANDS: Final = frozenset({"stop", "wait", "cancel", "enough"})
_SHORT: Final = 10  # letters: too few to allow for mistakes in them
_LONG: Final = 25
_END: Final = 12
# Shares of the letters. Of transcripts of real echoes two thirds pass, of a user's words 1.5 % do.
_WRONG: Final = 0.40
_WRONG_LONG: Final = 0.45
_WRONG_END: Final = 0.42


def _plain(text: str) -> str:
    return text.lower().replace("'", "").replace("’", "")


def _misheard(heard: str, said: str) -> float:
    """Return the share of letters to change, add or leave out between `heard` and the part of `said` most like it."""
    text = np.array([ord(letter) for letter in said], np.int64)
    steps = np.arange(len(text) + 1)
    row = np.zeros(len(text) + 1, np.int64)  # `heard` may begin anywhere
    for count, letter in enumerate(heard, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (text != ord(letter)))
        row = np.minimum.accumulate(np.concatenate([[count], changed]) - steps) + steps
    return float(row.min()) / len(heard)
