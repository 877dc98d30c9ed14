"""The calls of one response that the session has carried out, and how often its answer may go on after them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pipeline.engines import Toolbox, ToolCall
from pipeline.history import ApprovalRequest, Item, RemoteCall, call_item
from pipeline.tool_servers import ToolFailure

MOST_ROUNDS: Final = 4
"""Responses in a row that may call; the one after them has to do with what is known by then."""
_CANCELLED: Final = ToolFailure("tool_execution_error", "It was cancelled before it was done.")
_DENIED: Final = "The user didn't allow it"


class RemoteCalls:
    """Those of one response; `rounds` responses before it have led to it."""

    def __init__(self, toolbox: Toolbox, rounds: int = 0) -> None:
        self._toolbox = toolbox
        self.rounds = rounds
        self.items: dict[str, Item] = {}
        """All that the response has called or asked for, as it stood last."""
        self._running: dict[int, str] = {}  # the ids of the items, by the number of the call within the turn
        self._returned = 0
        self._client_runs = False

    def call(self, number: int, call: ToolCall, new_id: Callable[[str], str]) -> list[Item]:
        """Return the items that the model's call `number` becomes."""
        item = call_item(call, new_id)
        tool = self._toolbox.remote(call.name)
        if tool is None:
            self._client_runs = True
            made = [item]
        else:
            assert item.call is not None
            remote = RemoteCall(item.call, tool)
            made = [replace(item, parts=(remote,), status="in_progress")]
            if tool.asks:
                request = Item(new_id("mcpr"), "assistant", (ApprovalRequest(tool, call.arguments),))
                made = [replace(made[0], parts=(replace(remote, request_id=request.id, waits=True),)), request]
            else:
                self._running[number] = item.id
        self.items |= {each.id: each for each in made}
        return made

    def returned(self, number: int, outcome: str | ToolFailure) -> Item:
        """Return the call's item with what came of it."""
        self._returned += 1
        return self._over(number, outcome)

    def cancel(self) -> list[Item]:
        """Give up what runs, and return the items that say so."""
        return [self._over(number, _CANCELLED) for number in list(self._running)]

    def _over(self, number: int, outcome: str | ToolFailure) -> Item:
        item = over(self.items[self._running.pop(number)], outcome)
        self.items[item.id] = item
        return item

    @property
    def lead_on(self) -> bool:
        """Whether the model is to go on by itself: something has returned, and the client has nothing to run."""
        return self._returned > 0 and not self._client_runs and self.rounds < MOST_ROUNDS

    def next_toolbox(self, asked: Toolbox | None = None) -> Toolbox:
        """Return what the response may call that goes on from here: nothing is forced a second time.

        `asked` is what the client wants it to be.
        """
        toolbox = asked or replace(self._toolbox, choice="none" if self._toolbox.choice == "none" else "auto")
        return toolbox if self.rounds + 1 < MOST_ROUNDS else replace(toolbox, choice="none")


def over(item: Item, outcome: str | ToolFailure) -> Item:
    """Return the item of a call with what came of it."""
    call = item.remote
    assert call is not None
    if isinstance(outcome, ToolFailure):
        call = replace(call, failure=outcome, waits=False)
    else:
        call = replace(call, output=outcome, waits=False)
    return replace(item, parts=(call,), status="completed" if call.failure is None else "incomplete")


def denied(reason: str | None) -> ToolFailure:
    """Return what has become of a call that the user didn't allow."""
    return ToolFailure("tool_execution_error", f"{_DENIED}: {reason}" if reason else f"{_DENIED}.")
