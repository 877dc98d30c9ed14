"""Moonshine's vocabulary: token numbers to text."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_SPACE: Final = "\u2581".encode()
_BYTE: Final = re.compile(rb"<0x([0-9A-Fa-f]{2})>")
_SPECIAL: Final = re.compile(rb"</?[a-z]+>|<<ST_\d+>>")


class Vocabulary:
    """The tokens of a `tokenizer.bin`: byte strings, each behind its length.

    A length takes one byte, or two where the first is 128 or more: low seven bits first. `<0xNN>` stands for one byte
    and U+2581 for a space.
    """

    def __init__(self, file: Path) -> None:
        """Read the file. Raises ValueError, naming it, when it ends in the middle of a token."""
        data = file.read_bytes()
        self._tokens: list[bytes] = []
        at = 0
        while at < len(data):
            size, at = data[at], at + 1
            if size >= 128 and at < len(data):
                size, at = size - 128 + data[at] * 128, at + 1
            if at + size > len(data):
                raise ValueError(f"{file} is cut short in token {len(self._tokens)}. Fetch the model again.")
            self._tokens.append(_piece(data[at : at + size]))
            at += size

    def __len__(self) -> int:
        return len(self._tokens)

    def text(self, tokens: Iterable[int]) -> str:
        """Return what the tokens spell, without the special ones and without space around it."""
        return self.spell(tokens).strip()

    def spell(self, tokens: Iterable[int]) -> str:
        """Return what the tokens spell, with all its space."""
        return b"".join(self._tokens[token] for token in tokens).decode("utf-8", errors="replace")


def _piece(token: bytes) -> bytes:
    if byte := _BYTE.fullmatch(token):
        return bytes.fromhex(byte[1].decode())
    return b"" if _SPECIAL.fullmatch(token) else token.replace(_SPACE, b" ")
