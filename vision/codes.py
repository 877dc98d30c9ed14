"""QR and bar codes, with ZXing (https://github.com/zxing-cpp/zxing-cpp) and OpenCV.

ZXing reads every kind of code, but a bar code only where its bars stand about upright or flat; OpenCV reads those of
shops at any angle.
"""

from typing import Final

import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray

from vision.geometry import box_around
from vision.types import Code, Pixels

# Those left out (UPC-E, ITF, Codabar) have so little to check that they are read from stripes that are no code at all.
_KINDS: Final = {
    zxingcpp.BarcodeFormat.QRCode: "qr",
    zxingcpp.BarcodeFormat.MicroQRCode: "micro-qr",
    zxingcpp.BarcodeFormat.DataMatrix: "data-matrix",
    zxingcpp.BarcodeFormat.Aztec: "aztec",
    zxingcpp.BarcodeFormat.PDF417: "pdf417",
    zxingcpp.BarcodeFormat.EAN13: "ean-13",
    zxingcpp.BarcodeFormat.EAN8: "ean-8",
    zxingcpp.BarcodeFormat.Code128: "code-128",
    zxingcpp.BarcodeFormat.Code39: "code-39",
}
_READ: Final = zxingcpp.BarcodeFormats(list(_KINDS))
_SHOP_KINDS: Final = {"EAN_13": "ean-13", "UPC_A": "upc-a"}
"""OpenCV also reads EAN-8, from window blinds too."""


def read_codes(picture: Pixels) -> tuple[Code, ...]:
    """Return the codes in a picture, each once, from top to bottom. About 15 ms at 640x480."""
    found = {(code.kind, code.text): code for code in (*_of_shops(picture), *_of_any_kind(picture))}
    return tuple(sorted(found.values(), key=lambda code: code.box.top))


def _of_any_kind(picture: Pixels) -> list[Code]:
    codes = []
    for found in zxingcpp.read_barcodes(picture, formats=_READ):
        at = found.position
        corners = [(corner.x, corner.y) for corner in (at.top_left, at.top_right, at.bottom_right, at.bottom_left)]
        codes.append(_code(_KINDS[found.format], found.text, np.array(corners), picture))
    return codes


def _of_shops(picture: Pixels) -> list[Code]:
    _, texts, kinds, corners = cv2.barcode.BarcodeDetector().detectAndDecodeWithType(picture)
    return [
        _code(_SHOP_KINDS[kind], text, places, picture)
        for text, kind, places in zip(texts, kinds, () if corners is None else corners, strict=True)
        if text and kind in _SHOP_KINDS
    ]


def _code(kind: str, text: str, corners: NDArray[np.generic], picture: Pixels) -> Code:
    if kind == "ean-13" and text.startswith("0"):  # what is printed below such bars is the twelve digits of a UPC-A
        kind, text = "upc-a", text[1:]
    return Code(kind, text, box_around(corners, picture))
