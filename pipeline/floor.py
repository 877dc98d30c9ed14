"""The turns of a session, and which of them has the floor.

One turn may be prepared, unknown to anybody, while the user still speaks or pauses; one utterance may be committed and
wait, for its words or for the reply before it; one turn may reply. A turn is prepared for certain words: it is kept as
long as they stay the utterance's, and replaced when they don't.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from audio.types import INPUT_RATE, Samples
from pipeline import events, moves
from pipeline.briefs import announcement, brief, requested
from pipeline.context import CaughtUp, Context
from pipeline.conversation import Conversation
from pipeline.echo import EchoGuard
from pipeline.engines import Routed, ToolCall, Transcript
from pipeline.errors import RequestError, StageError
from pipeline.gate import Gate
from pipeline.history import ApprovalRequest, Item, Spoken
from pipeline.outcome import Outcome, outcome
from pipeline.remote_calls import RemoteCalls
from pipeline.reply import Moments, Reply
from pipeline.response_input import ResponseInput
from pipeline.seeing import Seeing
from pipeline.settings import Settings
from pipeline.turn import (
    Bridges,
    Brief,
    Calls,
    Done,
    Goes,
    Measured,
    Reached,
    Returned,
    Says,
    Sound,
    TurnOutput,
    run_turn,
)
from pipeline.utterance import Utterance, same_words

_ASK_S: Final = 2.0
"""A client that asks for the answer to what a tool has returned does so at once: after this long, it asks for more."""


@dataclass(slots=True)
class _Turn:
    """A turn under way."""

    number: int
    settings: Settings
    item_id: str | None
    """The user's message that it answers; None when the client asked for an answer."""
    question: str | None
    moments: Moments
    reply: Reply
    gate: Gate
    task: asyncio.Task[None]
    calls: RemoteCalls
    known: Iterable[Item]
    """What it answers, besides the question."""
    asked: events.CreateResponse | None = None
    """The client's request for it, without its input."""
    sequel: events.CreateResponse | None = None
    """The client has asked already for the response that goes on with what the tools return."""
    since: str | None = None
    """Of such a response: the newest message when it began. None as soon as the client has asked for it, too."""
    began: float = 0.0
    routes: list[Routed] = field(default_factory=list)
    """Who answered, so far."""
    announces: bool = False
    """It was begun by no words of the user's: where its time went is of no interest."""

    async def stop(self) -> None:
        """Cancel, then wait until it is over."""
        self.task.cancel()
        await asyncio.wait([self.task])

    def answers(self, item_id: str, words: Transcript) -> bool:
        """Tell whether this is the answer to these words."""
        return self.item_id == item_id and self.question is not None and same_words(self.question, words.text)


@dataclass(frozen=True, slots=True)
class _Told:
    """A response that went on after a tool, by itself, and is over."""

    newest: str | None
    """The newest message by then."""
    began: float


