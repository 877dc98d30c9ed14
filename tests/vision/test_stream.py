"""One stream of pictures: what is looked at, and how closely."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from tests.vision.files import jpeg, photo_file
from tests.vision.scenes import MIDDLE, face, line
from vision.detect.detection import Detection
from vision.finders import Finders, Lazy
from vision.frames import decode
from vision.stream import Stream
from vision.types import Code, Face, Frame, Gesture, PictureError, Pixels, TextLine

CUP = Detection("cup", MIDDLE, 0.9)
FAINT = Detection("chair", MIDDLE, 0.35)


@dataclass(slots=True)
class Scripted:
    """Finds what it is told to, and counts how often it was asked."""

    things: Sequence[Detection] = (CUP,)
    words: str = "EXIT"
    looks: int = 0
    reads: list[tuple[int, ...]] = field(default_factory=list)
    closed: int = 0

    def find(self, picture: Pixels) -> Sequence[Detection]:
        assert picture.ndim == 3
        self.looks += 1
        return self.things

    def read(self, picture: Pixels) -> tuple[TextLine, ...]:
        self.reads.append(picture.shape)
        return (line(self.words),)

    def codes(self, picture: Pixels) -> tuple[Code, ...]:
        return (Code("qr", self.words, MIDDLE),)

    def close(self) -> None:
        self.closed += 1


class Faces:
    def find(self, picture: Pixels) -> tuple[Face, ...]:
        return (face(),)

    def close(self) -> None: ...


class Hands:
    def gestures(self, picture: Pixels) -> tuple[Gesture, ...]:
        return ("raised palm",)

    def close(self) -> None: ...


@pytest.fixture
def eyes() -> Scripted:
    return Scripted()


@pytest.fixture
def stream(eyes: Scripted) -> Stream:
    return Stream(Finders(Lazy(lambda: eyes), text=Lazy(lambda: eyes), codes=eyes.codes))


@pytest.fixture(scope="module")
def room() -> Pixels:
    return cv2.resize(decode(photo_file("dog_bicycle_truck.jpg")), (640, 480)).astype(np.uint8)


@pytest.fixture(scope="module")
def street() -> Pixels:
    return cv2.resize(decode(photo_file("puppies_three.jpg")), (640, 480)).astype(np.uint8)


def frame(picture: Pixels, at: float, noise: int = 0) -> Frame:
    """With noise, no two files of one picture are the same."""
    grain = np.random.default_rng(int(at * 10)).normal(0, noise, picture.shape) if noise else 0
    return Frame(jpeg(np.clip(picture + grain, 0, 255).astype(np.uint8)), at)


def test_a_still_picture_is_looked_at_once(stream: Stream, eyes: Scripted, room: Pixels) -> None:
    first = stream.look(frame(room, 1.0))
    assert (first.at, first.width, first.height, first.moved) == (1.0, 640, 480, False)
    assert [one.label for one in first.things] == ["cup"]
    assert first.appeared == first.left == ()
    for at in (2.0, 3.0, 4.0):
        assert stream.look(frame(room, at, noise=8)) == replace(first, at=at)
    assert eyes.looks == 1


def test_the_very_same_file_is_not_even_decoded(
    stream: Stream, eyes: Scripted, room: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stream.look(frame(room, 1.0))
    monkeypatch.setattr("vision.stream.decode_small", None)
    assert stream.look(frame(room, 2.0)) == replace(first, at=2.0)
    assert eyes.looks == 1


def test_what_comes_and_goes_is_told_once(stream: Stream, eyes: Scripted, room: Pixels, street: Pixels) -> None:
    stream.look(frame(room, 1.0))
    eyes.things = (CUP, Detection("cat", MIDDLE, 0.9))
    busy = room.copy()
    busy[100:300, 100:300] = street[100:300, 100:300]
    came = stream.look(frame(busy, 2.0))
    assert came.moved
    assert [one.label for one in came.appeared] == ["cat"]
    after = stream.look(frame(busy, 3.0, noise=5))
    assert after.appeared == ()
    assert not after.moved
    assert [one.label for one in after.things] == ["cup", "cat"]


def test_doubt_is_settled_by_another_look(stream: Stream, eyes: Scripted, room: Pixels, street: Pixels) -> None:
    """The gate alone would keep a still scene from ever being looked at a second time."""
    stream.look(frame(room, 1.0))
    eyes.things = ()
    busy = room.copy()
    busy[100:300, 100:300] = street[100:300, 100:300]
    missed = stream.look(frame(busy, 2.0))
    assert [one.label for one in missed.things] == ["cup"]
    gone = stream.look(frame(busy, 3.0, noise=5))
    assert [one.label for one in gone.left] == ["cup"]
    assert gone.things == ()
    stream.look(frame(busy, 4.0, noise=5))
    assert eyes.looks == 3


def test_a_cut_is_everything_new(stream: Stream, eyes: Scripted, room: Pixels, street: Pixels) -> None:
    stream.look(frame(room, 1.0))
    eyes.things = (FAINT,)
    cut = stream.look(frame(street, 2.0))
    assert [one.label for one in cut.appeared] == ["chair"]
    assert [one.label for one in cut.left] == ["cup"]


def test_text_is_read_when_asked_for_and_kept(stream: Stream, eyes: Scripted, room: Pixels) -> None:
    assert stream.look(frame(room, 1.0)).text is None
    read = stream.look(frame(room, 2.0), closely=True)
    assert read.text == (line("EXIT"),)
    assert read.codes == (Code("qr", "EXIT", MIDDLE),)
    assert "text: 'EXIT'" in read.summary
    assert "QR code" in read.summary
    for at in (3.0, 4.0):
        assert stream.look(frame(room, at, noise=8), closely=True) == replace(read, at=at)
    assert stream.look(frame(room, 5.0)).text == read.text
    assert len(eyes.reads) == eyes.looks == 1


def test_text_of_another_picture_does_not_hold(stream: Stream, eyes: Scripted, room: Pixels, street: Pixels) -> None:
    stream.look(frame(room, 1.0), closely=True)
    eyes.words = "ENTRANCE"
    other = stream.look(frame(street, 2.0))
    assert other.text is other.codes is None
    assert "EXIT" not in other.summary
    assert stream.look(frame(street, 3.0), closely=True).text == (line("ENTRANCE"),)


def test_other_words_in_the_same_place_are_read_again(stream: Stream, eyes: Scripted) -> None:
    def page(words: str) -> Pixels:
        picture = np.full((480, 640, 3), 220, np.uint8)
        cv2.putText(picture, words, (60, 200), 0, 0.8, (30, 30, 30), 2)
        return picture

    stream.look(frame(page("twenty tablets"), 1.0), closely=True)
    stream.look(frame(page("ninety grammes"), 2.0), closely=True)
    assert len(eyes.reads) == 2


def test_small_print_is_read_from_more_pixels(stream: Stream, eyes: Scripted) -> None:
    big = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), np.uint8)
    scene = stream.look(frame(big, 1.0), closely=True)
    assert (scene.width, scene.height) == (1280, 960)
    assert eyes.reads == [(1200, 1600, 3)]


def test_a_covered_lens_is_not_a_farewell(stream: Stream, eyes: Scripted, room: Pixels) -> None:
    before = stream.look(frame(room, 1.0))
    for at in (2.0, 3.0, 4.0):
        covered = stream.look(frame(np.zeros_like(room), at, noise=3), closely=True)
        assert (covered.light, covered.summary) == ("black", "")
        assert covered.things == covered.left == ()
        assert covered.text is None
    after = stream.look(frame(room, 5.0))
    assert after.things == before.things
    assert after.appeared == ()
    assert eyes.looks == 2
    assert eyes.reads == []


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0"])
def test_a_broken_frame_is_an_error_and_no_more(stream: Stream, eyes: Scripted, room: Pixels, data: bytes) -> None:
    first = stream.look(frame(room, 1.0))
    with pytest.raises(PictureError):
        stream.look(Frame(data, 2.0))
    with pytest.raises(PictureError, match="cut short"):
        stream.look(Frame(frame(room, 2.0).data[:-3000], 2.0))
    assert stream.look(frame(room, 3.0)) == replace(first, at=3.0)
    assert eyes.looks == 1


def test_faces_and_hands_are_part_of_it(eyes: Scripted, room: Pixels) -> None:
    stream = Stream(Finders(Lazy(lambda: eyes), faces=Lazy(Faces), hands=Lazy(Hands)))
    scene = stream.look(frame(room, 1.0), closely=True)
    assert scene.faces == (face(),)
    assert scene.gestures == ("raised palm",)
    assert scene.summary.startswith("One person facing you")
    assert scene.text is scene.codes is None


def test_no_pixels_are_kept(stream: Stream, room: Pixels) -> None:
    stream.look(frame(room, 1.0), closely=True)
    held: list[object] = [stream]
    for one in held:
        for value in vars(one).values() if hasattr(one, "__dict__") else ():
            if isinstance(value, np.ndarray):
                assert value.size <= 64 * 48
            elif type(value).__module__.startswith("vision."):
                held.append(value)
    assert len(held) >= 4
