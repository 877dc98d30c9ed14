"""The official SDK over plain HTTP: chat, speech, transcriptions and models, as its users would ask for them."""

import asyncio
import io
import wave

import numpy as np
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from audio.codec import FORMATS, Encoder, decode
from audio.pcm import from_pcm16
from audio.types import INPUT_RATE, OUTPUT_RATE, Segment, Transcript, Word
from pipeline.engines import Finish, TextDelta
from tests.e2e.fakes import (
    ANSWER,
    HEARD,
    CallingModel,
    OneAnswerModel,
    OneSentenceRecogniser,
    fake_engines,
    silence,
    voice,
)

pytestmark = pytest.mark.e2e

HELLO = [{"role": "user", "content": "Hello"}]


def sdk(server, **options):
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.token or "none", max_retries=0, **options)


def wav(samples, rate=INPUT_RATE):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


TWO_SENTENCES = np.concatenate([silence(0.5), voice(7), silence(1), voice(3), silence(0.5)])


class TimedRecogniser(OneSentenceRecogniser):
    """Stands for a recogniser that knows when things were said."""

    def __init__(self) -> None:
        self.asked = []

    async def transcribe(self, audio, *, language=None, prompt="", temperature=0.0, words=False):
        self.asked.append((language, prompt, temperature, words))
        segment = Segment(
            HEARD, 0.5, 2.0, tokens=(1, 2), logprob=-0.2, words=(Word("what", 0.5, 1.0),) if words else ()
        )
        return Transcript(HEARD, language or "en", -0.5, segments=(segment,))


class ShapedModel(OneAnswerModel):
    """Stands for a language model that does as it is told; remembers what that was."""

    def __init__(self, answer=ANSWER) -> None:
        super().__init__()
        self.answer = answer
        self.asked = []

    async def stream(self, request):
        self.prompts.append(request.messages)
        self.asked.append((request.max_tokens, request.temperature, request.sampling))
        yield TextDelta(self.answer)
        yield Finish("stop", input_tokens=20, cached_tokens=5, output_tokens=3)


# --- Chat ---


def test_a_completion(serve):
    with sdk(serve(engines=fake_engines(ShapedModel()))) as client:
        completion = client.chat.completions.create(model="gpt-5", messages=HELLO)
    (choice,) = completion.choices
    assert (choice.message.content, choice.message.role, choice.finish_reason) == (ANSWER, "assistant", "stop")
    assert completion.id.startswith("chatcmpl")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (
        20,
        3,
        23,
    )
    assert completion.usage.prompt_tokens_details.cached_tokens == 5


def test_a_completion_with_everything_set(serve):
    model = ShapedModel('{"a": 1}')
    with sdk(serve(engines=fake_engines(model))) as client:
        client.chat.completions.create(
            model="parley",
            messages=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]},
                {"role": "assistant", "content": "Three."},
                {"role": "user", "content": "Go on", "name": "Ann"},
            ],
            temperature=0.9,
            top_p=0.8,
            seed=-1,
            stop=["END"],
            max_completion_tokens=7,
            frequency_penalty=0.1,
            presence_penalty=0.2,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            user="ann",
            metadata={"a": "b"},
        )
    (messages,) = model.prompts
    assert [(message.role, message.content) for message in messages] == [
        ("system", "Be brief."),
        ("user", "One\ntwo"),
        ("assistant", "Three."),
        ("user", "Go on"),
    ]
    ((tokens, temperature, sampling),) = model.asked
    assert (tokens, temperature, sampling.stop, sampling.schema) == (7, 0.9, ("END",), '{"type": "object"}')
    assert (sampling.top_p, sampling.seed) == (0.8, 2**32 - 1)
    assert (sampling.frequency_penalty, sampling.presence_penalty) == (0.1, 0.2)


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_a_function_is_called_and_its_result_used(serve):
    with sdk(serve(engines=fake_engines(CallingModel()))) as client:
        asked = {"model": "parley", "tools": [WEATHER], "parallel_tool_calls": False}
        (choice,) = client.chat.completions.create(messages=HELLO, **asked).choices
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
        (call,) = choice.message.tool_calls
        assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Rome"}')
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        named = {"type": "function", "function": {"name": "get_weather"}}
        messages = [*HELLO, choice.message, result]
        (choice,) = client.chat.completions.create(messages=messages, tool_choice=named, **asked).choices
    assert (choice.finish_reason, choice.message.content) == ("stop", "It returned sunny.")


def test_a_call_in_a_stream(serve):
    with (
        sdk(serve(engines=fake_engines(CallingModel()))) as client,
        client.chat.completions.stream(model="parley", messages=HELLO, tools=[WEATHER]) as stream,
    ):
        (choice,) = stream.get_final_completion().choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Rome"}')


def test_a_completion_as_a_stream_with_usage(serve):
    with sdk(serve(engines=fake_engines(ShapedModel()))) as client:
        chunks = list(
            client.chat.completions.create(
                model="parley", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
        )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 23)
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_a_completion_as_a_stream_without_usage(serve):
    with sdk(serve(engines=fake_engines(ShapedModel()))) as client:
        chunks = list(client.chat.completions.create(model="parley", messages=HELLO, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_everything_works_asynchronously_and_with_the_token(serve):
    server = serve(engines=fake_engines(ShapedModel()), token="open-sesame")

    async def ask():
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="open-sesame", max_retries=0) as client:
            completion = await client.chat.completions.create(model="parley", messages=HELLO)
            stream = await client.chat.completions.create(model="parley", messages=HELLO, stream=True)
            streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            async with client.audio.speech.with_streaming_response.create(
                model="tts-1", voice="alloy", input="Hello.", response_format="pcm"
            ) as speech:
                sound = b"".join([data async for data in speech.iter_bytes()])
            heard = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(TWO_SENTENCES)))
            models = [model.id async for model in client.models.list()]
            return completion.choices[0].message.content, streamed, len(sound), heard.text, models

    whole, streamed, size, heard, models = asyncio.run(ask())
    assert whole == streamed == ANSWER
    assert size > 4_000
    assert heard == f"{HEARD} {HEARD}"
    assert "parley" in models


