"""Programs with keys of their own, and what each of them may ask for: requests a minute, requests at once, cost a day.

The keys come from the environment. Who shows one may ask for chats, speech, transcriptions and models: for no more.
"""

import hmac
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from starlette.types import Scope

from assistant.config import Api, ConfigError
from assistant.server.api.errors import ApiError

_SCOPE_KEY: Final = "parley.program"
_MINUTE_S: Final = 60.0
_SOON_S: Final = 2.0


@dataclass(slots=True)
class Tally:
    """What one program has asked for. No clock: `now` is in seconds, `today` is the owner's day."""

    requests_a_minute: int | None = None
    at_once: int | None = None
    daily_cost: float | None = None
    """0: only what costs nothing."""
    _begun: deque[float] = field(default_factory=deque)
    _running: int = 0
    _spent: float = 0.0
    _day: date = date.min

    def wait_s(self, now: float) -> float | None:
        """Return how long the next request has to wait, None where it may begin."""
        while self._begun and self._begun[0] + _MINUTE_S <= now:
            self._begun.popleft()
        if self.requests_a_minute is not None and len(self._begun) >= self.requests_a_minute:
            return self._begun[0] + _MINUTE_S - now if self._begun else _MINUTE_S
        return _SOON_S if self.at_once is not None and self._running >= self.at_once else None

    def begin(self, now: float) -> None:
        """Count a request."""
        self._begun.append(now)
        self._running += 1

    def end(self) -> None:
        """Note that a request is over."""
        self._running -= 1

    def may_spend(self, today: date) -> bool:
        """Tell whether it may ask for what costs something."""
        return self.daily_cost is None or self.spent(today) < self.daily_cost

    def spent(self, today: date) -> float:
        """Return what it has spent today."""
        return self._spent if self._day == today else 0.0

    def spend(self, cost: float, today: date) -> None:
        """Count what a request has cost."""
        self._spent = self.spent(today) + cost
        self._day = today


@dataclass(frozen=True, slots=True)
class Program:
    """A program that has a key."""

    name: str
    key: bytes = field(repr=False)
    tally: Tally


class Programs:
    """All that have one."""

    def __init__(
        self,
        programs: Sequence[Program] = (),
        *,
        now: Callable[[], float],
        moment: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """`now` is a clock in seconds; `moment` tells the owner's date and time."""
        self._programs = tuple(programs)
        self._now = now
        self._moment = moment

    def find(self, keys: Sequence[str]) -> Program | None:
        """Return the program whose key is shown. All are compared, so that the time taken tells nothing."""
        shown = [key.encode() for key in keys]
        found = [
            program
            for program in self._programs
            if any([hmac.compare_digest(key, program.key) for key in shown])  # noqa: C419
        ]
        return found[0] if found else None

    def recall(self, name: str, cost: float) -> None:
        """Count what a program had spent today before this process began."""
        for program in self._programs:
            if program.name == name:
                program.tally.spend(cost, self._moment().date())

    @contextmanager
    def one(self, scope: Scope) -> Iterator[None]:
        """Count a request for as long as the block runs. Raises ApiError where its program asks too often."""
        program = program_of(scope)
        if program is None:
            yield
            return
        wait_s = program.tally.wait_s(self._now())
        if wait_s is not None:
            message = f"The key {program.name!r} asks more often, or more at once, than it may. Wait, or ask the owner."
            raise ApiError(429, "rate_limit_exceeded", message, wait_s=wait_s)
        program.tally.begin(self._now())
        try:
            yield
        finally:
            program.tally.end()

    def check_cost(self, program: Program) -> None:
        """Raise ApiError where a program may ask for nothing any more that costs something."""
        moment = self._moment()
        if program.tally.may_spend(moment.date()):
            return
        midnight = datetime.combine(moment.date() + timedelta(days=1), time(), moment.tzinfo)
        message = (
            f"The key {program.name!r} has spent {program.tally.spent(moment.date()):.4g} of its "
            f"{program.tally.daily_cost:g} today. Ask for parley/private, which costs nothing, or tomorrow."
        )
        raise ApiError(429, "insufficient_quota", message, wait_s=(midnight - moment).total_seconds())

    def spend(self, program: Program, cost: float) -> None:
        """Count what a request has cost."""
        program.tally.spend(cost, self._moment().date())


def programs_of(api: Api, environment: Mapping[str, str] = os.environ) -> list[Program]:
    """Return the programs that the configuration lists. Raises ConfigError where a key is missing or too easy."""
    found: list[Program] = []
    for each in api.keys:
        key = environment.get(each.key_env, "").strip()
        if not key:
            raise ConfigError(
                f"[[api.keys]] {each.name}: the environment variable {each.key_env} is not set: put a key into it (for "
                'example the output of "openssl rand -hex 32"), or take the program out.'
            )
        if len(key) < 16 or not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigError(f"[[api.keys]] {each.name}: {each.key_env} needs 16 signs of ASCII or more, no spaces.")
        if any(hmac.compare_digest(key.encode(), other.key) for other in found):
            raise ConfigError(f"[[api.keys]] {each.name}: {each.key_env} holds another program's key.")
        tally = Tally(each.requests_a_minute, each.at_once, each.daily_cost)
        found.append(Program(each.name, key.encode(), tally))
    return found


def admit(scope: Scope, program: Program) -> None:
    """Note that this request came in with this program's key."""
    scope[_SCOPE_KEY] = program


def program_of(scope: Scope) -> Program | None:
    """Return the program whose key a request came in with."""
    program: Program | None = scope.get(_SCOPE_KEY)
    return program
