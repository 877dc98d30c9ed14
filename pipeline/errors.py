"""What can go wrong in a conversation.

ParleyError
├── StageError      one stage of a turn failed; the session goes on
└── RequestError    a client asked for something that can't be done; nothing changed
"""

from enum import StrEnum


class Stage(StrEnum):
    """The stages of a turn, in their order."""

    TRANSCRIBE = "transcribe"
    LOOK = "look"
    THINK = "think"
    SPEAK = "speak"


class ParleyError(Exception):
    """The root of every error that Parley raises on purpose."""


class StageError(ParleyError):
    """A stage of a turn failed. Raised once per stage, `from` the engine's own error."""

    def __init__(self, stage: Stage, code: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.code = code
        self.message = message


def failed(stage: Stage, sentence: str, cause: Exception) -> StageError:
    """Return the error that says that `stage` failed for this cause."""
    error = StageError(stage, f"{stage}_failed", f"{sentence}: {type(cause).__name__}: {cause}")
    error.__cause__ = cause
    return error


class RequestError(ParleyError):
    """A client's request that can't be carried out; `param` names the field at fault."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
