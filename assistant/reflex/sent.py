"""What left this machine: what was asked, and who knows it.

The ledger (assistant.privacy.ledger.Ledger) fits `Account`; `handlers(ledger)` plugs it in.
"""

from collections.abc import Mapping
from typing import Protocol

from assistant.reflex.reflex import Handler, Match, Reflex


class Account(Protocol):
    """Knows what left this machine."""

    async def said_today(self, user: str, language: str | None) -> str:
        """Return, to be spoken, what of this user's was sent away today, to whom; changes nothing."""
        ...


def handlers(account: Account) -> Mapping[str, Handler]:
    """Return what answers "what did you send today?"."""

    def sent(match: Match) -> Reflex:
        user, language = match.asker.user, match.language
        return Reflex(match.intent, reads=lambda: account.said_today(user, language))

    return {"SentToday": sent}
