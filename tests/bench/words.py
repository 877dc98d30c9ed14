"""Compares what was recognised with what was said, word by word."""

import re
from collections.abc import Sequence

_TO_TWELVE = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_TEENS = ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SAME = {
    **{str(number): word for number, word in enumerate([*_TO_TWELVE, *_TEENS])},
    **{str(number): word for number, word in zip(range(20, 100, 10), _TENS, strict=True)},
    "oz": "ounce",
    "ounces": "ounce",
    "metres": "meters",
    "ok": "okay",
}


def normalise(text: str) -> list[str]:
    """Return the words in one spelling: lower case, no punctuation, numbers in words."""
    text = re.sub(r"(\d)([a-z])", r"\1 \2", text.lower().replace("'", "").replace("’", ""))
    return [_SAME.get(word, word) for word in re.sub(r"[\W_]+", " ", text).split()]


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many words must be changed, added or left out to get from one to the other."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said, 1):
        diagonal, row[0] = row[0], at
        for to, other in enumerate(heard, 1):
            diagonal, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, diagonal + (word != other))
    return row[-1]
