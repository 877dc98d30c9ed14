"""Finds the reflex that a transcript asks for, if it surely asks for one."""

import logging
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Final

from assistant.reflex import clock, units
from assistant.reflex.mishearings import Mishearings
from assistant.reflex.reflex import Handler, Match, Reflex, Slot
from assistant.reflex.responses import prepare
from assistant.reflex.sentences import SENTENCES, Sentences, SentencesError, find_language, sentences
from pipeline.engines import Asker

logger = logging.getLogger(__name__)

_ENGLISH: Final = "en"
_HYPHEN: Final = re.compile(r"\bto-(?=(?:day|night|morrow)\b)", re.IGNORECASE)
"""Moonshine writes "to-day" now and then."""
_POLITE: Final = re.compile(r"(?:[\s,.!]+(?:please|thanks|thank you|for me))+[\s.!?]*$", re.IGNORECASE)
"""Where a sentence ends in any words, hassil takes these for some of them."""
_MOST_CHARS: Final = 300
"""No command is longer; it bounds the time that is spent on any text."""
_WARMING: Final = (
    "What time is it in Paris?",
    "Convert two miles to feet.",
    "set a tymer for 5 mintues",
    "stop",
    "Cancel it",
)


class Reflexes:
    """Matches transcripts against the sentences of their language, and of English.

    A sentence of an intent that nobody handles is no command. `warm` loads English; another language's sentences are
    loaded aside, a fraction of a second, when it is first heard, and understood from then on.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._loader = ThreadPoolExecutor(1, "sentences")
        self._loading: dict[str, Future[Sentences | None]] = {}

    def warm(self, *languages: str) -> None:
        """Load the sentences of these languages (ISO 639-1), and all else that the first match would wait for.

        Raises SentencesError where English can't be used; of another language, that is logged.
        """
        self.load(_ENGLISH, *languages)
        for loading in self._loading.values():
            loading.result()
        units.warm()
        clock.warm()
        prepare(_ENGLISH)
        for text in _WARMING:
            self.match(text, language=_ENGLISH, asker=Asker(), said_last="")

    def load(self, *languages: str) -> None:
        """Begin to load the sentences of these languages (ISO 639-1), aside."""
        for language in filter(None, map(find_language, languages)):
            self._sentences(language)

    def close(self) -> None:
        """Let go of the thread that loads sentences."""
        self._loader.shutdown(cancel_futures=True)

    def match(self, text: str, *, language: str | None, asker: Asker, said_last: str) -> Reflex | None:
        """Return what `text` asks for, None where that isn't sure. Changes nothing, and takes a few milliseconds.

        `language` is ISO 639-1, None where it isn't known; `said_last` is the assistant's last message.
        """
        text = _HYPHEN.sub("to", text.strip().replace("’", "'"))
        if not text or len(text) > _MOST_CHARS:
            return None
        wanted = find_language(language) if language else None
        # A word or two are often taken for another language's.
        for each in dict.fromkeys((wanted or _ENGLISH, _ENGLISH)):
            if (spoken := self._sentences(each)) is None:
                continue
            for reading in _readings(text, spoken):
                for intent, slots in _ranked(spoken.matches(reading)):
                    handler = self._handlers.get(intent)
                    match = Match(intent, slots, reading, each, asker, said_last)
                    reflex = None if handler is None else handler(match)
                    if reflex is not None:
                        return reflex
        return None

    def _sentences(self, language: str) -> Sentences | None:
        """Return the sentences where they are loaded; where they aren't, begin to load them."""
        if language not in self._loading:
            self._loading[language] = self._loader.submit(self._loaded, language)
        loading = self._loading[language]
        return loading.result() if loading.done() else None

    def _loaded(self, language: str) -> Sentences | None:
        try:
            return sentences(language)
        except SentencesError as error:
            if language == _ENGLISH:
                raise
            logger.warning("%s Nothing is a reflex in this language.", error)
            return None


def _readings(text: str, spoken: Sentences) -> Iterator[str]:
    yield text
    if spoken.language == _ENGLISH:
        if (plain := _POLITE.sub("", text)) not in {text, ""}:
            yield plain
        yield from _mishearings().readings(plain or text)


@cache
def _mishearings() -> Mishearings:
    real = (SENTENCES / _ENGLISH / "lookalikes.txt").read_text(encoding="utf-8").split()
    return Mishearings(sentences(_ENGLISH).words, real)


def _ranked(matches: Iterator[tuple[str, dict[str, Slot]]]) -> list[tuple[str, dict[str, Slot]]]:
    """Put those first that leave the fewest words to wildcards: the more of a sentence is known, the surer it is."""
    return sorted(matches, key=lambda match: sum(len(slot) for slot in match[1].values() if isinstance(slot, str)))
