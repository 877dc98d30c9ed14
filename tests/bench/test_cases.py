import json
import wave
from pathlib import Path

import numpy as np
import pytest

from audio.types import INPUT_RATE, OUTPUT_RATE
from tests.bench import case_tables
from tests.bench.cases import Backchannel, BargeIn, Cases, InnerPause, load, save
from tests.bench.sound import DATA, Piece, Room, Stretch, length_s, path_of, render, room

CASES = load()
HEARD: tuple[InnerPause | BargeIn | Backchannel, ...] = (*CASES.inner_pauses, *CASES.barge_ins, *CASES.backchannels)
SOUNDS = [pytest.param(case.sound, id=f"{type(case).__name__}-{case.id}") for case in HEARD]


def recorded_s(clip: str) -> float:
    with wave.open(str(path_of(clip))) as file:
        return float(file.getnframes() / file.getframerate())


@pytest.mark.parametrize("sound", SOUNDS)
def test_pieces_lie_inside_their_recordings(sound: tuple[Stretch, ...]) -> None:
    for stretch in sound:
        if isinstance(stretch, Piece):
            assert 0 <= stretch.begin_s < stretch.end_s <= recorded_s(stretch.clip) + 0.002
        else:
            assert stretch.length_s > 0
            assert -80 <= stretch.level_db <= -50


def test_there_are_enough_of_each() -> None:
    assert len(CASES.inner_pauses) >= 40
    assert len(CASES.barge_ins) >= 12
    assert len(CASES.backchannels) >= 20
    assert len(CASES.echoes) == 20
    assert sum(not case.spliced for case in CASES.inner_pauses) >= 10
    assert {case.kind for case in CASES.backchannels} == {"word", "cough", "noise"}


def test_no_id_is_used_twice() -> None:
    for cases in (CASES.inner_pauses, CASES.barge_ins, CASES.backchannels, CASES.echoes):
        assert len({case.id for case in cases}) == len(cases)


@pytest.mark.parametrize("case", CASES.inner_pauses, ids=lambda case: case.id)
def test_pauses_lie_between_the_words(case: InnerPause) -> None:
    moments = [0.0, *(moment for pause in case.pauses_s for moment in pause), case.speech_end_s, length_s(case.sound)]
    assert moments == sorted(moments)
    assert len(case.parts) == len(case.pauses_s) + 1 == len(case.complete) + 1
    assert all(0.195 <= last - first <= 1.205 for first, last in case.pauses_s)


@pytest.mark.parametrize("case", [case for case in CASES.inner_pauses if case.spliced], ids=lambda case: case.id)
def test_a_spliced_pause_is_where_it_is_said_to_be(case: InnerPause) -> None:
    before, pause, after = case.sound
    assert isinstance(before, Piece)
    assert isinstance(pause, Room)
    assert isinstance(after, Piece)
    assert (before.clip, before.end_s) == (after.clip, after.begin_s)
    ((first, last),) = case.pauses_s
    assert first == pytest.approx(before.length_s, abs=0.002)
    assert last - first == pytest.approx(pause.length_s, abs=0.002)
    sound = render(case.sound, INPUT_RATE)
    inside = sound[round((first + 0.01) * INPUT_RATE) : round((last - 0.01) * INPUT_RATE)]
    outside = sound[: round(first * INPUT_RATE)]
    assert np.abs(inside).max() < 0.1 * np.abs(outside).max()


@pytest.mark.parametrize("case", CASES.barge_ins, ids=lambda case: case.id)
def test_a_barge_in_begins_when_it_is_said_to(case: BargeIn) -> None:
    assert 0.8 <= case.offset_s <= 2.5
    sound = render(case.sound, INPUT_RATE)
    at = round(case.speech_start_s * INPUT_RATE)
    before, after = sound[: max(1, at)], sound[at : at + round(0.3 * INPUT_RATE)]
    assert np.sqrt(np.mean(after**2)) > 4 * np.sqrt(np.mean(before**2))


def test_backchannels_are_short_and_loud_enough_to_be_heard() -> None:
    for case in CASES.backchannels:
        sound = render(case.sound)
        assert 0.15 <= sound.size / OUTPUT_RATE <= 0.9
        assert 0.05 <= np.abs(sound).max() <= 1.0, case.id


def test_echoes_come_within_a_quarter_of_a_second() -> None:
    delays = [case.delay_s for case in CASES.echoes]
    assert min(delays) == 0.05
    assert max(delays) == 0.25
    assert {case.gain_db for case in CASES.echoes} == {-12.0}


def test_cases_survive_being_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    save(CASES, file)
    assert load(file) == CASES
    assert file.read_text() == (DATA / "turns" / "cases.json").read_text()


def test_every_row_of_the_tables_became_a_case() -> None:
    tables = case_tables
    made = Cases(
        inner_pauses=CASES.inner_pauses[
            : len(tables.SPOKEN_PAUSES) + len(tables.EXCERPTS) + len(tables.SPLICED_PAUSES)
        ],
        barge_ins=CASES.barge_ins[: len(tables.BARGE_INS)],
        backchannels=CASES.backchannels[: len(tables.BACKCHANNELS)],
        echoes=CASES.echoes[: len(tables.SPEECHES)],
    )
    assert made == CASES


@pytest.mark.parametrize(
    ("utterance", "parts", "complete"),
    [
        ("set a timer for | thirty seconds", ("set a timer for", "thirty seconds"), (False,)),
        ("a dog || or a cat | or", ("a dog", "or a cat", "or"), (True, False)),
    ],
)
def test_an_utterance_is_split_at_its_pauses(
    utterance: str, parts: tuple[str, ...], complete: tuple[bool, ...]
) -> None:
    assert case_tables.split(utterance) == (parts, complete)


def test_all_added_recordings_have_their_source_and_licence() -> None:
    folder = DATA / "turns"
    known = {json.loads(line)["id"]: json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()}
    recorded = {path.stem for path in folder.glob("*.wav") if not path.stem.startswith("synthetic_")}
    assert recorded == set(known)
    for row in known.values():
        assert row["licence"]
        owner, name = row["source_repo"].split("/")
        assert list((folder / "licences").glob(f"{owner}+{name}__*"))


def test_a_room_is_as_loud_as_asked_and_always_the_same() -> None:
    noise = room(INPUT_RATE, -60.0, seed=3)
    assert 20 * np.log10(np.sqrt(np.mean(noise**2))) == pytest.approx(-60, abs=0.1)
    assert np.array_equal(noise, room(INPUT_RATE, -60.0, seed=3))
    assert not np.array_equal(noise, room(INPUT_RATE, -60.0, seed=4))
    assert room(0, -60.0).size == 0


def test_stretches_are_put_one_after_the_other() -> None:
    sound = (Piece("en_sc_yes", 0.4, 0.9, -6.0), Room(0.25, -60.0), Piece("en_sc_yes", 0.4, 0.9))
    rendered = render(sound, INPUT_RATE)
    assert rendered.size / INPUT_RATE == pytest.approx(length_s(sound)) == pytest.approx(1.25)
    half, whole = rendered[: INPUT_RATE // 2], rendered[-INPUT_RATE // 2 :]
    assert np.allclose(half, whole * 10 ** (-6 / 20), atol=1e-4)
    assert abs(rendered[0]) < 1e-3, "a cut fades in"
    assert render(sound).size == rendered.size * 3 // 2


def test_a_recording_that_is_nowhere_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no_such_clip"):
        render((Piece("no_such_clip", 0.0, 1.0),))
