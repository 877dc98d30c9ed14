"""One conversation: one inbox, one loop, one owner of its state.

Everything that happens to a session, from the client, from its engines or from its own turns, comes through the inbox and
is dealt with in order by `run`. Nothing else changes the state, so there are no locks. Turns, partial transcripts and
turn detection run as tasks beside the loop and report by posting; a report of work that has been given up meanwhile
carries an old number and is dropped.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from audio.types import INPUT_RATE, Samples
from pipeline import events, turn_taking
from pipeline.engines import VAD_WINDOW, Engines, Finish, Transcript
from pipeline.errors import RequestError, Stage, StageError
from pipeline.history import History, Item, Spoken, prompt
from pipeline.inbox import Inbox
from pipeline.partials import StablePrefix
from pipeline.recording import Recording
from pipeline.reply import Moments, Reply
from pipeline.settings import Settings
from pipeline.timings import Timings
from pipeline.turn import Brief, Done, Measured, Reached, Says, Sound, TurnOutput, Words, run_turn
from pipeline.turn_taking import State, TurnTaker

log = logging.getLogger(__name__)

_LIVE_EVERY_S = 0.3  # of new sound between two partial transcripts
_MAX_HELD_S = 300.0  # of sound that a client in manual mode may gather before it commits
_KEEP_S = 1.0  # of sound before the utterance: more than any pre-roll and the voice that starts an utterance


@dataclass(frozen=True, slots=True)
class _Scored:
    """The turn detector's answer."""

    score: turn_taking.Score


