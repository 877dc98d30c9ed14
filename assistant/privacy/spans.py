"""A piece of a text that is personal: where it stands, of what kind it is, and what it stands for."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What is personal. The values are the words of the placeholders."""

    IBAN = "IBAN"
    CARD = "CARD"
    EMAIL = "EMAIL"
    ADDRESS = "ADDRESS"
    PHONE = "PHONE"
    PERSON = "PERSON"
    LITERAL = "LITERAL"
    """What looks like one of our placeholders in the text itself."""


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` is of this kind. Two spans of the same `kind` and `key` stand for the same thing."""

    kind: Kind
    start: int
    end: int
    key: str


# Of two that overlap, the one whose kind stands first holds both: what is surest stands first.
_ORDER: Final = (Kind.LITERAL, Kind.EMAIL, Kind.IBAN, Kind.CARD, Kind.ADDRESS, Kind.PHONE, Kind.PERSON)


def disjoint(spans: list[Span], text: str) -> list[Span]:
    """Return the spans in the order of the text, those that overlap joined: nothing that was found is left bare."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not joined or span.start >= joined[-1].end:
            joined.append(span)
            continue
        last = joined[-1]
        best = min(last, span, key=lambda one: _ORDER.index(one.kind))
        end = max(last.end, span.end)
        whole = (best.start, best.end) == (last.start, end)
        key = best.key if whole else re.sub(r"\W+", " ", text[last.start : end]).casefold()
        joined[-1] = Span(best.kind, last.start, end, key)
    return joined
