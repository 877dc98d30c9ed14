"""One conversation: one inbox, one loop, one owner of its state.

Everything that happens to a session, from the client, from its engines or from its own turns, comes through the inbox
and is dealt with in order by `run`. Nothing else changes the state, so there are no locks. Turns, partial transcripts
and turn detection run as tasks beside the loop and report by posting; a report of work that has been given up meanwhile
carries an old number and is dropped.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Final, assert_never

from audio.types import INPUT_RATE, Samples
from pipeline import events, turn_taking
from pipeline.context import Context, Entry, Partial, Written
from pipeline.conversation import Conversation
from pipeline.engines import Engines
from pipeline.errors import RequestError
from pipeline.floor import Floor
from pipeline.history import Item, Spoken, prompt
from pipeline.ids import random_id
from pipeline.inbox import Inbox
from pipeline.listening import MAX_HELD_S, Captions, Listening
from pipeline.settings import Settings
from pipeline.turn import Done, Measured, Reached, Says, Sound, Words
from pipeline.turn_taking import State, TurnTaker

log = logging.getLogger(__name__)

_READ_WORDS: Final = 4
"""New words that are worth the model's attention before the question is complete."""

_UTTERANCE: Final = (State.HEARING, State.DECIDING)


class Session:
    """A conversation between one client and the engines."""

    def __init__(self, engines: Engines, settings: Settings, *, new_id: Callable[[str], str] = random_id) -> None:
        self._inbox: Inbox[Entry] = Inbox()
        # Blocks the session when its events aren't read: speech waits, nothing piles up.
        self._outbox: asyncio.Queue[events.Event] = asyncio.Queue(maxsize=64)
        self._tasks = asyncio.TaskGroup()
        self._context = Context(engines, self._outbox.put, self._inbox.put, self._spawn, new_id)
        self._settings = settings
        self._taker = TurnTaker(settings.turn_taking)
        self._listening = Listening(self._context)
        self._captions = None if engines.live is None else Captions(self._context, engines.live)
        self._conversation = Conversation(self._context)
        self._floor = Floor(self._context, self._conversation, self._step)
        self._utterance_id = ""
        self._reading: asyncio.Task[None] | None = None
        self._read_words = 0  # of the utterance, which the model has read
        self._voice_at = 0.0  # when the last voiced window came, by the loop's clock
        self._dropped_s = 0.0  # of sound that the client knows was dropped

    async def put(self, request: events.Request) -> None:
        """Hand in what the client sent. Sound never waits: when too much of it does, the oldest is dropped."""
        await self._inbox.put(request)

    async def next_event(self) -> events.Event:
        """Return the next thing that happened, waiting for it. Events come in the order in which they happened."""
        return await self._outbox.get()

    async def run(self) -> None:
        """Hold the conversation until cancelled."""
        self._voice_at = asyncio.get_running_loop().time()
        async with self._tasks:
            self._spawn(self._prefill())
            while True:
                await self._handle(await self._next())

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(work)

    async def _next(self) -> Entry | turn_taking.Tick:
        try:
            async with asyncio.timeout_at(self._taker.deadline):
                return await self._inbox.get()
        except TimeoutError:
            return turn_taking.Tick()

    async def _handle(self, entry: Entry | turn_taking.Tick) -> None:
        match entry:
            case turn_taking.Tick() | turn_taking.Score():
                await self._step(entry)
            case Words() | Reached() | Says() | Measured() | Sound() | Done():
                await self._floor.take(entry)
            case Partial():
                await self._caption(entry)
            case Written():
                await self._conversation.take(entry, self._settings)
            case events.Audio(samples):
                await self._hear(samples)
            case _:
                try:
                    await self._serve(entry)
                except RequestError as error:
                    await self._reject(error, entry.request_id)

    async def _reject(self, error: RequestError, request_id: str | None = None) -> None:
        await self._context.emit(events.Rejected(error.code, error.message, error.param, request_id))

    # --- What the client asks for ---

    async def _serve(self, request: events.Demand) -> None:
        match request:
            case events.Update(settings):
                await self._update(settings)
            case events.Commit():
                await self._commit()
            case events.Clear():
                self._listening.reset()
                await self._step(turn_taking.Clear())
                await self._context.emit(events.AudioCleared())
            case events.CreateItem(item, after):
                await self._conversation.add(item, self._settings, after)
                await self._floor.discard()
            case events.RetrieveItem(item_id):
                await self._conversation.retrieve(item_id)
            case events.DeleteItem(item_id):
                await self._conversation.delete(item_id)
                await self._floor.discard()
            case events.TruncateItem(item_id, audio_end_s):
                await self._floor.cut(item_id)
                await self._conversation.truncate(item_id, audio_end_s)
                await self._floor.discard()
            case events.CreateResponse():
                await self._floor.respond(request, self._voice_at, self._settings)
            case events.CancelResponse(response_id):
                await self._floor.cancel(response_id)
            case _:
                assert_never(request)

    async def _update(self, settings: Settings) -> None:
        new_prompt = settings.instructions != self._settings.instructions
        self._settings = settings
        await self._floor.discard()
        await self._step(turn_taking.Configure(settings.turn_taking))
        await self._context.emit(events.SettingsUpdated(settings))
        if new_prompt:
            self._spawn(self._prefill())

    async def _commit(self) -> None:
        if self._settings.turn_taking.mode != "manual":
            if self._taker.state not in _UTTERANCE:
                message = "There is no speech to commit: none was heard since the last turn."
                raise RequestError("input_audio_buffer_commit_empty", message)
            await self._step(turn_taking.Commit())
            return
        audio = self._listening.held()
        if len(audio) < INPUT_RATE // 10:
            message = f"The buffer holds {1000 * len(audio) // INPUT_RATE} ms of audio: a commit needs at least 100 ms."
            raise RequestError("input_audio_buffer_commit_empty", message)
        self._listening.release()
        self._voice_at = asyncio.get_running_loop().time()
        item = Item(self._context.new_id("item"), "user", (Spoken(None, audio),))
        await self._conversation.add_utterance(item, self._settings)

    # --- Sound ---

    async def _hear(self, samples: Samples) -> None:
        lost_s, self._dropped_s = self._inbox.dropped_s - self._dropped_s, self._inbox.dropped_s
        if lost_s > 0:
            message = f"{lost_s:.1f} s of audio came faster than it could be listened to and was dropped."
            await self._context.emit(events.Rejected("input_audio_dropped", message, fault="server"))
        self._listening.append(samples)
        if self._settings.turn_taking.mode == "manual":
            self._listening.skip_windows()
            if self._listening.overflows():
                self._listening.release()
                message = f"The buffer held {MAX_HELD_S:.0f} s of audio without a commit and was emptied."
                await self._reject(RequestError("input_audio_buffer_full", message))
            return
        for window in self._listening.windows():
            if window.probability >= self._settings.turn_taking.vad_threshold:
                self._voice_at = asyncio.get_running_loop().time()
            await self._step(window)
            self._follow()
        if self._taker.state not in _UTTERANCE:
            # The last utterance stays until its reply is over: the user may go on with it.
            self._listening.forget(utterance=self._taker.state is State.REPLYING)

    def _follow(self) -> None:
        spoken = self._settings.language or self._conversation.language or "en"
        wanted = self._settings.show_transcript and spoken == "en"
        if self._captions is not None and wanted and self._taker.state is State.HEARING:
            self._captions.follow(self._listening)

    async def _caption(self, partial: Partial) -> None:
        if self._captions is not None and (fresh := self._captions.take(partial)):
            await self._context.emit(events.TranscriptDelta(partial.item_id, fresh))
            self._read_ahead(self._captions.certain)

    def _read_ahead(self, words: str) -> None:
        """Let the model read the question while it is still being asked: the rest of it takes less time then."""
        if (self._reading is None or self._reading.done()) and len(words.split()) >= self._read_words + _READ_WORDS:
            self._read_words = len(words.split())
            self._reading = self._spawn(self._prefill(words))

    # --- Turn-taking ---

    async def _step(self, happened: turn_taking.Input) -> None:
        for action in self._taker.step(happened, asyncio.get_running_loop().time()):
            await self._act(action)

    async def _act(self, action: turn_taking.Action) -> None:
        match action:
            case turn_taking.Awake() | turn_taking.FellAsleep():
                self._listening.reset()
            case turn_taking.SpeechStarted(start_s):
                await self._begin_utterance(start_s)
            case turn_taking.AskTurnDetector(pause):
                self._spawn(self._ask_turn_detector(pause, self._listening.utterance()))
            case turn_taking.Speculate():
                self._prepare()
            case turn_taking.Discard():
                await self._floor.discard()
            case turn_taking.CommitTurn(voice_end_s):
                await self._end_utterance(voice_end_s)
            case turn_taking.Interrupt():
                await self._floor.interrupt()
            case turn_taking.Reopen():
                await self._floor.reopen()
            case turn_taking.IdleTimeout():
                await self._context.emit(events.IdleTimeout(self._listening.now_s))
            case _:
                assert_never(action)

    async def _begin_utterance(self, start_s: float) -> None:
        self._utterance_id = self._context.new_id("item")
        self._listening.begin_utterance(start_s)
        self._read_words = 0
        if self._captions is not None:
            self._captions.begin(self._utterance_id)
        await self._context.emit(events.SpeechStarted(self._utterance_id, start_s))

    async def _end_utterance(self, voice_end_s: float) -> None:
        if self._captions is not None:
            self._captions.end()
        if not self._floor.prepared:
            self._prepare()
        await self._context.emit(events.SpeechStopped(self._utterance_id, voice_end_s))
        await self._floor.commit(interrupt=self._settings.turn_taking.interrupt_response)

    def _prepare(self) -> None:
        self._floor.prepare(self._utterance_id, self._listening.utterance(), self._voice_at, self._settings)

    async def _ask_turn_detector(self, pause: int, audio: Samples) -> None:
        try:
            score = await self._context.engines.turn.score(audio)
        except Exception as error:  # noqa: BLE001 - silence alone ends the turn then
            log.warning("The turn detector failed: %s", type(error).__name__)
            return
        await self._context.post(turn_taking.Score(pause, score))

    async def _prefill(self, question: str | None = None) -> None:
        """Let the model read what the next answer begins with, before it is asked for."""
        settings = self._settings
        messages = prompt(
            self._conversation.history, settings.instructions, question, max_chars=settings.max_history_chars
        )
        try:
            await self._context.engines.llm.prefill(messages)
        except Exception as error:  # noqa: BLE001 - it only saves time; a real failure shows in the first turn
            log.warning("The prompt could not be prepared: %s", type(error).__name__)
