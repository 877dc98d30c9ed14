"""`openai-agents` for Python, realtime: it validates every event strictly and keeps a history of its own."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"  # the tracing of agents would call OpenAI's servers

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from agents.realtime.model_inputs import RealtimeModelSendInterrupt, RealtimeModelSendRawMessage
from common import CAPITAL, MANNER, STORY, Facts, Place, run, speak, until


class Talk:
    """A session, and what it told."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.kinds: list[str] = []
        self.raw: list[dict[str, Any]] = []
        self.errors: list[Any] = []
        self.history: list[Any] = []
        self.sound_s = 0.0

    async def listen(self) -> None:
        async for event in self.session:
            self.kinds.append(event.type)
            match event.type:
                case "raw_model_event" if event.data.type == "raw_server_event":
                    self.raw.append(event.data.data)
                case "raw_model_event" if event.data.type == "error":
                    self.errors.append(event.data.error)
                case "raw_model_event" if event.data.type == "exception":
                    self.errors.append(event.data.exception)
                case "history_updated":
                    self.history = event.history
                case "history_added":
                    self.history = [i for i in self.history if i.item_id != event.item.item_id] + [event.item]
                case "audio":
                    self.sound_s += len(event.audio.data) / 48_000

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.raw if event["type"] == kind]

    def done(self, number: int = 1) -> bool:
        return len(self.of("response.done")) >= number

    def item_words(self, item: Any) -> str:
        return "".join(getattr(part, "transcript", None) or getattr(part, "text", None) or "" for part in item.content)

    def words(self, role: str) -> str:
        """Return the last words of `role` in the client's own history."""
        items = [item for item in self.history if item.type == "message" and item.role == role]
        return self.item_words(items[-1]) if items else ""

    def said(self, response_id: str) -> str:
        deltas = self.of("response.output_audio_transcript.delta")
        return "".join(event["delta"] for event in deltas if event["response_id"] == response_id)

    def complaints(self) -> list[str]:
        return [str(getattr(error, "message", None) or error) for error in self.errors]

    async def send(self, kind: str, **data: Any) -> None:
        await self.session.model.send_event(RealtimeModelSendRawMessage({"type": kind, "other_data": data}))


@contextlib.asynccontextmanager
async def talking(
    place: Place, *, tools: Any = (), runner: RealtimeRunner | None = None, **settings: Any
) -> AsyncIterator[Talk]:
    agent = RealtimeAgent(name="Parley", instructions=MANNER, tools=list(tools))
    runner = runner or RealtimeRunner(agent)
    url = f"{place.socket_url}/realtime?model=gpt-realtime"
    session = await runner.run(model_config={"url": url, "api_key": "none", "initial_model_settings": settings})
    async with session:
        talk = Talk(session)
        listener = asyncio.create_task(talk.listen())
        try:
            await until(lambda: talk.of("session.updated") and talk.of("session.created"))
            yield talk
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)


async def spoken(place: Place) -> Facts:
    async with talking(place) as talk:
        await speak(talk.session.send_audio, place.recording("question"), then_s=1.5)
        await until(lambda: talk.done() and talk.of("conversation.item.input_audio_transcription.completed"))
        await until(lambda: talk.words("user") and talk.words("assistant"))
        return {
            "user": talk.words("user"),
            "assistant": talk.words("assistant"),
            "sound_s": talk.sound_s,
            "errors": talk.complaints(),
        }


async def push_to_talk(place: Place) -> Facts:
    async with talking(place, audio={"input": {"turn_detection": None}}) as talk:
        await speak(talk.session.send_audio, place.recording("question"))
        await talk.session.send_audio(bytes(960), commit=True)
        await talk.send("response.create")
        await until(lambda: talk.done() and talk.words("user"))
        return {"user": talk.words("user"), "sound_s": talk.sound_s, "errors": talk.complaints()}


