"""One conversation: one inbox, one loop, one owner of its state.

Everything that happens to a session, from the client, from its engines or from its own turns, comes through the inbox
and is dealt with in order by `run`. Nothing else changes the state, so there are no locks. Turns, recognition and turn
detection run as tasks beside the loop and report by posting; a report of work that has been given up meanwhile carries
an old number and is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Final, assert_never

from audio.types import INPUT_RATE, Samples
from pipeline import events, moves
from pipeline.approvals import Approvals
from pipeline.asides import Asides
from pipeline.blind import Blind
from pipeline.context import CarriedOut, CaughtUp, Context, Entry, Heard, Listed, Looked, Note, Partial, Read, Written
from pipeline.conversation import Conversation
from pipeline.engines import Adjusted, Asker, Engines
from pipeline.errors import RequestError
from pipeline.floor import Floor
from pipeline.history import Item, Spoken
from pipeline.ids import random_id
from pipeline.inbox import Inbox
from pipeline.interjection import RUN_UP_S, find_what_was_said
from pipeline.lanes import Lane
from pipeline.listening import MAX_HELD_S, Listening
from pipeline.moves import State, Window
from pipeline.remote_tools import RemoteTools, chosen
from pipeline.seeing import Seeing
from pipeline.settings import Settings
from pipeline.turn import Bridges, Calls, Done, Goes, Measured, Reached, Returned, Says, Sound, TurnOutput
from pipeline.turn_taking import TurnTaker
from pipeline.understanding import Understanding
from pipeline.volume import Volume

log = logging.getLogger(__name__)

_UTTERANCE: Final = (State.HEARING, State.DECIDING)
_REPLY: Final = (State.REPLYING, State.CONTESTED)
_SILENT: Final = (State.ASLEEP, State.LISTENING)
_ECHO_TAIL_S: Final = 1.0
"""After a reply, for so long its sound may still come in: the client's buffer, the room."""
_ECHO_LOOK_S: Final = 0.192
"""Voice that is enough to know an echo by; a user who talks over it is noticed the sooner."""
_PAUSE_S: Final = 0.5
"""Sound that comes no more for so long is over: the button was let go."""
_QUESTION_S: Final = 20.0
"""A question that is asked with a button held takes no longer, mostly."""
_ANYBODY: Final = Asker()
_SILENCE: Final = "(I have said nothing for a while. Ask me in a few words whether I am still there.)"
"""What a user's silence means for the model."""


