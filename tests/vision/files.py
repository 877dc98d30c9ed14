"""Picture files: made up on the spot, or a photo's own."""

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

from tests.vision.pictures import IMAGES
from vision.types import Pixels


def photo_file(name: str) -> bytes:
    """The file of a photo, by its name."""
    return (IMAGES / name).read_bytes()


def written(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture as a file of that kind."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def jpeg(picture: Pixels, quality: int = 85) -> bytes:
    """What a camera sends."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def plain(colour: str, width: int = 64, height: int = 48) -> Image.Image:
    """One colour."""
    return Image.new("RGB", (width, height), colour)


def halves(width: int = 64, height: int = 48) -> Image.Image:
    """Red above, blue below: shows which way is up."""
    picture = plain("red", width, height)
    picture.paste(plain("blue", width, height // 2), (0, height // 2))
    return picture


def pixels(picture: Image.Image) -> Pixels:
    """A picture as OpenCV has it."""
    return np.asarray(picture.convert("RGB"))[:, :, ::-1].copy()
