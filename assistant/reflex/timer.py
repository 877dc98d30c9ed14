"""A timer, an alarm, a reminder: what one is."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["timer", "alarm", "reminder"]


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer, alarm or reminder. It runs until `ends_at`, or is paused with `left_s` left."""

    id: str
    kind: Kind
    user: str
    session: str
    """The one that set it."""
    language: str
    name: str
    """Empty where it has none; of a reminder, what it is about."""
    length_s: float
    """As it was set."""
    ends_at: datetime | None
    left_s: float | None = None
    told: int = 0
    """How often its end has been told."""

    def left(self, now: datetime) -> float:
        """Return the seconds that are left, 0 when it has ended."""
        if self.ends_at is None:
            return self.left_s or 0.0
        return max(0.0, (self.ends_at - now).total_seconds())

    def paused(self, now: datetime) -> "Timer":
        """Return it paused."""
        return replace(self, ends_at=None, left_s=self.left(now))

    def resumed(self, now: datetime) -> "Timer":
        """Return it running."""
        return replace(self, ends_at=now + timedelta(seconds=self.left(now)), left_s=None)

    def extended(self, seconds: float) -> "Timer":
        """Return it with so much more to run; less, where that is negative."""
        if self.ends_at is None:
            return replace(self, left_s=(self.left_s or 0.0) + seconds)
        return replace(self, ends_at=self.ends_at + timedelta(seconds=seconds))
