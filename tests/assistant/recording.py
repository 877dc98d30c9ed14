"""Conversations that are recorded on virtual time, and the scripts that they follow."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant.record.recorder import Recorder
from audio.types import INPUT_RATE, Samples
from pipeline import events
from pipeline.engines import VAD_WINDOW, Asker, Picture, VoiceDetector
from pipeline.history import Item, Spoken, Text, ToolResult
from pipeline.ids import random_id
from pipeline.session import Session
from pipeline.settings import Settings, TurnTaking
from tests.pipeline.doubles import Conversation, LevelVad, ScriptedLlm, ScriptedStt

QUESTION = "what is the capital of france"
ANSWER = "It is Paris. You will like it there, whatever the season. Do not forget to see the river at night."

Script = Callable[["Talk"], Coroutine[Any, Any, None]]


def noise(seconds: float, seed: int) -> Samples:
    """Sound that is never the same twice, as loud as a voice."""
    return np.random.default_rng(seed).uniform(-1, 1, round(seconds * INPUT_RATE)).astype(np.float32)


class Talk(Conversation):
    """A conversation with noise for a voice."""

    spoken = 0

    async def utter(self, seconds: float, piece: int = VAD_WINDOW) -> None:
        """Speak for `seconds`, sent in pieces of so many samples."""
        self.spoken += 1
        samples = noise(seconds, self.spoken)
        for start in range(0, len(samples), piece):
            await self.session.put(events.Audio(samples[start : start + piece]))
            await asyncio.sleep(piece / INPUT_RATE)


def talk(**parts: Any) -> Talk:
    """Return a conversation whose model has a lot to say; `parts` are other engines, or settings."""
    return Talk(**{"stt": ScriptedStt([QUESTION]), "llm": ScriptedLlm([ANSWER])} | parts)


def record(
    root: Path,
    talk: Talk,
    script: Script,
    *,
    read: bool = True,
    recorder: Recorder | None = None,
    vad: VoiceDetector | None = None,
) -> Path:
    """Hold the conversation, recorded, and return the folder of the recording."""
    recorder = recorder or Recorder(root, ["a-model"])
    before = set(root.iterdir())
    engines = replace(talk.engines, vad=vad or LevelVad())
    begin = recorder(f"sess_{len(before)}", Session)
    talk.session = begin(engines, talk.settings, new_id=random_id, asker=Asker())  # type: ignore[assignment]
    try:
        talk.hold(script, read=read)  # type: ignore[arg-type]
    finally:
        recorder.close()
    (folder,) = set(root.iterdir()) - before
    return folder


# --- Scripts ---


async def question(talk: Talk) -> None:
    await talk.hush(0.5)
    await talk.utter(1.2)
    await talk.hush(12.0)


async def barge_in(talk: Talk) -> None:
    await talk.hush(0.3)
    await talk.utter(1.2)
    await talk.hush(3.0)
    await talk.utter(1.6, piece=1700)
    await talk.hush(6.0)


async def long_pause(talk: Talk) -> None:
    await talk.utter(1.0)
    await talk.hush(0.25)
    await talk.utter(1.0)
    await talk.hush(5.0)


async def push_to_talk(talk: Talk) -> None:
    await talk.ask(events.Update(Settings("Be kind.", turn_taking=TurnTaking(mode="manual"))))
    await talk.utter(1.0)
    await talk.ask(events.Commit("a"))
    await talk.ask(events.CreateResponse(request_id="b"))
    await talk.hush(3.0)
    await talk.ask(events.CancelResponse(request_id="c"))
    await talk.ask(events.Commit("d"))
    await talk.hush(1.0)


async def messages(talk: Talk) -> None:
    await talk.ask(events.CreateItem(Item("typed", "user", (Text("Grüß dich!"),))))
    await talk.ask(events.CreateItem(Item("sent", "user", (Spoken(None, noise(0.7, 99)),)), "root"))
    await talk.ask(events.CreateResponse(output="text"))
    await asyncio.sleep(5)
    await talk.ask(events.RetrieveItem("typed"))
    await talk.ask(events.DeleteItem("nothing", "gone"))
    await talk.ask(events.Clear())


async def beside(talk: Talk) -> None:
    """Responses beside the conversation, a picture, and a silence that is broken."""
    taking = TurnTaking(mode="silence", idle_timeout_s=3.0)
    await talk.ask(events.Update(Settings("Be kind.", turn_taking=taking)))
    picture = Picture("data:image/png;base64,AAAA", "low")
    await talk.ask(events.CreateItem(Item("shown", "user", (Text("What is this?"), picture))))
    await talk.utter(1.0)
    await talk.hush(2.0)
    spoken = talk.of(events.AudioCommitted)[0].item_id
    own = Item("own", "user", (Spoken(None, noise(0.5, 98)),))
    given = (events.ItemReference(spoken), own)
    await talk.ask(events.CreateResponse(beside=True, input=given, metadata={"topic": "mood"}))
    await talk.ask(events.CreateResponse(beside=True, output="text", sound_format="audio/pcmu"))
    await talk.hush(1.0)
    await talk.ask(events.CancelResponse(talk.of(events.ResponseStarted)[1].response_id))
    await talk.hush(14.0)


async def truncation(talk: Talk) -> None:
    """A client that says, by the id it was told, how much of the reply it played."""
    await talk.utter(1.0)
    await talk.hush(3.0)
    (started,) = talk.of(events.ResponseStarted)
    await talk.ask(events.TruncateItem(started.item_id, 0.7))
    await talk.hush(1.0)


async def function(talk: Talk) -> None:
    """A client that runs the function which the model calls."""
    await question(talk)
    (called,) = talk.of(events.ToolCalled)
    result = ToolResult(called.item.call.call_id, "Paris")
    await talk.ask(events.CreateItem(Item("result", "tool", (result,))))
    await talk.ask(events.CreateResponse())
    await talk.hush(12.0)


async def shown(talk: Talk) -> None:
    """A camera that is on for a while, a picture in a message, and something that comes true of what was seen."""

    async def film() -> None:
        for number in range(12):
            await talk.session.put(events.CameraFrame(b"secret book: THE HOBBIT" if number < 6 else b"cup"))
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        group.create_task(film())
        await talk.utter(2.0)
        await talk.hush(5.0)
    await talk.ask(events.Announce("There is a book."))
    await talk.hush(3.0)
    await talk.ask(events.Camera(on=False, by="user"))
    await talk.ask(events.CameraFrame(b"broken"))
    picture = Picture("data:image/png;base64," + base64.b64encode(b"cat: MEOW").decode())
    await talk.ask(events.CreateItem(Item("shown", "user", (Text("What is this?"), picture))))
    await talk.ask(events.CreateResponse(output="text"))
    await talk.hush(3.0)
    await talk.ask(events.Camera(on=True))
    await talk.ask(events.CameraFrame(b"broken"))
    await talk.hush(1.0)


async def announced(talk: Talk) -> None:
    """A route that is wished for, and a timer that ends during the reply."""
    await talk.ask(events.Update(replace(talk.settings, route="best")))
    await talk.utter(1.0)
    await talk.hush(1.0)
    await talk.ask(events.Announce("Your pasta timer is over."))
    await talk.hush(12.0)


async def nothing_said(talk: Talk) -> None:
    await talk.hush(1.0)
