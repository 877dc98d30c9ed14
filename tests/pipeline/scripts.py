"""What several conversations have in common."""

from pipeline import events
from pipeline.history import Item, Text
from tests.pipeline.doubles import Conversation

SPOKEN_TURN = [
    "SpeechStarted",
    "SpeechStopped",
    "AudioCommitted",
    "ItemAdded",
    "TranscriptCompleted",
    "ResponseStarted",
    "ResponseText",
    "ResponseAudio",
    "TurnTimed",
    "ResponseEnded",
]


HELLO = Item("hello", "user", (Text("hello there"),))


async def one_question(talk: Conversation) -> None:
    await talk.hush(0.5)
    await talk.say(1.0)
    await talk.hush(4.0)


async def say_and_wait(talk: Conversation, seconds: float) -> None:
    await talk.say(1.0)
    await talk.hush(seconds)


def ended(talk: Conversation) -> events.ResponseEnded:
    (end,) = talk.of(events.ResponseEnded)
    return end


def rejected(talk: Conversation) -> list[tuple[str, str | None]]:
    return [(event.code, event.request_id) for event in talk.of(events.Rejected)]
