"""The reply that comes back through the microphone, and a user who talks over it."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.pcm import resample
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples
from pipeline.echo import EchoGuard, says_the_same
from pipeline.engines import VAD_WINDOW
from pipeline.spectra import FRAME, FromOutput, from_input, noise, powers, spectra

AHEAD_S = 0.4
PIECE = OUTPUT_RATE // 25
DELAYS_S = (0.05, 0.1, 0.15, 0.2, 0.25)
TWELVE_DOWN = 0.25


def colour(hertz: NDArray[np.float64], formants: tuple[float, float]) -> NDArray[np.float64]:
    low, high = formants
    return 1 / (1 + ((hertz - low) / 120) ** 2) + 0.4 / (1 + ((hertz - high) / 200) ** 2) + 0.01


def speech(seed: int, seconds: float, rate: int, pitch: float) -> Samples:
    """Return what resembles speech: syllables of gliding pitch with formants of their own, breathy sounds, pauses."""
    rng = np.random.default_rng(seed)
    parts: list[Samples] = []
    while sum(map(len, parts)) < seconds * rate:
        count = int(rng.uniform(0.12, 0.26) * rate)
        t = np.arange(count) / rate
        formants = rng.uniform(250, 900), rng.uniform(900, 2500)
        if rng.random() < 0.2:
            spectrum = np.fft.rfft(rng.standard_normal(count))
            sound = np.fft.irfft(spectrum * colour(np.fft.rfftfreq(count, 1 / rate), formants), count)
        else:
            f0 = pitch * rng.uniform(0.8, 1.25) * (1 + rng.uniform(-0.15, 0.15) * t / t[-1])
            phase = 2 * np.pi * np.cumsum(f0) / rate
            tones = np.arange(1, int(3600 / pitch))
            levels = colour(tones * pitch, formants)
            sound = sum(level * np.sin(tone * phase) for tone, level in zip(tones, levels, strict=True))
        sound = sound / np.sqrt(np.mean(np.square(sound))) * 0.1 * rng.uniform(0.5, 1.2) * np.sqrt(np.hanning(count))
        parts += [sound.astype(np.float32), np.zeros(int(rng.choice([0.0, 0.0, 0.0, 0.02, 0.25]) * rate), np.float32)]
    return np.concatenate(parts)[: int(seconds * rate)]


def room(seed: int, reverberation_s: float, direct_db: float) -> Samples:
    """Return a room's response: the direct sound, and noise that dies away."""
    t = np.arange(int(1.1 * reverberation_s * INPUT_RATE)) / INPUT_RATE
    response = np.random.default_rng(seed).standard_normal(len(t)) * 10 ** (-3 * t / reverberation_s)
    response[:32] = 0
    response *= 10 ** (-direct_db / 20) / np.sqrt(np.square(response).sum())
    response[0] = 1
    return (response / np.sqrt(np.square(response).sum())).astype(np.float32)


VoiceFinder = Callable[[Samples], list[bool]]
"""Tells which windows, shape [n, VAD_WINDOW], are voice."""


