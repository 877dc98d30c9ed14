"""The errors inside groups of errors."""

from collections.abc import Iterator
from typing import TypeVar

_Error = TypeVar("_Error", bound=BaseException)


def leaves(group: BaseExceptionGroup[_Error]) -> Iterator[_Error]:
    """Yield the errors that a group holds, however deep."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def kinds(group: BaseExceptionGroup[BaseException]) -> str:
    """Name the kinds of these errors: their texts may hold what was said."""
    return ", ".join(sorted({type(error).__name__ for error in leaves(group)}))
