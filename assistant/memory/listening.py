"""Listens in on conversations and notes what was said and heard, without a word to the client or to the pipeline.

A conversation is asked for its messages after each of its events that may have changed them, by its own request for
that; the answer goes no farther than here. So what is noted is the history: of a reply, what was heard.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

from assistant.memory.conversations import Conversations, Message
from assistant.server.life import Conversation, NewConversation
from pipeline import events
from pipeline.engines import Asker, Engines
from pipeline.history import Item
from pipeline.settings import Settings


def listened(begin: NewConversation, conversations: Conversations) -> NewConversation:
    """Return what begins conversations as `begin` does, and keeps them."""

    def begin_listened(
        engines: Engines, settings: Settings, *, new_id: Callable[[str], str], asker: Asker
    ) -> Conversation:
        return _Listened(begin(engines, settings, new_id=new_id, asker=asker), conversations, asker)

    return begin_listened


class _Listened:
    """Stands before a conversation."""

    def __init__(self, conversation: Conversation, conversations: Conversations, asker: Asker) -> None:
        self._conversation = conversation
        self._conversations = conversations
        self._asker = asker
        self._asked: deque[bool] = deque()  # requests for the messages that aren't answered: whether they are ours
        self._asking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._answered = asyncio.Event()
        self._items: tuple[Item, ...] = ()
        self._noted: dict[str, str] = {}  # message ids and their words

    async def run(self) -> None:
        """Own the conversation until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(self._ask())
                await self._conversation.run()
                asking.cancel()
        finally:
            # What is still being said has been heard as far as it was when it was last asked for.
            self._note(self._items)

    async def put(self, request: events.Request) -> None:
        """Ask for something."""
        if isinstance(request, events.RetrieveConversation):
            await self._retrieve(request, ours=False)
        else:
            await self._conversation.put(request)

    async def next_event(self) -> events.Event:
        """Return what happens next, as far as it is the client's business."""
        while True:
            event = await self._conversation.next_event()
            match event:
                case events.ConversationRetrieved(items):
                    if self._asked.popleft():
                        self._take(items)
                        continue
                case (
                    events.ItemAdded()
                    | events.TranscriptCompleted()
                    | events.ResponseText()
                    | events.ResponseEnded()
                    | events.ItemTruncated()
                ):
                    self._changed.set()
                case _:
                    pass
            return event

    async def _ask(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._answered.clear()
            await self._retrieve(events.RetrieveConversation(), ours=True)
            await self._answered.wait()

    async def _retrieve(self, request: events.RetrieveConversation, *, ours: bool) -> None:
        async with self._asking:  # the answers come in the order of the requests
            self._asked.append(ours)
            await self._conversation.put(request)

    def _take(self, items: tuple[Item, ...]) -> None:
        self._items = items
        self._note(tuple(item for item in items if item.status != "in_progress"))
        self._answered.set()

    def _note(self, items: tuple[Item, ...]) -> None:
        """Note what has changed. What was deleted from the conversation stays noted: clients shorten prompts so."""
        messages = [
            Message(item.id, role, item.text)
            for item in items
            if (role := _speaker(item)) is not None and self._noted.get(item.id, "") != item.text
        ]
        if messages and self._conversations.note(self._asker.user, self._asker.session, messages):
            self._noted |= {message.id: message.text for message in messages}


def _speaker(item: Item) -> Literal["user", "assistant"] | None:
    """Return who said it; None for instructions, and for functions' results."""
    return item.role if item.role == "user" or item.role == "assistant" else None  # noqa: PLR1714 - it narrows the type
