"""The extensions' parts without a socket: what is asked for, binary messages, the journal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assistant.config import load
from assistant.server.extensions import Extensions
from assistant.server.frames import Frame, Kind, pack, unpack
from assistant.server.journal import Journal
from assistant.server.resume import Claim, Lives
from assistant.server.session_config import SessionConfig
from assistant.server.wire import FrameError, parse
from pipeline.errors import RequestError

# --- Asking ---


def test_what_is_absent_stays_and_null_switches_all_off():
    both = Extensions().updated({"heard": True}).updated({"binary": True})
    assert both.wire() == {"heard": True, "binary": True}
    assert both.updated({"heard": False}).wire() == {"binary": True}
    assert both.updated(None) == Extensions()


def test_a_route_is_told_of_and_may_be_wished_for():
    session = SessionConfig.fresh(load(), "parley")
    told = session.updated({"parley": {"route": True, "heard": True}})
    assert (told.extensions.wire(), told.settings().route) == ({"heard": True, "route": True}, "")
    wished = told.updated({"parley": {"route": "private"}})
    assert wished.wire()["parley"] == {"heard": True, "route": "private"}
    assert wished.settings().route == wished.updated({"instructions": "Rhyme."}).settings().route == "private"
    assert wished.updated({"parley": {"route": True}}).settings().route == ""
    assert wished.updated({"parley": {"route": False}}).wire()["parley"] == {"heard": True}
    assert Extensions(route="big one").wish == "big one"


@pytest.mark.parametrize(
    ("given_", "code", "param"),
    [
        ({"smell": True}, "unknown_parameter", "session.parley.smell"),
        ({"heard": 1}, "invalid_value", "session.parley.heard"),
        ({"heard": "yes"}, "invalid_value", "session.parley.heard"),
        ({"route": 1}, "invalid_value", "session.parley.route"),
        ({"route": ""}, "invalid_value", "session.parley.route"),
        ({"route": " private"}, "invalid_value", "session.parley.route"),
        ({"route": "x" * 65}, "invalid_value", "session.parley.route"),
        ([], "invalid_value", "session.parley"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(given_, code, param):
    session = SessionConfig.fresh(load(), "parley")
    with pytest.raises(RequestError) as caught:
        session.updated({"parley": given_})
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ('{"type": "parley.played", "item_id": "a", "played_ms": -1}', "played_ms"),
        ('{"type": "parley.played", "played_ms": 1}', "item_id"),
        ('{"type": "parley.ack", "received": 1.5}', "received"),
        ('{"type": "parley.ack", "received": 1, "more": 2}', "more"),
    ],
)
def test_our_own_events_are_checked_too(event, param):
    with pytest.raises(FrameError) as caught:
        parse(event, max_bytes=1000)
    assert caught.value.param == param


# --- Binary messages ---

FRAMES = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    payload=st.binary(max_size=64),
    id=st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=64),
    sequence=st.integers(0, 2**32 - 1),
    time_ms=st.integers(0, 2**32 - 1),
)


@given(FRAMES)
def test_a_frame_survives_the_wire(frame):
    data = pack(frame)
    assert unpack(data) == frame
    assert (len(data) - len(frame.payload)) % 4 == 0


@given(st.binary(max_size=100) | st.binary(max_size=100).map(lambda rest: b"\1\1" + rest))
def test_any_bytes_are_a_frame_or_refused(data):
    try:
        frame = unpack(data)
    except FrameError as error:
        assert error.code == "invalid_frame"  # noqa: PT017 - either is right
    else:
        assert pack(frame) == data


def test_numbers_begin_anew_when_they_are_used_up():
    assert unpack(pack(Frame(Kind.SPEECH, b"", sequence=2**32 + 5))).sequence == 5


# --- The journal ---


class JournalMachine(RuleBasedStateMachine):
    """A client that loses its connection at any moment, against a server that only has the journal."""

    def __init__(self):
        super().__init__()
        self.journal = Journal(max_bytes=1000)
        self.journal.keeps = True
        self.told = []  # all that was ever added
        self.got = []  # what the client has, in its order
        self.on_the_way = []  # sent, and lost if the connection breaks now
        self.connected = True

    @rule(size=st.integers(0, 120))
    def add(self, size):
        if self.journal.full and not self.connected:
            return  # the session waits
        data = f"{len(self.told) + 1}:" + "x" * size
        self.told.append(data)
        self.journal.add(data, 0.25)

    @precondition(lambda self: self.connected and self.journal.pending)
    @rule()
    def send(self):
        entry = self.journal.pending
        self.on_the_way.append(entry.data)
        self.journal.took(entry.number)

    @rule(count=st.integers(1, 5))
    def arrive(self, count):
        self.got += self.on_the_way[:count]
        del self.on_the_way[:count]

    @precondition(lambda self: self.connected and self.got)
    @rule()
    def acknowledge(self):
        self.journal.acknowledge(len(self.got))
        # Less, where the journal grew too large and let go of what is still on the way.
        assert self.journal.sound_s <= 0.25 * (len(self.told) - len(self.got)) + 1e-9
        assert self.journal.sound_s == pytest.approx(0.25 * len(self.journal._entries))

    @precondition(lambda self: self.connected)
    @rule()
    def acknowledge_what_was_never_sent(self):
        with pytest.raises(RequestError):
            self.journal.acknowledge(len(self.told) + 1)

    @precondition(lambda self: self.connected)
    @rule()
    def lose(self):
        self.connected = False
        self.on_the_way.clear()
        self.journal.leave()

    @precondition(lambda self: not self.connected)
    @rule()
    def come_back(self):
        number = self.journal.resumes_at(len(self.got))
        assert number in (None, len(self.got))
        if number is not None:
            self.connected = True
            assert self.journal.rewind(number) == pytest.approx(0.25 * (len(self.told) - number))

    @precondition(lambda self: not self.connected)
    @rule()
    def come_back_without_knowing(self):
        number = self.journal.resumes_at(None)
        assert self.journal.acknowledged <= number <= self.journal.last
        assert self.journal.resumes_at(self.journal.last + 1) is None
        self.got = self.told[:number]
        self.journal.rewind(number)
        self.connected = True

    @invariant()
    def nothing_is_lost_and_nothing_comes_twice(self):
        assert self.got + self.on_the_way == self.told[: len(self.got) + len(self.on_the_way)]
        if self.connected:
            waiting = self.journal.pending
            assert (waiting.data if waiting else None) == next(
                iter(self.told[len(self.got) + len(self.on_the_way) :]), None
            )

    @invariant()
    def what_was_sent_takes_no_more_than_its_room(self):
        if not self.journal.pending:
            assert self.journal._bytes <= 1000


TestJournal = JournalMachine.TestCase


def test_a_journal_that_keeps_nothing_holds_only_what_is_pending():
    journal = Journal()
    journal.add("one", 1.0)
    journal.add("two", 1.0)
    journal.took(1)
    assert journal.pending.data == "two"
    assert journal.sound_s == 1.0
    journal.took(2)
    assert (journal.pending, journal.sound_s) == (None, 0.0)


# --- Tokens ---


def test_a_token_finds_its_session_and_shows_in_no_text():
    lives = Lives()
    one, other = object(), object()
    token, _ = lives.issue(one), lives.issue(other)
    assert lives.find(Claim(token, 3)) is one
    assert lives.find(Claim(token[:-1], 3)) is None
    assert token not in repr(Claim(token, 3))
    lives.withdraw(one)
    assert lives.find(Claim(token, 3)) is None