class Floor:
    """Who speaks for the assistant, and when."""

    def __init__(
        self,
        context: Context,
        conversation: Conversation,
        seeing: Seeing,
        step: Callable[[moves.Input], Awaitable[None]],
    ) -> None:
        self.echo = EchoGuard()
        """Knows the sound that is being sent."""
        self._context = context
        self._conversation = conversation
        self._seeing = seeing
        self._step = step  # tells the turn-taker what became of a reply
        self._numbers = 0
        self._ahead: _Turn | None = None  # prepared: nobody knows of it yet
        self.discarded = 0
        """Turns that were prepared in vain since the last commit."""
        self.begun = asyncio.Event()
        """Whether the answer that was begun last is being thought of, as far as one was."""
        self.begun.set()
        self._waiting: Utterance | None = None  # committed; waits for its words, or for the reply before it
        self._committed: str | None = None  # the utterance that was committed last
        self._replying: _Turn | None = None  # has the floor
        self._cut: str | None = None  # the last response, if a client's truncation ended it
        self._void: str | None = None  # the message of the last reply that was taken back
        self._told: _Told | None = None  # the last response, if it went on after a tool and nobody asked for it
        self._held = False  # the user may be taking the floor: nothing more is sent
        self._absences = 0  # of the client, so far
        self._absent = False  # nobody listens, or somebody has yet to hear what was sent: nothing more is
        self._last_reply_end = float("-inf")

    @property
    def taken(self) -> bool:
        """Whether a reply is under way or sure to come."""
        return self._replying is not None or self._waiting is not None

    @property
    def last_words(self) -> str:
        """The words that the reply under way is saying now."""
        return "" if self._replying is None else self._replying.reply.last_words()

    def may_echo(self, within_s: float) -> bool:
        """Tell whether the microphone may hear a reply: one is under way, or ended less than `within_s` ago."""
        return self._replying is not None or _now() - self._last_reply_end < within_s

    # --- An utterance on its way ---

    async def prepare(self, utterance: Utterance, words: Transcript) -> None:
        """Begin to answer an utterance that may be over and may have these words, unheard."""
        await self.discard()
        self._ahead = self._answer(utterance, words)

    @property
    def prepares(self) -> bool:
        """Whether an answer is under way that nobody knows of."""
        return self._ahead is not None

    def prepared(self, utterance: Utterance, words: Transcript) -> bool:
        """Tell whether an answer to these words is under way."""
        return self._ahead is not None and self._ahead.answers(utterance.id, words)

    async def discard(self) -> None:
        """Drop what was prepared: the words are others, or the conversation has changed."""
        turn, self._ahead = self._ahead, None
        if turn is not None:
            self.discarded += 1
            await turn.stop()
            self.begun.set()

    async def commit(self, utterance: Utterance, *, interrupt: bool) -> None:
        """Answer the utterance as soon as its words are known; `interrupt`: a reply under way ends for it."""
        await self._leave_unanswered()
        if self._replying is not None and interrupt:
            await self._end_reply(Outcome("cancelled", "turn_detected"))
        self._waiting, self._committed = utterance, utterance.id
        await self.admit()

    async def correct(self, item_id: str, words: Transcript) -> None:
        """Answer other words, if the reply to what was taken for them can't have been heard yet."""
        turn = self._replying
        heard = turn is None or turn.moments.heard or turn.reply.text or turn.reply.called
        if turn is None or heard or turn.item_id != item_id or turn.answers(item_id, words):
            return
        await turn.stop()
        turn.moments.discarded += 1
        known = [item for item in self._conversation.history if item.id not in (item_id, turn.reply.item_id)]
        asker = self._conversation.asker(turn.settings, turn.reply.response_id, words.language)
        told = brief(turn.settings, turn.settings.instructions, known, asker, words.text)
        told = replace(told, view=self._seeing.view(turn.moments.voice_end))
        fresh = self._begin(told, turn.settings, item_id, words.text, turn.moments)
        self._replying = replace(fresh, reply=turn.reply, routes=turn.routes)  # what left the machine has left it
        turn.moments.transcript = _now()
        fresh.gate.commit()
        self._open()

    def hold(self) -> None:
        """Send no more of the reply until `resume`: the user may be taking the floor."""
        self._held = True
        if self._replying is not None:
            self._replying.gate.shut()

    def resume(self) -> None:
        """Go on with the reply where it was held."""
        self._held = False
        self._open()

    async def interrupt(self) -> None:
        """Stop the reply: the user has taken the floor."""
        self._held = False
        await self._leave_unanswered()
        if self._replying is not None:
            await self._end_reply(Outcome("cancelled", "turn_detected"))

    async def reopen(self) -> None:
        """Stop the reply to the utterance committed last: the user goes on with it, and it will be committed anew."""
        self._held = False
        if self._waiting is not None:
            self._waiting = None
            return
        turn = self._replying
        assert turn is not None, "an utterance that was committed is answered, or will be"
        await self._end_reply(Outcome("cancelled", "turn_detected"))
        item_id = self._committed
        if item_id is None or turn.item_id != item_id:
            return  # what was committed last had no words; the reply belonged to an earlier utterance
        if turn.reply.called:
            return  # the client runs the function already: it stays on record what that was for
        # Its first part and the false start of the reply would stand there twice.
        self._void = turn.reply.item_id
        for old in (item_id, turn.reply.item_id):
            if old in self._conversation.history:
                await self._conversation.delete(old)

    # --- A client's requests ---

    async def respond(
        self, asked: events.CreateResponse, voice_end: float, settings: Settings, question: str | None = None
    ) -> None:
        """Answer now; `question` is asked after the messages. Raises RequestError while the floor is taken.

        Clients that ask for the answer to what a tool has returned get the one that is under way already.
        """
        if self._answers(asked):
            return
        if self.taken:
            raise RequestError(
                "conversation_already_has_active_response",
                "The conversation already has an active response: wait until it is done, or cancel it.",
            )
        known = ResponseInput(asked.input, self._conversation, self._context, settings)
        await self.discard()
        asker = self._conversation.asker(settings, self._context.new_id("resp"))
        told = replace(requested(asked, known, settings, asker, question), ready=known.ready, view=self._seeing.view())
        turn = self._begin(told, settings, None, None, Moments(voice_end))
        turn.known, turn.asked = known, replace(asked, input=None)
        turn.moments.commit = _now()
        await self._step(moves.ReplyStarted())
        await self._reply(turn)

    def _answers(self, asked: events.CreateResponse) -> bool:
        """Tell whether that is asked for which comes by itself, or has just come, after a tool has returned."""
        turn = self._replying
        if asked.input is not None:
            return False
        if turn is not None and turn.calls.lead_on and turn.sequel is None:
            turn.sequel = asked
            return True
        last, self._told = self._told, None
        if turn is not None and turn.since is not None:
            # Otherwise the client has said something since.
            if self._conversation.history.last_id in (turn.since, turn.reply.item_id, *turn.calls.items):
                turn.since = None
                return True
        elif turn is None and last is not None:
            return last.newest == self._conversation.history.last_id and _now() - last.began < _ASK_S
        return False

    async def go_on(self, settings: Settings) -> None:
        """Answer what a tool has returned whose call the user had to allow. The floor must be free."""
        await self.discard()
        await self._step(moves.ReplyStarted())
        await self._continue(None, settings, Moments(_now(), commit=_now()))

    async def _continue(self, before: _Turn | None, settings: Settings, moments: Moments) -> None:
        """Let the model go on with what tools have returned, after the response `before` if there is one."""
        history = self._conversation.history
        known = list(history if before is None else before.known)
        asked = None if before is None else before.sequel or before.asked
        if before is not None:
            there = {item.id for item in known}
            known += [item for item in before.calls.items.values() if item.id not in there]
        asker = self._conversation.asker(settings, self._context.new_id("resp"))
        told = replace(requested(asked or events.CreateResponse(), known, settings, asker), view=self._seeing.view())
        if before is not None:
            told = replace(told, toolbox=before.calls.next_toolbox(before.sequel.toolbox if before.sequel else None))
        turn = self._begin(told, settings, None, None, moments)
        turn.calls.rounds = 1 if before is None else before.calls.rounds + 1
        turn.known, turn.asked, turn.began = known, asked, _now()
        turn.since = None if before is not None and before.sequel else history.last_id
        await self._reply(turn)

    async def announce(self, text: str, settings: Settings) -> None:
        """Say this, as a reply that nobody asked for. The floor must be free."""
        asker = self._conversation.asker(settings, self._context.new_id("resp"))
        await self.discard()
        turn = self._begin(announcement(settings, text, asker), settings, None, None, Moments(_now()))
        turn.announces = True
        await self._step(moves.ReplyStarted())
        await self._reply(turn)

    async def cancel(self, response_id: str | None) -> None:
        """Stop the response (of this id, where one is given). Raises RequestError when it isn't under way."""
        turn = self._replying
        if turn is None and self._cut is not None and response_id in (None, self._cut):
            self._cut = None  # clients that interrupt truncate, then cancel: the first has done both
            return
        if turn is None or response_id not in (None, turn.reply.response_id):
            # LiveKit's client knows the refusal by its first words.
            message = "Cancellation failed: there is no active response."
            raise RequestError("response_cancel_not_active", message, "response_id")
        await self._end_reply(Outcome("cancelled", "client_cancelled"))
        await self._yield()

    def took_back(self, item_id: str) -> bool:
        """Tell whether this is the message of a reply that the user's going on made void.

        A client that is told of the voice truncates what it plays, before it can know that there is nothing left of it.
        """
        return item_id == self._void

    async def cut(self, item_id: str) -> None:
        """Stop the response that makes this message, if it is under way."""
        turn = self._replying
        if turn is not None and turn.reply.item_id == item_id:
            await self.cancel(None)
            self._cut = turn.reply.response_id

    # --- A client that listens, or doesn't ---

    @property
    def under_way(self) -> Item | None:
        """The message of the reply under way, with what has been heard of it."""
        return None if self._replying is None else self._replying.reply.item("in_progress", _now())

    async def listened(self, happened: events.Attendance) -> None:
        """Note how far the reply has been heard."""
        turn = self._replying
        match happened:
            case events.Played(item_id, at_s):
                if turn is not None and turn.reply.item_id == item_id:
                    turn.reply.played(at_s, _now())
                    await self._tell_heard(turn)
            case events.ClientLeft():
                self._absent = True
                self._absences += 1
                if turn is not None:
                    turn.gate.shut()
            case events.ClientReturned(unheard_s):
                if turn is not None:
                    turn.reply.missed(unheard_s, _now())
                self._context.spawn(self._catch_up(self._absences, unheard_s))
            case _:
                assert_never(happened)

    async def _catch_up(self, absence: int, unheard_s: float) -> None:
        """Let the client play what it missed before more is sent: it comes at once, and must not pile up."""
        await asyncio.sleep(unheard_s)
        await self._context.post(CaughtUp(absence))

    def caught_up(self, caught_up: CaughtUp) -> None:
        """Go on with the reply, unless the client has left again."""
        if caught_up.absence == self._absences:
            self._absent = False
            self._open()

    async def _tell_heard(self, turn: _Turn) -> None:
        reply = turn.reply
        if turn.settings.report_heard and (words := reply.newly_heard(_now())) is not None:
            at_s = reply.played_s(_now())
            await self._context.emit(events.ReplyHeard(reply.response_id, reply.item_id, words, at_s))

    # --- What turns post ---

    async def take(self, output: TurnOutput) -> None:
        """Take in what a turn produced; of a turn that was stopped, nothing."""
        turn = next((t for t in (self._ahead, self._replying) if t and t.number == output.turn), None)
        if turn is None:
            return
        if isinstance(output, Goes | Reached | Done):
            self.begun.set()
        match output:
            case Reached(what="token"):
                turn.moments.token = _now()
            case Reached():
                turn.moments.clause = _now()
            case Goes(routed=routed):
                turn.routes.append(routed)
                if turn is self._replying:
                    await self._context.emit(events.ResponseRouted(turn.reply.response_id, routed))
            case Measured(clause=clause, seconds=seconds):
                turn.reply.measure(clause, seconds)
            case Says(text=text):
                await self._say(turn.reply, text)
            case Bridges(text=text):
                await self._bridge(turn.reply, text)
            case Sound(samples=samples):
                await self._sound(turn, samples)
            case Calls() | Returned() | Done():
                await self._move_on(turn, output)
            case _:
                assert_never(output)

    async def _move_on(self, turn: _Turn, output: Calls | Returned | Done) -> None:
        """Do what a turn, whose gate was open and which therefore replies, has called for, or what follows its end."""
        match output:
            case Calls(call=call, number=number):
                await self._call(turn, number, call)
            case Returned(number=number, outcome=returned):
                await self._tell_outcome(turn, turn.calls.returned(number, returned))
            case Done(error=error):
                held = self._held
                await self._end_reply(outcome(output))
                if turn.calls.lead_on and error is None:
                    self._held = held
                    moments = Moments(turn.moments.voice_end, turn.moments.commit, turn.moments.transcript)
                    await self._continue(turn, turn.settings, moments)
                else:
                    await self._yield()
            case _:
                assert_never(output)

    async def _say(self, reply: Reply, text: str) -> None:
        await self._have_message(reply)
        await self._context.emit(events.ResponseText(reply.response_id, reply.item_id, reply.say(text)))

    async def _bridge(self, reply: Reply, text: str) -> None:
        await self._have_message(reply)  # sound belongs to one
        at_s = reply.bridge(text)
        await self._context.emit(events.ResponseBridged(reply.response_id, reply.item_id, text, at_s))

    async def _have_message(self, reply: Reply) -> None:
        if not reply.begun:
            previous = self._begin_message(reply)
            await self._context.emit(events.MessageStarted(reply.response_id, reply.item_id, previous))

    async def _call(self, turn: _Turn, number: int, call: ToolCall) -> None:
        turn.reply.called = True
        response = turn.reply.response_id
        for item in turn.calls.call(number, call, self._context.new_id):
            previous = self._conversation.history.add(item)
            if item.remote is not None:
                await self._context.emit(events.RemoteCalled(response, item, previous))
            elif isinstance(item.parts[0], ApprovalRequest):
                await self._context.emit(events.ApprovalAsked(response, item, previous))
            else:
                await self._context.emit(events.ToolCalled(response, item, previous))

    async def _tell_outcome(self, turn: _Turn, item: Item, *, cancelled: bool = False) -> None:
        self._conversation.history.replace(item)
        await self._context.emit(events.RemoteReturned(turn.reply.response_id, item, cancelled))

    async def _sound(self, turn: _Turn, samples: Samples) -> None:
        reply = turn.reply
        reply.send(samples, _now())
        self.echo.sent(samples)
        await self._context.emit(events.ResponseAudio(reply.response_id, reply.item_id, samples))
        await self._tell_heard(turn)
        moments = turn.moments
        if reply.bridging and moments.bridge is None:
            moments.bridge = _now()
        if not reply.bridging and moments.audio is None:
            moments.audio = _now()

    # --- From place to place ---

    def _answer(self, utterance: Utterance, words: Transcript | StageError) -> _Turn:
        """Begin the turn that answers an utterance's words, or apologises for not having understood it."""
        # It is answered from what was said before it, even if it stands in the history itself by then.
        known = [item for item in self._conversation.history if item.id != utterance.id]
        settings = utterance.settings
        question, language = (words.text, words.language) if isinstance(words, Transcript) else (None, None)
        asker = self._conversation.asker(settings, self._context.new_id("resp"), language)
        # While the user may still speak, what they show now counts.
        view = self._seeing.view(None if utterance.committed is None else utterance.voice_end)
        told = replace(brief(settings, settings.instructions, known, asker, question), view=view)
        if isinstance(words, StageError):
            told = replace(told, error=words)
        return self._begin(told, settings, utterance.id, question, Moments(utterance.voice_end, transcript=_now()))

    def _begin(
        self, told: Brief, settings: Settings, item_id: str | None, question: str | None, moments: Moments
    ) -> _Turn:
        self._numbers += 1
        self.begun.clear()
        context = self._context
        gate = Gate()
        task = context.spawn(run_turn(self._numbers, told, context.engines, gate, context.post))
        reply = Reply(told.asker.turn, context.new_id("item"), told.output, may_call=told.toolbox.may_call)
        calls, known = RemoteCalls(told.toolbox), self._conversation.history
        return _Turn(self._numbers, settings, item_id, question, moments, reply, gate, task, calls, known)

    async def admit(self) -> None:
        """Let the waiting utterance into the conversation, once its words are known and the floor is free."""
        utterance = self._waiting
        words = None if utterance is None else utterance.words
        if utterance is None or words is None:
            return
        if isinstance(words, Transcript) and not words.text:
            # A cough, a door, a voice without words: nobody said anything.
            self._waiting = None
            await self.discard()
            await self._context.emit(events.AudioCleared())
            await self._yield()
        elif self._replying is None:
            self._waiting = None
            await self._write_down(utterance)
            if utterance.settings.turn_taking.create_response:
                await self._reply(await self._turn_for(utterance, words))
            else:
                await self.discard()
                await self._yield()

    async def _turn_for(self, utterance: Utterance, words: Transcript | StageError) -> _Turn:
        turn = self._ahead
        if turn is None or isinstance(words, StageError) or not turn.answers(utterance.id, words):
            await self.discard()
            turn = self._answer(utterance, words)
        self._ahead = None
        turn.moments.voice_end = utterance.voice_end
        turn.moments.commit = utterance.committed
        turn.moments.discarded, self.discarded = self.discarded, 0
        return turn

    async def _leave_unanswered(self) -> None:
        """Keep the utterance that still waits in the conversation: its turn hasn't come before the next one's."""
        utterance, self._waiting = self._waiting, None
        if utterance is not None:
            await self._write_down(utterance)

    async def _write_down(self, utterance: Utterance) -> None:
        words, audio = utterance.words, utterance.audio
        assert audio is not None
        text = "" if isinstance(words, StageError) else None if words is None else words.text
        await self._conversation.add_utterance(Item(utterance.id, "user", (Spoken(text),)), utterance.settings)
        if words is not None and utterance.settled:
            seconds = len(audio) / INPUT_RATE
            await self._conversation.tell_words(utterance.id, words, seconds, utterance.settings)

    async def _reply(self, turn: _Turn) -> None:
        self._replying = turn
        turn.gate.commit()
        self._cut = None
        reply = turn.reply
        self.echo.clear()
        item_id, previous = None, None
        if not reply.may_call:
            item_id, previous = reply.item_id, self._begin_message(reply)
        start = events.ResponseStarted(reply.response_id, item_id, previous, reply.output, turn.asked)
        await self._context.emit(start)
        for routed in turn.routes:
            await self._context.emit(events.ResponseRouted(reply.response_id, routed))
        self._open()

    def _begin_message(self, reply: Reply) -> str | None:
        """Let the reply's message stand in the history, and return the id before it."""
        reply.begun = True
        return self._conversation.history.add(reply.item("in_progress", _now()))

    def _open(self) -> None:
        if self._replying is not None and not self._held and not self._absent:
            self._replying.gate.open()

    async def _end_reply(self, outcome: Outcome) -> None:
        """End the reply under way; nothing of it is sent after this."""
        turn, self._replying = self._replying, None
        assert turn is not None
        self._held = False
        self._last_reply_end = _now()
        await turn.stop()
        for call in turn.calls.cancel():
            await self._tell_outcome(turn, call, cancelled=True)
        reply = turn.reply
        item = outcome.item(reply, _now())
        self._conversation.history.replace(item)
        if turn.settings.report_heard and reply.output == "audio":
            heard = events.ReplyHeard(reply.response_id, reply.item_id, item.text, reply.played_s(_now()))
            await self._context.emit(heard)
        if not turn.announces:
            timed = events.TurnTimed(reply.response_id, turn.moments.timings(), tuple(turn.routes))
            await self._context.emit(timed)
        await self._context.emit(outcome.told(reply, item))
        self._told = None if turn.since is None else _Told(self._conversation.history.last_id, turn.began)

    async def _yield(self) -> None:
        """Give the floor to the turn that waits for it, or back to the user."""
        await self.admit()
        if not self.taken:
            await self._step(moves.ReplyEnded())


def _now() -> float:
    return asyncio.get_running_loop().time()
