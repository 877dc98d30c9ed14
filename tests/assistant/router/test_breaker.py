"""The breaker: its table row by row, and whatever may happen in whatever order."""

import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assistant.router.breaker import LASTING_S, Breaker, Limits, Permit, State

LIMITS = Limits(failures=3, window=8, slow_s=2.0, wait_s=5.0, most_wait_s=30.0)


def begun(breaker: Breaker, now: float) -> Permit:
    permit = breaker.begin(now)
    assert permit is not None
    return permit


def fail(breaker: Breaker, now: float, **how) -> None:
    breaker.failed(begun(breaker, now), now, cause="broke", **how)


def succeed(breaker: Breaker, now: float, first_token_s: float = 0.1) -> None:
    breaker.succeeded(begun(breaker, now), now, first_token_s)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(LIMITS)
    for _ in range(3):
        fail(breaker, now)
    assert breaker.state(now) is State.OPEN
    return breaker


def test_failures_one_after_another_open_it():
    breaker = Breaker(LIMITS)
    fail(breaker, 0)
    fail(breaker, 1)
    assert breaker.objection(1) is None
    fail(breaker, 2)
    assert breaker.begin(2.5) is None
    assert breaker.objection(2.5) == "it failed 3 times: it broke; next try in 5 s"


def test_a_success_in_between_begins_anew():
    breaker = Breaker(LIMITS)
    for now in range(0, 10, 3):
        fail(breaker, now)
        fail(breaker, now + 1)
        if now < 3:
            succeed(breaker, now + 2)
            assert breaker.state(now + 2) is State.CLOSED
            break
    assert breaker.state(9) is State.CLOSED


def test_half_of_the_last_ones_open_it():
    breaker = Breaker(LIMITS)
    for now in range(3):
        fail(breaker, now)
        succeed(breaker, now)
    succeed(breaker, 4)
    assert breaker.state(4) is State.CLOSED
    fail(breaker, 5)
    assert breaker.objection(5) == "it failed 4 of 8 times: it broke; next try in 5 s"


def test_slow_answers_open_it():
    breaker = Breaker(LIMITS)
    for now in range(3):
        succeed(breaker, now, 2.5)
    assert breaker.objection(3) == "it was slow: 2.5 s to the first word; next try in 4 s"


def test_waits_that_were_given_up_count_only_when_they_were_long():
    breaker = Breaker(LIMITS)
    for now in range(9):
        breaker.called_off(begun(breaker, now), now, 1.9)
    assert breaker.state(9) is State.CLOSED
    for now in range(3):
        breaker.called_off(begun(breaker, 10 + now), 10 + now, 2.1)
    assert breaker.state(12) is State.OPEN


def test_a_server_that_says_when_to_come_again_is_left_alone_until_then():
    breaker = Breaker(LIMITS)
    fail(breaker, 0, retry_after_s=40.0)
    assert breaker.state(39.9) is State.OPEN
    assert breaker.objection(0.5) == "it broke; next try in 40 s"
    assert breaker.state(40) is State.HALF_OPEN


def test_what_only_the_owner_can_mend_is_tried_seldom():
    breaker = Breaker(LIMITS)
    fail(breaker, 0, lasting=True)
    assert breaker.state(LASTING_S - 1) is State.OPEN
    assert breaker.state(LASTING_S) is State.HALF_OPEN


def test_one_probe_at_a_time():
    breaker = opened()
    probe = begun(breaker, 5)
    assert breaker.begin(6) is None
    assert breaker.objection(6) == "it failed 3 times: it broke; it is being tried again"
    breaker.succeeded(probe, 7, 0.1)
    assert breaker.state(7) is State.CLOSED
    assert breaker.begin(7) is not None


def test_a_probe_that_fails_doubles_the_wait_up_to_a_limit():
    breaker, now, waits = opened(), 0.0, []
    for _ in range(5):
        since = now
        while breaker.state(now) is State.OPEN:
            now += 0.5
        waits.append(now - since)
        fail(breaker, now)
    assert waits == [5, 10, 20, 30, 30]
    while breaker.state(now) is State.OPEN:
        now += 0.5
    succeed(breaker, now)
    for _ in range(3):
        fail(breaker, now)
    assert breaker.state(now + 4.9) is State.OPEN
    assert breaker.state(now + 5) is State.HALF_OPEN


def test_a_slow_probe_is_no_success():
    breaker = opened()
    succeed(breaker, 5, 3.0)
    assert breaker.state(5) is State.OPEN