async def barge_in(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.session.send_message(STORY)
        await until(lambda: talk.sound_s > 1.2)
        first = talk.of("response.output_audio.delta")[0]
        speaking = asyncio.create_task(speak(talk.session.send_audio, place.recording("interruption"), then_s=1.5))
        await until(lambda: "audio_interrupted" in talk.kinds)
        await until(lambda: talk.done() and talk.of("conversation.item.retrieved"))
        await speaking
        await until(
            lambda: len(talk.of("response.created")) > 1 and talk.said(talk.of("response.created")[1]["response"]["id"])
        )
        (cut,) = [item for item in talk.history if item.item_id == first["item_id"]]
        return {
            "interrupted": "audio_interrupted" in talk.kinds,
            "truncated": any(e["item_id"] == first["item_id"] for e in talk.of("conversation.item.truncated")),
            "said": talk.said(first["response_id"]),
            "kept": talk.item_words(cut),
            "assistant": talk.said(talk.of("response.created")[1]["response"]["id"]),
            "errors": talk.complaints(),
        }


async def typed(place: Place) -> Facts:
    async with talking(place, output_modalities=["text"]) as talk:
        await talk.session.send_message(CAPITAL)
        await until(lambda: talk.done() and talk.words("assistant"))
        return {"assistant": talk.words("assistant"), "errors": talk.complaints()}


async def tool(place: Place) -> Facts:
    calls: list[dict[str, str]] = []

    @function_tool
    def get_weather(city: str) -> dict[str, int | str]:
        """Get the current weather of a city."""
        calls.append({"name": "get_weather", "arguments": city})
        return {"celsius": 21, "sky": "sunny"}

    async with talking(place, tools=[get_weather]) as talk:
        await talk.session.send_message("What is the weather like in Paris?")
        await until(lambda: talk.done(2) and talk.words("assistant"))
        return {"calls": calls, "assistant": talk.words("assistant"), "errors": talk.complaints()}


async def image(place: Place) -> Facts:
    content: Any = [
        {"type": "input_image", "image_url": place.image_url()},
        {"type": "input_text", "text": "Say hello."},
    ]
    async with talking(place) as talk:
        await talk.session.send_message({"type": "message", "role": "user", "content": content})
        await until(lambda: talk.errors or talk.words("assistant"))
        mine = [item for item in talk.history if item.type == "message" and item.role == "user"]
        return {
            "kept": any(part.type == "input_image" for item in mine for part in item.content),
            "assistant": talk.words("assistant"),
            "errors": talk.complaints(),
        }


async def cancel(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.session.send_message(STORY)
        await until(lambda: talk.sound_s > 0.5)
        await talk.session.model.send_event(RealtimeModelSendInterrupt(force_response_cancel=True))
        await until(talk.done)
        sound_s = talk.sound_s
        await talk.session.send_message(CAPITAL)
        await until(lambda: talk.done(2))
        first = talk.of("response.done")[0]["response"]
        return {
            "cancelled": first["status"] == "cancelled",
            "stopped": sound_s < 2.0 and talk.sound_s > sound_s,
            "assistant": talk.words("assistant"),
            "errors": talk.complaints(),
        }


async def error(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.send("conversation.item.retrieve", item_id="item_nobody_knows", event_id="mine_1")
        await until(lambda: talk.errors)
        await talk.session.send_message(CAPITAL)
        await until(lambda: talk.done() and talk.words("assistant"))
        return {
            "event_id": talk.errors[0].event_id,
            "expected": "mine_1",
            "assistant": talk.words("assistant"),
            "errors": talk.complaints()[1:],
        }


async def reconnect(place: Place) -> Facts:
    runner = RealtimeRunner(RealtimeAgent(name="Parley", instructions=MANNER))
    ids = []
    for _ in range(2):
        async with talking(place, runner=runner) as talk:
            await talk.session.send_message(CAPITAL)
            await until(lambda: talk.done() and talk.words("assistant"))
            ids.append(talk.of("session.created")[0]["session"]["id"])
            facts = {"assistant": talk.words("assistant"), "errors": talk.complaints()}
    return {**facts, "connections": len(set(ids))}


if __name__ == "__main__":
    run({f.__name__: f for f in (spoken, push_to_talk, barge_in, typed, tool, image, cancel, error, reconnect)})
