"""Pictures: what they are is read from their own bytes."""

import base64
import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from assistant.server.pictures import picture
from pipeline.engines import Picture
from pipeline.errors import RequestError

BENCH = Path(__file__).resolve().parents[2] / "docs" / "bench.png"


def made(kind, width=3, height=2, **options):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, kind, **options)
    return file.getvalue()


def url(data, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def refusal(address):
    with pytest.raises(RequestError) as caught:
        picture(address, None, "item.content.0.image_url")
    assert caught.value.param == "item.content.0.image_url"
    return caught.value


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (made("PNG"), "png"),
        (BENCH.read_bytes(), "png"),
        (made("JPEG"), "jpeg"),
        (made("JPEG", progressive=True), "jpg"),
        (made("JPEG", comment=b"x" * 5000), "jpeg"),
        (made("WEBP"), "webp"),
        (made("WEBP", lossless=True), "webp"),
        (made("WEBP", exif=b"Exif\0\0"), "webp"),
    ],
)
def test_a_picture_is_kept_as_it_came(data, kind):
    assert picture(url(data, kind), None, "p") == Picture(url(data, kind), "auto")


@pytest.mark.parametrize("detail", ["low", "high", "auto"])
def test_the_detail_is_kept(detail):
    assert picture(url(made("PNG")), detail, "p").detail == detail


@pytest.mark.parametrize(
    ("address", "code", "says"),
    [
        (None, "missing_required_parameter", "data URL"),
        ("https://example.com/cat.png", "invalid_value", "isn't fetched"),
        ("http://169.254.169.254/latest/meta-data", "invalid_value", "isn't fetched"),
        ("file:///etc/passwd", "invalid_value", "data URL"),
        ("data:image/svg+xml;base64,PHN2Zz4=", "invalid_value", "JPEG, PNG or WebP"),
        ("data:text/plain;base64,aGk=", "invalid_value", "JPEG, PNG or WebP"),
        ("data:image/png;base64,?", "invalid_value", "not base64"),
        ("data:image/png;base64,aGVsbG8=", "invalid_image", "no image that can be read"),
        (url(made("JPEG"), "png"), "invalid_image", "it is JPEG"),
        (url(made("PNG")[:20]), "invalid_image", "cut short"),
        (url(made("JPEG")[:40], "jpeg"), "invalid_image", "cut short"),
        (url(made("WEBP")[:20], "webp"), "invalid_image", "cut short"),
        (url(b"RIFF\0\0\0\0WEBPJUNK" + bytes(20), "webp"), "invalid_image", "damaged"),
        (url(made("PNG")[:16] + struct.pack(">II", 60_000, 60_000)), "image_too_large", "60000 x 60000"),
        (url(made("PNG")[:16] + struct.pack(">II", 0, 5)), "invalid_image", "0 x 5"),
        ("data:image/png;base64," + "A" * 14_000_000, "image_too_large", "10 MiB"),
    ],
)
def test_anything_else_is_refused_with_its_reason(address, code, says):
    error = refusal(address)
    assert error.code == code
    assert says in error.message
