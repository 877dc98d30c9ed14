"""What a picture is, is read from its own bytes."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vision.files import plain, written
from vision.headers import MAX_BYTES, MAX_PIXELS, read_header
from vision.types import PictureError

PNG, JPEG, WEBP = (written(plain("red", 3, 2), kind) for kind in ("PNG", "JPEG", "WEBP"))


@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_the_size_is_the_pictures_own(kind: str, width: int, height: int, other: bool) -> None:
    options = {"PNG": {"interlace": other}, "JPEG": {"progressive": other}, "WEBP": {"lossless": other}}
    data = written(plain("red", width, height), kind, **options[kind])
    header = read_header(data)
    assert (header.kind, header.width, header.height) == (kind.lower(), width, height)


@pytest.mark.parametrize("length", [2**31, 2**32 - 1, len(PNG)])
def test_a_png_that_claims_more_than_it_has_is_not_given_its_memory(length: int) -> None:
    end = PNG.index(b"IDAT") - 4
    with pytest.raises(PictureError, match="cut short"):
        read_header(PNG[:end] + length.to_bytes(4, "big") + PNG[end + 4 :])


def test_a_png_has_its_end() -> None:
    assert read_header(PNG + b"a note behind it").kind == "png"
    with pytest.raises(PictureError, match="cut short"):
        read_header(PNG[:-12])


def test_a_progressive_jpeg_of_many_passes_is_refused() -> None:
    whole = written(plain("red", 3000, 3000), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    assert read_header(whole).width == 3000
    with pytest.raises(PictureError, match="progressive") as caught:
        read_header(whole[:-2] + last * 150 + b"\xff\xd9")
    assert caught.value.code == "image_too_large"


def test_what_is_transparent_is_known() -> None:
    assert not read_header(PNG).transparent
    assert read_header(written(plain("red").convert("RGBA"), "PNG")).transparent
    assert read_header(written(plain("red").convert("LA"), "PNG")).transparent


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", "invalid_image", "no image"),
        (b"hello", "invalid_image", "JPEG, PNG or WebP"),
        (written(plain("red"), "GIF"), "invalid_image", "JPEG, PNG or WebP"),
        (PNG[:20], "invalid_image", "cut short"),
        (JPEG[:40], "invalid_image", "cut short"),
        (WEBP[:20], "invalid_image", "cut short"),
        (b"RIFF\0\0\0\0WEBPJUNK" + bytes(20), "invalid_image", "damaged"),
        (PNG[:16] + struct.pack(">II", 0, 0), "invalid_image", "0 x 0"),
        (PNG[:16] + struct.pack(">II", 20_000, 20_000), "image_too_large", "20000 x 20000"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HH", 20_000, 20_000), "image_too_large", "50 million"),
        (JPEG + bytes(MAX_BYTES), "image_too_large", "10 MiB"),
    ],
)
def test_anything_else_is_refused_with_its_reason(data: bytes, code: str, says: str) -> None:
    with pytest.raises(PictureError) as caught:
        read_header(data)
    assert caught.value.code == code
    assert says in caught.value.message


@given(st.sampled_from([PNG, JPEG, WEBP, b"", b"\xff\xd8\xff\xff\x01"]), st.binary(max_size=60), st.data())
def test_damage_never_does_more_than_be_refused(whole: bytes, rest: bytes, data: st.DataObject) -> None:
    cut = whole[: data.draw(st.integers(0, len(whole)))] + rest
    with suppress(PictureError):
        header = read_header(cut)
        assert 0 < header.width * header.height <= MAX_PIXELS
