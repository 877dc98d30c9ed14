"""Forgetting everything, said aloud: it is asked back first, and a yes counts right after that question only."""

from collections.abc import Mapping
from typing import Final

from assistant.memory import replies
from assistant.memory.memory import Memory
from assistant.reflex.reflex import Handler, Match, Reflex

_ALL: Final = "everything about me"


def handlers(memory: Memory) -> Mapping[str, Handler]:
    """Return what asks back, and what does it; the sentences are in configs/sentences/LANGUAGE/forgetting.yaml."""

    def everything(match: Match) -> Reflex | None:
        if match.text.rstrip().endswith("?"):
            return None
        if match.said_last == replies.FORGET_ALL:
            return confirm(match)
        user, language = match.asker.user, match.language
        return Reflex(match.intent, reads=lambda: memory.forget(user, _ALL, language))  # it only asks

    def confirm(match: Match) -> Reflex | None:
        user = match.asker.user
        if match.said_last != replies.FORGET_ALL:
            return None
        return Reflex(match.intent, act=lambda: memory.forget_all(user))

    def keep(match: Match) -> Reflex | None:
        return Reflex(match.intent, words=replies.KEPT_ALL) if match.said_last == replies.FORGET_ALL else None

    return {"ForgetEverything": everything, "ConfirmForgetting": confirm, "KeepEverything": keep}
