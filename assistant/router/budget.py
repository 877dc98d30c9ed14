"""What may be spent on models elsewhere, by day and by month, on each backend and in all."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from itertools import count
from typing import Final, Literal, TypeAlias

from pipeline.errors import ParleyError

Period: TypeAlias = Literal["day", "month"]

ALL: Final = ""
"""Stands for all backends together."""
_CENT: Final = 0.01


class BudgetError(ParleyError):
    """A request that would cost more than what is left."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may be spent, in the currency of the configuration; None: as much as it takes."""

    day: float | None = None
    month: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What a backend takes for a million tokens."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Return what so many tokens cost."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1_000_000


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent once."""

    backend: str
    at: datetime
    cost: float


class Budgets:
    """Keeps count in memory. What is under way counts with what it is expected to cost, until its cost is known."""

    def __init__(
        self,
        limits: Mapping[str, Limit] | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        currency: str = "USD",
        zone: tzinfo | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`limits` and `prices` are by the backend's name; a limit under ALL holds for all of them together.

        Days begin at midnight in `zone`, or else in that of this machine.
        """
        self.currency = currency
        self._limits = dict(limits or {})
        self._prices = dict(prices or {})
        self._zone = zone
        self.now = now
        self._spent: defaultdict[tuple[str, date], float] = defaultdict(float)
        self._reserved: dict[int, tuple[str, float]] = {}
        self._numbers = count(1)

    def load(self, spent: Iterable[Spent]) -> None:
        """Count what was spent before, as the store has it."""
        for one in spent:
            self._spent[one.backend, self.day(one.at)] += one.cost

    def allows(self, backend: str, expected_cost: float) -> str | None:
        """Return None where so much more may be spent on this backend, else why not, in plain words."""
        if expected_cost <= 0:
            return None
        for name in (backend, ALL):
            limit = self._limits.get(name, Limit())
            for period, most in (("day", limit.day), ("month", limit.month)):
                if most is None:
                    continue
                spent = self.spent("day" if period == "day" else "month", name)
                if spent + self._under_way(name) + expected_cost > most + 1e-9:
                    return self._reason(name, period, most, spent, expected_cost)
        return None

    def expects(self, backend: str, tokens_in: float, tokens_out: float) -> float:
        """Return what so many tokens will cost on a backend; nothing where its price isn't known."""
        return self._prices.get(backend, Price()).of(tokens_in, tokens_out)

    def reserve(self, backend: str, expected_cost: float) -> int:
        """Put so much aside for a request that is about to begin, and return the number of the reservation.

        Raises BudgetError where it isn't there any more: others may have begun since `allows` was asked.
        """
        reason = self.allows(backend, expected_cost)
        if reason is not None:
            raise BudgetError(reason)
        number = next(self._numbers)
        self._reserved[number] = (backend, expected_cost)
        return number

    def settle(self, number: int, cost: float, opened_at: datetime) -> None:
        """Count what it did cost, on the day on which it began, and free what was put aside. Twice is harmless."""
        reserved = self._reserved.pop(number, None)
        if reserved is not None:
            self._spent[reserved[0], self.day(opened_at)] += cost

    def spent(self, period: Period, backend: str = ALL) -> float:
        """Return what was spent on a backend, or on all, on this day or in this month."""
        today = self.day(self.now())

        def counts(day: date) -> bool:
            return day == today if period == "day" else (day.year, day.month) == (today.year, today.month)

        return sum(cost for (name, day), cost in self._spent.items() if counts(day) and backend in {name, ALL})

    def day(self, moment: datetime) -> date:
        """Return the owner's day of a moment."""
        return moment.astimezone(self._zone).date()

    def midnight(self) -> datetime:
        """Return when the owner's day began."""
        begun = self.now().astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        # This machine's zone comes as a fixed distance to UTC, and at midnight it may have been another one.
        return begun if self._zone is not None else begun.replace(tzinfo=None).astimezone()

    def _under_way(self, backend: str) -> float:
        return sum(cost for name, cost in self._reserved.values() if backend in {name, ALL})

    def _reason(self, backend: str, period: str, most: float, spent: float, expected: float) -> str:
        whose = f" for {backend}" if backend else ""
        when = "today's" if period == "day" else "this month's"
        left = max(0.0, most - spent - self._under_way(backend))
        if left <= min(_CENT, most / 100):
            return f"{when} budget{whose} of {self._money(most)} is used up"
        return (
            f"{when} budget{whose} of {self._money(most)} has {self._money(left)} left, and this may cost "
            f"{self._money(expected)}"
        )

    def _money(self, amount: float) -> str:
        return money(amount, self.currency)


def money(amount: float, currency: str) -> str:
    """Return an amount as people read it: "1.50 USD"; small ones with two digits that count."""
    if amount == 0 or amount >= _CENT:
        return f"{amount:.2f} {currency}"
    return f"{float(f'{amount:.2g}'):f}".rstrip("0") + f" {currency}"
