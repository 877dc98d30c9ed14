from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import zxingcpp

from tests.vision.pictures import IMAGES, blurred, photo, turned
from vision.codes import read_codes
from vision.types import Code

PHOTOS = {
    "qr_photo_wikipedia.jpg": ("qr", "MEBKM:URL:http\\://en.wikipedia.org/wiki/Main_Page;;"),
    "can_corn_barcode.jpg": ("ean-13", "8480010092271"),
    "book_isbn.jpg": ("ean-13", "9788430532674"),
}


def found(codes: Sequence[Code]) -> list[tuple[str, str]]:
    return [(code.kind, code.text) for code in codes]


@pytest.mark.parametrize("name", PHOTOS)
def test_codes_on_things(name: str) -> None:
    assert found(read_codes(photo(name))) == [PHOTOS[name]]


@pytest.mark.parametrize("degrees", range(0, 360, 15))
@pytest.mark.parametrize("name", PHOTOS)
def test_codes_at_any_angle(name: str, degrees: int) -> None:
    assert found(read_codes(turned(photo(name), degrees))) == [PHOTOS[name]]


@pytest.mark.parametrize("size", [3, 5, 9])
@pytest.mark.parametrize("name", PHOTOS)
def test_codes_out_of_focus(name: str, size: int) -> None:
    assert found(read_codes(blurred(photo(name), size))) == [PHOTOS[name]]


@pytest.mark.parametrize("name", PHOTOS)
def test_codes_in_the_dark(name: str) -> None:
    assert found(read_codes((photo(name) * 0.3).astype(np.uint8))) == [PHOTOS[name]]


def test_the_box_is_where_the_code_is() -> None:
    (code,) = read_codes(photo("can_corn_barcode.jpg"))
    assert (code.box.left, code.box.top, code.box.right, code.box.bottom) == pytest.approx(
        (0.35, 0.3, 0.71, 0.61), abs=0.1
    )


@pytest.mark.parametrize(
    ("kind", "text", "format_"),
    [
        ("qr", "WIFI:T:WPA;S:Parley;P:öäü;;", zxingcpp.BarcodeFormat.QRCode),
        ("data-matrix", "ABC-123456789", zxingcpp.BarcodeFormat.DataMatrix),
        ("aztec", "a ticket", zxingcpp.BarcodeFormat.Aztec),
        ("pdf417", "a boarding pass", zxingcpp.BarcodeFormat.PDF417),
        ("ean-13", "4006381333931", zxingcpp.BarcodeFormat.EAN13),
        ("ean-8", "96385074", zxingcpp.BarcodeFormat.EAN8),
        ("upc-a", "036000291452", zxingcpp.BarcodeFormat.UPCA),
        ("code-128", "Parley-1", zxingcpp.BarcodeFormat.Code128),
        ("code-39", "PARLEY 39", zxingcpp.BarcodeFormat.Code39),
    ],
)
def test_every_kind(kind: str, text: str, format_: zxingcpp.BarcodeFormat) -> None:
    grey = np.array(zxingcpp.create_barcode(text, format_).to_image(scale=4))
    grey = cv2.copyMakeBorder(grey, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=(255,))
    assert found(read_codes(np.repeat(grey[..., None], 3, axis=2))) == [(kind, text)]


def test_several_at_once_come_from_top_to_bottom() -> None:
    both = np.vstack([photo(name) for name in ("book_isbn.jpg", "can_corn_barcode.jpg", "qr_photo_wikipedia.jpg")])
    assert found(read_codes(both)) == [
        PHOTOS[name] for name in ("book_isbn.jpg", "can_corn_barcode.jpg", "qr_photo_wikipedia.jpg")
    ]


@pytest.mark.parametrize("degrees", [0, 30, 45])
def test_what_is_no_code_is_not_read(degrees: int) -> None:
    others = [path.name for path in IMAGES.glob("*.[jp]*g") if path.name not in PHOTOS]
    assert len(others) > 5
    assert {name: codes for name in others if (codes := read_codes(turned(photo(name), degrees)))} == {}


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 500, 3), (480, 640, 3)])
def test_black_pictures_hold_none(shape: tuple[int, int, int]) -> None:
    assert read_codes(np.zeros(shape, np.uint8)) == ()
