"""Scenarios: something is heard while the assistant speaks. Only words that are meant for it may stop it."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Final

from audio.types import OUTPUT_RATE, Samples
from clients.link import LinkError, Message
from tests.bench.account import Reply
from tests.bench.cases import Backchannel, BargeIn, Echo
from tests.bench.sound import render
from tests.bench.talk import Talk, converse

TALKATIVE: Final = "You are a storyteller. You speak at length, in full sentences, and never ask questions back."
LONG: Final[Message] = {"instructions": TALKATIVE, "max_output_tokens": 90}
MIDDLING: Final[Message] = {"instructions": TALKATIVE, "max_output_tokens": 32}

_REPLY_WAIT_S: Final = 20.0
_LONGEST_REPLY_S: Final = 45.0
_PATIENCE_S: Final = 4.0
_AFTERMATH_S: Final = 2.5
"""How long after a reply the room is listened to: the last of an echo takes a quarter of a second, an answer more."""
_ECHO_ROOM_DB: Final = -65.0


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What came of a barge-in. Times are seconds after the voice's first sample was sent."""

    id: str
    stopped: bool
    """Whether the reply was stopped at all."""
    last_sample_s: float
    """The reply's last sound was received."""
    heard_until_s: float
    """The reply was heard no more, by a client that plays what it has until it is told to stop."""
    reply_before_s: float
    """How much of the reply had been heard."""
    kept: str | None
    """The interrupted message's words, as the conversation keeps them."""
    kept_after_truncate: str | None
    """The same, after the client has said how much it played."""
    messages: tuple[str, ...]
    answered: bool
    """Whether the words that interrupted it were answered."""
    status: str
    late_s: float
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What came of a reply that nothing should have stopped."""

    id: str
    ended: bool
    """Whether it was stopped, or the client was told to stop it."""
    status: str
    reply_s: float
    """How much of it was received."""
    heard_s: float
    longest_gap_s: float
    messages: tuple[str, ...]
    """What the server took for spoken messages of the user's."""
    answered: bool
    """Whether another reply followed."""
    late_s: float
    errors: tuple[str, ...]


async def begin_reply(talk: Talk, prompt: str) -> Reply:
    """Ask a typed question and wait until its reply is heard. Raises LinkError when there is none."""
    await talk.link.say(prompt)
    if not await talk.audible(lambda: talk.account.last_reply, _REPLY_WAIT_S):
        raise LinkError(f"No reply to “{prompt}” within {_REPLY_WAIT_S:g} s. {' '.join(talk.account.errors)}")
    reply = talk.account.last_reply
    assert reply is not None
    return reply


async def barge_in(url: str, case: BargeIn) -> tuple[dict[str, Any], Samples]:
    """Speak into a reply; return what came of it, and the sound of the reply that was heard. Raises LinkError."""

    async def script(talk: Talk) -> tuple[dict[str, Any], Samples]:
        account, microphone = talk.account, talk.microphone
        reply = await begin_reply(talk, case.prompt)
        playback = account.playback(reply)
        assert playback is not None
        assert playback.heard_from is not None
        samples = render(case.sound)
        begin = microphone.play_at(samples, playback.heard_from + case.offset_s - case.speech_start_s)
        onset_at = begin + round(case.speech_start_s * OUTPUT_RATE)
        await microphone.sent(begin + samples.size)
        onset, end = microphone.sent_at(onset_at), microphone.sent_at(begin + round(case.speech_end_s * OUTPUT_RATE))
        await talk.until(lambda: reply.done_at is not None, _LONGEST_REPLY_S)

        def answered() -> bool:
            other = account.last_reply
            after = account.playback(other)
            return other is not reply and after is not None and after.first_audible_at is not None

        await talk.until_or_idle(answered, patience_s=_PATIENCE_S, timeout_s=_REPLY_WAIT_S)
        await talk.stop_reply()
        kept = await talk.retrieve(reply.item_id)
        heard_s = playback.played.size / OUTPUT_RATE
        await talk.link.truncate(reply.item_id, heard_s)
        row = Interrupted(
            id=case.id,
            stopped=reply.stopped_at is not None and reply.stopped_at < end + _PATIENCE_S,
            last_sample_s=round((reply.last_sound_at or onset) - onset, 4),
            heard_until_s=round(playback.heard_until - onset, 4),
            reply_before_s=round(heard_s, 3),
            kept=kept,
            kept_after_truncate=await talk.retrieve(reply.item_id),
            messages=tuple(await talk.said()),
            answered=answered(),
            status=reply.status,
            late_s=round(microphone.late_s, 4),
            errors=tuple(account.errors),
        )
        return asdict(row), playback.played

    return await converse(url, script, session=LONG)


async def backchannel(url: str, case: Backchannel) -> dict[str, Any]:
    """Let a sign of listening, or a noise, be heard during a reply; return what came of it. Raises LinkError."""

    async def script(talk: Talk) -> Undisturbed:
        reply = await begin_reply(talk, case.prompt)
        playback = talk.account.playback(reply)
        assert playback is not None
        assert playback.heard_from is not None
        talk.microphone.play_at(render(case.sound), playback.heard_from + case.offset_s)
        return await _undisturbed(talk, case.id, reply)

    return asdict(await converse(url, script, session=MIDDLING))


async def echo(url: str, case: Echo) -> dict[str, Any]:
    """Let a reply come back through the microphone; return what came of it. Raises LinkError."""

    async def script(talk: Talk) -> Undisturbed:
        return await _undisturbed(talk, case.id, await begin_reply(talk, case.prompt))

    return asdict(
        await converse(
            url, script, session=MIDDLING, room_db=_ECHO_ROOM_DB, echo_delay_s=case.delay_s, echo_db=case.gain_db
        )
    )


async def _undisturbed(talk: Talk, id_: str, reply: Reply) -> Undisturbed:
    account = talk.account
    await talk.until(lambda: reply.done_at is not None, _LONGEST_REPLY_S)
    await talk.until(lambda: not account.loudspeaker.playing(talk.now()), _LONGEST_REPLY_S)
    await asyncio.sleep(_AFTERMATH_S)
    answered = account.last_reply is not reply
    await talk.stop_reply()
    playback = account.playback(reply)
    assert playback is not None
    return Undisturbed(
        id=id_,
        ended=not reply.completed,
        status=reply.status,
        reply_s=round(playback.received_s, 3),
        heard_s=round(playback.audible_s, 3),
        longest_gap_s=round(playback.longest_gap_s, 4),
        messages=tuple(await talk.said()),
        answered=answered,
        late_s=round(talk.microphone.late_s, 4),
        errors=tuple(account.errors),
    )
