"""Decoding: pictures of every kind come out right, and damage as one error."""

import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.vision.files import halves, jpeg, pixels, plain, written
from vision.frames import SIDE, decode, decode_small
from vision.headers import MAX_PIXELS
from vision.types import PictureError

ORIENTATION = 0x112
BLUE, GREEN, RED = range(3)


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return written(halves(), kind, exif=exif)


def is_red(pixel: np.ndarray) -> bool:
    return bool(pixel[RED] > 200 and pixel[BLUE] < 60)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_comes_out_as_it_went_in(kind: str) -> None:
    picture = decode(written(halves(), kind))
    assert picture.shape == (48, 64, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - pixels(halves())).mean() < 3
    assert decode_small(written(halves(), kind)).shape == (6, 8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "shape", "red"),
    [(1, (48, 64), (4, 32)), (3, (48, 64), (44, 32)), (6, (64, 48), (32, 44)), (8, (64, 48), (32, 4))],
)
def test_it_is_upright(kind: str, orientation: int, shape: tuple[int, int], red: tuple[int, int]) -> None:
    picture = decode(turned(orientation, kind))
    assert picture.shape[:2] == shape
    assert is_red(picture[red])
    assert not is_red(picture[shape[0] - 1 - red[0], shape[1] - 1 - red[1]])


def test_a_cmyk_jpeg_has_its_colours() -> None:
    picture = decode(written(halves().convert("CMYK"), "JPEG", quality=95))
    assert np.abs(picture.astype(int) - pixels(halves())).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_few_colours_or_many_become_three_bytes(mode: str) -> None:
    picture = plain("white").convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = Image.fromarray(np.full((48, 64), 65535, np.uint16))
    found = decode(written(picture, "PNG"))
    assert (found.shape, found.dtype, found.min()) == ((48, 64, 3), np.uint8, 255)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    glass = Image.new(mode, (64, 48), 0)
    glass.paste(Image.new(mode, (64, 24), "black"), (0, 0))
    found = decode(written(glass, "PNG"))
    assert found.shape == (48, 64, 3)
    assert found[4, 32].tolist() == [0, 0, 0]
    assert found[44, 32].tolist() == [255, 255, 255]


def test_sixteen_bits_of_glass_are_white() -> None:
    import cv2  # noqa: PLC0415 - Pillow writes no such picture

    data = cv2.imencode(".png", np.zeros((5, 9, 4), np.uint16))[1].tobytes()
    assert decode(data).tolist() == np.full((5, 9, 3), 255).tolist()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_is_taken(kind: str) -> None:
    data = written(halves(), kind, save_all=True, append_images=[plain("green")] * 3, duration=100)
    picture = decode(data)
    assert is_red(picture[4, 32])
    assert picture[44, 32, BLUE] > 200


@pytest.mark.parametrize(("width", "height"), [(4000, 3000), (1400, 50), (3000, 1), (1, 2600), (1281, 1281)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_is_made_smaller(kind: str, width: int, height: int) -> None:
    picture = decode(written(halves(width, height) if height > 1 else plain("red", width, height), kind))
    assert max(picture.shape) == SIDE
    assert picture.shape[0] == max(1, round(height * SIDE / max(width, height)))
    assert max(decode(written(plain("red", width, height), kind), side=640).shape[:2]) == 640


def test_a_bomb_is_not_unfolded() -> None:
    """50 000 by 50 000 black pixels deflate to a few bytes."""
    rows = zlib.compress(bytes(1_000_000), 9)
    data = bytearray(written(plain("black"), "PNG"))
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    with pytest.raises(PictureError, match="50000 x 50000"):
        decode(bytes(data) + rows)


def test_the_largest_picture_there_may_be_is_read() -> None:
    side = int(MAX_PIXELS**0.5)
    for mode in ("L", "RGBA"):
        picture = decode(written(Image.new(mode, (side, side), "white"), "PNG"))
        assert picture.shape == (SIDE, SIDE, 3)
        assert picture.min() == 255


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.99])
def test_what_is_cut_short_is_told(kind: str, part: float) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8))
    data = written(noise, kind)
    for read in (decode, decode_small):
        with pytest.raises(PictureError, match="cut short") as caught:
            read(data[: int(len(data) * part)])
        assert caught.value.code == "invalid_image"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
@given(data=st.data())
def test_a_jpeg_is_whole_or_an_error(options: dict[str, object], data: st.DataObject) -> None:
    whole = written(halves(96, 96), "JPEG", **options)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(PictureError):
        decode(whole[:end])


FILES = [
    *(written(halves(40, 30), kind) for kind in ("JPEG", "PNG", "WEBP")),
    written(halves(40, 30), "JPEG", progressive=True),
    written(halves(40, 30).convert("CMYK"), "JPEG"),
    written(halves(40, 30).convert("RGBA"), "PNG"),
    written(halves(40, 30), "WEBP", lossless=True),
    turned(6),
    *(written(halves(40, 30), k, save_all=True, append_images=[plain("green", 40, 30)]) for k in ("PNG", "WEBP")),
]


@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6), st.data())
def test_a_damaged_file_is_a_picture_or_an_error(
    whole: bytes, hits: list[tuple[int, int]], data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for place, value in hits:
        damaged[place % len(damaged)] = value
    end = data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))
    for read, axes in ((decode, 3), (decode_small, 2)):
        with suppress(PictureError):
            picture = read(bytes(damaged[:end]))
            assert picture.ndim == axes
            assert picture.size > 0
            assert max(picture.shape) <= SIDE or axes == 2


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 "]))
def test_random_bytes_are_an_error(noise: bytes, start: bytes) -> None:
    with pytest.raises(PictureError):
        decode(start + noise)


def test_a_webcams_picture_is_whole(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    assert decode(jpeg(noise) + b"\0" * 100).shape == (480, 640, 3)  # some cameras fill up their last block