def level(sound: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


def windows_of(sound: Samples) -> Samples:
    return sound[: len(sound) // VAD_WINDOW * VAD_WINDOW].reshape(-1, VAD_WINDOW)


@dataclass
class Talk:
    """One reply on its way to the client, and what the microphone sends meanwhile. It is asked as a session asks."""

    reply: Samples
    delay_s: float = 0.3  # from the moment that a sound would be played to the one that it is heard
    gain: float = TWELVE_DOWN
    room: Samples = field(default_factory=lambda: np.ones(1, np.float32))
    user: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    pause_s: float = 0.0  # that the client's loudspeaker is silent for in the middle of the reply

    def __post_init__(self) -> None:
        played = resample(np.clip(self.reply, -0.5, 0.5), OUTPUT_RATE, INPUT_RATE)
        middle = len(played) // 2
        gap = np.zeros(int(self.pause_s * INPUT_RATE), np.float32)
        played = np.convolve(np.concatenate([played[:middle], gap, played[middle:]]), self.room) * self.gain
        count = len(played) + INPUT_RATE
        self.echo = np.zeros(count, np.float32)
        at = int(self.delay_s * INPUT_RATE)
        self.echo[at : at + len(played)] = played
        self.voice = np.zeros(count, np.float32)
        self.voice[: len(self.user)] = self.user[:count]
        hiss = 1e-3 * np.random.default_rng(0).standard_normal(count)
        self.heard = (self.echo + self.voice + hiss).astype(np.float32)

    def verdicts(
        self, guard: EchoGuard, windows: int, find_voice: VoiceFinder, *, begin_s: float = 0.0
    ) -> Iterator[tuple[bool, float]]:
        """Ask about each stretch of so many windows that are all voice; yield the answer and the user's level, in dB.

        It is relative to the echo's.
        """
        voiced = find_voice(windows_of(self.heard))
        sent = 0
        for window in range(len(voiced)):
            now_s = (window + 1) * VAD_WINDOW / INPUT_RATE
            while sent < len(self.reply) and sent / OUTPUT_RATE < now_s + AHEAD_S:
                guard.sent(self.reply[sent : sent + PIECE])
                sent += PIECE
            if window + 1 < windows or not all(voiced[window + 1 - windows : window + 1]):
                continue
            here = slice((window + 1 - windows) * VAD_WINDOW, (window + 1) * VAD_WINDOW)
            over_db = 20 * np.log10((level(self.voice[here]) + 1e-5) / (level(self.echo[here]) + 1e-5))
            yield guard.is_echo(self.heard[here], begin_s + now_s), float(over_db)


def is_loud(windows: Samples) -> list[bool]:
    """Find voice as a voice detector does: it bridges the dips between syllables."""
    levels = np.sqrt(np.mean(np.square(windows), axis=1))
    loud = levels > max(0.1 * float(levels.max()), 0.0025)
    return [bool(loud[max(0, at - 2) : at + 3].any()) for at in range(len(loud))]


def share(verdicts: Iterator[tuple[bool, float]], over_db: float = -np.inf) -> float:
    """Return the share that was called echo, of the stretches in which the user was so much louder."""
    answers = [answer for answer, over in verdicts if over >= over_db]
    assert len(answers) >= 30
    return float(np.mean(answers))


REPLY = speech(1, 4.0, OUTPUT_RATE, 120)
USER = speech(2, 5.0, INPUT_RATE, 170)


class TestEchoAlone:
    @pytest.mark.parametrize("windows", [3, 4, 6, 9, 16])
    def test_it_is_the_reply_from_96_ms_on(self, windows: int) -> None:
        talks = [Talk(REPLY, delay_s) for delay_s in DELAYS_S]
        assert min(share(talk.verdicts(EchoGuard(), windows, is_loud)) for talk in talks) >= 0.99

    @pytest.mark.parametrize(("reverberation_s", "direct_db"), [(0.2, 0), (0.3, 6), (0.5, 0), (0.5, 10)])
    def test_in_a_room(self, reverberation_s: float, direct_db: float) -> None:
        talk = Talk(REPLY, room=room(3, reverberation_s, direct_db))
        assert share(talk.verdicts(EchoGuard(), 3, is_loud)) >= 0.97

    @pytest.mark.parametrize("gain", [0.5, 0.1])
    def test_loud_or_faint(self, gain: float) -> None:
        assert share(Talk(REPLY, gain=gain).verdicts(EchoGuard(), 6, is_loud)) >= 0.99

    def test_the_longest_delay(self) -> None:
        assert share(Talk(REPLY, 0.8).verdicts(EchoGuard(), 6, is_loud)) >= 0.99

    def test_the_loudspeaker_paused(self) -> None:
        assert share(Talk(REPLY, pause_s=0.2).verdicts(EchoGuard(), 6, is_loud)) >= 0.95

    def test_more_than_a_second_of_it(self) -> None:
        hum = speech(4, 4.0, OUTPUT_RATE, 120) + 0.1 * speech(5, 4.0, OUTPUT_RATE, 130)
        assert share(Talk(hum).verdicts(EchoGuard(), 40, lambda windows: [True] * len(windows))) >= 0.9

    def test_reply_after_reply_with_the_loudspeaker_turned_up_and_down(self) -> None:
        guard, begin_s = EchoGuard(), 0.0
        for number, gain in enumerate([0.1, 0.5, 0.08, 0.5]):
            guard.clear()
            talk = Talk(speech(10 + number, 3.0, OUTPUT_RATE, 120), DELAYS_S[number], gain, room(3, 0.4, 3))
            assert share(talk.verdicts(guard, 6, is_loud, begin_s=begin_s)) >= 0.98
            begin_s += len(talk.heard) / INPUT_RATE + 1.234


class TestTheUser:
    @pytest.mark.parametrize("windows", [2, 3, 4, 6, 9, 16])
    def test_alone_while_a_reply_is_sent(self, windows: int) -> None:
        talk = Talk(REPLY, gain=0.0, user=USER)
        assert share(talk.verdicts(EchoGuard(), windows, is_loud)) <= 0.02

    @pytest.mark.parametrize("windows", [3, 6, 9])
    @pytest.mark.parametrize("response", [np.ones(1, np.float32), room(3, 0.4, 3)], ids=["dry", "room"])
    def test_over_the_echo(self, windows: int, response: Samples) -> None:
        talk = Talk(REPLY, room=response, user=1.2 * USER)  # 14 dB louder
        assert share(talk.verdicts(EchoGuard(), windows, is_loud), over_db=6) <= 0.05

    def test_who_breaks_in_is_known_at_once_and_the_echo_after_that_again(self) -> None:
        middle = np.concatenate([np.zeros(int(1.6 * INPUT_RATE), np.float32), 2 * USER[: INPUT_RATE // 2]])
        verdicts = list(Talk(REPLY, user=middle).verdicts(EchoGuard(), 3, is_loud))
        echo_alone = [answer for answer, over in verdicts if over < -20]
        both = [answer for answer, over in verdicts if over > 6]
        assert len(both) > 8
        assert sum(both) <= 1
        assert np.mean(echo_alone) > 0.95

    def test_who_says_what_the_last_reply_said(self) -> None:
        guard = EchoGuard()
        assert share(Talk(REPLY).verdicts(guard, 6, is_loud)) > 0.99
        guard.clear()
        other = Talk(speech(6, 4.0, OUTPUT_RATE, 120), gain=0.0, user=resample(REPLY, OUTPUT_RATE, INPUT_RATE))
        assert share(other.verdicts(guard, 6, is_loud, begin_s=60.0)) <= 0.02


class TestNothingToTell:
    def test_no_reply(self) -> None:
        guard = EchoGuard()
        assert not guard.is_echo(USER[:4096], 1.0)
        guard.sent(REPLY)
        guard.clear()
        assert not guard.is_echo(resample(REPLY, OUTPUT_RATE, INPUT_RATE)[:4096], 2.0)

    @pytest.mark.parametrize("count", [0, 1, 300, 511])
    def test_too_short(self, count: int) -> None:
        guard = EchoGuard()
        guard.sent(REPLY)
        assert not guard.is_echo(USER[:count], 1.0)

    def test_silence(self) -> None:
        guard = EchoGuard()
        guard.sent(REPLY)
        assert not guard.is_echo(np.zeros(4096, np.float32), 1.0)
        guard.clear()
        guard.sent(np.zeros(OUTPUT_RATE, np.float32))
        assert not guard.is_echo(USER[:4096], 2.0)

    def test_memory_is_bounded(self) -> None:
        guard = EchoGuard()
        for _ in range(20):
            guard.sent(REPLY)
        assert guard._reply._sound.nbytes <= 3 * 8000 * 4


class TestSpectra:
    @given(st.lists(st.integers(0, 2000), max_size=20))
    def test_how_the_stream_is_cut_changes_nothing(self, sizes: list[int]) -> None:
        whole, pieces = FromOutput(), FromOutput()
        at, got = 0, [np.zeros(0, np.float32)]
        for size in sizes:
            got.append(pieces.feed(REPLY[at : at + size]))
            at += size
        assert np.allclose(np.concatenate(got), whole.feed(REPLY[:at]), atol=1e-6)

    @pytest.mark.parametrize(("hertz", "kept"), [(440, True), (2500, True), (4300, False), (6000, False)])
    def test_what_the_lower_rate_cannot_hold_is_left_out(self, hertz: int, kept: bool) -> None:
        heard = from_input(np.sin(2 * np.pi * hertz * np.arange(8000) / INPUT_RATE).astype(np.float32))[100:-100]
        sent = FromOutput().feed(np.sin(2 * np.pi * hertz * np.arange(12000) / OUTPUT_RATE).astype(np.float32))[100:]
        for sound in (heard, sent):
            assert level(sound) == pytest.approx(np.sqrt(0.5), rel=0.02) if kept else level(sound) < 0.01

    def test_white_noise_has_the_power_that_is_expected(self) -> None:
        hiss = (0.01 * np.random.default_rng(0).standard_normal(FRAME * 400)).astype(np.float32)
        assert powers(spectra(hiss)).mean(axis=0) == pytest.approx(noise(-40.0), rel=0.2)


SPOKEN = "The capital of France is Paris. It lies on the river Seine, and about two million people live there."


class TestWords:
    @pytest.mark.parametrize(
        "heard",
        [
            "The capital of France",
            "capital of France is pair",
            "the Capitol of friends is Paris",
            "Rise on the river",
            "It lies on the.",
            "and about to million people",
            "PARIS",
            "of France",
            "the",
        ],
    )
    def test_the_reply_misheard(self, heard: str) -> None:
        assert says_the_same(heard, SPOKEN)

    @pytest.mark.parametrize(
        "heard",
        [
            "",
            " ... ",
            "no",
            "stop",
            "yes",
            "is it",
            "What time is it?",
            "Turn on the kitchen light.",
            "what about the weather tomorrow",
            "The capital of France stop",
            "The capital of France is Paris wait",
            "The capital of France is Paris and what is the time",
            "two million wrong numbers",
        ],
    )
    def test_the_user(self, heard: str) -> None:
        assert not says_the_same(heard, SPOKEN)

    def test_a_command_that_the_reply_itself_says(self) -> None:
        assert says_the_same("the bus will stop here", "In a minute the bus will stop here.")

    def test_nothing_is_said(self) -> None:
        assert not says_the_same("hello", "")
        assert not says_the_same("hello and good morning", "…")

    @given(st.integers(0, 18), st.integers(1, 19))
    def test_any_part_of_it(self, first: int, count: int) -> None:
        assert says_the_same(" ".join(SPOKEN.split()[first : first + count]), SPOKEN)

    @given(st.text(max_size=60), st.text(max_size=60))
    def test_any_text(self, heard: str, spoken: str) -> None:
        letters = "".join(letter for letter in heard if letter.isalnum())
        assert says_the_same(heard, spoken) in ((False, True) if letters else (False,))


# --- Real voices ---

SENTENCES = (
    "The capital of France is Paris. It lies on the river Seine, and about two million people live there.",
    "Sure, I have set a timer for ten minutes. I will tell you when it is over.",
    "Water boils at one hundred degrees Celsius at sea level; on a mountain it boils earlier.",
)


@pytest.fixture(scope="module")
def replies(model_path: Callable[[str], Path]) -> list[Samples]:
    from audio.tts.piper import Piper  # noqa: PLC0415 - only these tests load models

    piper = Piper(model_path("piper-joe"))

    async def speak(text: str) -> Samples:
        return np.concatenate([chunk async for chunk in piper.speak(text)])

    made = [asyncio.run(speak(text)) for text in SENTENCES]
    piper.close()
    return made


@pytest.fixture(scope="module")
def find_voice(model_path: Callable[[str], Path]) -> VoiceFinder:
    from audio.vad.silero import SileroVad  # noqa: PLC0415

    detector = SileroVad(model_path("silero-vad"))

    def find(windows: Samples) -> list[bool]:
        stream = detector.stream()
        return [stream.score(window) >= 0.5 for window in windows]

    return find


@pytest.fixture(scope="module")
def user(clip: Callable[[str], Samples]) -> Samples:
    sound = np.concatenate([clip(name) for name in ("en_s2p_what_time_is_it", "en_jfk")])
    return (sound * (0.1 / level(sound))).astype(np.float32)


@pytest.mark.models
@pytest.mark.parametrize("windows", [3, 6])
class TestRealVoices:
    def test_the_echo(self, replies: list[Samples], find_voice: VoiceFinder, windows: int) -> None:
        for number, reply in enumerate(replies):
            for response in (np.ones(1, np.float32), room(number, 0.4, 3)):
                talk = Talk(reply, 0.1 + DELAYS_S[number], room=response)
                assert share(talk.verdicts(EchoGuard(), windows, find_voice)) >= 0.97

    def test_the_user(self, replies: list[Samples], user: Samples, find_voice: VoiceFinder, windows: int) -> None:
        for number, reply in enumerate(replies):
            alone = Talk(reply, gain=0.0, user=user)
            assert share(alone.verdicts(EchoGuard(), windows, find_voice)) <= 0.02
            both = Talk(reply, 0.1 + DELAYS_S[number], room=room(number, 0.4, 3), user=user)
            assert share(both.verdicts(EchoGuard(), windows, find_voice), over_db=6) <= 0.05
