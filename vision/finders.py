"""What looks for what in a picture: each is loaded when it is first needed, since much of it never is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from vision.detect.detection import Detection
from vision.types import Code, Face, Gesture, Pixels, TextLine


class _Closes(Protocol):
    def close(self) -> None: ...


class ObjectFinder(_Closes, Protocol):
    """Finds things of the kinds that it knows."""

    def find(self, picture: Pixels) -> Sequence[Detection]:
        """Return what is in the picture."""
        ...


class FaceFinder(_Closes, Protocol):
    """Finds faces."""

    def find(self, picture: Pixels) -> tuple[Face, ...]:
        """Return the faces in the picture."""
        ...


class TextReader(_Closes, Protocol):
    """Reads text."""

    def read(self, picture: Pixels) -> tuple[TextLine, ...]:
        """Return the lines in the picture, in reading order."""
        ...


class HandFinder(_Closes, Protocol):
    """Finds hands."""

    def gestures(self, picture: Pixels) -> tuple[Gesture, ...]:
        """Return what the hands in the picture say."""
        ...


ReadCodes: TypeAlias = Callable[[Pixels], tuple[Code, ...]]

_F = TypeVar("_F", bound=_Closes)


class Lazy(Generic[_F]):
    """A finder that is loaded when it is first called for. For one thread."""

    def __init__(self, load: Callable[[], _F]) -> None:
        self._load = load
        self._loaded: _F | None = None

    def __call__(self) -> _F:
        """Return it. Raises whatever loading it raises, and tries again the next time."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def close(self) -> None:
        """Close it, where it was loaded."""
        if self._loaded is not None:
            self._loaded.close()


@dataclass(frozen=True, slots=True)
class Finders:
    """All of them; what is None isn't looked for."""

    objects: Lazy[ObjectFinder]
    faces: Lazy[FaceFinder] | None = None
    hands: Lazy[HandFinder] | None = None
    text: Lazy[TextReader] | None = None
    codes: ReadCodes | None = None
    tidy: Callable[[], None] = lambda: None
    """Gives back memory after loading and reading, which take much of it for a moment."""

    def prepare(self) -> None:
        """Load what reads: the first question about a text shouldn't wait for it."""
        if self.text is not None:
            self.text()
            self.tidy()

    def close(self) -> None:
        """Close what was loaded."""
        for finder in (self.objects, self.faces, self.hands, self.text):
            if finder is not None:
                finder.close()
