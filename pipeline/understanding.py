"""From the sound of an utterance to its words, and from its words to an answer under way.

While the user speaks, the fast recogniser writes the growing utterance down and the language model reads along. As soon
as the words look complete, their answer is prepared, unheard. In a pause the utterance is written down to its end, and
then checked by the reference recogniser; words that turn out to be others are answered instead, as long as nothing of
the answer was heard.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from audio.types import INPUT_RATE, Samples
from pipeline import events, moves
from pipeline.briefs import reading
from pipeline.context import Context, Heard, Partial, Read
from pipeline.conversation import Conversation
from pipeline.endings import LIKELY, finished, is_call
from pipeline.engines import ChatRequest, SpeechToText, Transcript
from pipeline.errors import StageError
from pipeline.floor import Floor
from pipeline.lanes import Lane
from pipeline.listening import Captions, Listening
from pipeline.moves import Reads, State
from pipeline.seeing import Seeing
from pipeline.settings import Settings
from pipeline.transcribe import transcribe
from pipeline.utterance import Utterance, meaning, same_words

log = logging.getLogger(__name__)

_SAME_END_S: Final = 0.1
"""Words of sound that ends so shortly before a pause are the pause's: only its silence is missing."""
_CHECK_WITHIN_S: Final = 2.0
"""A check waits for more urgent work, but not for ever: the client wants the transcript."""
_BEGINS_WITHIN_S: Final = 0.5
"""By then, or soon, an answer is under way if there is going to be one."""
_GUESSES: Final = 2
"""Answers that are begun in vain while the user speaks, before the next one waits for a pause."""
_READ_WORDS: Final = 3
"""New words that are worth the model's attention though they may not be the last."""
_LAST_WORDS: Final = 2
"""Words that tell whether an utterance is over, when the reference recogniser heard others before them."""
_STRAYS: Final = 2
"""Doubtful transcripts in a row, with other words than those that an answer is prepared for, that make it void."""


