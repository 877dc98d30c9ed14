"""The tokens that a transcript is made of, each with its probability."""

from collections.abc import Callable, Sequence
from typing import Final

from audio.types import Token

_BROKEN: Final = "\ufffd"
"""What a decoder writes for bytes that are no whole character."""


def spelled(
    numbers: Sequence[int], logprobs: Sequence[float], decode: Callable[[Sequence[int]], str]
) -> tuple[Token, ...]:
    """Return the tokens of these numbers; together they spell the text, without the space before it.

    Tokens that hold only a part of a character become one, with the probability of both.
    """
    tokens: list[Token] = []
    part: list[int] = []
    logprob = 0.0
    for at, number in enumerate(numbers):
        part.append(number)
        logprob += logprobs[at]
        text = decode(part)
        if text and (_BROKEN not in text or at == len(numbers) - 1):
            tokens.append(Token(text if tokens else text.lstrip(), logprob))
            part, logprob = [], 0.0
    return tuple(tokens)
