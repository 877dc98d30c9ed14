"""Pictures that a client shows: data URLs, checked by what is in them and not by what they claim to be.

Only a picture's first bytes are read here. Nothing is fetched: an address would make this machine a way into its own
network for whoever may talk to it.
"""

import re
from typing import Final

from assistant.server.wire import decode_base64
from pipeline.engines import Picture
from pipeline.errors import RequestError
from vision.headers import MAX_BYTES, Header, read_header
from vision.types import PictureError

_DATA_URL: Final = re.compile(r"data:image/(jpeg|jpg|png|webp);base64,")


def picture(url: str | None, detail: str | None, param: str) -> Picture:
    """Return the picture of an `input_image` part. Raises RequestError, naming `param`, for anything else."""
    if url is None:
        raise RequestError("missing_required_parameter", f"{param} is required: a data URL.", param)
    head = _DATA_URL.match(url)
    if head is None:
        raise RequestError("invalid_value", f"{param}: {_no_data_url(url)}", param)
    encoded = url[head.end() :]
    if len(encoded) > MAX_BYTES * 4 / 3 + 4:
        raise RequestError("image_too_large", f"{param}: an image has at most {MAX_BYTES // 2**20} MiB.", param)
    data = decode_base64(encoded, param)
    claimed = head[1].replace("jpg", "jpeg")
    header = _header(data, param)
    if header.kind != claimed:
        message = f"{param} claims to be {claimed.upper()}, but it is {header.kind.upper()}."
        raise RequestError("invalid_image", message, param)
    return Picture(url, "low" if detail == "low" else "high" if detail == "high" else "auto")


def check_frame(data: bytes) -> None:
    """Raise RequestError where a camera's frame isn't a JPEG, PNG or WebP image of a size that can be looked at."""
    _header(data, "payload")


def _header(data: bytes, param: str) -> Header:
    try:
        return read_header(data)
    except PictureError as error:
        raise RequestError(error.code, f"{param}: {error.message}", param) from error


def _no_data_url(url: str) -> str:
    if url.startswith(("http://", "https://")):
        return (
            "an address isn't fetched, since this server reaches nothing outside for a client. Send the image itself, "
            'as "data:image/jpeg;base64,…".'
        )
    return 'an image is a data URL such as "data:image/jpeg;base64,…" with a JPEG, PNG or WebP in it.'
