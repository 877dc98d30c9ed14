"""Responses beside the conversation: a client asks the model something that the user's talk shall know nothing of.

They touch no history and never hold the floor: the user's voice doesn't end them, the assistant may reply meanwhile,
and an utterance is heard as ever. Their sound is paced as a reply's is, since a client may well play it; so they have
an echo, too. Only `cancel` ends one before its time.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from pipeline import events
from pipeline.context import Context
from pipeline.conversation import Conversation
from pipeline.echo import EchoGuard
from pipeline.engines import Finish
from pipeline.errors import RequestError, StageError
from pipeline.history import prompt
from pipeline.reply import Reply
from pipeline.response_input import ResponseInput
from pipeline.settings import Settings
from pipeline.turn import Brief, Done, Measured, Reached, Says, Sound, TurnOutput, run_turn

log = logging.getLogger(__name__)

MOST: Final = 4
"""At once: they share two cores with the conversation."""


@dataclass(frozen=True, slots=True)
class _Aside:
    """A response under way."""

    reply: Reply
    task: asyncio.Task[None]


class Asides:
    """The responses of one session that are beside its conversation."""

    def __init__(self, context: Context, conversation: Conversation) -> None:
        self.echo = EchoGuard()
        """Knows the sound that is being sent."""
        self._context = context
        self._conversation = conversation
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
        instructions = settings.instructions if asked.instructions is None else asked.instructions
        chars, retention = settings.max_history_chars, settings.history_retention
        brief = Brief(
            prompt=lambda: prompt(known, instructions, max_chars=chars, retention=retention),
            ready=known.ready,
            apologise=False,  # it isn't the user who waits for it
            output=asked.output or settings.output,
            voice=asked.voice or settings.voice,
            speed=settings.speed,
            max_tokens=asked.max_output_tokens or settings.max_output_tokens,
            temperature=settings.temperature,
        )
        context = self._context
        reply = Reply(context.new_id("resp"), context.new_id("item"), brief.output)
        await context.emit(
            events.ResponseStarted(reply.response_id, reply.item_id, None, reply.output, replace(asked, input=None))
        )
        gate = asyncio.Event()
        gate.set()
        self._numbers -= 1
        task = context.spawn(run_turn(self._numbers, brief, context.engines, gate, context.post))
        self._underway[self._numbers] = _Aside(reply, task)

    async def cancel(self, response_id: str | None) -> bool:
        """Stop the response of this id; False when it is none of these."""
        for number, aside in self._underway.items():
            if aside.reply.response_id == response_id:
                aside.task.cancel()
                await asyncio.wait([aside.task])
                await self._end(number, "cancelled", "client_cancelled")
                return True
        return False

    async def take(self, output: TurnOutput) -> None:
        """Take in what a response produced; of one that was cancelled, nothing."""
        aside = self._underway.get(output.turn)
        if aside is None:
            return
        reply = aside.reply
        match output:
            case Reached():
                pass
            case Measured(clause=clause, seconds=seconds):
                reply.measure(clause, seconds)
            case Says(text=text):
                await self._context.emit(events.ResponseText(reply.response_id, reply.item_id, reply.say(text)))
            case Sound(samples=samples):
                if not self.may_echo(1.0):
                    self.echo.clear()
                self._last_sound = _now()
                reply.send(samples, self._last_sound)
                self.echo.sent(samples)
                await self._context.emit(events.ResponseAudio(reply.response_id, reply.item_id, samples))
            case Done(finish=finish, error=error):
                await self._finish(output.turn, finish, error)
            case _:
                assert_never(output)

    async def _finish(self, number: int, finish: Finish | None, error: StageError | None) -> None:
        if error is not None:
            log.error("A response failed at %s: %s", error.stage, type(error.__cause__).__name__)
            log.debug("%s", error.message, exc_info=error.__cause__)
            await self._end(number, "failed", finish=finish, error=error)
        elif finish is not None and finish.reason == "length":
            await self._end(number, "incomplete", "max_output_tokens", finish=finish)
        else:
            await self._end(number, "completed", finish=finish)

    async def _end(
        self,
        number: int,
        status: Literal["completed", "cancelled", "failed", "incomplete"],
        reason: Literal["client_cancelled", "max_output_tokens"] | None = None,
        *,
        finish: Finish | None = None,
        error: StageError | None = None,
    ) -> None:
        reply = self._underway.pop(number).reply
        item = reply.item("completed" if status == "completed" else "incomplete", _now())
        usage = events.Usage()
        if finish is not None:
            usage = events.Usage(finish.input_tokens, finish.cached_tokens, finish.output_tokens)
        code, message = (None, None) if error is None else (error.code, error.message)
        await self._context.emit(
            events.ResponseEnded(reply.response_id, item, reply.text, status, reason, code, message, usage)
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
