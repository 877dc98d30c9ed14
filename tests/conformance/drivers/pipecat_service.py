"""Pipecat's OpenAI Realtime service, in a pipeline with its context aggregators; the transport is the driver itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from common import CAPITAL, MANNER, RATE, STORY, Facts, Place, run, speak, until
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InputImageRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner


class Ear(FrameProcessor):
    """Stands where a transport's output would: it counts what would be played, and says when that is over."""

    def __init__(self) -> None:
        super().__init__()
        self.sound_s = 0.0
        self.interruptions = 0
        self.ends = 0
        self.texts: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case TTSAudioRawFrame():
                self.sound_s += len(frame.audio) / (2 * RATE)
            case InterruptionFrame():
                self.interruptions += 1
            case LLMFullResponseEndFrame():
                self.ends += 1
            case TTSStoppedFrame():
                await self.push_frame(BotStoppedSpeakingFrame(), FrameDirection.UPSTREAM)
            case TTSTextFrame():
                self.texts.append(frame.text)
        await self.push_frame(frame, direction)


class Talk:
    """A running pipeline, and what came of it."""

    def __init__(self, place: Place, properties: Any, tools: ToolsSchema | None, messages: list[Any]) -> None:
        settings = OpenAIRealtimeLLMService.Settings(
            model="gpt-realtime", system_instruction=MANNER, session_properties=properties
        )
        base_url = f"{place.socket_url}/realtime"
        self.service = OpenAIRealtimeLLMService(api_key="none", base_url=base_url, settings=settings)
        self.context = LLMContext(messages, tools) if tools else LLMContext(messages)
        self.ear = Ear()
        pair = LLMContextAggregatorPair(self.context)
        self.worker = PipelineWorker(
            Pipeline([pair.user(), self.service, self.ear, pair.assistant()]),
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
        )
        self.created: list[Any] = []
        self.errors: list[str] = []
        self.started = asyncio.Event()

        @self.worker.event_handler("on_pipeline_started")
        async def _started(_worker: Any, _frame: Any) -> None:
            self.started.set()

        @self.worker.event_handler("on_pipeline_error")
        async def _failed(_worker: Any, frame: ErrorFrame) -> None:
            self.errors.append(frame.error)

        @self.service.event_handler("on_conversation_item_created")
        async def _created(_service: Any, _item_id: str, item: Any) -> None:
            self.created.append(item)

    def words(self, role: str, number: int = 1) -> str:
        """Return the words of the `number`th message of `role` in the client's context, once it is there."""
        found = [m["content"] for m in self.context.get_messages() if m.get("role") == role and m.get("content")]
        return str(found[number - 1]) if len(found) >= number else ""

    async def append(self, pcm: bytes) -> None:
        await self.worker.queue_frame(InputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1))

    async def say(self, text: str) -> None:
        await self.service.queue_frame(LLMMessagesAppendFrame(messages=[user(text)], run_llm=True))


@contextlib.asynccontextmanager
async def talking(
    place: Place, *messages: Any, tools: ToolsSchema | None = None, detection: Any = None, **properties: Any
) -> AsyncIterator[Talk]:
    hearing = events.AudioInput(transcription=events.InputAudioTranscription(), turn_detection=detection)
    wanted = events.SessionProperties(audio=events.AudioConfiguration(input=hearing), **properties)
    talk = Talk(place, wanted, tools, list(messages))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(talk.worker)
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(talk.started.wait(), 10)
        yield talk
    finally:
        await talk.worker.cancel()
        await asyncio.wait_for(running, 10)


def user(text: str) -> Any:
    return {"role": "user", "content": text}


async def spoken(place: Place) -> Facts:
    async with talking(place) as talk:
        await speak(talk.append, place.recording("question"), then_s=1.5)
        await until(lambda: talk.words("user") and talk.words("assistant"))
        return {
            "user": talk.words("user"),
            "assistant": talk.words("assistant"),
            "sound_s": talk.ear.sound_s,
            "errors": talk.errors,
        }


async def push_to_talk(place: Place) -> Facts:
    async with talking(place, detection=False) as talk:
        await talk.worker.queue_frame(UserStartedSpeakingFrame())
        await speak(talk.append, place.recording("question"))
        await talk.worker.queue_frame(UserStoppedSpeakingFrame())
        await until(lambda: talk.words("user") and talk.ear.ends)
        return {"user": talk.words("user"), "sound_s": talk.ear.sound_s, "errors": talk.errors}