def test_a_probe_that_is_called_off_makes_room_for_another():
    breaker = opened()
    breaker.called_off(begun(breaker, 5), 6, 1.0)
    assert breaker.state(6) is State.HALF_OPEN
    assert breaker.begin(6) is not None


def test_late_ends_count_no_more():
    breaker = Breaker(LIMITS)
    late = [begun(breaker, 0) for _ in range(4)]
    for _ in range(3):
        fail(breaker, 0)
    breaker.succeeded(late[0], 1, 0.1)
    assert breaker.state(1) is State.OPEN
    probe = begun(breaker, 5)
    breaker.failed(late[1], 5, cause="broke")
    breaker.called_off(late[2], 5, math.inf)
    assert breaker.begin(5) is None
    breaker.succeeded(probe, 6, 0.1)
    breaker.failed(late[3], 6, cause="broke", retry_after_s=100)
    assert breaker.state(6) is State.CLOSED


class Anything(RuleBasedStateMachine):
    """Requests that begin and end in any order, while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(LIMITS)
        self.now = 0.0
        self.current: list[Permit] = []  # begun since the state last changed
        self.late: list[Permit] = []
        self.bad = 0  # ends that aren't good, one after another
        self.shut_until: float | None = None

    def settle(self, before: State) -> None:
        """After an end: if the state has changed, whatever is under way is late."""
        after = self.breaker.state(self.now)
        if after is not before or after is State.OPEN:
            self.late += self.current
            self.current = []
            self.bad = 0

    @rule(seconds=st.floats(0.01, 50))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        objection, state = self.breaker.objection(self.now), self.breaker.state(self.now)
        permit = self.breaker.begin(self.now)
        assert (permit is None) == (objection is not None)
        match state:
            case State.CLOSED:
                assert permit is not None
            case State.OPEN:
                assert permit is None
            case State.HALF_OPEN:
                assert (permit is None) == bool(self.current), "one probe at a time, and always one"
        if permit is not None:
            self.current.append(permit)

    @precondition(lambda self: self.current)
    @rule(data=st.data(), first_token_s=st.floats(0, 4))
    def answer(self, data: st.DataObject, first_token_s: float) -> None:
        permit = self.current.pop(data.draw(st.integers(0, len(self.current) - 1)))
        before = self.breaker.state(self.now)
        self.breaker.succeeded(permit, self.now, first_token_s)
        slow = first_token_s > LIMITS.slow_s
        self.bad = self.bad + 1 if slow else 0
        if before is State.HALF_OPEN:
            assert self.breaker.state(self.now) is (State.OPEN if slow else State.CLOSED)
        elif not slow:
            assert self.breaker.state(self.now) is State.CLOSED
        self.settle(before)

    @precondition(lambda self: self.current)
    @rule(data=st.data(), retry_after_s=st.none() | st.floats(0.5, 100), lasting=st.booleans())
    def fail(self, data: st.DataObject, retry_after_s: float | None, lasting: bool) -> None:
        permit = self.current.pop(data.draw(st.integers(0, len(self.current) - 1)))
        before = self.breaker.state(self.now)
        self.breaker.failed(permit, self.now, cause="broke", retry_after_s=retry_after_s, lasting=lasting)
        self.bad += 1
        if before is State.HALF_OPEN or retry_after_s is not None or lasting or self.bad >= 2 * LIMITS.failures:
            assert self.breaker.state(self.now) is State.OPEN
        if retry_after_s is not None:
            assert self.breaker.state(self.now + retry_after_s * 0.99) is State.OPEN
        self.settle(before)

    @precondition(lambda self: self.current)
    @rule(data=st.data(), waited_s=st.floats(0, 2))
    def call_off(self, data: st.DataObject, waited_s: float) -> None:
        permit = self.current.pop(data.draw(st.integers(0, len(self.current) - 1)))
        before = self.breaker.state(self.now)
        self.breaker.called_off(permit, self.now, waited_s)
        assert self.breaker.state(self.now) is before

    @precondition(lambda self: self.late)
    @rule(data=st.data(), good=st.booleans())
    def end_late(self, data: st.DataObject, good: bool) -> None:
        permit = self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))
        before = self.breaker.state(self.now), self.breaker.objection(self.now)
        if good:
            self.breaker.succeeded(permit, self.now, 0.1)
        else:
            self.breaker.failed(permit, self.now, cause="broke", retry_after_s=90)
        assert (self.breaker.state(self.now), self.breaker.objection(self.now)) == before

    @invariant()
    def it_opens_again_in_time(self) -> None:
        assert self.breaker.state(self.now + max(LASTING_S, LIMITS.most_wait_s, 100.0)) is not State.OPEN


TestAnything = Anything.TestCase
