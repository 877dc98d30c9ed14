"""What is known about each person: what they asked to be remembered, and what was said, where the owner wants that."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, func, select

from assistant.memory import matching, replies
from assistant.memory.facts import MOST, Embedder, Facts, touch
from assistant.memory.tables import FACT, memories
from assistant.memory.wording import sentence, tidy
from assistant.store.database import Database
from pipeline.errors import ParleyError

log = logging.getLogger(__name__)

EVERYTHING: Final = frozenset(
    "me|everything|all|everything about me|all about me|everything you know|everything you know about me|all you know "
    "about me|what you know about me|all of it|everything i told you|all i told you|all facts|all facts about me".split(
        "|"
    )
)
_MOST_CHARS: Final = 500


class Memory:
    """Remembers, forgets and tells; each answer is what is to be said. Where the store can't be used, that is said.

    Facts are kept as they were said, about the speaker ("my bike is red"), and said back in the second person.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder | None = None,
        *,
        most_relevant: int = 3,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._facts = Facts(database, embedder, now)
        self._by_meaning = embedder is not None
        self._most_relevant = most_relevant

    async def relevant(self, user: str, question: str) -> tuple[str, ...]:
        """Return the facts that bear on the question, as sentences said to the person, the weightiest first.

        "Your bike is red.": the embedded model repeats them so, where it takes "My bike is red." for its own bike.
        """
        if not self._most_relevant:
            return ()
        known = await self._facts.of(user)
        if not known.facts:
            return ()
        found = matching.likenesses(known, question, await self._facts.vector(question))
        facts = matching.relevant(found, most=self._most_relevant, by_meaning=self._by_meaning)
        return tuple(sentence(replies.said_back(fact)) for fact in facts)

    async def remember(self, user: str, fact: str, language: str) -> str:
        """Keep a fact. One that can't be true beside it any more (another birthday of the same person) is forgotten."""
        words = tidy(fact)[:_MOST_CHARS]
        if not words:
            return replies.NOTHING_SAID
        try:
            known = await self._facts.of(user)
            if len(known.facts) >= MOST:
                return replies.FULL
            found = matching.likenesses(known, words, await self._facts.vector(words))
            if matching.same(found, words) is not None:
                return replies.known_already(words, language)
            instead = matching.outdated(found, words)
            await self._facts.add(user, words, language, instead=instead)
        except ParleyError as error:
            return _trouble(error)
        return replies.remembered(words, language, instead=instead is not None)

    async def forget(self, user: str, about: str, language: str) -> str:
        """Forget the fact that is meant; where that isn't sure, or it is everything, ask first.

        Whoever answers `replies.FORGET_ALL` with a yes is given to `forget_all`.
        """
        words = tidy(about)
        try:
            known = await self._facts.of(user)
            if words.casefold() in EVERYTHING:
                return replies.FORGET_ALL if known.facts or await self._messages(user) else replies.NOTHING
            found = matching.likenesses(known, words, await self._facts.vector(words))
            meant = matching.meant(found, words, most=3)
            if meant.fact is not None:
                await self._facts.remove(user, meant.fact)
                return replies.forgotten(meant.fact)
        except ParleyError as error:
            return _trouble(error)
        return replies.which(meant.perhaps) if meant.perhaps else replies.NOTHING_LIKE_IT

    async def forget_all(self, user: str) -> str:
        """Forget everything about a person, for good."""
        try:
            await self.erase(user)
        except ParleyError as error:
            return _trouble(error)
        return replies.FORGOT_ALL

    async def known(self, user: str, language: str) -> str:
        """Say what is known."""
        try:
            return replies.all_known((await self._facts.of(user)).facts, await self._messages(user))
        except ParleyError as error:
            return _trouble(error)

    async def has_facts(self) -> bool:
        """Tell whether anybody's facts are kept."""
        async with self._database.reading() as connection:
            chosen = select(memories.c.id).where(memories.c.role == FACT).limit(1)
            return (await connection.execute(chosen)).first() is not None

    async def erase(self, user: str) -> int:
        """Erase all that is kept of a person, on the disk too, and return how many facts and messages that was."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(memories).where(memories.c.user == user))
            if self._database.is_sqlite:
                await connection.exec_driver_sql("INSERT INTO memory_words(memory_words) VALUES ('rebuild')")
            # A server that has them in memory reads them anew.
            await touch(connection, user)
        await self._database.compact("memories")
        return gone.rowcount

    async def _messages(self, user: str) -> int:
        chosen = select(func.count()).where(memories.c.user == user, memories.c.role != FACT)
        async with self._database.reading() as connection:
            return (await connection.execute(chosen)).scalar_one()


def _trouble(error: ParleyError) -> str:
    log.error("%s", error)
    return replies.TROUBLE