def test_a_wrong_token_is_an_authentication_error(serve):
    server = serve(token="open-sesame")
    client = OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError):
        client.models.list()


# --- Speech ---


@pytest.mark.parametrize("kind", FORMATS)
def test_speech_in_every_format(serve, kind):
    with sdk(serve()) as client:
        speech = client.audio.speech.create(
            model="tts-1", voice="nova", input="Hello there. How are you?", response_format=kind
        )
    data = speech.content
    seconds = (
        len(from_pcm16(data)) / OUTPUT_RATE
        if kind == "pcm"
        else sum(len(piece) for piece in decode(io.BytesIO(data))) / INPUT_RATE
    )
    assert seconds == pytest.approx(0.03 * len("Hello there. How are you?"), abs=0.1)


@pytest.mark.parametrize(("speed", "factor"), [(0.5, 2), (1.5, 2 / 3), (3.0, 1 / 3)])
def test_the_speed_of_speech(serve, speed, factor):
    text = "Hello there, my old friend. How are you on this fine day?"
    with sdk(serve()) as client:
        speech = client.audio.speech.create(model="tts-1", voice="nova", input=text, response_format="pcm", speed=speed)
    assert len(speech.content) / 2 / OUTPUT_RATE == pytest.approx(0.03 * len(text) * factor, rel=0.1)


def test_speech_as_events(serve):
    with sdk(serve()) as client:
        speech = client.audio.speech.create(
            model="tts-1", voice="nova", input="Hello.", response_format="pcm", stream_format="sse"
        )
    lines = [line for line in speech.text.split("\n\n") if line]
    assert '"type":"speech.audio.delta"' in lines[0]
    assert '"type":"speech.audio.done"' in lines[-1]


# --- Transcriptions ---


def encoded(samples, kind):
    encoder = Encoder(kind)
    return encoder.feed(np.repeat(samples, 3)[::2].copy()) + encoder.finish()


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac", "wav"])
def test_a_transcription_of_every_format(serve, kind):
    with sdk(serve()) as client:
        heard = client.audio.transcriptions.create(model="whisper-1", file=(f"a.{kind}", encoded(TWO_SENTENCES, kind)))
    assert heard.text == f"{HEARD} {HEARD}"
    assert heard.usage.seconds == pytest.approx(12, abs=0.2)


def test_a_transcription_with_its_times(serve):
    recogniser = TimedRecogniser()
    engines = fake_engines()
    object.__setattr__(engines, "stt", recogniser)
    with sdk(serve(engines=engines)) as client:
        heard = client.audio.transcriptions.create(
            model="whisper-1",
            file=("a.wav", wav(TWO_SENTENCES)),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            language="en-US",
            prompt="Parley",
            temperature=0.2,
        )
    assert recogniser.asked == [("en", "Parley", 0.2, True)] * 2
    assert (heard.language, round(heard.duration)) == ("en", 12)
    first, second = heard.segments
    assert first.start == pytest.approx(0.75, abs=0.1)
    assert second.start == pytest.approx(8.75, abs=0.1)
    assert (first.tokens, first.temperature) == ([1, 2], 0.2)
    assert [word.word for word in heard.words] == ["what", "what"]
    assert heard.words[1].start == second.start


@pytest.mark.parametrize(
    ("kind", "begin"),
    [
        ("text", f"{HEARD} {HEARD}\n"),
        ("srt", f"1\n00:00:00,256 --> 00:00:07,776\n{HEARD}\n\n2\n"),
        ("vtt", f"WEBVTT\n\n00:00:00.256 --> 00:00:07.776\n{HEARD}\n\n"),
    ],
)
def test_a_transcription_as_text(serve, kind, begin):
    with sdk(serve()) as client:
        heard = client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", wav(TWO_SENTENCES)), response_format=kind
        )
    assert isinstance(heard, str)
    assert heard.startswith(begin)


def test_a_transcription_as_a_stream(serve):
    with sdk(serve()) as client:
        events = list(
            client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(TWO_SENTENCES)), stream=True)
        )
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == f"{HEARD} {HEARD}"


def test_a_transcription_as_a_stream_with_its_times(serve):
    with sdk(serve()) as client:
        events = list(
            client.audio.transcriptions.create(
                model="whisper-1", file=("a.wav", wav(TWO_SENTENCES)), stream=True, response_format="verbose_json"
            )
        )
    segments = [event for event in events if event.type == "transcript.text.segment"]
    assert [segment.id for segment in segments] == ["seg_0", "seg_1"]
    assert segments[0].end <= segments[1].start


def test_sound_without_a_voice_has_no_text(serve):
    with sdk(serve()) as client:
        heard = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(silence(3))))
    assert heard.text == ""


# --- Models ---


def test_the_models(serve):
    with sdk(serve()) as client:
        names = [model.id for model in client.models.list()]
        assert names[0] == "parley"
        assert client.models.retrieve(names[1]).id == names[1]
        with pytest.raises(openai.NotFoundError) as error:
            client.models.retrieve("gpt-99")
    assert error.value.code == "model_not_found"