async def barge_in(place: Place) -> Facts:
    async with talking(place, user(STORY)) as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await until(lambda: talk.ear.sound_s > 1.2)
        (first,) = [item for item in talk.created if item.role == "assistant"]
        speaking = asyncio.create_task(speak(talk.append, place.recording("interruption"), then_s=1.5))
        await until(lambda: talk.ear.interruptions)
        said = "".join(talk.ear.texts)
        await until(lambda: talk.words("assistant", 2))
        await speaking
        kept = (await talk.service.retrieve_conversation_item(first.id)).content[0].transcript
        return {
            "interrupted": talk.ear.interruptions > 0,
            "truncated": kept is not None and len(kept) < len(said),
            "said": said,
            "kept": kept,
            "assistant": talk.words("assistant", 2),
            "errors": talk.errors,
        }


async def typed(place: Place) -> Facts:
    async with talking(place, user(CAPITAL), output_modalities=["text"]) as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await until(lambda: talk.words("assistant"))
        return {"assistant": talk.words("assistant"), "errors": talk.errors}


async def tool(place: Place) -> Facts:
    calls: list[dict[str, str]] = []

    async def get_weather(params: FunctionCallParams) -> None:
        calls.append({"name": params.function_name, "arguments": str(params.arguments)})
        await params.result_callback({"celsius": 21, "sky": "sunny"})

    schema = FunctionSchema(
        name="get_weather",
        description="Get the current weather of a city.",
        properties={"city": {"type": "string"}},
        required=["city"],
    )
    async with talking(
        place, user("What is the weather like in Paris?"), tools=ToolsSchema(standard_tools=[schema])
    ) as talk:
        talk.service.register_function("get_weather", get_weather)
        await talk.worker.queue_frame(LLMRunFrame())
        await until(lambda: talk.words("assistant"))
        return {"calls": calls, "assistant": talk.words("assistant"), "errors": talk.errors}


async def image(place: Place) -> Facts:
    async with talking(place, user("Say hello.")) as talk:
        picture = InputImageRawFrame(image=bytes((200, 30, 30)) * 64 * 64, size=(64, 64), format="RGB")
        await talk.worker.queue_frame(picture)
        await until(lambda: talk.created or talk.errors)
        await talk.worker.queue_frame(LLMRunFrame())
        await until(lambda: talk.words("assistant") or talk.errors)
        parts = [part for item in talk.created for part in item.content or []]
        return {
            "kept": any(part.type == "input_image" for part in parts),
            "assistant": talk.words("assistant"),
            "errors": talk.errors,
        }


async def cancel(place: Place) -> Facts:
    async with talking(place, user(STORY)) as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await until(lambda: talk.ear.sound_s > 0.5)
        ends = talk.ear.ends
        await talk.service.send_client_event(events.ResponseCancelEvent())
        await until(lambda: talk.ear.ends > ends)
        sound_s = talk.ear.sound_s
        await talk.say(CAPITAL)
        await until(lambda: "aris" in talk.words("assistant", 2))
        return {
            "cancelled": sound_s < 2.0,
            "stopped": talk.ear.sound_s > sound_s,
            "assistant": talk.words("assistant", 2),
            "errors": talk.errors,
        }


async def error(place: Place) -> Facts:
    async with talking(place, user(CAPITAL)) as talk:
        # The client finds the request that failed by the event's id, and raises what the server said.
        refused = ""
        try:
            await asyncio.wait_for(talk.service.retrieve_conversation_item("nobody"), 5)
        except TimeoutError:
            raise
        except Exception as refusal:  # noqa: BLE001 - the client raises no narrower one
            refused = str(refusal)
        await talk.worker.queue_frame(LLMRunFrame())
        await until(lambda: talk.words("assistant"))
        return {
            "event_id": bool(refused),
            "expected": True,
            "assistant": talk.words("assistant"),
            "errors": talk.errors,
        }


async def reconnect(place: Place) -> Facts:
    async with talking(place, user(CAPITAL)) as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await until(lambda: talk.words("assistant"))
        await talk.service.reset_conversation()
        await speak(talk.append, place.recording("question"), then_s=1.5)
        await until(lambda: talk.words("assistant", 2))
        answers = {talk.words("assistant"), talk.words("assistant", 2)}
        return {"assistant": talk.words("assistant", 2), "errors": talk.errors, "connections": 2 if all(answers) else 1}


if __name__ == "__main__":
    run({f.__name__: f for f in (spoken, push_to_talk, barge_in, typed, tool, image, cancel, error, reconnect)})
