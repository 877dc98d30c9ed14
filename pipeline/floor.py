"""The turns of a session, and which of them has the floor.

One turn may be prepared in a pause, unknown to anybody; one may be committed and wait, for its words or for the reply
before it; one may reply. A turn moves from the first place to the last or is stopped on its way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from audio.types import INPUT_RATE, Samples
from pipeline import events, turn_taking
from pipeline.context import Context
from pipeline.conversation import Conversation
from pipeline.engines import Finish, Transcript
from pipeline.errors import RequestError, StageError
from pipeline.history import Item, Spoken, prompt
from pipeline.reply import Moments, Reply
from pipeline.settings import Settings
from pipeline.turn import Brief, Done, Measured, Reached, Says, Sound, TurnOutput, Words, run_turn

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """A turn under way."""

    number: int
    brief: Brief
    settings: Settings
    item_id: str | None
    """The user's message that it answers; None when the client asked for an answer."""
    moments: Moments
    reply: Reply
    committed: asyncio.Event
    task: asyncio.Task[None]
    words: Transcript | StageError | None = None

    async def stop(self) -> None:
        """Cancel, then wait until it is over."""
        self.task.cancel()
        await asyncio.wait([self.task])


class Floor:
    """Who speaks for the assistant, and when."""

    def __init__(
        self, context: Context, conversation: Conversation, step: Callable[[turn_taking.Input], Awaitable[None]]
    ) -> None:
        self._context = context
        self._conversation = conversation
        self._step = step  # tells the turn-taker what became of a reply
        self._numbers = 0
        self._ahead: _Turn | None = None  # prepared in a pause: nobody knows of it yet
        self._waiting: _Turn | None = None  # committed; waits for its words, or for the reply before it
        self._replying: _Turn | None = None  # has the floor

    @property
    def taken(self) -> bool:
        """Whether a reply is under way or sure to come."""
        return self._replying is not None or self._waiting is not None

    # --- An utterance on its way ---

    def prepare(self, item_id: str, audio: Samples, voice_end: float, settings: Settings) -> None:
        """Begin to answer an utterance that may be over, unheard. `voice_end` is a moment of the loop's clock."""
        # It is answered from what was said before it, even if it stands in the history itself by then.
        known = tuple(self._conversation.history)
        brief = replace(
            _brief(settings, settings.instructions, known),
            audio=audio,
            answer=settings.turn_taking.create_response,
        )
        self._ahead = self._begin(brief, item_id, voice_end, settings)

    async def discard(self) -> None:
        """Drop what was prepared: the utterance goes on, or the conversation has changed."""
        turn, self._ahead = self._ahead, None
        if turn is not None:
            await turn.stop()

    @property
    def prepared(self) -> bool:
        """Whether `commit` finds its turn begun."""
        return self._ahead is not None

    async def commit(self, *, interrupt: bool) -> None:
        """Answer the utterance that was prepared; `interrupt`: a reply under way ends for it."""
        turn, self._ahead = self._ahead, None
        assert turn is not None
        turn.moments.commit = _now()
        await self._leave_unanswered()
        if self._replying is not None and interrupt:
            await self._end_reply("cancelled", "turn_detected")
        self._waiting = turn
        await self._admit()

    async def interrupt(self) -> None:
        """Stop the reply: the user has taken the floor."""
        await self._leave_unanswered()
        if self._replying is not None:
            await self._end_reply("cancelled", "turn_detected")

    async def reopen(self) -> None:
        """Stop the reply, still unheard: the user goes on with the utterance that it answers."""
        turn, self._waiting = self._waiting, None
        if turn is not None:
            await turn.stop()
            return
        turn = self._replying
        if turn is None or turn.moments.audio is not None:
            # What was committed last had no words; the reply that goes on belongs to an earlier utterance.
            return
        await self._end_reply("cancelled", "turn_detected")
        # The whole utterance will be committed anew: its first part and the unheard reply would stand there twice.
        for item_id in (turn.item_id, turn.reply.item_id):
            if item_id is not None and item_id in self._conversation.history:
                await self._conversation.delete(item_id)

    # --- A client's requests ---

    async def respond(self, asked: events.CreateResponse, voice_end: float, settings: Settings) -> None:
        """Answer now. Raises RequestError while the floor is taken."""
        if self.taken:
            raise RequestError(
                "conversation_already_has_active_response",
                "The conversation already has an active response: wait until it is done, or cancel it.",
            )
        await self.discard()
        instructions = settings.instructions if asked.instructions is None else asked.instructions
        brief = replace(
            _brief(settings, instructions, self._conversation.history),
            ready=self._conversation.all_written,
            output=asked.output or settings.output,
            voice=asked.voice or settings.voice,
            max_tokens=asked.max_output_tokens or settings.max_output_tokens,
        )
        turn = self._begin(brief, None, voice_end, settings)
        turn.moments.commit = _now()
        await self._step(turn_taking.ReplyStarted())
        await self._reply(turn)

    async def cancel(self, response_id: str | None) -> None:
        """Stop the response (of this id, where one is given). Raises RequestError when it isn't under way."""
        turn = self._replying
        if turn is None or response_id not in (None, turn.reply.response_id):
            raise RequestError("response_cancel_not_active", "There is no active response to cancel.", "response_id")
        await self._end_reply("cancelled", "client_cancelled")
        await self._yield()

    async def cut(self, item_id: str) -> None:
        """Stop the response that makes this message, if it is under way."""
        if self._replying is not None and self._replying.reply.item_id == item_id:
            await self.cancel(None)

    # --- What turns post ---

    async def take(self, output: TurnOutput) -> None:
        """Take in what a turn produced; of a turn that was stopped, nothing."""
        turn = next((t for t in (self._ahead, self._waiting, self._replying) if t and t.number == output.turn), None)
        if turn is None:
            return
        match output:
            case Words(transcript=words):
                turn.words = words
                turn.moments.transcript = _now()
                await self._admit()
            case Reached(what="token"):
                turn.moments.token = _now()
            case Reached():
                turn.moments.clause = _now()
            case Measured(clause=clause, seconds=seconds):
                turn.reply.measure(clause, seconds)
            case Says(text=text):
                reply = turn.reply
                await self._context.emit(events.ResponseText(reply.response_id, reply.item_id, reply.say(text)))
            case Sound(samples=samples):
                await self._sound(turn, samples)
            case Done(finish=finish, error=error):
                if turn is self._replying:
                    await self._finish(finish, error)
            case _:
                assert_never(output)

    async def _sound(self, turn: _Turn, samples: Samples) -> None:
        reply = turn.reply
        reply.send(samples, _now())
        await self._context.emit(events.ResponseAudio(reply.response_id, reply.item_id, samples))
        if turn.moments.audio is None:
            turn.moments.audio = _now()
            await self._step(turn_taking.ReplyHeard())

    async def _finish(self, finish: Finish | None, error: StageError | None) -> None:
        if error is not None:
            log.error("A turn failed at %s: %s", error.stage, type(error.__cause__).__name__)
            # An engine's own words may quote the user's.
            log.debug("%s", error.message, exc_info=error.__cause__)
            await self._end_reply("failed", finish=finish, error=error)
        elif finish is not None and finish.reason == "length":
            await self._end_reply("incomplete", "max_output_tokens", finish=finish)
        else:
            await self._end_reply("completed", finish=finish)
        await self._yield()

    # --- From place to place ---

    def _begin(self, brief: Brief, item_id: str | None, voice_end: float, settings: Settings) -> _Turn:
        self._numbers += 1
        context = self._context
        committed = asyncio.Event()
        task = context.spawn(run_turn(self._numbers, brief, context.engines, committed, context.post))
        reply = Reply(context.new_id("resp"), context.new_id("item"), brief.output)
        return _Turn(self._numbers, brief, settings, item_id, Moments(voice_end), reply, committed, task)

    async def _admit(self) -> None:
        """Let the waiting turn into the conversation, once its words are known and the floor is free."""
        turn = self._waiting
        if turn is None or turn.words is None:
            return
        if _wordless(turn):
            # A cough, a door, a voice without words: nobody said anything.
            self._waiting = None
            await self._context.emit(events.AudioCleared())
            await self._yield()
        elif self._replying is None:
            self._waiting = None
            await self._write_down(turn)
            if turn.brief.answer:
                await self._reply(turn)
            else:
                await self._yield()

    async def _leave_unanswered(self) -> None:
        """Keep the utterance that still waits in the conversation: its turn hasn't come before the next one's."""
        turn, self._waiting = self._waiting, None
        if turn is not None:
            await turn.stop()
            await self._write_down(turn)

    async def _write_down(self, turn: _Turn) -> None:
        assert turn.item_id is not None
        assert turn.brief.audio is not None
        words = turn.words
        # Sound whose words aren't known yet is written down like a message that came as sound.
        spoken = Spoken(words.text if isinstance(words, Transcript) else None, turn.brief.audio if not words else None)
        await self._conversation.add_utterance(Item(turn.item_id, "user", (spoken,)), turn.settings)
        if words is not None:
            seconds = len(turn.brief.audio) / INPUT_RATE
            await self._conversation.tell_words(turn.item_id, words, seconds, turn.settings)

    async def _reply(self, turn: _Turn) -> None:
        self._replying = turn
        reply = turn.reply
        previous = self._conversation.history.add(reply.item("in_progress", _now()))
        await self._context.emit(events.ResponseStarted(reply.response_id, reply.item_id, previous, reply.output))
        turn.committed.set()

    async def _end_reply(
        self,
        status: Literal["completed", "cancelled", "failed", "incomplete"],
        reason: Literal["turn_detected", "client_cancelled", "max_output_tokens"] | None = None,
        *,
        finish: Finish | None = None,
        error: StageError | None = None,
    ) -> None:
        """End the reply under way; nothing of it is sent after this."""
        turn, self._replying = self._replying, None
        assert turn is not None
        await turn.stop()
        reply = turn.reply
        item = reply.item("completed" if status == "completed" else "incomplete", _now())
        self._conversation.history.replace(item)
        await self._context.emit(events.TurnTimed(reply.response_id, turn.moments.timings()))
        usage = events.Usage()
        if finish is not None:
            usage = events.Usage(finish.input_tokens, finish.cached_tokens, finish.output_tokens)
        code, message = (None, None) if error is None else (error.code, error.message)
        await self._context.emit(
            events.ResponseEnded(reply.response_id, item, reply.text, status, reason, code, message, usage)
        )

    async def _yield(self) -> None:
        """Give the floor to the turn that waits for it, or back to the user."""
        await self._admit()
        if not self.taken:
            await self._step(turn_taking.ReplyEnded())


def _now() -> float:
    return asyncio.get_running_loop().time()


def _wordless(turn: _Turn) -> bool:
    return isinstance(turn.words, Transcript) and not turn.words.text


def _brief(settings: Settings, instructions: str, known: Iterable[Item]) -> Brief:
    return Brief(
        audio=None,
        prompt=lambda question: prompt(known, instructions, question, max_chars=settings.max_history_chars),
        output=settings.output,
        voice=settings.voice,
        speed=settings.speed,
        language=settings.language,
        transcription_prompt=settings.transcription_prompt,
        max_tokens=settings.max_output_tokens,
        temperature=settings.temperature,
    )
