"""The table of turn_taking.py, row by row, and what must hold whatever happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.endings import WHOLE, needed_silence_s
from pipeline.moves import (
    Action,
    AskWhatWasSaid,
    Awake,
    Clear,
    Commit,
    CommitTurn,
    Configure,
    Discard,
    FellAsleep,
    Hold,
    IdleTimeout,
    Input,
    Interrupt,
    Reads,
    Reopen,
    ReplyEnded,
    ReplyStarted,
    Resume,
    Said,
    Sounds,
    Speculate,
    SpeechStarted,
    State,
    Tick,
    Wake,
    WasSaid,
    Weigh,
    Window,
)
from pipeline.settings import TurnTaking
from pipeline.turn_taking import WINDOW_S, TurnTaker

VOICE, SILENCE = 0.9, 0.1


class Floor:
    """A turn-taker, a clock and a microphone."""

    def __init__(self, **settings: object) -> None:
        self.settings = TurnTaking(**settings)  # type: ignore[arg-type]
        self.taker = TurnTaker(self.settings)
        self.now = 0.0

    def step(self, happened: Input) -> list[Action]:
        return self.taker.step(happened, self.now)

    def windows(self, probability: float, count: int) -> list[Action]:
        actions: list[Action] = []
        for _ in range(count):
            self.now += WINDOW_S
            actions += self.step(Window(probability, self.now))
        return actions

    def voice(self, count: int) -> list[Action]:
        return self.windows(VOICE, count)

    def silence(self, count: int) -> list[Action]:
        return self.windows(SILENCE, count)

    def to(self, state: State) -> "Floor":
        """Go to `state` on the shortest way."""
        if state is not State.LISTENING:
            self.voice(20)
        if state in (State.DECIDING, State.REPLYING, State.CONTESTED):
            self.silence(3)
        if state in (State.REPLYING, State.CONTESTED):
            self.step(Commit())
        if state is State.CONTESTED:
            self.silence(30)
            self.voice(2)
        assert self.taker.state is state
        return self


def kinds(actions: list[Action]) -> list[type]:
    return [type(action) for action in actions]


def test_asleep_until_woken() -> None:
    floor = Floor(wake=True)
    assert floor.voice(50) == []
    assert floor.step(Wake()) == [Awake()]
    assert floor.taker.state is State.LISTENING


def test_falls_asleep_when_nobody_follows_up() -> None:
    floor = Floor(wake=True, follow_up_s=8.0)
    floor.step(Wake())
    assert floor.taker.deadline == 8.0
    floor.now = 7.9
    assert floor.step(Tick()) == []
    floor.now = 8.0
    assert floor.step(Tick()) == [FellAsleep()]
    assert floor.taker.state is State.ASLEEP


@pytest.mark.parametrize(("windows", "starts"), [(2, False), (3, True)])
def test_voice_starts_an_utterance_after_start_s(windows: int, starts: bool) -> None:
    floor = Floor(start_s=0.096)
    assert bool(floor.voice(windows)) is starts


def test_voice_with_holes_does_not_start_an_utterance() -> None:
    floor = Floor(start_s=0.096)
    assert [floor.voice(2) + floor.silence(1) for _ in range(9)] == [[]] * 9


def test_an_utterance_begins_before_its_first_voice() -> None:
    floor = Floor(prefix_s=0.3)
    floor.silence(20)
    (started,) = floor.voice(3)
    assert isinstance(started, SpeechStarted)
    assert started.start_s == pytest.approx(20 * WINDOW_S - 0.3)


def test_hysteresis_keeps_a_fading_voice() -> None:
    floor = Floor(vad_threshold=0.5)
    floor.voice(3)
    assert floor.windows(0.4, 30) == []
    assert floor.taker.state is State.HEARING


def test_a_pause_asks_and_speculates() -> None:
    floor = Floor(pause_s=0.096).to(State.HEARING)
    assert floor.silence(2) == []
    assert kinds(floor.silence(1)) == [Weigh, Speculate]
    assert floor.taker.state is State.DECIDING


def test_a_voice_that_fades_is_weighed_before_its_silence() -> None:
    floor = Floor(pause_s=0.064).to(State.HEARING)
    assert floor.windows(0.7, 1) == []
    assert kinds(floor.windows(0.5, 1)) == [Weigh, Speculate]
    floor.step(Sounds(1, 1.0))
    floor.step(Reads(1, 0.99))
    assert kinds(floor.silence(5)) == [CommitTurn], "its silence alone tells how long it is over"


def test_a_fade_that_goes_on_is_a_voice_and_no_more_asked_about_until_it_is_full_again() -> None:
    floor = Floor(pause_s=0.064, resume_s=0.064).to(State.HEARING)
    assert kinds(floor.windows(0.6, 4)) == [Weigh, Speculate, Discard]
    assert floor.windows(0.6, 60) == []
    assert floor.taker.state is State.HEARING
    assert floor.voice(1) == []
    assert kinds(floor.windows(0.6, 2)) == [Weigh, Speculate]


def test_a_soft_voice_does_not_fade() -> None:
    floor = Floor()
    floor.voice(20)
    floor.silence(3)
    floor.step(Commit())
    floor.step(ReplyEnded())
    assert kinds(floor.windows(0.6, 60)) == [SpeechStarted]


def test_speculation_can_be_off_and_silence_mode_asks_nobody() -> None:
    assert kinds(Floor(speculate=False).to(State.HEARING).silence(3)) == [Weigh]
    assert kinds(Floor(mode="silence").to(State.HEARING).silence(3)) == [Speculate]


def test_voice_after_a_pause_goes_on_with_the_utterance() -> None:
    floor = Floor(resume_s=0.064).to(State.DECIDING)
    assert floor.voice(1) == []
    assert floor.voice(1) == [Discard()]
    assert floor.taker.state is State.HEARING


def test_a_single_voiced_window_does_not_void_the_pause() -> None:
    floor = Floor(max_silence_s=0.5).to(State.DECIDING)
    assert floor.voice(1) == []
    assert kinds(floor.silence(13)) == [Weigh, CommitTurn]


def test_sound_and_words_that_are_finished_commit_after_min_silence() -> None:
    floor = Floor(min_silence_s=0.224, look_again_s=0.3).to(State.DECIDING)
    assert floor.step(Sounds(1, 1.0)) == []
    assert floor.step(Reads(1, 0.99)) == []
    assert floor.silence(3) == []
    assert kinds(floor.silence(1)) == [CommitTurn]
    assert floor.taker.state is State.REPLYING


def test_a_late_answer_commits_at_once() -> None:
    floor = Floor(min_silence_s=0.224).to(State.DECIDING)
    floor.silence(20)
    (commit,) = floor.step(Reads(1, 1.0))
    assert commit == CommitTurn(pytest.approx(20 * WINDOW_S))


def test_an_answer_about_an_earlier_pause_does_not_count() -> None:
    floor = Floor().to(State.DECIDING)
    floor.voice(3)
    floor.silence(10)
    assert floor.step(Sounds(1, 1.0)) == []
    assert floor.step(Reads(1, 1.0)) == []
    assert floor.step(Sounds(2, 1.0)) == [], "how it sounds is nothing without the words"
    assert kinds(floor.step(Reads(2, 1.0))) == [CommitTurn]


def test_an_utterance_in_doubt_is_weighed_again_once_and_waits() -> None:
    floor = Floor(max_silence_s=1.0, look_again_s=0.192).to(State.DECIDING)
    floor.step(Sounds(1, 0.0))
    floor.step(Reads(1, 0.0))
    assert floor.silence(28) == [Weigh(1)]
    assert kinds(floor.silence(1)) == [CommitTurn]


def test_the_second_weighing_may_change_the_mind() -> None:
    floor = Floor(max_silence_s=1.0, look_again_s=0.192).to(State.DECIDING)
    floor.step(Sounds(1, 0.0))
    floor.step(Reads(1, 0.5))
    assert floor.silence(4) == [Weigh(1)]
    assert kinds(floor.step(Sounds(1, 1.0))) == [CommitTurn]


@given(st.one_of(st.none(), st.floats(0, 1)), st.one_of(st.none(), st.floats(0, 1)))
def test_the_needed_silence_stays_within_its_limits(sounds: float | None, reads: float | None) -> None:
    settings = TurnTaking()
    shortest_s = settings.command_s if reads == WHOLE else settings.min_silence_s
    assert shortest_s <= needed_silence_s(sounds, reads, settings) <= settings.max_silence_s


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_more_finished_the_shorter_the_silence(sounds: float, reads: float, other: float) -> None:
    settings = TurnTaking()
    low, high = sorted((reads, other))
    assert needed_silence_s(sounds, high, settings) <= needed_silence_s(sounds, low, settings) + 1e-9
    assert needed_silence_s(high, sounds, settings) <= needed_silence_s(low, sounds, settings) + 1e-9


def test_a_very_short_silence_limit_decides_at_the_pause() -> None:
    floor = Floor(mode="silence", max_silence_s=0.064).to(State.HEARING)
    assert kinds(floor.silence(2)) == [Speculate, CommitTurn]


@pytest.mark.parametrize("state", [State.HEARING, State.DECIDING])
def test_the_client_can_commit_and_clear(state: State) -> None:
    assert kinds(Floor().to(state).step(Commit())) == [CommitTurn]
    floor = Floor().to(state)
    assert floor.step(Clear()) == [Discard()]
    assert floor.taker.state is State.LISTENING


@pytest.mark.parametrize("state", [State.HEARING, State.DECIDING])
def test_a_stalled_microphone_commits(state: State) -> None:
    floor = Floor(stall_s=2.0).to(state)
    floor.now += 1.9
    assert floor.step(Tick()) == []
    floor.now += 0.2
    assert kinds(floor.step(Tick())) == [CommitTurn]


def test_an_utterance_has_a_greatest_length() -> None:
    floor = Floor(max_utterance_s=5.0)
    actions = kinds(floor.voice(400))
    assert actions[:2] == [SpeechStarted, CommitTurn]
    assert Reopen not in actions
    assert Interrupt in actions
    pausing = Floor(max_utterance_s=2.0, max_silence_s=9.0)
    pausing.voice(3)
    assert kinds(pausing.silence(80)) == [Weigh, Speculate, Weigh, CommitTurn]


def test_a_second_utterance_does_not_contain_the_first() -> None:
    floor = Floor().to(State.REPLYING)
    commit_s = floor.now
    floor.step(ReplyEnded())
    (started,) = floor.voice(3)
    assert started == SpeechStarted(commit_s)


def test_voice_soon_after_the_commit_reopens() -> None:
    floor = Floor(hold_s=0.064, start_s=0.096, reopen_s=0.6).to(State.REPLYING)
    floor.silence(5)
    assert floor.voice(2) == [Hold()]
    assert floor.voice(1) == [SpeechStarted(0.0), Reopen()]
    assert floor.taker.state is State.HEARING


def test_the_last_sound_of_an_utterance_holds_its_reply_for_a_moment_only() -> None:
    floor = Floor(hold_s=0.064, start_s=0.096, pause_s=0.064, yield_s=0.16).to(State.REPLYING)
    floor.silence(5)
    assert floor.voice(2) == [Hold()]
    assert floor.silence(1) == []
    assert floor.silence(1) == [Resume()]
    assert floor.taker.state is State.REPLYING


def test_a_voice_that_comes_after_that_sound_goes_on_with_the_utterance() -> None:
    floor = Floor(hold_s=0.064, start_s=0.096, pause_s=0.064, reopen_s=0.8).to(State.REPLYING)
    floor.voice(2)
    floor.silence(2)
    assert kinds(floor.voice(3)) == [Hold, SpeechStarted, Reopen]


def test_late_voice_does_not_reopen() -> None:
    floor = Floor(reopen_s=0.6, look_s=0.256, barge_in_s=0.576).to(State.REPLYING)
    floor.silence(20)
    actions = floor.voice(18)
    assert kinds(actions) == [Hold, AskWhatWasSaid, AskWhatWasSaid, AskWhatWasSaid, SpeechStarted, Interrupt]
    assert isinstance(actions[-2], SpeechStarted)
    assert actions[-2].start_s == pytest.approx(floor.now - 18 * WINDOW_S - 0.3)


def test_voice_during_a_reply_holds_it_at_once() -> None:
    floor = Floor(hold_s=0.064).to(State.REPLYING)
    floor.silence(30)
    assert floor.voice(1) == []
    assert floor.voice(1) == [Hold()]
    assert floor.taker.state is State.CONTESTED


def test_words_interrupt() -> None:
    floor = Floor(look_s=0.256).to(State.CONTESTED)
    (asked,) = floor.voice(6)
    assert isinstance(asked, AskWhatWasSaid)
    assert (asked.contest, asked.ended) == (1, False)
    assert kinds(floor.step(WasSaid(1, False, Said.WORDS))) == [SpeechStarted, Interrupt]
    assert floor.taker.state is State.HEARING


@pytest.mark.parametrize("what", [Said.BACKCHANNEL, Said.NOTHING, Said.UNKNOWN])
def test_what_is_no_words_lets_the_reply_go_on_when_it_ends(what: Said) -> None:
    floor = Floor(yield_s=0.16).to(State.CONTESTED)
    assert floor.step(WasSaid(1, False, what)) == []
    (asked,) = floor.silence(6)
    assert isinstance(asked, AskWhatWasSaid)
    assert asked.ended
    assert floor.step(WasSaid(1, True, what)) == [Resume()]
    assert floor.taker.state is State.REPLYING


def test_a_single_short_word_interrupts_when_it_is_over() -> None:
    floor = Floor(pause_s=0.064).to(State.CONTESTED)
    floor.silence(6)
    assert kinds(floor.step(WasSaid(1, True, Said.WORDS))) == [SpeechStarted, Interrupt]
    assert kinds(floor.silence(1)) == [Weigh, Speculate], "the silence after it counts"


def test_voice_that_goes_on_makes_the_answer_about_its_end_void() -> None:
    floor = Floor().to(State.CONTESTED)
    floor.silence(6)
    floor.voice(1)
    assert floor.step(WasSaid(1, True, Said.NOTHING)) == []
    assert floor.taker.state is State.CONTESTED


def test_an_answer_about_an_earlier_contest_does_not_count() -> None:
    floor = Floor().to(State.CONTESTED)
    floor.silence(6)
    floor.step(WasSaid(1, True, Said.NOTHING))
    floor.voice(2)
    assert floor.step(WasSaid(1, True, Said.WORDS)) == []


@pytest.mark.parametrize(("what", "windows"), [(Said.UNKNOWN, 18), (Said.NOTHING, 18), (Said.BACKCHANNEL, 36)])
def test_a_long_voice_interrupts_whatever_it_says(what: Said, windows: int) -> None:
    floor = Floor(barge_in_s=0.576).to(State.CONTESTED)
    floor.step(WasSaid(1, False, what))
    assert Interrupt not in kinds(floor.voice(windows - 3))
    assert Interrupt in kinds(floor.voice(1))


def test_a_microphone_that_stalls_in_a_contest_lets_the_reply_go_on() -> None:
    floor = Floor(stall_s=2.0).to(State.CONTESTED)
    assert floor.step(Tick()) == []
    floor.now += 2.0
    assert floor.step(Tick()) == [Resume()]
    assert floor.step(Tick()) == []


def test_who_speaks_into_the_end_of_a_reply_has_the_floor() -> None:
    floor = Floor(start_s=0.096).to(State.CONTESTED)
    assert floor.step(ReplyEnded()) == []
    assert floor.taker.state is State.LISTENING
    assert kinds(floor.voice(1)) == [SpeechStarted]


@pytest.mark.parametrize("changes", [{"mode": "manual"}, {"interrupt_response": False}])
def test_settings_that_forbid_interruption_end_a_contest(changes: dict[str, object]) -> None:
    floor = Floor().to(State.CONTESTED)
    assert floor.step(Configure(TurnTaking(**changes))) == [Resume()]  # type: ignore[arg-type]
    assert Floor().to(State.CONTESTED).step(Configure(TurnTaking())) == []


def test_without_interruption_the_reply_goes_on() -> None:
    floor = Floor(interrupt_response=False).to(State.REPLYING)
    assert kinds(floor.voice(6)) == [SpeechStarted]


def test_a_reply_that_the_client_asked_for_can_be_interrupted_but_not_reopened() -> None:
    floor = Floor()
    floor.step(ReplyStarted())
    assert floor.taker.state is State.REPLYING
    assert Reopen not in kinds(floor.voice(10))
    assert kinds(floor.step(WasSaid(1, False, Said.WORDS))) == [SpeechStarted, Interrupt]


def test_the_floor_is_free_when_the_reply_has_ended() -> None:
    floor = Floor(idle_timeout_s=5.0).to(State.REPLYING)
    floor.step(ReplyEnded())
    assert floor.taker.state is State.LISTENING
    floor.now += 5.0
    assert floor.step(Tick()) == [IdleTimeout()]
    assert floor.step(Tick()) == []


@pytest.mark.parametrize("state", [State.LISTENING, State.REPLYING])
def test_manual_mode_hears_no_voice(state: State) -> None:
    floor = Floor().to(state)
    floor.step(Configure(TurnTaking(mode="manual")))
    assert floor.voice(100) == []
    assert floor.taker.state is state


@pytest.mark.parametrize("state", [State.HEARING, State.DECIDING])
def test_switching_to_manual_mode_forgets_the_utterance(state: State) -> None:
    floor = Floor().to(state)
    assert floor.step(Configure(TurnTaking(mode="manual"))) == [Discard()]
    assert floor.taker.state is State.LISTENING


INPUTS = st.one_of(
    st.builds(
        lambda voiced, count: ("windows", VOICE if voiced else SILENCE, count), st.booleans(), st.integers(1, 40)
    ),
    st.sampled_from([Wake(), Commit(), Clear(), ReplyStarted(), ReplyEnded(), Tick()]),
    st.builds(Sounds, st.integers(0, 5), st.floats(0, 1)),
    st.builds(Reads, st.integers(0, 5), st.floats(0, 1)),
    st.builds(WasSaid, st.integers(0, 5), st.booleans(), st.sampled_from(Said)),
    st.builds(
        lambda mode, wake, interrupt: Configure(TurnTaking(mode=mode, wake=wake, interrupt_response=interrupt)),
        st.sampled_from(["semantic", "silence", "manual"]),
        st.booleans(),
        st.booleans(),
    ),
)


@given(st.lists(INPUTS, max_size=40))
def test_whatever_happens_the_actions_make_sense(script: list[object]) -> None:
    """Utterances start and end by turns, a reply is only interrupted while there is one, and time never runs back."""
    floor = Floor()
    speaking = held = False
    last_start_s = 0.0
    for entry in script:
        actions = floor.windows(entry[1], entry[2]) if isinstance(entry, tuple) else floor.step(entry)  # type: ignore[arg-type]
        for before, action in zip([None, *actions], actions, strict=False):
            match action:
                case SpeechStarted(start_s):
                    assert not speaking
                    assert last_start_s <= start_s <= floor.now
                    speaking, last_start_s = True, start_s
                case CommitTurn(voice_end_s):
                    assert speaking
                    assert voice_end_s <= floor.now
                    speaking = False
                case Interrupt():
                    assert held, "nothing is interrupted that wasn't held"
                    assert isinstance(before, SpeechStarted), "the client hears of the voice first"
                    held = False
                case Reopen():
                    assert held, "nothing is interrupted that wasn't held"
                    assert isinstance(before, SpeechStarted), "the client hears of the voice first"
                    held = False
                case Hold():
                    assert not held
                    held = True
                case Resume():
                    assert held
                    held = False
                case _:
                    pass
        if isinstance(entry, Clear | Configure) and floor.taker.state is State.LISTENING:
            speaking = False
        if isinstance(entry, ReplyEnded):
            held = False
        assert held == (floor.taker.state is State.CONTESTED)
        assert speaking == (floor.taker.state in (State.HEARING, State.DECIDING))
        if speaking:
            assert floor.taker.deadline is not None
