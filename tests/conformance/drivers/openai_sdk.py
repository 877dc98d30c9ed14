"""`openai`, the official SDK for Python: typed events, and what a program makes of them."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from common import CAPITAL, STORY, Facts, Place, run, speak, until
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Talk:
    """A connection, and what came over it."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Any] = []

    async def listen(self) -> None:
        async for event in self.connection:
            self.events.append(event)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    def done(self, number: int = 1) -> bool:
        return len(self.of("response.done")) >= number

    def words(self, response: Any) -> str:
        return "".join(
            part.transcript or part.text or ""
            for item in response.output
            if item.type == "message"
            for part in item.content
        )

    def said(self, response_id: str) -> str:
        deltas = self.of("response.output_audio_transcript.delta")
        return "".join(event.delta for event in deltas if event.response_id == response_id)

    def sound_s(self) -> float:
        return sum(len(base64.b64decode(e.delta)) for e in self.of("response.output_audio.delta")) / 48_000

    def errors(self) -> list[str]:
        return [event.error.message for event in self.of("error")]

    async def append(self, pcm: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def say(self, text: str, **response: Any) -> None:
        await self.message({"type": "input_text", "text": text})
        await self.connection.response.create(**({"response": response} if response else {}))

    async def message(self, *content: dict[str, Any]) -> None:
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": list(content)}
        )


@contextlib.asynccontextmanager
async def talking(place: Place) -> AsyncIterator[Talk]:
    async with (
        AsyncOpenAI(api_key="none", base_url=f"{place.url}/v1", websocket_base_url=place.socket_url) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        talk = Talk(connection)
        listener = asyncio.create_task(talk.listen())
        try:
            await until(lambda: talk.of("session.created"))
            yield talk
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)


async def spoken(place: Place) -> Facts:
    async with talking(place) as talk:
        await speak(talk.append, place.recording("question"), then_s=1.5)
        await until(lambda: talk.done() and talk.of("conversation.item.input_audio_transcription.completed"))
        heard = talk.of("conversation.item.input_audio_transcription.completed")[0].transcript
        return {
            "user": heard,
            "assistant": talk.words(talk.of("response.done")[-1].response),
            "sound_s": talk.sound_s(),
            "errors": talk.errors(),
        }


async def push_to_talk(place: Place) -> Facts:
    async with talking(place) as talk:
        detection: Any = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await talk.connection.session.update(session=detection)
        await speak(talk.append, place.recording("question"))
        await talk.connection.input_audio_buffer.commit()
        await talk.connection.response.create()
        await until(lambda: talk.done() and talk.of("conversation.item.input_audio_transcription.completed"))
        return {
            "user": talk.of("conversation.item.input_audio_transcription.completed")[0].transcript,
            "sound_s": talk.sound_s(),
            "errors": talk.errors(),
        }


async def barge_in(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.say(STORY)
        await until(lambda: talk.sound_s() > 1.2)
        first = talk.of("response.output_audio.delta")[0]
        before = len(talk.of("input_audio_buffer.speech_started"))
        speaking = asyncio.create_task(speak(talk.append, place.recording("interruption"), then_s=1.5))
        await until(lambda: len(talk.of("input_audio_buffer.speech_started")) > before)
        played_ms = max(1, int(talk.sound_s() * 1000) - 400)
        await talk.connection.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=played_ms)
        await until(lambda: talk.of("conversation.item.truncated"))
        await talk.connection.conversation.item.retrieve(item_id=first.item_id)
        await until(lambda: talk.of("conversation.item.retrieved") and talk.done(2))
        await speaking
        cut = talk.of("response.done")[0].response
        return {
            "interrupted": cut.status == "cancelled" and cut.status_details.reason == "turn_detected",
            "truncated": talk.of("conversation.item.truncated")[0].item_id == first.item_id,
            "said": talk.said(first.response_id),
            "kept": talk.of("conversation.item.retrieved")[0].item.content[0].transcript,
            "assistant": talk.words(talk.of("response.done")[1].response),
            "errors": talk.errors(),
        }


async def typed(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.say(CAPITAL, output_modalities=["text"])
        await until(talk.done)
        return {"assistant": talk.words(talk.of("response.done")[0].response), "errors": talk.errors()}


async def tool(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.connection.session.update(session={"type": "realtime", "tools": [TOOL]})
        await talk.say("What is the weather like in Paris?", tool_choice="required")
        await until(talk.done)
        calls = [item for item in talk.of("response.done")[0].response.output if item.type == "function_call"]
        for call in calls:
            output: Any = {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": '{"celsius": 21, "sky": "sunny"}',
            }
            await talk.connection.conversation.item.create(item=output)
        await talk.connection.response.create(response={"tool_choice": "none"})
        await until(lambda: talk.done(2))
        return {
            "calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
            "assistant": talk.words(talk.of("response.done")[1].response),
            "errors": talk.errors(),
        }


async def image(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.message(
            {"type": "input_image", "image_url": place.image_url()}, {"type": "input_text", "text": "Say hello."}
        )
        await talk.connection.response.create()
        await until(lambda: talk.done() or talk.errors())
        added = [e.item for e in talk.of("conversation.item.added") if e.item.role == "user"]
        return {
            "kept": any(part.type == "input_image" for item in added for part in item.content),
            "assistant": "".join(talk.words(event.response) for event in talk.of("response.done")),
            "errors": talk.errors(),
        }


async def cancel(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.say(STORY)
        await until(lambda: talk.sound_s() > 0.5)
        await talk.connection.response.cancel()
        await until(talk.done)
        sound_s = talk.sound_s()
        await talk.say(CAPITAL)
        await until(lambda: talk.done(2))
        first, second = (event.response for event in talk.of("response.done"))
        after = [e for e in talk.of("response.output_audio.delta") if e.response_id == second.id]
        return {
            "cancelled": first.status == "cancelled" and first.status_details.reason == "client_cancelled",
            "stopped": sound_s < 2.0 and bool(after),
            "assistant": talk.words(second),
            "errors": talk.errors(),
        }


async def error(place: Place) -> Facts:
    async with talking(place) as talk:
        await talk.connection.conversation.item.retrieve(item_id="item_nobody_knows", event_id="mine_1")
        await until(lambda: talk.of("error"))
        await talk.say(CAPITAL)
        await until(talk.done)
        return {
            "event_id": talk.of("error")[0].error.event_id,
            "expected": "mine_1",
            "assistant": talk.words(talk.of("response.done")[0].response),
            "errors": talk.errors()[1:],
        }


async def reconnect(place: Place) -> Facts:
    ids = []
    for _ in range(2):
        async with talking(place) as talk:
            await talk.say(CAPITAL)
            await until(talk.done)
            ids.append(talk.of("session.created")[0].session.id)
            facts = {"assistant": talk.words(talk.of("response.done")[0].response), "errors": talk.errors()}
    return {**facts, "connections": len(set(ids))}


if __name__ == "__main__":
    run({f.__name__: f for f in (spoken, push_to_talk, barge_in, typed, tool, image, cancel, error, reconnect)})
