"""The sentences of a language: Home Assistant's, as far as we can do what they ask for, and our own in configs/."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from hassil.errors import HassilError
from hassil.expression import Expression, Group, ListReference, RuleReference, Sentence, TextChunk
from hassil.intents import Intents
from hassil.parser import ParseError
from hassil.recognize import recognize_all
from hassil.util import normalize_for_matching
from home_assistant_intents import get_intents, get_languages

from assistant.config import CONFIGS
from assistant.reflex.reflex import Slot
from pipeline.errors import ParleyError

SENTENCES: Final = CONFIGS / "sentences"

FROM_HOME_ASSISTANT: Final = frozenset(
    {
        "HassGetCurrentTime",
        "HassGetCurrentDate",
        "HassStartTimer",
        "HassCancelTimer",
        "HassCancelAllTimers",
        "HassTimerStatus",
        "HassPauseTimer",
        "HassUnpauseTimer",
        "HassIncreaseTimer",
        "HassDecreaseTimer",
        # Devices come in here, with the lists that they need below: HassTurnOn, HassLightSet, …
    }
)
"""The intents of home-assistant-intents that somebody handles."""

_LISTS: Final = "timer_"
"""What the names of the lists begin with that these intents may use: sentences about areas and devices are left out."""
_ORDERS: Final = "timer_command"
"""What is to be done when a timer ends: an order to a home."""


class SentencesError(ParleyError):
    """A file of sentences that can't be used; the message names the file and what is wrong."""


class Sentences:
    """The sentences of one language, ready to be matched."""

    def __init__(self, intents: Intents, merged: Mapping[str, Any]) -> None:
        self.language = intents.language
        self.responses: Mapping[str, Mapping[str, str]] = merged["responses"]
        """Templates of answers: by intent, then by name."""
        self.units: dict[str, list[str]] = merged["units"]
        """One of each unit of time, and many of them; and the words for "and" and "or"."""
        self._intents = intents
        self.words = frozenset(_words(intents))
        """Every word that stands in a sentence."""
        _check(intents)

    def matches(self, text: str) -> Iterator[tuple[str, dict[str, Slot]]]:
        """Yield every way to understand `text`: an intent and its slots."""
        for found in recognize_all(text, self._intents, language=self.language):
            yield found.intent.name, {name: _value(each.value) for name, each in found.entities.items()}


def languages() -> frozenset[str]:
    """Return the languages that there are sentences in."""
    return frozenset(get_languages()) | {folder.name for folder in SENTENCES.iterdir() if folder.is_dir()}


def find_language(wanted: str) -> str | None:
    """Return the language of ours that is meant by an ISO 639-1 code or a tag, such as "pt" or "zh-TW"."""
    known = languages()
    exact = {each.casefold(): each for each in known}
    tag = wanted.casefold().replace("_", "-")
    family = tag.split("-")[0]
    return exact.get(tag) or exact.get(family) or {"zh": "zh-CN", "no": "nb", "nn": "nb"}.get(family)


