"""The change gate, on pictures as a webcam sends them."""

import time

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vision.files import jpeg, photo_file
from vision.change import ChangeGate, light
from vision.frames import decode, decode_small
from vision.types import Pixels

Floats = NDArray[np.float64]


@pytest.fixture
def room() -> Pixels:
    return cv2.resize(decode(photo_file("dog_bicycle_truck.jpg")), (640, 480)).astype(np.uint8)


@pytest.fixture
def cat() -> Pixels:
    return decode(photo_file("cat_chelsea.jpg"))


def small(picture: NDArray[np.generic]) -> NDArray[np.uint8]:
    return decode_small(jpeg(np.clip(picture, 0, 255).astype(np.uint8)))


def with_cat(room: Pixels, cat: Pixels, side: int, left: int = 300, top: int = 200) -> Pixels:
    picture = room.copy()
    picture[top : top + side, left : left + side] = cv2.resize(cat, (side, side))
    return picture


def gate_on(picture: Pixels) -> ChangeGate:
    gate = ChangeGate()
    gate.compare(small(picture))
    gate.looked()
    gate.read()
    return gate


def test_the_first_frame_is_news_and_has_not_moved(room: Pixels) -> None:
    change = ChangeGate().compare(small(room))
    assert (change.news, change.detail, change.moved, change.cut) == (True, True, False, False)


@pytest.mark.parametrize("noise", [0, 5, 10, 20])
def test_noise_is_no_news(room: Pixels, noise: float) -> None:
    dice = np.random.default_rng(1)
    gate = gate_on(room)
    for _ in range(20):
        change = gate.compare(small(room + dice.normal(0, noise, room.shape)))
        assert not change.news
        assert not change.moved


def test_light_that_drifts_is_not_movement_and_rarely_news(room: Pixels) -> None:
    dice = np.random.default_rng(1)
    gate = gate_on(room)
    looks = 0
    for minute in range(100):  # half as bright in the end
        change = gate.compare(small(room * (1 - minute / 200) + dice.normal(0, 5, room.shape)))
        assert not change.moved
        if change.news:
            gate.looked()
            looks += 1
    assert 1 <= looks <= 10


def test_a_lamp_is_news(room: Pixels) -> None:
    assert gate_on(room).compare(small(room * 0.6)).news


@pytest.mark.parametrize("side", [64, 100, 200])
def test_what_comes_and_goes_is_news(room: Pixels, cat: Pixels, side: int) -> None:
    gate = gate_on(room)
    arrival = gate.compare(small(with_cat(room, cat, side)))
    assert arrival.news
    assert arrival.moved
    assert not arrival.cut
    gate.looked()
    assert not gate.compare(small(with_cat(room, cat, side))).moved
    assert gate.compare(small(room)).news


def test_news_is_compared_with_what_was_looked_at(room: Pixels, cat: Pixels) -> None:
    """What comes in steps too small to be movement is news at last."""
    gate = gate_on(room)
    faded = [room * (1 - share) + with_cat(room, cat, 150) * share for share in np.linspace(0, 1, 40)]
    changes = [gate.compare(small(picture)) for picture in faded]
    assert not any(change.moved for change in changes)
    assert changes[-1].news


def test_another_view_is_a_cut(room: Pixels, cat: Pixels) -> None:
    change = gate_on(room).compare(small(cv2.resize(cat, (640, 480))))
    assert change.cut
    assert change.moved


def test_another_word_is_a_detail() -> None:
    def page(words: str) -> Pixels:
        picture = np.full((480, 640, 3), 220, np.uint8)
        for row in range(8):
            cv2.putText(picture, words if row == 3 else "the same line", (60, 80 + 40 * row), 0, 0.8, (30, 30, 30), 2)
        return picture

    gate = gate_on(page("twenty tablets"))
    assert not gate.compare(small(page("twenty tablets"))).detail
    assert gate.compare(small(page("ninety grammes"))).detail


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.zeros((60, 80)), "black"),
        (np.full((60, 80), 12), "black"),
        (np.full((60, 80), 50), "dark"),
        (np.full((60, 80), 128), "normal"),
        (np.full((60, 80), 252), "bright"),
    ],
)
def test_how_light_it_is(picture: Floats, expected: str) -> None:
    assert light(picture.astype(np.uint8)) == expected


def test_how_light_photos_are(room: Pixels) -> None:
    assert light(small(room)) == "normal"
    assert light(small(room * 0.3)) == "dark"
    assert light(small(room * 0.05 + np.random.default_rng(0).normal(0, 3, room.shape))) == "black"


def test_a_frame_takes_at_most_3_ms(room: Pixels) -> None:
    data = jpeg(room)
    gate = ChangeGate()
    gate.compare(decode_small(data))
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        gate.compare(decode_small(data))
        times.append(time.perf_counter() - begin)
    assert np.median(times) < 0.003