@dataclass(frozen=True, slots=True)
class _Partial:
    """What the live recogniser makes of the utterance so far."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class _Written:
    """The words of a message that the client committed or sent as sound."""

    item_id: str
    transcript: Transcript | StageError
    audio_s: float


_Entry: TypeAlias = events.Request | TurnOutput | _Scored | _Partial | _Written


@dataclass(slots=True)
class _Turn:
    """A turn under way."""

    number: int
    brief: Brief
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


def random_id(kind: str) -> str:
    """Return a fresh id, such as "item_5f0c…"."""
    return f"{kind}_{secrets.token_hex(10)}"


class Session:
    """A conversation between one client and the engines."""

    def __init__(self, engines: Engines, settings: Settings, *, new_id: Callable[[str], str] = random_id) -> None:
        self._engines = engines
        self._settings = settings
        self._new_id = new_id
        self._inbox: Inbox[_Entry] = Inbox()
        # Blocks the session when its events aren't read: speech waits, nothing piles up.
        self._outbox: asyncio.Queue[events.Event] = asyncio.Queue(maxsize=64)
        self._history = History()
        self._taker = TurnTaker(settings.turn_taking)
        self._voice = engines.vad.stream()
        self._recording = Recording()
        self._scored = 0  # samples that the voice detector has had
        self._held_from = 0  # where the sound begins that a manual commit takes
        self._utterance_from = 0  # where the utterance begins, the current or the last one
        self._utterance_id: str | None = None
        self._told_dropped_s = 0.0
        self._stable = StablePrefix()
        self._live_at = 0  # where the last partial transcript ended
        self._live_running = False
        self._language: str | None = None  # the user's, as last recognised
        self._turns = 0
        self._ahead: _Turn | None = None  # prepared in a pause: nobody knows of it yet
        self._waiting: _Turn | None = None  # committed; waits for its words, or for the reply before it
        self._replying: _Turn | None = None  # has the floor
        self._unwritten: set[str] = set()  # messages whose words are still being found out
        self._all_written = asyncio.Event()
        self._all_written.set()
        self._voice_at = 0.0  # when the last voiced window came, by the loop's clock

    async def put(self, request: events.Request) -> None:
        """Hand in what the client sent. Sound never waits: when too much of it does, the oldest is dropped."""
        await self._inbox.put(request)

    async def next_event(self) -> events.Event:
        """Return the next thing that happened, waiting for it. Events come in the order in which they happened."""
        return await self._outbox.get()

    async def run(self) -> None:
        """Hold the conversation until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._prefill())
            while True:
                await self._handle(await self._next())

    async def _next(self) -> _Entry | turn_taking.Tick:
        try:
            async with asyncio.timeout_at(self._taker.deadline):
                return await self._inbox.get()
        except TimeoutError:
            return turn_taking.Tick()

    async def _handle(self, entry: _Entry | turn_taking.Tick) -> None:
        try:
            match entry:
                case events.Audio(samples):
                    await self._hear(samples)
                case turn_taking.Tick():
                    await self._step(entry)
                case _Scored(score):
                    await self._step(score)
                case _Partial():
                    await self._on_partial(entry)
                case _Written():
                    await self._on_written(entry)
                case Words() | Reached() | Says() | Measured() | Sound() | Done():
                    await self._on_turn(entry)
                case _:
                    await self._on_request(entry)
        except RequestError as error:
            request_id = getattr(entry, "request_id", None)
            await self._emit(events.Rejected(error.code, error.message, error.param, request_id))

    async def _emit(self, event: events.Event) -> None:
        await self._outbox.put(event)

    # --- Requests ---

    async def _on_request(self, request: events.Request) -> None:
        match request:
            case events.Audio():
                raise AssertionError("sound is heard, not requested")
            case events.Update(settings):
                await self._update(settings)
            case events.Commit():
                await self._commit()
            case events.Clear():
                await self._clear()
            case events.CreateItem(item, after):
                await self._create_item(item, after)
            case events.RetrieveItem(item_id):
                await self._emit(events.ItemRetrieved(self._history.get(item_id)))
            case events.DeleteItem(item_id):
                self._history.delete(item_id)
                await self._discard()
                await self._emit(events.ItemDeleted(item_id))
            case events.TruncateItem(item_id, audio_end_s):
                await self._truncate(item_id, audio_end_s)
            case events.CreateResponse():
                await self._respond(request)
            case events.CancelResponse(response_id):
                await self._cancel(response_id)
            case _:
                assert_never(request)

    async def _update(self, settings: Settings) -> None:
        new_prompt = settings.instructions != self._settings.instructions
        self._settings = settings
        await self._discard()
        await self._step(turn_taking.Configure(settings.turn_taking))
        await self._emit(events.SettingsUpdated(settings))
        if new_prompt:
            self._tasks.create_task(self._prefill())

    async def _commit(self) -> None:
        if self._settings.turn_taking.mode != "manual":
            if self._taker.state not in (State.HEARING, State.DECIDING):
                raise RequestError(
                    "input_audio_buffer_commit_empty",
                    "There is no speech to commit: none was heard since the last turn.",
                )
            await self._step(turn_taking.Commit())
            return
        audio = self._recording.cut(self._held_from)
        if len(audio) < INPUT_RATE // 10:
            raise RequestError(
                "input_audio_buffer_commit_empty",
                f"The buffer holds {1000 * len(audio) // INPUT_RATE} ms of audio: a commit needs at least 100 ms.",
            )
        self._held_from = self._recording.end
        self._voice_at = self._loop.time()
        item = Item(self._new_id("item"), "user", (Spoken(None, audio),))
        previous = self._history.add(item)
        await self._emit(events.AudioCommitted(item.id, previous))
        await self._emit(events.ItemAdded(item, previous))
        self._write(item)

    async def _clear(self) -> None:
        self._held_from = self._recording.end
        await self._step(turn_taking.Clear())
        self._voice.reset()
        await self._emit(events.AudioCleared())

    async def _create_item(self, item: Item, after: str | None) -> None:
        previous = self._history.add(item, after)
        await self._discard()
        await self._emit(events.ItemAdded(item, previous))
        self._write(item)

    def _write(self, item: Item) -> None:
        """Find out the words of a message that came as sound."""
        for part in item.parts:
            if isinstance(part, Spoken) and part.audio is not None:
                self._unwritten.add(item.id)
                self._all_written.clear()
                self._tasks.create_task(self._transcribe(item.id, part.audio))

    async def _transcribe(self, item_id: str, audio: Samples) -> None:
        words: Transcript | StageError
        settings = self._settings
        try:
            words = await self._engines.stt.transcribe(
                audio, language=settings.language, prompt=settings.transcription_prompt
            )
        except Exception as cause:  # noqa: BLE001 - whatever an engine raises becomes one typed error
            words = StageError(Stage.TRANSCRIBE, "transcribe_failed", f"The speech could not be transcribed: {cause}")
        await self._inbox.put(_Written(item_id, words, len(audio) / INPUT_RATE))

    async def _on_written(self, written: _Written) -> None:
        self._unwritten.discard(written.item_id)
        text = written.transcript.text if isinstance(written.transcript, Transcript) else ""
        if written.item_id in self._history:
            item = self._history.get(written.item_id)
            parts = tuple(replace(p, transcript=text, audio=None) if isinstance(p, Spoken) else p for p in item.parts)
            self._history.replace(replace(item, parts=parts))
        await self._tell_words(written.item_id, written.transcript, written.audio_s)
        if not self._unwritten:
            self._all_written.set()

    async def _tell_words(self, item_id: str, words: Transcript | StageError, audio_s: float) -> None:
        if isinstance(words, StageError):
            await self._emit(events.TranscriptFailed(item_id, words.code, words.message))
            return
        self._language = words.language
        if self._settings.show_transcript:
            await self._emit(events.TranscriptCompleted(item_id, words.text, audio_s))

    async def _truncate(self, item_id: str, audio_end_s: float) -> None:
        if self._replying is not None and self._replying.reply.item_id == item_id:
            await self._end_reply("cancelled", "client_cancelled")
            await self._after_reply()
        sound_s = self._history.truncate(item_id, audio_end_s)
        await self._discard()
        # A client's clock may be ahead of what it was sent: clamp, don't refuse.
        await self._emit(events.ItemTruncated(item_id, min(audio_end_s, sound_s)))

    async def _respond(self, asked: events.CreateResponse) -> None:
        if self._replying is not None or self._waiting is not None:
            raise RequestError(
                "conversation_already_has_active_response",
                "The conversation already has an active response: wait until it is done, or cancel it.",
            )
        settings = self._settings
        instructions = settings.instructions if asked.instructions is None else asked.instructions
        brief = replace(
            self._brief(None, instructions),
            output=asked.output or settings.output,
            voice=asked.voice or settings.voice,
            max_tokens=asked.max_output_tokens or settings.max_output_tokens,
        )
        await self._discard()
        turn = self._begin(brief, None, Moments(self._voice_at or self._loop.time()))
        turn.moments.commit = self._loop.time()
        await self._step(turn_taking.ReplyStarted())
        await self._reply(turn)

    async def _cancel(self, response_id: str | None) -> None:
        turn = self._replying
        if turn is None or response_id not in (None, turn.reply.response_id):
            raise RequestError("response_cancel_not_active", "There is no active response to cancel.", "response_id")
        await self._end_reply("cancelled", "client_cancelled")
        await self._after_reply()

    # --- Sound ---

    async def _hear(self, samples: Samples) -> None:
        await self._tell_dropped()
        self._recording.append(samples)
        while self._recording.end - self._scored >= VAD_WINDOW:
            window = self._recording.cut(self._scored, self._scored + VAD_WINDOW)
            self._scored += VAD_WINDOW
            if self._settings.turn_taking.mode != "manual":
                await self._hear_window(window)
        if self._settings.turn_taking.mode == "manual":
            oldest = self._recording.end - int(_MAX_HELD_S * INPUT_RATE)
            if self._held_from < oldest:
                self._held_from = self._recording.end
                raise RequestError(
                    "input_audio_buffer_full",
                    f"The buffer held {_MAX_HELD_S:.0f} s of audio without a commit and was emptied.",
                )
        self._forget()

    async def _hear_window(self, window: Samples) -> None:
        probability = self._voice.score(window)
        if probability >= self._settings.turn_taking.vad_threshold:
            self._voice_at = self._loop.time()
        await self._step(turn_taking.Window(probability, self._scored / INPUT_RATE))
        if self._taker.state is State.HEARING:
            self._listen_live()

    async def _tell_dropped(self) -> None:
        dropped_s = self._inbox.dropped_s
        if dropped_s > self._told_dropped_s:
            lost_s, self._told_dropped_s = dropped_s - self._told_dropped_s, dropped_s
            message = f"{lost_s:.1f} s of audio came faster than they could be listened to and were dropped."
            await self._emit(events.Rejected("input_audio_dropped", message, fault="server"))

    def _forget(self) -> None:
        """Let go of sound that no utterance can need any more."""
        recent = self._scored - int(_KEEP_S * INPUT_RATE)
        if self._settings.turn_taking.mode == "manual":
            self._recording.forget(self._held_from)
            return
        self._held_from = self._scored
        # The last utterance stays until its reply is over: the user may go on with it.
        listening = self._taker.state in (State.LISTENING, State.ASLEEP)
        self._recording.forget(recent if listening else min(recent, self._utterance_from))

    def _listen_live(self) -> None:
        """Ask for a partial transcript, one at a time."""
        engine, item_id = self._engines.live, self._utterance_id
        spoken = self._settings.language or self._language or "en"
        due = self._scored - self._live_at >= _LIVE_EVERY_S * INPUT_RATE
        if engine is None or item_id is None or self._live_running or not due or spoken != "en":
            return
        if not self._settings.show_transcript:
            return
        self._live_running = True
        self._live_at = self._scored
        audio = self._recording.cut(self._utterance_from, self._scored)

        async def write() -> None:
            text = ""
            try:
                text = (await engine.transcribe(audio, language="en")).text
            except Exception as error:  # noqa: BLE001 - captions are a nicety: the turn goes on without them
                log.warning("No partial transcript: %s", type(error).__name__)
            await self._inbox.put(_Partial(item_id, text))

        self._tasks.create_task(write())

    async def _on_partial(self, partial: _Partial) -> None:
        self._live_running = False
        if partial.item_id == self._utterance_id and (fresh := self._stable.feed(partial.text)):
            await self._emit(events.TranscriptDelta(partial.item_id, fresh))

    # --- Turn-taking ---

    async def _step(self, happened: turn_taking.Input) -> None:
        for action in self._taker.step(happened, self._loop.time()):
            await self._act(action)

    async def _act(self, action: turn_taking.Action) -> None:
        match action:
            case turn_taking.Awake() | turn_taking.FellAsleep():
                self._voice.reset()
            case turn_taking.SpeechStarted(start_s):
                self._utterance_id = self._new_id("item")
                self._utterance_from = int(start_s * INPUT_RATE)
                self._stable = StablePrefix()
                self._live_at = self._scored
                await self._emit(events.SpeechStarted(self._utterance_id, start_s))
            case turn_taking.AskTurnDetector(pause, start_s):
                self._tasks.create_task(self._ask_turn_detector(pause, self._cut(start_s)))
            case turn_taking.Speculate(start_s):
                self._ahead = self._begin_utterance(start_s)
            case turn_taking.Discard():
                await self._discard()
            case turn_taking.CommitTurn(start_s, voice_end_s):
                await self._commit_turn(start_s, voice_end_s)
            case turn_taking.Interrupt():
                await self._interrupt()
            case turn_taking.Reopen():
                await self._reopen()
            case turn_taking.IdleTimeout():
                await self._emit(events.IdleTimeout(self._scored / INPUT_RATE))
            case _:
                assert_never(action)

    def _cut(self, start_s: float) -> Samples:
        return self._recording.cut(int(start_s * INPUT_RATE), self._scored)

    async def _ask_turn_detector(self, pause: int, audio: Samples) -> None:
        try:
            score = await self._engines.turn.score(audio)
        except Exception as error:  # noqa: BLE001 - silence alone ends the turn then
            log.warning("The turn detector failed: %s", type(error).__name__)
            return
        await self._inbox.put(_Scored(turn_taking.Score(pause, score)))

    def _begin_utterance(self, start_s: float) -> _Turn:
        brief = replace(self._brief(self._cut(start_s)), answer=self._settings.turn_taking.create_response)
        return self._begin(brief, self._utterance_id, Moments(self._voice_at))

    def _brief(self, audio: Samples | None, instructions: str | None = None) -> Brief:
        settings = self._settings
        system = settings.instructions if instructions is None else instructions
        # An utterance is answered from what was said before it, even if it stands in the history itself by then.
        known = None if audio is None else tuple(self._history)
        return Brief(
            audio=audio,
            prompt=lambda question: prompt(
                self._history if known is None else known, system, question, max_chars=settings.max_history_chars
            ),
            ready=self._all_written.wait,
            output=settings.output,
            voice=settings.voice,
            speed=settings.speed,
            language=settings.language,
            transcription_prompt=settings.transcription_prompt,
            max_tokens=settings.max_output_tokens,
            temperature=settings.temperature,
        )

    def _begin(self, brief: Brief, item_id: str | None, moments: Moments) -> _Turn:
        self._turns += 1
        committed = asyncio.Event()
        task = self._tasks.create_task(run_turn(self._turns, brief, self._engines, committed, self._inbox.put))
        reply = Reply(self._new_id("resp"), self._new_id("item"), brief.output)
        return _Turn(self._turns, brief, item_id, moments, reply, committed, task)

    async def _discard(self) -> None:
        """Drop what was prepared for an utterance that goes on, or from a conversation that has changed."""
        turn, self._ahead = self._ahead, None
        if turn is not None:
            await turn.stop()

    async def _commit_turn(self, start_s: float, voice_end_s: float) -> None:
        turn = self._ahead or self._begin_utterance(start_s)
        self._ahead = None
        turn.moments.commit = self._loop.time()
        await self._emit(events.SpeechStopped(turn.item_id or "", voice_end_s))
        self._utterance_id = None
        await self._leave_unanswered()
        if self._replying is not None and self._settings.turn_taking.interrupt_response:
            await self._end_reply("cancelled", "turn_detected")
        self._waiting = turn
        await self._admit()

    async def _admit(self) -> None:
        """Let the committed turn into the conversation, once its words are known and the floor is free."""
        turn = self._waiting
        if turn is None or turn.words is None or self._replying is not None:
            return
        self._waiting = None
        if isinstance(turn.words, Transcript) and not turn.words.text:
            # A cough, a door, a voice without words: nobody said anything.
            await self._emit(events.AudioCleared())
            await self._after_reply()
            return
        await self._add_utterance(turn)
        await self._tell_words(turn.item_id or "", turn.words, _seconds(turn))
        if turn.brief.answer:
            await self._reply(turn)
        else:
            await self._after_reply()

    async def _add_utterance(self, turn: _Turn) -> Item:
        text = turn.words.text if isinstance(turn.words, Transcript) else None
        audio = turn.brief.audio if turn.words is None else None
        item = Item(turn.item_id or "", "user", (Spoken(text, audio),))
        previous = self._history.add(item)
        await self._emit(events.AudioCommitted(item.id, previous))
        await self._emit(events.ItemAdded(item, previous))
        return item

    async def _reply(self, turn: _Turn) -> None:
        self._replying = turn
        item = turn.reply.item("in_progress", self._loop.time())
        previous = self._history.add(item)
        await self._emit(events.ResponseStarted(turn.reply.response_id, item.id, previous, turn.reply.output))
        turn.committed.set()

    async def _leave_unanswered(self) -> None:
        """Keep a committed utterance in the conversation whose turn has not come before the next one's."""
        turn, self._waiting = self._waiting, None
        if turn is None:
            return
        await turn.stop()
        if isinstance(turn.words, Transcript) and not turn.words.text:
            return
        item = await self._add_utterance(turn)
        if turn.words is None:
            self._write(item)
        else:
            await self._tell_words(item.id, turn.words, _seconds(turn))

    async def _interrupt(self) -> None:
        await self._leave_unanswered()
        if self._replying is not None:
            await self._end_reply("cancelled", "turn_detected")

    async def _reopen(self) -> None:
        turn, self._waiting = self._waiting, None
        if turn is not None:
            await turn.stop()
            return
        turn = self._replying
        if turn is None:
            return
        await self._end_reply("cancelled", "turn_detected")
        # The whole utterance will be committed anew: its first part and the unheard reply would stand there twice.
        for item_id in (turn.item_id, turn.reply.item_id):
            if item_id is not None and item_id in self._history:
                self._history.delete(item_id)
                await self._emit(events.ItemDeleted(item_id))

    # --- Turns ---

    async def _on_turn(self, output: TurnOutput) -> None:
        now = self._loop.time()
        turn = next((t for t in (self._ahead, self._waiting, self._replying) if t and t.number == output.turn), None)
        if turn is None:
            return
        match output:
            case Words(transcript=words):
                turn.words = words
                turn.moments.transcript = now
                await self._admit()
            case Reached(what="token"):
                turn.moments.token = now
            case Reached():
                turn.moments.clause = now
            case Measured(clause=clause, seconds=seconds):
                turn.reply.measure(clause, seconds)
            case Says(text=text):
                reply = turn.reply
                await self._emit(events.ResponseText(reply.response_id, reply.item_id, reply.say(text)))
            case Sound(samples=samples):
                await self._sound(turn, samples, now)
            case Done(finish=finish, error=error):
                if turn is self._replying:
                    await self._finish(finish, error)
            case _:
                assert_never(output)

    async def _sound(self, turn: _Turn, samples: Samples, now: float) -> None:
        reply = turn.reply
        reply.send(samples, now)
        await self._emit(events.ResponseAudio(reply.response_id, reply.item_id, samples))
        if turn.moments.audio is None:
            turn.moments.audio = now
            await self._step(turn_taking.ReplyHeard())

    async def _finish(self, finish: Finish | None, error: StageError | None) -> None:
        if error is not None:
            log.error("A turn failed at %s: %s", error.stage, error.message, exc_info=error.__cause__)
            await self._end_reply("failed", finish=finish, error=error)
        elif finish is not None and finish.reason == "length":
            await self._end_reply("incomplete", "max_output_tokens", finish=finish)
        else:
            await self._end_reply("completed", finish=finish)
        await self._after_reply()

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
        item = turn.reply.item("completed" if status == "completed" else "incomplete", self._loop.time())
        self._history.replace(item)
        await self._emit(events.TurnTimed(turn.reply.response_id, turn.moments.timings()))
        await self._emit(
            events.ResponseEnded(
                turn.reply.response_id,
                item,
                turn.reply.text,
                status,
                reason,
                error and error.code,
                error and error.message,
                _usage(finish),
            )
        )

    async def _after_reply(self) -> None:
        """Give the floor to the turn that waits for it, or back to the user."""
        await self._admit()
        if self._replying is None and self._waiting is None:
            await self._step(turn_taking.ReplyEnded())

    async def _prefill(self) -> None:
        """Let the model read what every answer begins with, before the first question comes."""
        messages = prompt(self._history, self._settings.instructions, max_chars=self._settings.max_history_chars)
        try:
            await self._engines.llm.prefill(messages)
        except Exception as error:  # noqa: BLE001 - it only saves time; a real failure shows in the first turn
            log.warning("The prompt could not be prepared: %s", type(error).__name__)


def _seconds(turn: _Turn) -> float:
    return 0.0 if turn.brief.audio is None else len(turn.brief.audio) / INPUT_RATE


def _usage(finish: Finish | None) -> events.Usage:
    if finish is None:
        return events.Usage()
    return events.Usage(finish.input_tokens, finish.cached_tokens, finish.output_tokens)
