"""Memory said aloud: through the reflexes' own sentences."""

import asyncio
from pathlib import Path

from assistant.memory import forgetting, replies
from assistant.memory.memory import Memory
from assistant.reflex import memory as said_aloud
from assistant.reflex.reflexes import Reflexes
from assistant.store.database import Database
from pipeline.engines import Asker


class Talk:
    """Says things, and hears what is answered."""

    def __init__(self, memory: Memory) -> None:
        self._reflexes = Reflexes({**said_aloud.handlers(memory), **forgetting.handlers(memory)})
        self._reflexes.warm()
        self.last = ""

    async def say(self, text: str) -> str | None:
        found = self._reflexes.match(text, language="en", asker=Asker(user="ann"), said_last=self.last)
        if found is None:
            return None
        parts = [found.words, await found.reads() if found.reads else None, await found.act() if found.act else None]
        self.last = " ".join(filter(None, parts))
        return self.last

    def close(self) -> None:
        self._reflexes.close()


def test_a_memory_is_made_told_and_forgotten_aloud(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/parley.db") as database:
            talk = Talk(Memory(database))
            try:
                said = await talk.say("Remember that my sister's birthday is the 3rd of May.")
                assert said == "I'll remember that your sister's birthday is the 3rd of May."
                assert await talk.say("What do you know about me?") == "Your sister's birthday is the 3rd of May."
                assert await talk.say("Yes.") is None
                assert await talk.say("Forget everything you know about me.") == replies.FORGET_ALL
                assert await talk.say("No, don't.") == replies.KEPT_ALL
                assert await talk.say("Yes, please.") is None
                assert await talk.say("Forget everything about me.") == replies.FORGET_ALL
                assert await talk.say("Yes.") == replies.FORGOT_ALL
                assert await talk.say("What do you know about me?") == replies.NOTHING
                assert await talk.say("Forget everything about me.") == replies.NOTHING
                assert await talk.say("Did you forget everything?") is None
            finally:
                talk.close()

    asyncio.run(main())
