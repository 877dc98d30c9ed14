"""Speech recognition with Whisper on the CPU (faster-whisper and CTranslate2).

Whisper was trained on windows of 30 s. Encoding just the utterance costs a sixth of that, and mostly gives the same
words; where it gives reason for doubt, a longer window is tried, in the end the full one, and the likeliest attempt is
taken. Two things keep a short window from repeating itself: some silence after the words, and time stamps, which tell
the end.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations
from numpy.typing import NDArray

from audio.pcm import check_heard
from audio.stt.guards import Attempt, Guards
from audio.stt.tokens import spelled
from audio.types import INPUT_RATE, Samples, Segment, Transcript, Word

_AT_ONCE: Final = 2
"""Sounds worked on side by side: what is said never queues behind a piece of a file. They share the weights."""
_MIN_S: Final = 0.1
_MAX_WINDOW_S: Final = 28.0
"""Longer sound goes through the library's own sliding window."""
_SILENCE_S: Final = 1.25
"""After the words. Of 1107 in this project's recordings, each cut in three places, 92 are wrong with it; 109 with
1.0 s, and 96 with 1.5 s."""
_SHORT_WINDOWS_S: Final = (4.0, 12.0)
"""The windows that are tried before the full one, as far as the sound and some silence fit in; the first always is."""
_STAMP_S: Final = 0.02
_BEFORE_WORDS: Final = "\"'“¿([{-"
_AFTER_WORDS: Final = "\"'.。,，!！?？:：;；”)]}、"
_TOKENS_PER_S: Final = 10
_SPARE_TOKENS: Final = 16
_PROMPT_TOKENS: Final = 200

_SHORT: Final = Guards(min_logprob=-0.6, max_no_speech=0.6, max_repeats=2)
_FINAL: Final = Guards(min_logprob=-0.75, max_no_speech=0.6, max_repeats=3)
_HOPELESS: Final = -1.3
"""Likelihood below which sound that is also thought to be no speech isn't worth the full window."""
_LONG_COMPRESSION: Final = 2.4


