"""The rows of the conformance matrix: what a client must see, as data.

A driver holds conversations and reports facts; several rows may judge the facts of one conversation.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Facts = dict[str, Any]
Check = Callable[[Facts], str | None]
"""Returns why the facts fall short; None when they don't."""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    conversation: str
    check: Check


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def _no_errors(facts: Facts) -> str | None:
    return f"the client saw an error: {facts['errors'][0]}" if facts["errors"] else None


def _is_heard(facts: Facts) -> str | None:
    return None if facts["sound_s"] > 0.5 else f"only {facts['sound_s']:.1f} s of speech came"


def _has_question(facts: Facts) -> str | None:
    heard = plain(facts["user"] or "")
    return None if "brooklyn bridge" in heard else f"the history has {heard!r} as the user's words"


def _has_answer(facts: Facts) -> str | None:
    return None if plain(facts["assistant"] or "") else "the history has no words of the answer"


def _is_about_france(facts: Facts) -> str | None:
    return None if "paris" in plain(facts["assistant"] or "") else f"the answer was {facts['assistant']!r}"


def _is_interrupted(facts: Facts) -> str | None:
    return None if facts["interrupted"] else "the client did not stop playing"


def _is_truncated(facts: Facts) -> str | None:
    return None if facts["truncated"] else "the message was not truncated"


def _keeps_what_was_heard(facts: Facts) -> str | None:
    said, kept = plain(facts["said"]), plain(facts["kept"] or "")
    if not kept:
        return "nothing of the interrupted answer is left"
    # Where words are made no sooner than they are heard, on a slow machine, all of them have been.
    cut = len(kept) < len(said) or facts["truncated"]
    return None if said.startswith(kept) and cut else f"of {said!r}, {kept!r} is kept"


def _called_once(facts: Facts) -> str | None:
    calls = facts["calls"]
    if len(calls) != 1:
        return f"the tool ran {len(calls)} times"
    named = calls[0]["name"] == "get_weather" and "paris" in calls[0]["arguments"].lower()
    return None if named else f"the call was {calls[0]}"


def _uses_result(facts: Facts) -> str | None:
    answer = plain(facts["assistant"] or "")
    if not facts["calls"]:
        return "there was no call"
    return None if re.search(r"\b21\b|twenty one", answer) else f"the answer was {answer!r}"


def _keeps_image(facts: Facts) -> str | None:
    return None if facts["kept"] else "the image is not in the conversation"


def _is_cancelled(facts: Facts) -> str | None:
    return None if facts["cancelled"] and facts["stopped"] else "the answer went on"


def _is_correlated(facts: Facts) -> str | None:
    return None if facts["event_id"] == facts["expected"] else f"the error names the event {facts['event_id']!r}"


def _connects_twice(facts: Facts) -> str | None:
    return None if facts["connections"] == 2 else "the second connection is not a session of its own"


def every(*checks: Check) -> Check:
    """Return a check that holds when all of these do."""
    return lambda facts: next((why for check in checks if (why := check(facts)) is not None), None)


ROWS = (
    Row("connects and configures its session", "spoken", _no_errors),
    Row("a spoken question is answered with speech", "spoken", _is_heard),
    Row("the user's words are in the client's history", "spoken", _has_question),
    Row("the answer's words are in the client's history", "spoken", _has_answer),
    Row("push to talk: the client commits and asks", "push_to_talk", every(_has_question, _is_heard, _no_errors)),
    Row("barge-in: the client is told to stop playing", "barge_in", _is_interrupted),
    Row("barge-in: the message is truncated", "barge_in", every(_is_truncated, _no_errors)),
    Row("barge-in: the history keeps what was heard", "barge_in", _keeps_what_was_heard),
    Row("barge-in: the interruption is answered", "barge_in", _has_answer),
    Row("a typed question is answered", "typed", every(_is_about_france, _no_errors)),
    Row("a function tool is called exactly once", "tool", every(_called_once, _no_errors)),
    Row("the answer uses the tool's result", "tool", _uses_result),
    Row("an image is taken into the conversation", "image", every(_keeps_image, _has_answer, _no_errors)),
    Row(
        "cancelling stops the answer; the next one comes", "cancel", every(_is_cancelled, _is_about_france, _no_errors)
    ),
    Row("an error names the event at fault; the session goes on", "error", every(_is_correlated, _is_about_france)),
    Row("connects again after closing", "reconnect", every(_connects_twice, _has_answer, _no_errors)),
)
CONVERSATIONS = tuple(dict.fromkeys(row.conversation for row in ROWS))
