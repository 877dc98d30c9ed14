"""Calls that the user has to allow: what becomes of them once they have said so.

They may take their time, and talk of other things meanwhile: nobody holds the floor for that. What came of the call is
said as soon as nobody speaks.
"""

from dataclasses import replace

from pipeline import events
from pipeline.context import CarriedOut, Context
from pipeline.conversation import Conversation
from pipeline.history import Approval, RemoteCall
from pipeline.remote_calls import denied, over
from pipeline.tool_servers import ToolFailure, failure_of


class Approvals:
    """The calls of one session that wait for the user, or were allowed."""

    def __init__(self, context: Context, conversation: Conversation) -> None:
        self.lead_on = False
        """Something has come of one, and the model hasn't said so yet."""
        self._context = context
        self._conversation = conversation

    async def decide(self, approval: Approval) -> None:
        """Have the call carried out, or not; the approval stands in the history."""
        item = self._conversation.history.waiting(approval.request_id)
        assert item is not None
        assert item.remote is not None
        if not approval.approves:
            await self.take(CarriedOut(item.id, denied(approval.reason)))
            return
        call = replace(item.remote, waits=False)
        item = replace(item, parts=(call,))
        self._conversation.history.replace(item)
        await self._context.emit(events.RemoteRuns(item))
        self._context.spawn(self._carry_out(item.id, call))

    async def _carry_out(self, item_id: str, call: RemoteCall) -> None:
        outcome: str | ToolFailure
        try:
            outcome = await self._context.engines.tools.call(call.tool.server, call.tool.name, call.call.arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the model is told, and goes on
            outcome = failure_of(error)
        await self._context.post(CarriedOut(item_id, outcome))

    async def take(self, done: CarriedOut) -> None:
        """Take in what came of a call; one that the client has deleted meanwhile is of no interest."""
        if done.item_id not in self._conversation.history:
            return
        item = over(self._conversation.history.get(done.item_id), done.outcome)
        self._conversation.history.replace(item)
        self.lead_on = True
        await self._context.emit(events.RemoteReturned(None, item))
