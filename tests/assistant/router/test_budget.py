"""What may be spent, by day and by month."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.router.budget import ALL, BudgetError, Budgets, Limit, Price, Spent, money
from tests.assistant.privacy.departures import NOON, Clock


def spend(budgets: Budgets, backend: str, cost: float) -> None:
    budgets.settle(budgets.reserve(backend, cost), cost, budgets.now())


def test_without_limits_everything_is_allowed() -> None:
    budgets = Budgets(now=Clock())
    spend(budgets, "big", 1e6)
    assert budgets.allows("big", 1e6) is None


def test_what_costs_nothing_is_always_allowed() -> None:
    budgets = Budgets({ALL: Limit(day=0.0)}, now=Clock())
    assert budgets.allows("own", 0.0) is None
    assert budgets.allows("big", 0.01) == "today's budget of 0.00 USD is used up"


def test_a_day_and_a_month_of_one_backend_and_of_all() -> None:
    clock = Clock()
    budgets = Budgets({"big": Limit(day=1.0), ALL: Limit(day=1.5, month=2.0)}, currency="EUR", now=clock)
    spend(budgets, "big", 0.7)
    assert budgets.allows("big", 0.3) is None
    assert budgets.allows("big", 0.5) == (
        "today's budget for big of 1.00 EUR has 0.30 EUR left, and this may cost 0.50 EUR"
    )
    assert budgets.allows("other", 0.8) is None
    spend(budgets, "other", 0.8)
    assert budgets.allows("other", 0.1) == "today's budget of 1.50 EUR is used up"
    clock.advance(days=1)
    assert budgets.allows("big", 0.5) is None
    assert budgets.allows("big", 0.6) == "this month's budget of 2.00 EUR has 0.50 EUR left, and this may cost 0.60 EUR"
    clock.advance(days=10)
    assert budgets.allows("big", 0.6) is None
    assert budgets.spent("month") == 0.0


def test_what_is_under_way_counts_until_its_cost_is_known() -> None:
    budgets = Budgets({ALL: Limit(day=1.0)}, now=Clock())
    first = budgets.reserve("big", 0.6)
    with pytest.raises(BudgetError, match=r"0\.40 USD left"):
        budgets.reserve("other", 0.6)
    budgets.settle(first, 0.1, NOON)
    budgets.settle(first, 0.1, NOON)
    assert budgets.spent("day") == 0.1
    budgets.reserve("other", 0.6)


def test_what_ends_after_midnight_counts_for_the_day_on_which_it_began() -> None:
    clock = Clock()
    budgets = Budgets({ALL: Limit(day=1.0)}, now=clock)
    number = budgets.reserve("big", 1.0)
    clock.advance(days=1)
    budgets.settle(number, 1.0, NOON)
    assert budgets.spent("day") == 0.0
    assert budgets.spent("month") == 1.0


def test_the_day_begins_at_the_owners_midnight() -> None:
    clock = Clock(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # in Berlin, the day on which clocks go back
    budgets = Budgets({ALL: Limit(day=1.0)}, zone=ZoneInfo("Europe/Berlin"), now=clock)
    budgets.load([Spent("big", clock.now - timedelta(hours=2, minutes=31), 0.5), Spent("big", clock.now, 0.25)])
    assert budgets.spent("day") == 0.25
    assert budgets.midnight() == datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    clock.advance(hours=22, minutes=29)
    assert budgets.spent("day") == 0.25
    clock.advance(minutes=2)
    assert budgets.spent("day") == 0.0
    assert budgets.midnight() == datetime(2026, 10, 25, 23, 0, tzinfo=UTC)


def test_the_month_before_does_not_count() -> None:
    budgets = Budgets(now=Clock(datetime(2026, 12, 1, 1, tzinfo=UTC)), zone=UTC)
    budgets.load([Spent("big", datetime(2026, 11, 30, 23, tzinfo=UTC), 3.0)])
    assert budgets.spent("month") == 0.0


def test_prices() -> None:
    budgets = Budgets(prices={"big": Price(2.0, 8.0)})
    assert budgets.expects("big", 1_000_000, 500_000) == 6.0
    assert budgets.expects("own", 1_000_000, 500_000) == 0.0


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00 USD"), (1.5, "1.50 USD"), (0.01, "0.01 USD"), (0.0034, "0.0034 USD"), (0.00012345, "0.00012 USD")],
)
def test_money(amount: float, text: str) -> None:
    assert money(amount, "USD") == text


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.001, 0.5), st.floats(0, 1)), max_size=40))
def test_no_limit_is_ever_passed_where_costs_are_as_expected(steps: list[tuple[str, float, float]]) -> None:
    budgets = Budgets({"a": Limit(day=1.0), ALL: Limit(day=1.5, month=1.2)}, now=Clock())
    under_way: list[tuple[int, float]] = []
    for backend, cost, ending in steps:
        try:
            under_way.append((budgets.reserve(backend, cost), cost))
        except BudgetError:
            assert budgets.allows(backend, cost) is not None
        if under_way and ending > 0.5:
            number, known = under_way.pop(0)
            budgets.settle(number, known, NOON)
    for number, cost in under_way:
        budgets.settle(number, cost, NOON)
    assert budgets.spent("day", "a") <= 1.0 + 1e-6
    assert budgets.spent("day") <= 1.2 + 1e-6
