"""Scenario: recorded questions, one after the other, and how long their answers take."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from audio.types import OUTPUT_RATE
from clients.link import LinkError, Message
from clients.speech_end import find_speech_end
from tests.bench.account import Account
from tests.bench.cpu import Meter
from tests.bench.recordings import Recording
from tests.bench.talk import Talk, converse

Emit = Callable[[dict[str, Any]], None]

BRIEF: Final = {"max_output_tokens": 24}
"""A reply is as soon there however long it gets: one sentence, so that the measurement is a matter of minutes."""
TALK: Final = 6
"""Questions in one conversation; then a new one begins."""

_BREATH_S: Final = 0.6
"""From the end of an answer to the next recording."""
_PATIENCE_S: Final = 6.0
_TIMEOUT_S: Final = 60.0
_TIMINGS_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a question. Times are seconds after its last voiced sample was sent."""

    id: str
    kind: str
    end_is_sure: bool
    """Whether the end of speech is known to within 30 ms: only then do the times count."""
    speech_s: float
    transcript: str
    reply: str
    status: str
    answered: bool
    voice_to_voice_s: float | None
    commit_s: float | None
    transcript_s: float | None
    first_text_s: float | None
    reply_s: float
    longest_gap_s: float
    cpu_s: float
    """What the server spent from the recording's first sample to the end of its answer."""
    late_s: float
    """How late this client was with its own sound at worst."""
    server: dict[str, float]
    """The server's account of the turn, in milliseconds."""
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Begun:
    """How many of each there were when a question began, and what the server had spent."""

    replies: int
    utterances: int
    errors: int
    meter: Meter
    spent_s: float


async def ask_all(
    url: str,
    recordings: Sequence[Recording],
    emit: Emit,
    meter: Meter,
    *,
    begin_after_s: float = 0.0,
    session: Message | None = None,
    to_the_end: bool = True,
    warm_up: bool = True,
    camera: Path | None = None,
) -> None:
    """Ask all recordings, TALK of them in a conversation, and emit a row for each.

    With `warm_up` the first one is asked once before, and not counted. Without `to_the_end` an answer is cancelled as
    soon as it is heard. With `camera`, a picture or a video, the client's camera shows it.
    """
    await asyncio.sleep(begin_after_s)
    for at in range(0, len(recordings), TALK):
        some = recordings[at : at + TALK]

        async def script(talk: Talk, some: Sequence[Recording] = some, first: bool = at == 0) -> None:
            if first and warm_up:
                await _ask(talk, some[0], meter, to_the_end=to_the_end)
            for recording in some:
                emit(asdict(await _ask(talk, recording, meter, to_the_end=to_the_end)))

        try:
            await converse(url, script, session=BRIEF | (session or {}), camera=camera)
        except LinkError as error:
            emit({"lost": str(error), "ids": [recording.id for recording in some]})


async def _ask(talk: Talk, recording: Recording, meter: Meter, *, to_the_end: bool) -> Asked:
    account, microphone = talk.account, talk.microphone
    samples = recording.sent()
    end_s = recording.speech_end_s or find_speech_end(samples, OUTPUT_RATE) or samples.size / OUTPUT_RATE
    begun = _Begun(len(account.replies), len(account.utterances), len(account.errors), meter, meter.spent_s())
    begin = microphone.play(samples)
    last_voiced = begin + min(samples.size, round(end_s * OUTPUT_RATE)) - 1
    await microphone.sent(last_voiced)
    reference = microphone.sent_at(last_voiced)
    # What goes on after the last word is the room; a reply that is over by then needn't be waited for.
    await talk.until_or_idle(
        lambda: _answered(account, reference, to_the_end=to_the_end), patience_s=_PATIENCE_S, timeout_s=_TIMEOUT_S
    )
    if not to_the_end:
        await talk.stop_reply()
    reply = account.last_reply if len(account.replies) > begun.replies else None
    await talk.until(lambda: reply is None or reply.id in account.timings, _TIMINGS_S)
    await talk.until(lambda: not account.loudspeaker.playing(talk.now()), _TIMEOUT_S)
    asked = _row(recording, talk, begun, reference, end_s)
    microphone.hush()  # only the recording's room is left
    await asyncio.sleep(_BREATH_S)
    return asked


def _answered(account: Account, reference: float, *, to_the_end: bool) -> bool:
    """Whether there is an answer that began after the question's last word (an earlier one was cut in)."""
    reply = account.last_reply
    if reply is None or reply.created_at < reference:
        return False
    playback = account.playback(reply)
    heard = playback is not None and playback.first_audible_at is not None
    over = reply.done_at is not None and reply.status != "cancelled"
    return over or (heard and not to_the_end)


def _row(recording: Recording, talk: Talk, begun: _Begun, reference: float, end_s: float) -> Asked:
    account = talk.account
    replies = list(account.replies.values())[begun.replies :]
    utterances = list(account.utterances.values())[begun.utterances :]
    reply = replies[-1] if replies else None
    playback = account.playback(reply)
    last = utterances[-1] if utterances else None

    def after(moment: float | None) -> float | None:
        return None if moment is None else round(moment - reference, 4)

    voice_to_voice_s = after(None if playback is None else playback.first_audible_at)
    return Asked(
        id=recording.id,
        kind=recording.kind,
        end_is_sure=recording.speech_end_s is not None,
        speech_s=round(end_s - recording.speech_start_s, 3),
        transcript=" ".join(one.transcript for one in utterances if one.transcript),
        reply="" if reply is None else reply.text,
        status="none" if reply is None else reply.status,
        answered=reply is not None,
        voice_to_voice_s=voice_to_voice_s if voice_to_voice_s is not None and voice_to_voice_s >= 0 else None,
        commit_s=after(None if last is None else last.committed_at),
        transcript_s=after(None if last is None else last.transcript_at),
        first_text_s=after(None if reply is None else reply.first_text_at),
        reply_s=0.0 if playback is None else round(playback.received_s, 3),
        longest_gap_s=0.0 if playback is None else round(playback.longest_gap_s, 4),
        cpu_s=round(begun.meter.spent_s() - begun.spent_s, 3),
        late_s=round(talk.microphone.late_s, 4),
        server={} if reply is None else account.timings.get(reply.id, {}),
        errors=tuple(account.errors[begun.errors :]),
    )