class Session:
    """A conversation between one client and the engines."""

    def __init__(
        self,
        engines: Engines,
        settings: Settings,
        *,
        new_id: Callable[[str], str] = random_id,
        asker: Asker = _ANYBODY,
    ) -> None:
        """Converse on behalf of `asker`, of whom its session and its user count."""
        self._inbox: Inbox[Entry] = Inbox()
        # Blocks the session when its events aren't read: speech waits, nothing piles up.
        self._outbox: asyncio.Queue[events.Event] = asyncio.Queue(maxsize=64)
        self._tasks = asyncio.TaskGroup()
        if not engines.llm.takes_pictures:
            engines = replace(engines, llm=Blind(engines.llm))
        self._own = settings.toolbox  # what the client itself offers
        settings = replace(settings, toolbox=chosen(settings.toolbox))
        self._context = Context(engines, self._outbox.put, self._inbox.put, self._spawn, new_id, asker)
        self._settings = settings
        self._taker = TurnTaker(settings.turn_taking)
        self._listening = Listening(self._context)
        self._seeing = Seeing(self._context)
        self._conversation = Conversation(self._context)
        self._floor = Floor(self._context, self._conversation, self._seeing, self._step)
        self._asides = Asides(self._context, self._conversation, self._seeing)
        self._remote = RemoteTools(self._context, self._conversation)
        self._approvals = Approvals(self._context, self._conversation)
        self._speakers: Final = (self._floor, self._asides)
        self._understanding = Understanding(
            self._context, self._conversation, self._floor, self._listening, self._seeing, settings, self._step
        )
        self._voice_at = 0.0  # when the last voiced window came, by the loop's clock
        self._dropped_s = 0.0  # of sound that the client knows was dropped
        self._volume = Volume()
        self._speed: float | None = None  # that the user asked for; None: as the client's settings have it
        # When more waits than anybody wants to hear, the oldest is left out.
        self._announcements: deque[tuple[str, float]] = deque(maxlen=16)  # and when each is of no interest any more
        self._look_again: asyncio.Task[None] | None = None
        self._sound_at = float("-inf")  # when sound came in last

    async def put(self, request: events.Request) -> None:
        """Hand in what the client sent. Sound never waits: when too much of it does, the oldest is dropped."""
        await self._inbox.put(request)

    async def next_event(self) -> events.Event:
        """Return the next thing that happened, waiting for it. Events come in the order in which they happened."""
        return await self._outbox.get()

    async def run(self) -> None:
        """Hold the conversation until cancelled."""
        self._voice_at = _now()
        async with self._tasks:
            self._spawn(self._understanding.read_history())
            await self._remote.find_out(self._settings.tool_servers)
            while True:
                await self._handle(await self._next())
                await self._speak_up()

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(work)

    async def _next(self) -> Entry | moves.Tick:
        try:
            async with asyncio.timeout_at(self._taker.deadline):
                return await self._inbox.get()
        except TimeoutError:
            return moves.Tick()

    async def _handle(self, entry: Entry | moves.Tick) -> None:
        match entry:
            case moves.Tick() | moves.Sounds() | moves.WasSaid():
                await self._step(entry)
            case Sound():
                await self._of_turn(self._volume.apply(entry))
            case Reached() | Goes() | Says() | Bridges() | Measured() | Calls() | Returned() | Done():
                await self._of_turn(entry)
            case Adjusted():
                await self._adjust(entry)
            case Partial() | Heard() | Read() | Written() | CaughtUp() | Listed() | CarriedOut() | Looked():
                await self._learn(entry)
            case events.Audio(samples):
                await self._hear(samples)
            case events.CameraFrame(data):
                await self._seeing.take(data)
            case events.Announce():
                await self._note(entry)
            case events.LookClosely(every_s):
                self._seeing.closely_every_s = every_s
            case _:
                try:
                    await self._serve(entry)
                except RequestError as error:
                    await self._reject(error, entry.request_id)

    async def _learn(self, note: Note) -> None:
        match note:
            case Partial() | Heard() | Read():
                await self._understanding.take(note, self._taker.state)
            case Written():
                await self._conversation.take(note, self._settings)
            case CaughtUp():
                self._floor.caught_up(note)
            case Listed():
                await self._remote.take(note)
                await self._equip(self._settings)
            case CarriedOut():
                await self._approvals.take(note)
                await self._floor.discard()
            case Looked():
                await self._seeing.learn(note, self._inbox.dropped_frames)
            case _:
                assert_never(note)

    async def _of_turn(self, output: TurnOutput) -> None:
        await (self._asides if output.turn < 0 else self._floor).take(output)

    async def _reject(self, error: RequestError, request_id: str | None = None) -> None:
        await self._context.emit(events.Rejected(error.code, error.message, error.param, request_id))

    # --- What the client asks for ---

    async def _serve(self, request: events.Demand) -> None:
        match request:
            case events.Update():
                await self._update(request)
            case events.Commit():
                await self._commit()
            case events.Clear():
                self._listening.reset()
                await self._step(moves.Clear())
                await self._context.emit(events.AudioCleared())
            case events.CreateResponse(beside=True):
                await self._asides.respond(request, self._settings)
            case events.CreateResponse():
                await self._respond(request)
            case events.CancelResponse(response_id):
                if not await self._asides.cancel(response_id):
                    await self._floor.cancel(response_id)
            case events.Played() | events.ClientLeft() | events.ClientReturned():
                await self._floor.listened(request)
            case events.Camera():
                await self._seeing.switch(request)
                await self._floor.discard()
            case _:
                await self._change(request)

    async def _respond(self, asked: events.CreateResponse) -> None:
        if asked.toolbox is not None or asked.tool_servers is not None:
            servers = self._settings.tool_servers if asked.tool_servers is None else asked.tool_servers
            toolbox = self._remote.toolbox(self._own if asked.toolbox is None else asked.toolbox, servers)
            asked = replace(asked, toolbox=toolbox)
        await self._floor.respond(asked, self._voice_at, self._settings)
        self._approvals.lead_on = False  # the client has asked for that itself

    async def _change(self, request: events.Change) -> None:
        """Show or change the messages."""
        match request:
            case events.CreateItem(item, after):
                await self._conversation.add(item, self._settings, after)
                self._seeing.show(item)
                await self._floor.discard()
                if item.approval is not None:
                    await self._approvals.decide(item.approval)
            case events.RetrieveItem(item_id):
                await self._conversation.retrieve(item_id)
            case events.RetrieveConversation():
                await self._conversation.retrieve_all(self._floor.under_way)
            case events.DeleteItem(item_id):
                await self._conversation.delete(item_id)
                await self._floor.discard()
            case events.TruncateItem(item_id) if self._floor.took_back(item_id):
                pass
            case events.TruncateItem(item_id, audio_end_s):
                await self._floor.cut(item_id)
                await self._conversation.truncate(item_id, audio_end_s)
                await self._floor.discard()
            case _:
                assert_never(request)

    async def _update(self, update: events.Update) -> None:
        if update.sets_speed:
            self._speed = None
        settings = update.settings if self._speed is None else replace(update.settings, speed=self._speed)
        self._own = settings.toolbox
        await self._equip(settings)
        await self._step(moves.Configure(settings.turn_taking))
        await self._context.emit(events.SettingsUpdated(settings))
        await self._remote.find_out(settings.tool_servers)

    async def _equip(self, settings: Settings) -> None:
        """Let these settings hold, with the servers' tools as far as they are known."""
        settings = replace(settings, toolbox=self._remote.toolbox(self._own, settings.tool_servers))
        before, self._settings = self._settings, settings
        self._understanding.update(settings)
        await self._floor.discard()
        if (settings.instructions, settings.toolbox.tools) != (before.instructions, before.toolbox.tools):
            self._spawn(self._understanding.read_history())

    async def _adjust(self, adjusted: Adjusted) -> None:
        """Speak otherwise from now on, as the user wants it."""
        if adjusted.volume is not None:
            self._volume.level = adjusted.volume
        if adjusted.speed is not None:
            self._speed = adjusted.speed
            self._settings = replace(self._settings, speed=adjusted.speed)
            self._understanding.update(self._settings)
            await self._floor.discard()
        await self._context.emit(events.SpeechAdjusted(adjusted.volume, adjusted.speed))

    async def _note(self, announced: events.Announce) -> None:
        if announced.watch:
            await self._context.emit(events.WatchFired(announced.watch, announced.text))
        if announced.text:
            until = float("inf") if announced.within_s is None else _now() + announced.within_s
            self._announcements.append((announced.text, until))

    async def _speak_up(self) -> None:
        """Say what a tool has returned, or what is to be announced, one thing after the other, when nobody speaks."""
        while self._announcements and self._announcements[0][1] < _now():
            self._announcements.popleft()
        waits = self._approvals.lead_on or self._announcements
        if not waits or self._floor.taken or self._taker.state not in _SILENT:
            return
        if self._may_be_asked:
            if self._look_again is None or self._look_again.done():
                self._look_again = self._spawn(self._tick_later(_PAUSE_S))
            return
        if self._approvals.lead_on:
            self._approvals.lead_on = False
            await self._floor.go_on(self._settings)
        else:
            await self._floor.announce(self._announcements.popleft()[0], self._settings)

    @property
    def _may_be_asked(self) -> bool:
        """Whether the user may be talking without anybody who listens for a voice: push to talk."""
        if self._settings.turn_taking.mode != "manual" or _now() - self._sound_at >= _PAUSE_S:
            return False
        # What was just committed is about to be asked; a client that always sends isn't waited for.
        return len(self._listening.held()) < _QUESTION_S * INPUT_RATE

    async def _tick_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._context.post(moves.Tick())

    async def _commit(self) -> None:
        if self._settings.turn_taking.mode != "manual":
            if self._taker.state not in _UTTERANCE:
                message = "There is no speech to commit: none was heard since the last turn."
                raise RequestError("input_audio_buffer_commit_empty", message)
            await self._step(moves.Commit())
            return
        audio = self._listening.held()
        if len(audio) < INPUT_RATE // 10:
            message = f"The buffer holds {1000 * len(audio) // INPUT_RATE} ms of audio: a commit needs at least 100 ms."
            raise RequestError("input_audio_buffer_commit_empty", message)
        self._listening.release()
        self._voice_at = _now()
        item = Item(self._context.new_id("item"), "user", (Spoken(None, audio),))
        await self._conversation.add_utterance(item, self._settings)

    # --- Sound ---

    async def _hear(self, samples: Samples) -> None:
        lost_s, self._dropped_s = self._inbox.dropped_s - self._dropped_s, self._inbox.dropped_s
        if lost_s > 0:
            message = f"{lost_s:.1f} s of audio came faster than it could be listened to and was dropped."
            await self._context.emit(events.Rejected("input_audio_dropped", message, fault="server"))
        self._listening.append(samples)
        self._sound_at = _now()
        if self._settings.turn_taking.mode == "manual":
            self._listening.skip_windows()
            if self._listening.overflows():
                self._listening.release()
                message = f"The buffer held {MAX_HELD_S:.0f} s of audio without a commit and was emptied."
                await self._reject(RequestError("input_audio_buffer_full", message))
            return
        for window in self._listening.windows():
            await self._step(self._without_echo(window))
            if self._taker.state is State.HEARING:
                self._understanding.follow(fades=self._taker.fades)
        if self._taker.state not in _UTTERANCE:
            # The last utterance stays until its reply is over: the user may go on with it.
            self._listening.forget(utterance=self._taker.state in _REPLY)

    def _without_echo(self, window: Window) -> Window:
        """Return the window as what it is: no voice of the user's, where it is the reply that comes back."""
        if window.probability < self._settings.turn_taking.vad_threshold:
            return window
        if self._taker.state not in _UTTERANCE:
            voice, now_s = self._listening.voice(_ECHO_LOOK_S), self._listening.now_s
            if any(each.may_echo(_ECHO_TAIL_S) and each.echo.is_echo(voice, now_s) for each in self._speakers):
                return replace(window, probability=0.0)
        self._voice_at = _now()
        return window

    # --- Turn-taking ---

    async def _step(self, happened: moves.Input) -> None:
        for action in self._taker.step(happened, _now()):
            await self._act(action)

    async def _act(self, action: moves.Action) -> None:
        match action:
            case moves.Awake() | moves.FellAsleep():
                self._listening.reset()
            case moves.SpeechStarted(start_s):
                await self._begin_utterance(start_s)
            case moves.Weigh(pause):
                self._spawn(self._ask_turn_detector(pause, self._listening.utterance()))
                await self._understanding.weigh(pause)
            case moves.Speculate():
                await self._understanding.speculate()
            case moves.Discard():
                await self._understanding.goes_on()
            case moves.CommitTurn(voice_end_s):
                await self._end_utterance(voice_end_s)
            case moves.IdleTimeout():
                await self._break_silence()
            case _:
                await self._contend(action)

    async def _contend(self, action: moves.Contest) -> None:
        """Do what a voice during a reply asks for."""
        match action:
            case moves.Hold():
                self._floor.hold()
            case moves.AskWhatWasSaid(start_s=start_s):
                audio = self._listening.since(start_s - RUN_UP_S)
                fast, reply = self._understanding.fast, self._floor.last_words
                self._spawn(find_what_was_said(self._context, action, audio, fast, reply))
            case moves.Resume():
                self._floor.resume()
            case moves.Interrupt():
                await self._floor.interrupt()
            case moves.Reopen():
                await self._floor.reopen()
            case _:
                assert_never(action)

    async def _begin_utterance(self, start_s: float) -> None:
        self._listening.begin_utterance(start_s)
        self._seeing.begin_utterance()
        utterance = self._understanding.begin()
        await self._context.emit(events.SpeechStarted(utterance.id, start_s))

    async def _end_utterance(self, voice_end_s: float) -> None:
        self._seeing.end_utterance()
        utterance = await self._understanding.end(self._voice_at)
        await self._context.emit(events.SpeechStopped(utterance.id, voice_end_s))
        await self._floor.commit(utterance, interrupt=self._settings.turn_taking.interrupt_response)

    async def _break_silence(self) -> None:
        """Take the silence for a message, and answer it."""
        if self._floor.taken:
            return
        taking, now_s = self._settings.turn_taking, self._listening.now_s
        item = Item(self._context.new_id("item"), "user", (Spoken(""),))
        start_s = max(0.0, now_s - (taking.idle_timeout_s or 0.0))
        await self._context.emit(events.IdleTimeout(item.id, start_s, now_s))
        await self._conversation.add_utterance(item, self._settings)
        if self._settings.show_transcript:
            await self._context.emit(events.TranscriptCompleted(item.id, "", now_s - start_s))
        if taking.create_response:
            await self._floor.respond(events.CreateResponse(), self._voice_at, self._settings, _SILENCE)

    async def _ask_turn_detector(self, pause: int, audio: Samples) -> None:
        engines = self._context.engines
        try:
            async with engines.lanes.enter(Lane.ENDING):
                score = await engines.turn.score(audio)
        except Exception as error:  # noqa: BLE001 - silence alone ends the turn then
            log.warning("The turn detector failed: %s", type(error).__name__)
            return
        await self._context.post(moves.Sounds(pause, score))


def _now() -> float:
    return asyncio.get_running_loop().time()
