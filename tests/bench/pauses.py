"""Scenario: utterances with a pause inside. Who answers in it cuts people off."""

import dataclasses
from dataclasses import asdict, dataclass
from typing import Any, Final

from audio.types import OUTPUT_RATE
from clients.link import Message
from tests.bench.cases import InnerPause
from tests.bench.judging import CutIn, cut_in, one_question
from tests.bench.questions import BRIEF
from tests.bench.sound import render
from tests.bench.talk import Talk, converse

_PATIENCE_S: Final = 4.0
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Paused:
    """What came of an utterance with pauses."""

    id: str
    pauses_s: tuple[float, ...]
    """How long each is."""
    complete: tuple[bool, ...]
    spliced: bool
    cut_ins: tuple[CutIn, ...]
    false_starts: int
    """Replies that began before the end and were heard too shortly to count, or not at all."""
    one_question: bool
    messages: tuple[str, ...]
    """What the user's messages are in the end."""
    voice_to_voice_s: float | None
    """Of the answer to the whole."""
    late_s: float
    errors: tuple[str, ...]


async def play(url: str, case: InnerPause, session: Message | None = None) -> dict[str, Any]:
    """Say one utterance and return what came of it. Raises LinkError."""

    async def script(talk: Talk) -> Paused:
        account, microphone = talk.account, talk.microphone
        samples = render(case.sound)
        begin = microphone.play(samples)

        def position(second: float) -> int:
            return begin + min(samples.size - 1, round(second * OUTPUT_RATE))

        await microphone.sent(position(case.speech_end_s))
        end = microphone.sent_at(position(case.speech_end_s))

        def answered() -> bool:
            reply = account.last_reply
            playback = account.playback(reply)
            answers = reply is not None and reply.created_at >= end and playback is not None
            return answers and playback is not None and playback.first_audible_at is not None

        await talk.until_or_idle(answered, patience_s=_PATIENCE_S, timeout_s=_TIMEOUT_S)
        answer = account.playback(account.last_reply) if answered() else None
        await talk.stop_reply()
        pauses = [
            (microphone.sent_at(position(first)), microphone.sent_at(position(last))) for first, last in case.pauses_s
        ]
        early = [reply for reply in account.replies.values() if reply.created_at < end]
        judged = [
            cut_in(playback, pauses, microphone.sent_at(begin), end)
            for reply in early
            if (playback := account.playback(reply)) is not None
        ]
        messages = await talk.said()
        first = None if answer is None else answer.first_audible_at
        return Paused(
            id=case.id,
            pauses_s=tuple(round(last - first, 3) for first, last in case.pauses_s),
            complete=case.complete,
            spliced=case.spliced,
            cut_ins=tuple(_rounded(one) for one in judged if one is not None),
            false_starts=len(early) - sum(one is not None for one in judged),
            one_question=one_question(messages, case.parts),
            messages=tuple(messages),
            voice_to_voice_s=None if first is None else round(first - end, 4),
            late_s=round(microphone.late_s, 4),
            errors=tuple(account.errors),
        )

    return asdict(await converse(url, script, session=BRIEF | (session or {})))


def _rounded(one: CutIn) -> CutIn:
    return dataclasses.replace(one, after_s=round(one.after_s, 3), audible_s=round(one.audible_s, 3))
