"""The tools that a session's servers have: finding out which, and what the model calls them.

A server is asked as soon as the settings name it, beside the conversation; until it has answered, the model answers
without its tools. What it said holds for the session; one that failed is asked again when the settings name it again.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline import events
from pipeline.context import Context, Listed
from pipeline.conversation import Conversation
from pipeline.engines import NamedTool, RemoteChoice, Tool, Toolbox, ToolChoice
from pipeline.history import Item, ToolList
from pipeline.tool_servers import ListedTool, RemoteTool, ToolFailure, ToolServer, failure_of

_LONGEST: Final = 64
"""Letters of a name: what models are used to, and what the protocol allows for functions."""


@dataclass(slots=True)
class _Listing:
    item: Item
    tools: tuple[ListedTool, ...] | None = None
    """None until the server has answered."""
    failed: bool = False


class RemoteTools:
    """What the servers of one session have."""

    def __init__(self, context: Context, conversation: Conversation) -> None:
        self._context = context
        self._conversation = conversation
        self._listings: dict[ToolServer, _Listing] = {}

    async def find_out(self, servers: Iterable[ToolServer]) -> None:
        """Ask those that haven't been asked yet, or have failed."""
        for server in servers:
            known = self._listings.get(server)
            if known is not None and not known.failed:
                continue
            item = Item(self._context.new_id("item"), "system", (ToolList(server.label),), "in_progress")
            self._listings[server] = _Listing(item)
            previous = self._conversation.history.add(item)
            await self._context.emit(events.ItemAdded(item, previous))
            await self._context.emit(events.ToolsAsked(item.id))
            self._context.spawn(self._ask(server))

    async def _ask(self, server: ToolServer) -> None:
        tools: tuple[ListedTool, ...] | ToolFailure
        try:
            tools = await self._context.engines.tools.tools(server)
        except Exception as error:  # noqa: BLE001 - whatever it is, the conversation goes on
            tools = failure_of(error)
        await self._context.post(Listed(server, tools))

    async def take(self, listed: Listed) -> None:
        """Take in what a server answered."""
        listing = self._listings[listed.server]
        failure = listed.tools if isinstance(listed.tools, ToolFailure) else None
        tools = listed.tools if not isinstance(listed.tools, ToolFailure) else ()
        listing.tools, listing.failed = tools, failure is not None
        item = replace(listing.item, parts=(ToolList(listed.server.label, tools),), status="completed")
        self._conversation.history.replace(item)
        await self._context.emit(events.ToolsListed(item, failure))

    def toolbox(self, own: Toolbox, servers: Sequence[ToolServer]) -> Toolbox:
        """Return what the model may call: the client's own functions, and what is known of the servers' tools."""
        listings = [(server, self._listings.get(server)) for server in servers]
        listed = [(server, tool) for server, listing in listings if listing for tool in listing.tools or ()]
        return chosen(replace(own, tools=named(own.tools, listed)))


def named(own: Sequence[Tool], listed: Sequence[tuple[ToolServer, ListedTool]]) -> tuple[Tool, ...]:
    """Return all tools, with names that differ.

    A function keeps its name. A server's tool keeps its own, as far as models can write it, where nothing else is
    called that; otherwise its server's label comes before it, and a number after it if even that is taken.
    """
    plain = [_writable(tool.name) for _, tool in listed]
    taken = {tool.name for tool in own}
    shared = {name for name in plain if name in taken or plain.count(name) > 1}
    taken |= set(plain) - shared
    tools = list(own)
    for (server, tool), short in zip(listed, plain, strict=True):
        name = short if short not in shared else _free(_writable(f"{server.label}__{tool.name}"), taken)
        taken.add(name)
        remote = RemoteTool(server, tool.name, tool.asks)
        tools.append(Tool(name, tool.description, tool.parameters, remote))
    return tuple(tools)


def _writable(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:_LONGEST] or "_"


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: _LONGEST - len(str(number)) - 1]}_{number}"
    return free


def chosen(toolbox: Toolbox) -> Toolbox:
    """Return the same toolbox with a choice that a model understands, where one among the servers' tools was made.

    What isn't there (yet) can't be forced.
    """
    choice = toolbox.choice
    if not isinstance(choice, RemoteChoice):
        return toolbox
    meant = [
        tool
        for tool in toolbox.tools
        if tool.remote and tool.remote.server.label == choice.label and choice.name in (None, tool.remote.name)
    ]
    if not meant:
        return replace(toolbox, choice="auto")
    known: ToolChoice = NamedTool(meant[0].name) if len(meant) == 1 else "required"
    return replace(toolbox, tools=toolbox.tools if len(meant) == 1 else tuple(meant), choice=known)


def own(toolbox: Toolbox) -> Toolbox:
    """Return only what the client runs itself."""
    tools = tuple(tool for tool in toolbox.tools if tool.remote is None)
    choice = toolbox.choice
    if isinstance(choice, RemoteChoice) or (isinstance(choice, NamedTool) and toolbox.remote(choice.name)):
        choice = "auto"
    return replace(toolbox, tools=tools, choice=choice)
