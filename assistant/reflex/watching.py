"""Whether what a user waits to see has come true, scene by scene.

A detector errs now and then: what is there for one frame only isn't, and what is missing for a moment is still there.
"""

from typing import Final

from assistant.reflex.watch import Watch
from vision.types import Scene

_TWICE: Final = 2
"""Scenes in a row that show a thing before it is taken to be there."""
_GONE_S: Final = 2.0
"""It is gone when it hasn't been seen for so long."""
_SETTLE_S: Final = 1.5
"""Whoever asks moves, and puts the camera down."""
_LEAST_LETTERS: Final = 3


class Watching:
    """Waits for one of them to come true."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._began: float | None = None
        self._times = 0  # scenes in a row that show it
        self._seen_at: float | None = None
        self._people: int | None = None  # that are there anyway
        self._fewer_since: float | None = None
        self._text: str | None = None  # that is there anyway

    def saw(self, scene: Scene) -> str | None:
        """Take in what the camera shows; return what is to be said when it has come true."""
        if scene.light == "black":
            return None  # that nothing is seen doesn't mean that nothing is there
        if self._began is None:
            self._began = scene.at
        match self.watch.kind:
            case "appears":
                return self._appears(scene)
            case "leaves":
                return self._leaves(scene)
            case "person":
                return self._comes(scene)
            case "text":
                return self._reads(scene)
            case "moves":
                return "Something moves." if scene.moved and scene.at - self._began >= _SETTLE_S else None

    def _appears(self, scene: Scene) -> str | None:
        there = any(thing.label == self.watch.label for thing in scene.things)
        self._times = self._times + 1 if there else 0
        return f"I see {self.watch.what}." if self._times >= _TWICE else None

    def _leaves(self, scene: Scene) -> str | None:
        if any(thing.label == self.watch.label for thing in scene.things):
            self._seen_at = scene.at
        gone = self._seen_at is not None and scene.at - self._seen_at >= _GONE_S
        return f"{self.watch.what[:1].upper()}{self.watch.what[1:]} is gone." if gone else None

    def _comes(self, scene: Scene) -> str | None:
        count = scene.people
        if self._people is None:
            self._people = count
        if count >= self._people:
            self._fewer_since = None
        elif self._fewer_since is None:
            self._fewer_since = scene.at
        elif scene.at - self._fewer_since >= _GONE_S:
            self._people = count
        self._times = self._times + 1 if count > self._people else 0
        return "Somebody has come." if self._times >= _TWICE else None

    def _reads(self, scene: Scene) -> str | None:
        if scene.text is None:
            return None
        text = " ".join(line.text for line in scene.text)
        if self._text is None:
            self._text = text
        new = text != self._text and sum(map(str.isalnum, text)) >= _LEAST_LETTERS
        self._text = text
        return f"I can read: {text}" if new else None


class Describing:
    """Says what has changed, and no more often than is pleasant."""

    def __init__(self, every_s: float = 6.0) -> None:
        self._every_s = every_s
        self._said_at: float | None = None
        self._there: set[str] = set()
        self._told: set[str] | None = None  # what was there when something was said last
        self._text = ""
        self._read = ""

    def saw(self, scene: Scene) -> str | None:
        """Take in what the camera shows; return what is to be said, if it is time and something has changed."""
        if scene.light == "black":
            return None
        self._there = {thing.label for thing in scene.things}
        if scene.text is not None:
            self._read = " ".join(line.text for line in scene.text)
        if self._told is None:
            self._told, self._said_at, self._text = self._there, scene.at, self._read
            return scene.summary or None
        if self._said_at is None or scene.at - self._said_at < self._every_s:
            return None
        came, went = sorted(self._there - self._told), sorted(self._told - self._there)
        said = [f"There is {_a(label)} now." for label in came] + [f"The {label} is gone." for label in went]
        if self._read and self._read != self._text:
            said.append(f"It says: {self._read}")
        self._told, self._text = self._there, self._read
        if not said:
            return None
        self._said_at = scene.at
        return " ".join(said)


def _a(label: str) -> str:
    return f"{'an' if label[:1] in 'aeiou' else 'a'} {label}"