@dataclass(slots=True)
class _SoFar:
    """What has been found out about an utterance that isn't over."""

    finding: asyncio.Task[None] | None = None
    """Finds its words in a pause."""
    reading: str | None = None
    """Words that the model is reading."""
    read: dict[tuple[str, ...], float | None] = field(default_factory=dict)
    """What it has read, and how finished it found it."""
    agreed: int = 0
    """How many words of doubtful transcripts it has read."""
    wanted: Transcript | None = None
    """The words, as last guessed."""
    last: Partial | None = None
    """The last transcript that was made while the user spoke."""
    steady: bool = False
    """Whether it has the words of the one before."""
    strays: int = 0
    """Doubtful transcripts in a row with other words than those that an answer is prepared for."""
    adopts: bool = False
    """Whether the look under way is the pause's."""
    pause: int | None = None
    """The pause that is weighed."""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether what was found out is enough for an answer to be under way."""


class Understanding:
    """What is known of the utterance that the user is saying, or said last."""

    def __init__(  # noqa: PLR0913, PLR0917 - it connects the parts of a session
        self,
        context: Context,
        conversation: Conversation,
        floor: Floor,
        listening: Listening,
        seeing: Seeing,
        settings: Settings,
        step: Callable[[moves.Input], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self.utterance = Utterance("", settings, 0.0)
        self._context = context
        self._conversation = conversation
        self._floor = floor
        self._listening = listening
        self._seeing = seeing
        self._step = step  # tells the turn-taker what the words say
        engines = context.engines
        self._captions = None if engines.live is None else Captions(context, engines.live)
        self._so_far = _SoFar()

    def update(self, settings: Settings) -> None:
        """Go on with new settings."""
        self.settings = settings
        if self.utterance.committed is None:
            self.utterance.settings = settings

    # --- The utterance's life ---

    def begin(self) -> Utterance:
        """Begin a new utterance."""
        self.utterance = Utterance(self._context.new_id("item"), self.settings, 0.0, checkable=self._checkable)
        self._so_far = _SoFar()  # what is still being found of the last one stays welcome
        if self._captions is not None:
            self._captions.begin(self.utterance.id)
        answers = self.settings.turn_taking.create_response
        if answers and self._conversation.history.last_id is not None and self._idle:
            # How the last answer ends and the next message begins, and what the check has corrected.
            self._context.spawn(self.read_history())
        return self.utterance

    def follow(self, *, fades: bool) -> None:
        """Write down what has been said so far, if it is time; `fades`: it may be all."""
        if self._captions is not None and self.fast is not None:
            self._captions.follow(self._listening, at_once=fades)

    async def speculate(self) -> None:
        """Find out what was said: the user pauses."""
        await self._find()

    async def weigh(self, pause: int) -> None:
        """Answer with Reads(pause, …) when it is known how finished the words are."""
        self._so_far.pause = pause
        await self._find()
        await self._tell()

    async def goes_on(self) -> None:
        """Forget what was found in the pause: the user has not finished."""
        self._so_far.pause = None
        self._so_far.adopts = False
        self._so_far.answering.clear()
        if self._so_far.finding is not None:
            self._so_far.finding.cancel()
            self._so_far.finding = None
        self.utterance.goes_on()
        if self.fast is None:
            # Nobody will tell when the words become others.
            await self._floor.discard()

    async def end(self, voice_end: float) -> Utterance:
        """Return the utterance, which is committed now."""
        utterance = self.utterance
        utterance.voice_end = voice_end
        utterance.committed = asyncio.get_running_loop().time()
        utterance.audio = self._listening.utterance()
        await self._find()
        self._so_far.answering.set()
        if self._captions is not None:
            self._captions.end()
        return utterance

    # --- What the recognisers and the model post ---

    async def take(self, entry: Partial | Heard | Read, state: State) -> None:
        """Take in a report; of words that are others by now, nothing."""
        match entry:
            case Partial():
                await self._take_partial(entry, state)
            case Heard():
                if not entry.checked and isinstance(entry.transcript, Transcript) and self._is_of_now(entry):
                    self._compare(entry.transcript)
                await self._take_heard(entry)
            case Read():
                await self._take_read(entry)
            case _:
                assert_never(entry)

    def _compare(self, words: Transcript) -> None:
        """Note whether these are the words of the transcript before."""
        last = self._so_far.last
        self._so_far.steady = last is not None and same_words(last.transcript.text, words.text)

    async def _take_partial(self, partial: Partial, state: State) -> None:
        assert self._captions is not None
        fresh = self._captions.take(partial)
        if fresh and self.settings.show_transcript:
            await self._context.emit(events.TranscriptDelta(partial.item_id, fresh))
        if partial.item_id != self.utterance.id:
            return
        self._compare(partial.transcript)
        self._so_far.last = partial
        if self._so_far.adopts:
            self._so_far.adopts = False
            await self._adopt(partial)
        elif state is State.HEARING:
            await self._guess(partial.transcript)

    async def _guess(self, words: Transcript) -> None:
        """Take words that were written down while the user speaks for all of the utterance, if they are clear."""
        if self.utterance.trusts(words):
            self._so_far.strays = 0
            await self._want(words)
        elif words.text and not self._floor.prepared(self.utterance, words):
            self._so_far.strays += 1
            if self._so_far.strays >= _STRAYS:
                self._so_far.wanted = None
                await self._floor.discard()
            assert self._captions is not None
            agreed = self._captions.agreed
            words_agreed = len(agreed.split())
            if not self._floor.prepares and words_agreed >= self._so_far.agreed + _READ_WORDS:
                # They mostly stay, whatever comes: the model need not read them then.
                self._so_far.agreed = words_agreed
                self._start_reading(agreed)

    async def _adopt(self, partial: Partial) -> None:
        """Take the last words before a pause for the pause's."""
        utterance, audio = self.utterance, self._listening.utterance()
        seconds = len(audio) / INPUT_RATE
        await self._take_heard(Heard(utterance.id, utterance.hearing, partial.transcript, seconds, checked=False))
        if self._checkable:
            self._so_far.finding = self._context.spawn(
                self._find_checked(utterance.id, utterance.hearing, audio, partial.transcript)
            )

    async def _take_heard(self, heard: Heard) -> None:
        utterance = self.utterance
        if heard.item_id in self._conversation.history:
            await self._check(heard)
        elif self._is_of_now(heard):
            if heard.checked:
                utterance.checked = heard.transcript
            else:
                assert isinstance(heard.transcript, Transcript)
                utterance.fast = heard.transcript
            best = utterance.words or utterance.fast
            if isinstance(best, Transcript):
                await self._want(best)
            await self._floor.admit()

    def _is_of_now(self, heard: Heard) -> bool:
        """Tell whether it is what is being looked for: of this utterance, and of all its sound."""
        return (heard.item_id, heard.hearing) == (self.utterance.id, self.utterance.hearing)

    async def _check(self, heard: Heard) -> None:
        """Take in the last word on a message that was taken down by the fast recogniser."""
        if not heard.checked and self._checkable:
            return
        await self._conversation.settle(heard.item_id, heard.transcript, heard.audio_s, self.settings)
        if isinstance(heard.transcript, Transcript) and heard.transcript.text:
            await self._floor.correct(heard.item_id, heard.transcript)

    async def _take_read(self, read: Read) -> None:
        if read.item_id != self.utterance.id or read.text != self._so_far.reading:
            return
        self._so_far.reading = None
        self._so_far.read[meaning(read.text)] = read.finished
        wanted = self._so_far.wanted
        if wanted is None:
            return
        if self._has_read(wanted):
            await self._want(wanted)
        else:
            self._start_reading(wanted.text)

    def _looks_finished(self, words: Transcript) -> bool:
        return (
            self._so_far.steady and self._floor.discarded < _GUESSES and self._finished(words) >= LIKELY and self._idle
        )

    # --- What becomes of words ---

    async def _want(self, words: Transcript) -> None:
        """Take these for the utterance's words until better ones come, and let the model read them."""
        if not words.text:
            return
        self._so_far.wanted = words
        paused = self._so_far.pause is not None or self.utterance.asked
        read = self._has_read(words)
        if not read:
            self._start_reading(words.text)
        if self._floor.prepared(self.utterance, words):
            self._so_far.answering.set()
        else:
            await self._floor.discard()
            if not self._doubts and (paused or (read and self._looks_finished(words))):
                await self._prepare(words)
        await self._tell()

    @property
    def _doubts(self) -> bool:
        """Whether the words are being checked and likely to change: to answer them meanwhile would slow the check.

        Words that the fast recogniser has heard twice, of more and more sound, mostly stay.
        """
        return self.utterance.fast is not None and self.utterance.words is None and not self._so_far.steady

    async def _prepare(self, words: Transcript) -> None:
        taking, utterance = self.settings.turn_taking, self.utterance
        if taking.speculate and taking.create_response and utterance.id not in self._conversation.history:
            await self._floor.prepare(utterance, words)
        self._so_far.answering.set()

    async def _tell(self) -> None:
        """Tell the turn-taker how finished the words are."""
        if self._so_far.pause is None or self._so_far.wanted is None or not self.utterance.asked:
            return
        if self.utterance.fast is None and self.utterance.checked is None:
            return  # they are words from before the pause
        await self._step(Reads(self._so_far.pause, self._known(self._so_far.wanted)))

    def _known(self, words: Transcript) -> float | None:
        """Return how finished the words are, once that is known of those that will be answered.

        Nothing is heard before a check of doubtful words is over, so nobody waits longer when the turn's end does; and
        the check may find that there is more to come.
        """
        return self._finished(words) if self.utterance.words is not None and self._has_read(words) else None

    def _finished(self, words: Transcript) -> float:
        """Return how finished the words are, as far as the model has read them."""
        fast = self.utterance.fast
        if fast is not None and is_call(fast.text):
            return 0.0  # what the check takes a strange name for, "Pick a voice" for one, may be a whole message
        return finished(words.text, self._so_far.read.get(meaning(words.text)))

    def _has_read(self, words: Transcript) -> bool:
        """Tell whether it is known how finished the words are: for that, the last ones are enough."""
        wanted = meaning(words.text)
        if wanted not in self._so_far.read and self.utterance.checked is not None:
            for read, finds in self._so_far.read.items():
                if read[-_LAST_WORDS:] == wanted[-_LAST_WORDS:]:
                    self._so_far.read[wanted] = finds
                    break
        return wanted in self._so_far.read

    def _start_reading(self, text: str) -> None:
        taking = self.settings.turn_taking
        if not taking.create_response and taking.mode != "semantic":
            return  # no answer is to be begun, and the words don't tell when the utterance is over
        if self._so_far.reading is None and self.utterance.committed is None and (self.utterance.asked or self._idle):
            self._so_far.reading = text
            self._context.spawn(self._let_read(self.utterance.id, text))

    async def read_history(self) -> None:
        """Let the model read what the next answer will begin with, while the user has yet to say the question."""
        settings, asker = self.settings, self._conversation.asker(self.settings)
        request = reading(settings, self._conversation.history, asker, view=self._seeing.view())
        if request.messages:
            await self._read_ahead(request)

    async def _let_read(self, item_id: str, text: str) -> None:
        settings, checked = self.settings, self.utterance.checked
        # Those of a check may be the first in their language.
        language = checked.language if isinstance(checked, Transcript) and checked.text == text else None
        asker = self._conversation.asker(settings, language=language)
        # Without its last stop, which is the recogniser's guess: whether one comes next is just the question.
        words = text.rstrip(" .,;:!?…")
        request = reading(settings, self._conversation.history, asker, words, self._seeing.view())
        likely = await self._read_ahead(replace(request, urgent=self.utterance.asked))
        await self._context.post(Read(item_id, text, likely))

    async def _read_ahead(self, request: ChatRequest) -> float | None:
        engines = self._context.engines
        try:
            async with engines.lanes.enter(Lane.THOUGHT):
                return await engines.llm.prefill(request)
        except Exception as error:  # noqa: BLE001 - it only saves time; a real failure shows in the turn
            log.warning("The question could not be read ahead: %s", type(error).__name__)
            return None

    @property
    def _idle(self) -> bool:
        """Whether nobody waits for anything: reading and guessing ahead only help."""
        return self._context.engines.lanes.free(Lane.CHECK)

    # --- Recognition ---

    @property
    def _checkable(self) -> bool:
        engines = self._context.engines
        return engines.live is not engines.stt

    @property
    def fast(self) -> SpeechToText | None:
        """The fast recogniser, where it knows the language."""
        spoken = self.settings.language or self._conversation.language or "en"
        return self._context.engines.live if spoken == "en" else None

    async def _find(self) -> None:
        """Find the words of the utterance so far, unless that is under way."""
        utterance = self.utterance
        if utterance.asked:
            return
        utterance.asked = True
        since_s = self._listening.now_s - _SAME_END_S
        # A hint of another language is no proof: words that the fast recogniser is sure of are English.
        fast = self._context.engines.live if self.settings.language in (None, "en") else None
        if fast is not None and self._captions is not None and (self._captions.pending or 0.0) >= since_s:
            self._so_far.adopts = True
        elif (
            fast is not None
            and self._so_far.last is not None
            and self._so_far.last.end_s >= since_s
            and (self._so_far.last.transcript.text or self._checkable)
        ):
            # Where it found nothing it wouldn't now: it is another language, or too unclear for it.
            await self._adopt(self._so_far.last)
        else:
            self._so_far.finding = self._context.spawn(
                self._find_words(utterance.id, utterance.hearing, self._listening.utterance(), fast)
            )

    async def _find_words(self, item_id: str, hearing: int, audio: Samples, fast: SpeechToText | None) -> None:
        heard: Transcript | StageError | None = None
        if fast is not None:
            async with self._context.engines.lanes.enter(Lane.WORDS):
                heard = await transcribe(fast, audio, "en", "")
        if isinstance(heard, Transcript):
            await self._context.post(Heard(item_id, hearing, heard, len(audio) / INPUT_RATE, checked=False))
            if not self._checkable:
                return
        await self._find_checked(item_id, hearing, audio, heard)

    async def _find_checked(
        self, item_id: str, hearing: int, audio: Samples, heard: Transcript | StageError | None
    ) -> None:
        settings, engines, answering = self.settings, self._context.engines, self._so_far.answering
        lane, patience_s = Lane.WORDS, _CHECK_WITHIN_S
        if isinstance(heard, Transcript) and self.utterance.trusts(heard):
            lane, patience_s = Lane.CHECK, _CHECK_WITHIN_S - _BEGINS_WITHIN_S
            # Or it would slip in before the answer begins, and slow its beginning down.
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEGINS_WITHIN_S):
                    await answering.wait()
                    await self._floor.begun.wait()
        async with engines.lanes.enter(lane, patience_s):
            checked = await transcribe(engines.stt, audio, settings.language, settings.transcription_prompt)
        await self._context.post(Heard(item_id, hearing, checked, len(audio) / INPUT_RATE, checked=True))
