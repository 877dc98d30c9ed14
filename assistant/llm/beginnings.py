"""What a language model made of the beginning of all conversations, kept from one start of the program to the next.

To read a system message takes one or two seconds of a start; what comes of it, llama.cpp's keys and values, are two to
five megabytes that are read from disk in no time.
"""

import hashlib
import importlib.metadata
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assistant.files import write_whole
from pipeline.engines import ChatMessage

log = logging.getLogger(__name__)

_DIGEST_BYTES: Final = hashlib.sha256().digest_size


class Beginning:
    """The one beginning of a model that is kept in `folder`, for its owner's eyes only: it may say who they are."""

    def __init__(self, folder: Path, model: Path, messages: Sequence[ChatMessage]) -> None:
        about = model.stat()
        of = [
            str(model.absolute()),
            about.st_size,
            about.st_mtime_ns,
            importlib.metadata.version("xllamacpp"),
            [(message.role, message.content) for message in messages],
        ]
        self._folder = folder
        # Named by the file alone, so that what other instructions led to is replaced.
        self._file = folder / hashlib.sha256(str(model.absolute()).encode()).hexdigest()[:16]
        self._of = hashlib.sha256(json.dumps(of).encode()).digest()

    def fetch(self, target: Path) -> bool:
        """Write what is kept to `target`, and tell whether it is whole and of this model and these messages."""
        try:
            kept = self._file.read_bytes()
            content = kept[2 * _DIGEST_BYTES :]
            if kept[: 2 * _DIGEST_BYTES] != self._of + hashlib.sha256(content).digest():
                return False
            target.write_bytes(content)
        except OSError:
            return False
        return True

    def keep(self, source: Path) -> None:
        """Keep what is in `source`. On a disk that can't take it, nothing is kept, and nothing else happens."""
        try:
            content = source.read_bytes()
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, self._of + hashlib.sha256(content).digest() + content, 0o600)
        except OSError as error:
            log.info("What the language model read can't be kept for the next start: %s", error.strerror)