class FasterWhisper:
    """Writes down what was said, in any of Whisper's languages. Non-speech gives an empty text."""

    def __init__(self, model: Path, *, threads: int, short_window: bool = True) -> None:
        """Load the CTranslate2 model in the folder `model`, as 8-bit integers."""
        self._whisper: Any = WhisperModel(
            str(model),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            num_workers=_AT_ONCE,
            local_files_only=True,
        )
        self._short_window = short_window
        self._tokenizers: dict[str, Any] = {}
        self._executor = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="whisper")

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
    ) -> Transcript:
        """Return the words in `audio` (16 kHz); `language` is a hint (ISO 639-1), `prompt` holds words to expect.

        `temperature` is 0..1; `words` also finds when each word was said, up to 28 s of sound, for a tenth more time.
        Raises ValueError when `audio` isn't mono float32 or not finite, or Whisper doesn't know the language.
        """
        check_heard(audio)
        if language is not None and language not in self._whisper.supported_languages:
            raise ValueError(f"Whisper doesn't know the language {language!r}. Use a code such as 'en', or none.")
        if audio.size < _MIN_S * INPUT_RATE:
            return Transcript("", language)
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._transcribe, audio, _Asked(language, prompt, temperature, words)
        )

    async def warm(self) -> None:
        """Recognise once, so that the first real utterance isn't slower."""
        tone = 0.1 * np.sin(np.arange(2 * INPUT_RATE) / 10)
        await self.transcribe(tone.astype(np.float32), language="en")

    def close(self) -> None:
        """Stop the threads after the utterances in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _transcribe(self, audio: Samples, asked: "_Asked") -> Transcript:
        if audio.size > _MAX_WINDOW_S * INPUT_RATE:
            return self._transcribe_long(audio, asked)
        attempts = []
        for window_s in self._short_windows(audio):
            short = self._attempt(self._short_features(audio, window_s), audio, asked)
            if _SHORT.doubt(short) is None:
                return _transcript(short)
            if short.word_logprob < _HOPELESS and short.no_speech > 0.5:
                return Transcript("", asked.language)
            attempts.append(short)
        attempts.append(self._attempt(self._full_features(audio), audio, asked))
        believed = [attempt for attempt in attempts if _FINAL.doubt(attempt) is None]
        if not believed:
            return Transcript("", asked.language)
        return _transcript(max(believed, key=lambda attempt: attempt.word_logprob))

    def _short_windows(self, audio: Samples) -> list[float]:
        least_s = audio.size / INPUT_RATE + _SILENCE_S
        first_s, *longer = _SHORT_WINDOWS_S
        windows = [max(least_s, first_s), *(window_s for window_s in longer if window_s > least_s)]
        return windows if self._short_window else []

    def _short_features(self, audio: Samples, window_s: float) -> NDArray[np.float32]:
        padded = np.pad(audio, (0, round(window_s * INPUT_RATE) - audio.size))
        features: NDArray[np.float32] = self._whisper.feature_extractor(padded, padding=0)
        return features[:, : features.shape[1] // 2 * 2]  # the encoder halves the number of frames

    def _full_features(self, audio: Samples) -> NDArray[np.float32]:
        features: NDArray[np.float32] = pad_or_trim(self._whisper.feature_extractor(audio))
        return features

    def _attempt(self, features: NDArray[np.float32], audio: Samples, asked: "_Asked") -> "_Timed":
        model = self._whisper.model
        language = asked.language
        encoded = self._whisper.encode(features)
        if not model.is_multilingual:
            language = "en"
        elif language is None:
            language = str(model.detect_language(encoded)[0][0][0])[2:-2]
        tokenizer = self._tokenizer(language)
        start = [*self._context(tokenizer, asked.prompt), *tokenizer.sot_sequence]
        seconds = audio.size / INPUT_RATE
        budget = round(seconds * _TOKENS_PER_S) + _SPARE_TOKENS
        result = model.generate(
            encoded,
            [start],
            beam_size=1,
            sampling_temperature=asked.temperature or 1.0,
            sampling_topk=0 if asked.temperature else 1,  # of one candidate, the likeliest
            max_length=min(len(start) + budget, self._whisper.max_length),
            return_no_speech_prob=True,
            return_logits_vocab=True,
        )[0]
        tokens: list[int] = result.sequences_ids[0]
        kept = _within(tokens, tokenizer.timestamp_begin, seconds)
        words = [at for at in kept if tokens[at] < tokenizer.eot]
        logprobs = [_logprob(result.logits[0][at], tokens[at], tokenizer.timestamp_begin) for at in words]
        phrases = _phrases(tokens, kept, tokenizer.timestamp_begin, seconds)
        spoken = self._words(tokenizer, encoded, features, tokens, phrases) if asked.words else [()] * len(phrases)
        likely = dict(zip(words, logprobs, strict=True))
        segments = tuple(
            Segment(
                text=text,
                start_s=phrase.start_s,
                end_s=phrase.end_s,
                tokens=tuple(tokens[at] for at in phrase.at),
                logprob=float(np.mean([likely[at] for at in phrase.at if at in likely])),
                no_speech=result.no_speech_prob,
                words=found,
            )
            for phrase, found in zip(phrases, spoken, strict=True)
            if (text := " ".join(tokenizer.decode([tokens[at] for at in phrase.at]).split()))
        )
        return _Timed(
            segments=segments,
            text=" ".join(tokenizer.decode([tokens[at] for at in words]).split()),
            language=language,
            seconds=seconds,
            word_logprob=float(np.mean(logprobs)) if logprobs else -np.inf,
            least_logprob=min(logprobs, default=0.0),
            no_speech=result.no_speech_prob,
            finished=len(tokens) < budget or len(kept) < len(tokens),
            tokens=spelled([tokens[at] for at in words], logprobs, tokenizer.decode),
        )

    def _words(
        self, tokenizer: Any, encoded: Any, features: NDArray[np.float32], tokens: list[int], phrases: list["_Phrase"]
    ) -> list[tuple[Word, ...]]:
        """Return the words of each phrase, and when they were said: where the decoder looked when it wrote them."""
        said = [[tokens[at] for at in phrase.at if tokens[at] < tokenizer.eot] for phrase in phrases]
        (found,) = self._whisper.find_alignment(
            tokenizer, [list(chain.from_iterable(said))], encoded, features.shape[1]
        )
        merge_punctuations(found, _BEFORE_WORDS, _AFTER_WORDS)
        words: list[tuple[Word, ...]] = []
        rest = iter(found)
        for phrase in said:
            mine: list[Word] = []
            left = len(phrase)
            while left > 0 and (word := next(rest, None)) is not None:
                left -= len(word["tokens"])
                if text := word["word"].strip():
                    mine.append(Word(text, float(word["start"]), float(word["end"])))
            words.append(tuple(mine))
        return words

    def _transcribe_long(self, audio: Samples, asked: "_Asked") -> Transcript:
        segments, info = self._whisper.transcribe(
            audio,
            language=asked.language,
            initial_prompt=asked.prompt or None,
            beam_size=1,
            temperature=asked.temperature,
            condition_on_previous_text=False,  # one mistake would be carried through the rest
        )
        texts = []
        for segment in segments:
            attempt = Attempt(
                text=segment.text.strip(),
                language=info.language,
                seconds=segment.end - segment.start,
                word_logprob=segment.avg_logprob,
                no_speech=segment.no_speech_prob,
                finished=segment.compression_ratio < _LONG_COMPRESSION,
            )
            if _FINAL.doubt(attempt) is None:
                texts.append(attempt.text)
        return Transcript(" ".join(" ".join(texts).split()), info.language if texts else asked.language)

    def _tokenizer(self, language: str) -> Any:
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._whisper.hf_tokenizer,
                self._whisper.model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]

    @staticmethod
    def _context(tokenizer: Any, prompt: str) -> list[int]:
        if not prompt.strip():
            return []
        return [tokenizer.sot_prev, *tokenizer.encode(" " + prompt.strip())[-_PROMPT_TOKENS:]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a caller wants."""

    language: str | None
    prompt: str
    temperature: float
    words: bool