@cache
def sentences(language: str) -> Sentences:
    """Return the sentences of `language`, one of `languages()`. Takes 20 to 100 ms the first time.

    Raises SentencesError when a file of ours is wrong.
    """
    theirs = get_intents(language) or {}
    merged: dict[str, Any] = {
        "language": language,
        "settings": theirs.get("settings", {}),
        "skip_words": list(theirs.get("skip_words", [])),
        "lists": {name: each for name, each in theirs.get("lists", {}).items() if _may_use(name)},
        "expansion_rules": dict(theirs.get("expansion_rules", {})),
        "intents": {},
        "responses": _responses(theirs.get("responses", {})),
        "units": {},
    }
    try:
        rules = _parsed(expansion_rules=merged["expansion_rules"]).expansion_rules
        for name in sorted(FROM_HOME_ASSISTANT & theirs.get("intents", {}).keys()):
            blocks = [_possible(block, rules) for block in theirs["intents"][name]["data"]]
            merged["intents"][name] = {"data": [block for block in blocks if block["sentences"]]}
        for file in sorted((SENTENCES / language).glob("*.yaml")):
            _merge(merged, file)
        return Sentences(Intents.from_dict(merged), merged)
    except (HassilError, ParseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SentencesError(f"The sentences in {SENTENCES / language} can't be used: {error}") from error


def _responses(theirs: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return their answers; where no timer or more than one is meant, they have an error."""
    errors = theirs.get("errors", {})
    alike = {"none": "timer_not_found", "unknown": "timer_not_found", "which": "multiple_timers_matched"}
    timer = {name: errors[error] for name, error in alike.items() if error in errors}
    return dict(theirs.get("intents", {})) | {"Timer": timer}


def _may_use(name: str) -> bool:
    return name.startswith(_LISTS) and name != _ORDERS


def _parsed(**sections: Any) -> Intents:
    return Intents.from_dict({"language": "", "intents": {}} | sections)


def _possible(block: Mapping[str, Any], rules: dict[str, Sentence]) -> dict[str, Any]:
    """Return the block with those sentences that use no list but ours."""
    parsed = _parsed(intents={"each": {"data": [dict(block)]}}).intents["each"].data[0].sentences
    kept = [each.text for each in parsed if all(map(_may_use, each.list_names(rules)))]
    # Where a device or an area is understood from elsewhere, there is none here.
    needs = {"requires_context", "excludes_context"} & block.keys()
    return {"sentences": [] if needs else kept, "slots": block.get("slots", {})}


def _merge(merged: dict[str, Any], file: Path) -> None:
    try:
        ours = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SentencesError(f"{file} isn't valid YAML: {error}") from error
    if not isinstance(ours, dict) or ours.get("language") != merged["language"]:
        raise SentencesError(f'{file} doesn\'t say "language: {merged["language"]}", the folder that it is in.')
    merged["skip_words"] += ours.get("skip_words", [])
    for section in ("lists", "expansion_rules", "units"):
        merged[section] |= ours.get(section, {})
    for intent, body in ours.get("intents", {}).items():
        # Ours come first: what they say of an answer holds where both fit.
        before = merged["intents"].get(intent, {"data": []})["data"]
        merged["intents"][intent] = {"data": body["data"] + before}
    for intent, answers in ours.get("responses", {}).items():
        merged["responses"][intent] = merged["responses"].get(intent, {}) | answers


def _value(value: object) -> Slot:
    return value if isinstance(value, str | int | float) else str(value)


def _check(intents: Intents) -> None:
    """Parse all sentences, which hassil does at the first match only. Raises HassilError for a name that is missing."""
    for expression in _all(intents):
        match expression:
            case ListReference() if expression.list_name not in intents.slot_lists and not expression.is_inline_range:
                raise HassilError(f"there is no list {{{expression.list_name}}}")
            case RuleReference() if expression.rule_name not in intents.expansion_rules:
                raise HassilError(f"there is no rule <{expression.rule_name}>")


def _words(intents: Intents) -> Iterator[str]:
    for expression in _all(intents):
        if isinstance(expression, TextChunk):
            yield from normalize_for_matching(expression.text).text.casefold().split()


def _all(intents: Intents) -> Iterator[Expression]:
    """Yield every expression of every sentence, and of the rules that they use."""
    blocks = [block for intent in intents.intents.values() for block in intent.data]
    waiting = [sentence.expression for block in blocks for sentence in block.sentences]
    used: set[str] = set()
    while waiting:
        expression = waiting.pop()
        yield expression
        if isinstance(expression, Group):
            waiting += expression.items
        elif isinstance(expression, RuleReference) and expression.rule_name not in used:
            used.add(expression.rule_name)
            if (rule := intents.expansion_rules.get(expression.rule_name)) is not None:
                waiting.append(rule.expression)
