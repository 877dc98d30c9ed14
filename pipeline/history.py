"""What was said, and what of it was heard."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from audio.types import Samples


@dataclass(frozen=True, slots=True)
class Text:
    """Written content."""

    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """Spoken content. `transcript` is None until the words are known; `audio` (INPUT_RATE) is kept until then."""

    transcript: str | None
    audio: Samples | None = None


Part: TypeAlias = Text | Spoken


@dataclass(frozen=True, slots=True)
class Item:
    """One message of the conversation."""

    id: str
    role: Literal["user", "assistant", "system"]
    parts: tuple[Part, ...]
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
