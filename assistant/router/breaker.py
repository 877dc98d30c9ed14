"""Keeps a backend that doesn't work from being asked again and again. No clock: `now` comes in, in seconds.

| state | what happens | next |
|---|---|---|
| CLOSED | `failures` failures, or slow ones, one after another; or half of the last `window` failed | OPEN |
| CLOSED | a failure that says when to come again, or that lasts | OPEN, at once |
| OPEN | `wait_s` have passed; twice as long after each probe that failed, or as long as was asked for | HALF_OPEN |
| HALF_OPEN | one request is let through: it succeeds | CLOSED |
| HALF_OPEN | it fails, or is slow | OPEN |
| HALF_OPEN | it is called off | HALF_OPEN: another one may try |

What comes of requests that were begun before the state last changed counts no more.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LASTING_S: Final = 60.0
"""A failure that only the owner can mend: the wait before it is tried whether that is done."""


class State(StrEnum):
    """Whether requests are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Limits:
    """When the breaker opens, and for how long."""

    failures: int = 3
    window: int = 20
    slow_s: float = math.inf
    """A first token that takes longer is as bad as none."""
    wait_s: float = 5.0
    most_wait_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to ask once. Its end is told to the breaker exactly once."""

    generation: int


class Breaker:
    """The state machine."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._open = False
        self._until = 0.0
        self._wait_s = self._limits.wait_s
        self._probing = False
        self._generation = 0
        self._cause = ""
        self._failed = 0  # one after another
        self._slow = 0  # one after another
        self._last: deque[bool] = deque(maxlen=self._limits.window)

    def state(self, now: float) -> State:
        """Return the state at this moment."""
        if not self._open:
            return State.CLOSED
        return State.HALF_OPEN if now >= self._until else State.OPEN

    def objection(self, now: float) -> str | None:
        """Return why it mustn't be asked now, None where it may be."""
        match self.state(now):
            case State.CLOSED:
                return None
            case State.OPEN:
                return f"it {self._cause}; next try in {math.ceil(self._until - now)} s"
            case State.HALF_OPEN:
                return f"it {self._cause}; it is being tried again" if self._probing else None

    def begin(self, now: float) -> Permit | None:
        """Return the right to ask, None where there is an objection."""
        if self.objection(now) is not None:
            return None
        if self._open:
            self._probing = True
        return Permit(self._generation)

    def succeeded(self, permit: Permit, now: float, first_token_s: float) -> None:
        """Note that an answer came."""
        if permit.generation != self._generation:
            return
        if first_token_s > self._limits.slow_s:
            self._take_slow(now, first_token_s)
            return
        self._failed = self._slow = 0
        self._last.append(True)
        if self._open:
            self._change(open_until=None)

    def failed(
        self, permit: Permit, now: float, *, cause: str, retry_after_s: float | None = None, lasting: bool = False
    ) -> None:
        """Note that none came; `cause` says why, as in "it … "."""
        if permit.generation != self._generation:
            return
        self._failed += 1
        self._last.append(False)
        if retry_after_s is not None:
            self._trip(now, cause, retry_after_s)
        elif lasting:
            self._trip(now, cause, max(LASTING_S, self._wait_s))
        elif self._open or self._failed >= self._limits.failures:
            self._trip(now, f"failed {self._failed} times: it {cause}" if self._failed > 1 else cause)
        elif len(self._last) == self._limits.window and self._last.count(False) * 2 >= self._limits.window:
            self._trip(now, f"failed {self._last.count(False)} of {self._limits.window} times: it {cause}")

    def called_off(self, permit: Permit, now: float, waited_s: float) -> None:
        """Note that nobody waits any more for the first token. That says nothing of the backend, unless it was long."""
        if permit.generation != self._generation:
            return
        if waited_s > self._limits.slow_s:
            self._take_slow(now, waited_s)
        else:
            self._probing = False

    def _take_slow(self, now: float, first_token_s: float) -> None:
        self._slow += 1
        if self._open or self._slow >= self._limits.failures:
            self._trip(now, f"was slow: {first_token_s:.1f} s to the first word")

    def _trip(self, now: float, cause: str, wait_s: float | None = None) -> None:
        if wait_s is None:
            wait_s = self._wait_s
            self._wait_s = min(2 * self._wait_s, self._limits.most_wait_s)
        self._cause = cause
        self._change(open_until=now + wait_s)

    def _change(self, open_until: float | None) -> None:
        self._generation += 1
        self._probing = False
        self._open = open_until is not None
        self._until = open_until or 0.0
        if open_until is None:
            self._wait_s = self._limits.wait_s
            self._failed = self._slow = 0
            self._last.clear()
