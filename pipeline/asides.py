"""Responses beside the conversation: a client asks the model something that the user's talk shall know nothing of.

They touch no history and never hold the floor: the user's voice doesn't end them, the assistant may reply meanwhile,
and an utterance is heard as ever. Their sound is paced as a reply's is, since a client may well play it; so they have
an echo, too. Only `cancel` ends one before its time.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final, assert_never

from pipeline import events
from pipeline.briefs import requested
from pipeline.context import Context
from pipeline.conversation import Conversation
from pipeline.echo import EchoGuard
from pipeline.errors import RequestError
from pipeline.gate import Gate
from pipeline.history import call_item
from pipeline.outcome import Outcome, outcome
from pipeline.remote_tools import own
from pipeline.reply import Reply
from pipeline.response_input import ResponseInput
from pipeline.seeing import Seeing
from pipeline.settings import Settings
from pipeline.turn import Bridges, Calls, Done, Goes, Measured, Reached, Returned, Says, Sound, TurnOutput, run_turn

MOST: Final = 4
"""At once: they share two cores with the conversation."""


@dataclass(frozen=True, slots=True)
class _Aside:
    """A response under way."""

    reply: Reply
    task: asyncio.Task[None]


class Asides:
    """The responses of one session that are beside its conversation."""

    def __init__(self, context: Context, conversation: Conversation, seeing: Seeing) -> None:
        self.echo = EchoGuard()
        """Knows the sound that is being sent."""
        self._context = context
        self._conversation = conversation
        self._seeing = seeing
        self._underway: dict[int, _Aside] = {}  # by the numbers of their turns, which are negative: a reply's are not
        self._numbers = 0
        self._last_sound = float("-inf")

    def may_echo(self, within_s: float) -> bool:
        """Tell whether the microphone may hear one: its sound was sent less than `within_s` ago."""
        return _now() - self._last_sound < within_s

    async def respond(self, asked: events.CreateResponse, settings: Settings) -> None:
        """Begin one. Raises RequestError when there are too many, or the input refers to what isn't there."""
        if len(self._underway) >= MOST:
            message = f"There are {MOST} responses beside the conversation already: wait for one to end, or cancel it."
            raise RequestError("too_many_responses", message)
        known = ResponseInput(asked.input, self._conversation, self._context, settings)
        context = self._context
        asker = self._conversation.asker(settings, context.new_id("resp"))
        brief = requested(asked, known, settings, asker)
        # It isn't the user who waits; and what the conversation knows nothing of has nothing carried out.
        brief = replace(brief, ready=known.ready, apologise=False, toolbox=own(brief.toolbox), view=self._seeing.view())
        may_call = brief.toolbox.may_call
        reply = Reply(asker.turn, context.new_id("item"), brief.output, may_call=may_call)
        reply.begun = not may_call
        item_id = reply.item_id if reply.begun else None
        await context.emit(
            events.ResponseStarted(reply.response_id, item_id, None, reply.output, replace(asked, input=None))
        )
        gate = Gate()
        gate.commit()
        gate.open()
        self._numbers -= 1
        task = context.spawn(run_turn(self._numbers, brief, context.engines, gate, context.post))
        self._underway[self._numbers] = _Aside(reply, task)

    async def cancel(self, response_id: str | None) -> bool:
        """Stop the response of this id; False when it is none of these."""
        for number, aside in self._underway.items():
            if aside.reply.response_id == response_id:
                aside.task.cancel()
                await asyncio.wait([aside.task])
                await self._end(number, Outcome("cancelled", "client_cancelled"))
                return True
        return False

    async def take(self, output: TurnOutput) -> None:
        """Take in what a response produced; of one that was cancelled, nothing."""
        aside = self._underway.get(output.turn)
        if aside is None:
            return
        reply = aside.reply
        match output:
            case Reached() | Returned():
                pass
            case Goes(routed=routed):
                await self._context.emit(events.ResponseRouted(reply.response_id, routed))
            case Measured(clause=clause, seconds=seconds):
                reply.measure(clause, seconds)
            case Says(text=text):
                await self._say(reply, text)
            case Bridges(text=text):
                await self._bridge(reply, text)
            case Calls(call=call):
                item = call_item(call, self._context.new_id)
                await self._context.emit(events.ToolCalled(reply.response_id, item, None))
            case Sound(samples=samples):
                if not self.may_echo(1.0):
                    self.echo.clear()
                self._last_sound = _now()
                reply.send(samples, self._last_sound)
                self.echo.sent(samples)
                await self._context.emit(events.ResponseAudio(reply.response_id, reply.item_id, samples))
            case Done():
                await self._end(output.turn, outcome(output))
            case _:
                assert_never(output)

    async def _say(self, reply: Reply, text: str) -> None:
        await self._have_message(reply)
        await self._context.emit(events.ResponseText(reply.response_id, reply.item_id, reply.say(text)))

    async def _bridge(self, reply: Reply, text: str) -> None:
        await self._have_message(reply)
        at_s = reply.bridge(text)
        await self._context.emit(events.ResponseBridged(reply.response_id, reply.item_id, text, at_s))

    async def _have_message(self, reply: Reply) -> None:
        if not reply.begun:
            reply.begun = True
            await self._context.emit(events.MessageStarted(reply.response_id, reply.item_id, None))

    async def _end(self, number: int, outcome: Outcome) -> None:
        reply = self._underway.pop(number).reply
        await self._context.emit(outcome.told(reply, outcome.item(reply, _now())))


def _now() -> float:
    return asyncio.get_running_loop().time()
