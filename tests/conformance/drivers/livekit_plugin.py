"""LiveKit's OpenAI Realtime plugin: the model and session that an AgentSession drives; no LiveKit server is needed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from common import CAPITAL, MANNER, RATE, STORY, Facts, Place, run, speak, until
from livekit import rtc
from livekit.agents import function_tool, llm
from livekit.agents.types import NOT_GIVEN
from livekit.plugins.openai.realtime import RealtimeModel, RealtimeSession


class Answer:
    """One generation, read as the framework reads it."""

    def __init__(self, event: llm.GenerationCreatedEvent) -> None:
        self.text = ""
        self.sound_s = 0.0
        self.item_id = ""
        self.began = 0.0
        self.calls: list[llm.FunctionCall] = []
        self.over = False
        self._event = event

    async def read(self) -> None:
        await asyncio.gather(self._messages(), self._functions())
        self.over = True

    async def _messages(self) -> None:
        async for message in self._event.message_stream:
            self.item_id = message.message_id
            await asyncio.gather(self._text(message), self._sound(message))

    async def _text(self, message: llm.MessageGeneration) -> None:
        async for piece in message.text_stream:
            self.text += piece

    async def _sound(self, message: llm.MessageGeneration) -> None:
        async for frame in message.audio_stream:
            self.began = self.began or time.monotonic()
            self.sound_s += frame.duration

    async def _functions(self) -> None:
        async for call in self._event.function_stream:
            self.calls.append(call)


class Talk:
    """A session, and what it told."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.answers: list[Answer] = []
        self.starts = 0
        self.raw: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._reading: set[asyncio.Task[None]] = set()
        session.on("generation_created", self._read)
        session.on("input_speech_started", self._started)
        session.on("openai_server_event_received", self.raw.append)
        session.on("error", lambda e: self.errors.append(str(e.error)))

    def _read(self, event: llm.GenerationCreatedEvent) -> None:
        self.answers.append(Answer(event))
        task = asyncio.get_running_loop().create_task(self.answers[-1].read())
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    def _started(self, _event: Any) -> None:
        self.starts += 1

    def done(self, number: int = 1) -> bool:
        return len([answer for answer in self.answers if answer.over]) >= number

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.raw if event.get("type") == kind]

    def words(self, role: str) -> str:
        """Return the last words of `role` in the session's own context."""
        items = [item for item in self.session.chat_ctx.items if item.type == "message" and item.role == role]
        return (items[-1].text_content or "") if items else ""

    async def append(self, pcm: bytes) -> None:
        self.session.push_audio(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    async def say(self, text: str, *images: llm.ImageContent) -> None:
        context = self.session.chat_ctx.copy()
        context.add_message(role="user", content=[text, *images])
        await self.session.update_chat_ctx(context)
        await self.session.generate_reply()


@contextlib.asynccontextmanager
async def talking(place: Place, tools: Any = (), **options: Any) -> AsyncIterator[Talk]:
    model = RealtimeModel(base_url=f"{place.url}/v1", api_key="none", model="gpt-realtime", **options)
    session = model.session()
    talk = Talk(session)
    try:
        await session.update_instructions(MANNER)
        if tools:
            await session.update_tools(list(tools))
        await until(lambda: talk.of("session.updated"))
        yield talk
    finally:
        await session.aclose()
        await model.aclose()


async def spoken(place: Place) -> Facts:
    async with talking(place) as talk:
        await speak(talk.append, place.recording("question"), then_s=1.5)
        await until(lambda: talk.done() and talk.words("user") and talk.words("assistant"))
        return {
            "user": talk.words("user"),
            "assistant": talk.words("assistant"),
            "sound_s": talk.answers[-1].sound_s,
            "errors": talk.errors,
        }


async def push_to_talk(place: Place) -> Facts:
    async with talking(place, turn_detection=None) as talk:
        await speak(talk.append, place.recording("question"))
        talk.session.commit_audio()
        await talk.session.generate_reply()
        await until(lambda: talk.done() and talk.words("user"))
        return {"user": talk.words("user"), "sound_s": talk.answers[-1].sound_s, "errors": talk.errors}


async def barge_in(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.say(STORY)
        await until(lambda: talk.answers and talk.answers[0].sound_s > 1.2)
        first = talk.answers[0]
        speaking = asyncio.create_task(speak(talk.append, place.recording("interruption"), then_s=1.5))
        await until(lambda: talk.starts)
        # What AgentSession does when the user starts to speak: it stops its player and says how far that was.
        talk.session.interrupt()
        played_ms = int(min(time.monotonic() - first.began, first.sound_s) * 1000)
        talk.session.truncate(
            message_id=first.item_id, modalities=["audio"], audio_end_ms=played_ms, audio_transcript=NOT_GIVEN
        )
        await until(lambda: len(talk.answers) > 1 and talk.answers[1].text and talk.of("conversation.item.truncated"))
        await speaking
        return {
            "interrupted": first.over,
            "truncated": any(e["item_id"] == first.item_id for e in talk.of("conversation.item.truncated")),
            "assistant": talk.answers[1].text,
            "errors": talk.errors,
        }


async def typed(place: Place) -> Facts:
    async with talking(place, modalities=["text"]) as talk:
        await talk.say(CAPITAL)
        await until(talk.done)
        return {"assistant": talk.answers[0].text, "errors": talk.errors}


@function_tool
async def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return '{"celsius": 21, "sky": "sunny"}'


async def tool(place: Place) -> Facts:
    async with talking(place, tools=[get_weather]) as talk:
        context = talk.session.chat_ctx.copy()
        context.add_message(role="user", content="What is the weather like in Paris?")
        await talk.session.update_chat_ctx(context)
        await talk.session.generate_reply(tool_choice="required")
        await until(talk.done)
        calls = talk.answers[0].calls
        context = talk.session.chat_ctx.copy()
        for call in calls:
            output = await get_weather(city="Paris")
            context.items.append(
                llm.FunctionCallOutput(name=call.name, call_id=call.call_id, output=output, is_error=False)
            )
        await talk.session.update_chat_ctx(context)
        await talk.session.generate_reply(tool_choice="none")
        await until(lambda: talk.done(2))
        return {
            "calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
            "assistant": talk.answers[1].text,
            "errors": talk.errors,
        }


async def image(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.say("Say hello.", llm.ImageContent(image=place.image_url()))
        await until(talk.done)
        added = [event["item"] for event in talk.of("conversation.item.added") if event["item"]["role"] == "user"]
        return {
            "kept": any(part["type"] == "input_image" for item in added for part in item["content"]),
            "assistant": talk.answers[0].text,
            "errors": talk.errors,
        }


async def cancel(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.say(STORY)
        await until(lambda: talk.answers and talk.answers[0].sound_s > 0.5)
        talk.session.interrupt()
        await until(talk.done)
        first_s = talk.answers[0].sound_s
        await talk.say(CAPITAL)
        await until(lambda: talk.done(2))
        return {
            "cancelled": talk.of("response.done")[0]["response"]["status"] == "cancelled",
            "stopped": first_s < 2.0 and talk.answers[1].sound_s > 0,
            "assistant": talk.answers[1].text,
            "errors": talk.errors,
        }


async def error(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.say(STORY)
        await until(lambda: talk.answers and talk.answers[0].sound_s > 0.3)
        # A second answer at once is refused; the client finds the request that failed by the event's id.
        failed = None
        try:
            await talk.session.generate_reply()
        except llm.RealtimeError as refused:
            failed = refused.code
        talk.session.interrupt()
        await until(talk.done)
        await talk.say(CAPITAL)
        await until(lambda: talk.done(2))
        return {
            "event_id": failed,
            "expected": "conversation_already_has_active_response",
            "assistant": talk.answers[-1].text,
            "errors": talk.errors[1:],
        }


async def reconnect(place: Place) -> Facts:
    ids = []
    for _ in range(2):
        async with talking(place) as talk:
            await talk.say(CAPITAL)
            await until(talk.done)
            ids.append(talk.of("session.created")[0]["session"]["id"])
            facts = {"assistant": talk.answers[0].text, "errors": talk.errors}
    return {**facts, "connections": len(set(ids))}


if __name__ == "__main__":
    run({f.__name__: f for f in (spoken, push_to_talk, barge_in, typed, tool, image, cancel, error, reconnect)})
