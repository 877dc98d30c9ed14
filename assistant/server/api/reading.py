"""Reads bodies: JSON and forms, checked against a schema, with OpenAI's errors for what is wrong with them."""

from typing import Any, Final, TypeVar

import pydantic_core
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from assistant.server.api.errors import ApiError, invalid
from assistant.server.wire import check, refuse_unknown

_Model = TypeVar("_Model", bound=BaseModel)

_MOST_FIELDS: Final = 100


async def read_json(request: Request, schema: type[_Model]) -> _Model:
    """Return a JSON body as a `schema`. Raises RequestError."""
    _require(request, "application/json", "a JSON object, with the header Content-Type: application/json")
    try:
        value = pydantic_core.from_json(await request.body(), allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"The body is not valid JSON: {error}.", None, "invalid_json") from None
    if not isinstance(value, dict):
        raise invalid("The body is a JSON object.", None, "invalid_json")
    return _checked(schema, value)


async def read_form(request: Request, schema: type[_Model], file: str) -> tuple[_Model, UploadFile]:
    """Return a form's fields as a `schema`, and the file in the field `file`. `request.close()` removes the file.

    Fields whose name ends in [] are lists. Raises RequestError, and OSError when the file can't be kept on disk.
    """
    _require(request, "multipart/form-data", f"a form (multipart/form-data) with the sound in the field {file!r}")
    try:
        form = await request.form(max_files=1, max_fields=_MOST_FIELDS)
    except HTTPException as error:
        raise invalid(f"The form can't be read: {error.detail}", None, "invalid_form") from None
    upload: UploadFile | None = None
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != file:
                raise invalid(f"There is no file {name!r} here. Send the sound as {file!r}.", name, "unknown_parameter")
            upload = value
        elif name.endswith("[]"):
            fields.setdefault(name.removesuffix("[]"), []).append(value)
        elif name == file:
            raise invalid(f"{file} is a file; it came without a filename.", file)
        else:
            fields[name] = value
    if upload is None:
        raise invalid(f"{file} is required: the sound, as a file.", file, "missing_required_parameter")
    return _checked(schema, fields), upload


def _require(request: Request, kind: str, what: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != kind:
        raise ApiError(415, "unsupported_media_type", f"Send {what}; this is {given or 'of no type'}.")


def _checked(schema: type[_Model], value: dict[str, Any]) -> _Model:
    checked = check(schema, value)
    refuse_unknown(checked, "")
    return checked
