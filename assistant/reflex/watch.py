"""Something that a user waits to see."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["appears", "leaves", "person", "text", "moves"]
"""A thing comes, or goes; somebody comes; there is something to read; anything moves."""


@dataclass(frozen=True, slots=True)
class Watch:
    """It is kept in memory only, and over when it has come true."""

    id: str
    kind: Kind
    user: str
    session: str
    """Whose camera is meant."""
    what: str = ""
    """What was said of the thing: "my cat"."""
    label: str = ""
    """What the detector calls it: "cat"."""

    @property
    def name(self) -> str:
        """What it waits for, in words: "a cat appears"."""
        match self.kind:
            case "appears":
                return f"{self.what} appears"
            case "leaves":
                return f"{self.what} is gone"
            case "person":
                return "somebody comes"
            case "text":
                return "there is something to read"
            case "moves":
                return "something moves"
