"""The kinds of turn that a policy tells apart."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a turn is about, as far as it matters to who should answer."""

    CHAT = "chit-chat"
    FACT = "fact"
    REASONING = "reasoning"
    CODE = "code"
    CAMERA = "camera"
    """It can't be answered without seeing something."""
    HOME = "home"
    """Devices of the house."""
    PERSONAL = "personal"
    """Health, money, family, feelings, secrets: what people wouldn't tell a stranger."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What kind of turn it seems to be, and how sure that is (0..1)."""

    kind: Kind
    confidence: float = 1.0
