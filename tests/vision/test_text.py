import logging
import re
import socket
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from tests.vision.pictures import on, photo, turned
from vision.text import TextReader
from vision.types import Pixels

pytestmark = pytest.mark.models

TEXTS = {
    "page_text.png": """Region-based segmentation
        Let us first determine markers of the coins and the background. These markers are pixels that we can label
        unambiguously as either object or background. Here, the markers are found at the two extreme parts of the
        histogram of grey values:""",
    "balloons_three.jpg": "G-CKXA; G-CIUA",
    "handwritten_note.jpg": """This is a handwritten message to use with Google Cloud Platform. To demonstrate the
        capabilities of the Cloud Vision API to detect handwritten text.""",
    "menu_glare.jpg": """DESSERT; ORDERS; CAN BE ORDERED AT THE LAVEL OF SPICINESS AS FOLL; HOT; VERY HOT; EXTRA;
        accept Cash, Visa, Master, Discover, and American Expr; Late night Cash only (after 9:45 PM);
        No personal check accepted.; % service charge will be add to a party of 6 or mo;
        All price, Gratuity and Tax not included.""",
    "tv_update_screen.jpg": """System Software Update; Preparing to install... After preparation is complete, the PS4
        will automatically restart and the update file will be installed. 37% Back""",
    "cat_meme.jpg": "Wake up human!",
    "button_machine.jpg": "Busy Beaver Button Company; BUTTON-O-MATIC",
    "book_isbn.jpg": "D.L.: M-14131MMII; ISBN 84-305-3267-6; 9 788430 532674; Ref. 781-10",
    "can_corn_barcode.jpg": "8480010092271",
}
"""What the photos say. The order is that of each piece, between semicolons."""


@pytest.fixture(scope="module")
def reader() -> Iterator[TextReader]:
    engine = TextReader()
    yield engine
    engine.close()


def letters(text: str) -> str:
    return re.sub(r"\W", "", text)


def lost(wanted: str, found: str) -> int:
    """How many letters must be changed to find `wanted` somewhere in `found`."""
    row = [0] * (len(found) + 1)
    for number, letter in enumerate(wanted, 1):
        fresh = [number]
        for column, other in enumerate(found, 1):
            fresh.append(min(row[column] + 1, fresh[-1] + 1, row[column - 1] + (letter != other)))
        row = fresh
    return min(row)


def label(text: str) -> Pixels:
    """A label that is held into a camera, 640x480."""
    picture = np.full((480, 640, 3), 70, np.uint8)
    cv2.rectangle(picture, (120, 190), (520, 290), (235, 235, 235), cv2.FILLED)
    cv2.putText(picture, text, (140, 255), cv2.FONT_HERSHEY_DUPLEX, 1.3, (20, 20, 20), 2, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("name", TEXTS)
def test_nine_letters_of_ten_are_read(reader: TextReader, name: str) -> None:
    found = letters("".join(line.text for line in reader.read(photo(name))))
    pieces = [letters(piece) for piece in TEXTS[name].split(";")]
    assert 1 - sum(lost(piece, found) for piece in pieces) / sum(map(len, pieces)) >= 0.9


def test_a_line_is_where_it_is(reader: TextReader) -> None:
    (line,) = reader.read(label("PARLEY 2026"))
    assert line.text == "PARLEY 2026"
    assert line.score > 0.9
    assert (line.box.left, line.box.right) == pytest.approx((140 / 640, 410 / 640), abs=0.05)
    assert line.box.top < 240 / 480 < line.box.bottom < 0.6


@pytest.mark.parametrize("degrees", [-20, 90, 180, 270])
def test_text_at_an_angle(reader: TextReader, degrees: int) -> None:
    assert [line.text for line in reader.read(turned(label("THE HOBBIT"), degrees))] == ["THE HOBBIT"]


def test_tiny_letters_in_a_large_picture_are_looked_for_more_closely(reader: TextReader) -> None:
    small = on(np.full((1080, 1920, 3), 90, np.uint8), label("THE HOBBIT"), 1200, 600, 220)
    assert [line.text for line in reader.read(small)] == ["THE HOBBIT"]


@pytest.mark.parametrize("name", ["astronaut.jpg", "cameraman.jpg", "painted_hand.jpg", "qr_photo_wikipedia.jpg"])
def test_no_words_where_there_are_none(reader: TextReader, name: str) -> None:
    assert [line for line in reader.read(photo(name)) if len(line.text) > 1] == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 900, 3), (900, 3, 3), (480, 640, 3), (2000, 3000, 3)])
def test_black_pictures_hold_none(reader: TextReader, shape: tuple[int, int, int]) -> None:
    assert reader.read(np.zeros(shape, np.uint8)) == ()


def test_what_is_read_is_not_logged_and_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("RapidOCR").propagate = True
        engine = TextReader()
        engine.read(label("SECRET"))
        engine.read(np.zeros((480, 640, 3), np.uint8))
        engine.close()
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")