@dataclass(frozen=True, slots=True)
class _Timed(Attempt):
    """An attempt that says when its phrases were said."""

    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Between two time stamps."""

    at: list[int]
    """Positions of its tokens."""
    start_s: float
    end_s: float


def _transcript(attempt: _Timed) -> Transcript:
    return Transcript(attempt.text, attempt.language, attempt.least_logprob, attempt.tokens, attempt.segments)


def _phrases(tokens: list[int], kept: list[int], first_stamp: int, seconds: float) -> list[_Phrase]:
    """Return the phrases of the kept positions; what has no stamp begins or ends with the sound."""
    phrases: list[_Phrase] = []
    phrase: list[int] = []
    begin = 0.0
    wanted = frozenset(kept)
    for at, token in enumerate(tokens):
        if token < first_stamp:
            if at in wanted:
                phrase.append(at)
            continue
        stamp = min((token - first_stamp) * _STAMP_S, seconds)
        if phrase:
            phrases.append(_Phrase(phrase, begin, max(begin, stamp)))
            phrase = []
        begin = stamp
    return [*phrases, _Phrase(phrase, begin, seconds)] if phrase else phrases


def _within(tokens: list[int], first_stamp: int, seconds: float) -> list[int]:
    """Return the positions of the tokens that belong to the sound, without what was made up for the silence after it.

    Made up is a segment that begins after the sound's end, or one that says the last one again and ends after it.
    """
    kept: list[int] = []
    last: list[int] = []
    segment: list[int] = []
    begin = 0.0
    for at, token in enumerate(tokens):
        if token < first_stamp:
            segment.append(at)
            continue
        stamp = (token - first_stamp) * _STAMP_S
        if segment:
            said = [tokens[i] for i in segment]
            if begin >= seconds or (said == last and stamp > seconds + _SILENCE_S):
                return kept
            kept += segment
            last, segment = said, []
        begin = stamp
    return kept + segment if begin < seconds else kept


def _logprob(logits: Any, token: int, first_stamp: int) -> float:
    """Return the natural logarithm of the token's probability among all tokens that aren't time stamps."""
    words = np.asarray(logits, dtype=np.float32).reshape(-1)[:first_stamp]
    top = words.max()
    return float(words[token] - top - np.log(np.exp(words - top).sum()))
