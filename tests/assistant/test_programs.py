"""What programs with keys of their own may ask for."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assistant.config import ConfigError, load
from assistant.server.api.errors import ApiError
from assistant.server.api.programs import Program, Programs, Tally, admit, programs_of

TODAY = date(2026, 11, 24)
KEY = "0123456789abcdef-home"


def test_so_many_a_minute():
    tally = Tally(requests_a_minute=2)
    for now in (0.0, 10.0):
        assert tally.wait_s(now) is None
        tally.begin(now)
        tally.end()
    assert tally.wait_s(15.0) == 45.0
    assert tally.wait_s(59.9) == pytest.approx(0.1)
    assert tally.wait_s(60.0) is None


@given(st.integers(1, 5), st.lists(st.floats(0, 20), max_size=60))
@example(1, [1.9367997225837161, 20.0, 20.0, 20.0])  # a minute, but for the rounding
def test_never_more_in_any_minute(limit, gaps):
    tally, now, begun = Tally(requests_a_minute=limit), 0.0, []
    for gap in gaps:
        now += gap
        wait_s = tally.wait_s(now)
        if wait_s is None:
            tally.begin(now)
            begun.append(now)
        else:
            assert 0 < wait_s <= 60 + 1e-6
    assert all(begun[at + limit] - begun[at] >= 60 - 1e-6 for at in range(len(begun) - limit))


def test_so_many_at_once():
    tally = Tally(at_once=1)
    tally.begin(0)
    assert tally.wait_s(1) == 2.0
    tally.end()
    assert tally.wait_s(1) is None


def test_so_much_a_day():
    tally = Tally(daily_cost=0.5)
    tally.spend(0.4, TODAY)
    assert tally.may_spend(TODAY)
    tally.spend(0.4, TODAY)
    assert not tally.may_spend(TODAY)
    assert tally.may_spend(TODAY + timedelta(days=1))
    assert not Tally(daily_cost=0).may_spend(TODAY)
    assert Tally().may_spend(TODAY)


def test_the_limits_are_the_programs_own():
    now = [0.0]
    evening = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    home = Program("home", KEY.encode(), Tally(at_once=1, daily_cost=0.1))
    programs = Programs(
        [home, replace(home, name="other", key=b"x" * 20, tally=Tally())], now=lambda: now[0], moment=lambda: evening
    )
    scope: dict = {}
    assert programs.find([KEY, "wrong"]) is home
    assert programs.find(["wrong"]) is None
    admit(scope, home)
    with programs.one(scope), programs.one({}), pytest.raises(ApiError, match="'home' asks more often") as caught:
        programs.one(scope).__enter__()
    assert (caught.value.status, caught.value.wait_s) == (429, 2.0)
    programs.recall("home", 0.2)
    with pytest.raises(ApiError, match=r"has spent 0\.2 of its 0.1 today") as caught:
        programs.check_cost(home)
    assert (caught.value.code, caught.value.wait_s) == ("insufficient_quota", 1800.0)
    assert KEY not in repr(home)


LISTED = '[[api.keys]]\nname = "home"\nkey_env = "KEY_HOME"\nat_once = 2\n'


def test_keys_come_from_the_environment(tmp_path: Path):
    file = tmp_path / "my.toml"
    file.write_text(LISTED)
    (home,) = programs_of(load(file=file).api, {"KEY_HOME": KEY})
    assert (home.name, home.key, home.tally.at_once) == ("home", KEY.encode(), 2)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "KEY_HOME is not set"),
        ({"KEY_HOME": "short"}, "needs 16 signs"),
        ({"KEY_HOME": "with a space in it"}, "no spaces"),
        ({"KEY_HOME": KEY, "KEY_OTHER": KEY}, "another program's key"),
    ],
)
def test_a_key_that_will_not_do(tmp_path: Path, environment, words):
    file = tmp_path / "my.toml"
    file.write_text(LISTED + LISTED.replace("home", "other").replace("HOME", "OTHER"))
    with pytest.raises(ConfigError, match=words) as caught:
        programs_of(load(file=file).api, environment)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LISTED + "hourly = 3", "[[api.keys]] number 1 hourly: there is no such key."),
        (LISTED.replace("KEY_HOME", "sk-0123456789abcdef"), "[[api.keys]] number 1 key_env: it should match"),
        (LISTED + "daily_cost = -1", "[[api.keys]] number 1 daily_cost"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text, sentence):
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file=file)
    assert sentence in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)
