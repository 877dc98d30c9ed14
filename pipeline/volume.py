"""How loud the assistant is."""

from dataclasses import replace

import numpy as np

from pipeline.turn import Sound


class Volume:
    """A factor on the sound that is sent. A change takes a piece of sound to come into force: it mustn't click."""

    def __init__(self) -> None:
        self.level = 1.0
        """0..1"""
        self._reached = 1.0

    def apply(self, sound: Sound) -> Sound:
        """Return the sound as loud as it is to be."""
        before, self._reached = self._reached, self.level
        if before == self.level == 1.0:
            return sound
        gain = np.linspace(before, self.level, len(sound.samples), dtype=np.float32)
        return replace(sound, samples=sound.samples * gain)
