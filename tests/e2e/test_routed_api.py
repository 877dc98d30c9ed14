"""Programs that ask the router through the official SDK: who answers, how they are told, what happens at its limits."""

import asyncio
import json
import threading
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from assistant.server.api.routing import route_header
from pipeline.engines import Routed
from tests.e2e.fakes import ANSWER, OneAnswerModel
from tests.e2e.routing import listing, routing, written
from tests.faults.cloud import Cloud, echo
from tests.faults.replies import WORDS, Call, Reply

pytestmark = pytest.mark.e2e

HELLO = [{"role": "user", "content": "Hello there"}]
GOOD = "quality = 0.9"
PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def cloud():
    with Cloud(echo) as cloud:
        yield cloud


@pytest.fixture
def sdk(cloud, tmp_path):
    """A client of a server that has one backend, "gpt"."""
    with (
        routing(written(tmp_path, listing([("gpt", cloud, GOOD + "\nvision = true")]))) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def ask(sdk: OpenAI, model: str, **more):
    """Return who answered (as the header says), and the completion."""
    raw = sdk.chat.completions.with_raw_response.create(model=model, messages=more.pop("messages", HELLO), **more)
    return raw.headers["x-parley-route"], raw.parse()


def text(completion) -> str:
    return completion.choices[0].message.content


def test_the_models_that_may_be_asked_for(sdk):
    listed = [model.id for model in sdk.models.list()]
    assert listed[:6] == ["parley", "parley/private", "parley/balanced", "parley/best", "parley/cheap", "gpt"]
    assert sdk.models.retrieve("parley/best").id == "parley/best"


def test_a_preset_decides_who_answers(sdk, cloud):
    route, completion = ask(sdk, "parley/best")
    assert route.startswith(f"gpt (cloud at 127.0.0.1:{cloud.port}): ")
    assert (text(completion), completion.model) == ("Hello there", "gpt")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (20, 11)
    route, completion = ask(sdk, "parley/private")
    assert route.startswith("device (device): ")
    assert (text(completion), completion.model) == (ANSWER, "qwen2.5-coder-0.5b-iq4")
    assert len(cloud.received) == 1


@pytest.mark.parametrize(("model", "who"), [("gpt", "gpt"), ("device", "device"), ("qwen2.5-coder-0.5b-iq4", "device")])
def test_a_backend_is_asked_by_its_name(sdk, model, who):
    route, _ = ask(sdk, model)
    assert route.startswith(f"{who} (")
    assert f"You asked for {who}" in route


def test_names_of_other_servers_stand_for_the_router(sdk):
    assert ask(sdk, "gpt-4o")[0]


def test_a_preset_that_is_not_there(sdk):
    with pytest.raises(openai.NotFoundError, match=r"There are: parley, parley/private, .*gpt"):
        ask(sdk, "parley/wild")


def test_streaming_with_usage(sdk):
    raw = sdk.chat.completions.with_raw_response.create(
        model="gpt", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert raw.headers["x-parley-route"].startswith("gpt (cloud")
    first, *chunks, last = list(raw.parse())
    assert first.choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello there"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage.completion_tokens == 11


def test_tools_pictures_and_schemas_go_through(sdk, cloud):
    cloud.next(Reply((), (Call("sky", '{"city": "Rome"}', "call_7"),)))
    tool = {"type": "function", "function": {"name": "sky", "parameters": {"type": "object", "properties": {}}}}
    shown = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    _, completion = ask(sdk, "gpt", messages=[{"role": "user", "content": shown}], tools=[tool])
    (call,) = completion.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("call_7", "sky", '{"city": "Rome"}')
    assert completion.choices[0].finish_reason == "tool_calls"
    assert cloud.received[0].body["messages"][-1]["content"] == shown
    assert cloud.received[0].body["tools"][0]["function"]["name"] == "sky"
    cloud.next(Reply(('{"a": ', "1}")))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    _, completion = ask(
        sdk, "gpt", response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    )
    assert json.loads(text(completion)) == {"a": 1}
    assert cloud.received[1].body["response_format"]["json_schema"]["schema"] == schema


def test_a_limit_beyond_the_embedded_models_context_reaches_the_backend(sdk, cloud):
    ask(sdk, "gpt", max_tokens=16_000)
    assert cloud.received[0].body["max_tokens"] == 16_000


def test_pictures_where_no_model_takes_them(cloud, tmp_path):
    with (
        routing(written(tmp_path, listing([("gpt", cloud, "")]))) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        shown = [{"type": "image_url", "image_url": {"url": PICTURE}}]
        with pytest.raises(openai.BadRequestError, match="takes pictures"):
            ask(client, "gpt", messages=[{"role": "user", "content": shown}])


def test_another_backend_answers_where_the_first_fails(sdk, cloud):
    cloud.next(Reply(status=401))
    route, completion = ask(sdk, "parley/best")
    assert route.startswith("device (device)")
    assert text(completion) == ANSWER


@pytest.mark.parametrize(
    ("reply", "status", "code", "words"),
    [
        (Reply(status=429, headers={"Retry-After": "9"}), 429, "backend_busy", "ask again in 9 s"),
        (Reply(status=500), 502, "backend_failed", "gpt failed"),
        (Reply(content_type="text/html"), 502, "backend_failed", "instead of an answer"),
        (Reply(status=400, error="Too many tokens here"), 400, "context_length_exceeded", "so long a conversation"),
    ],
)
def test_a_backend_that_was_named_answers_for_its_faults(sdk, cloud, reply, status, code, words):  # noqa: PLR0917
    cloud.answer = reply
    with pytest.raises(openai.APIStatusError) as caught:
        ask(sdk, "gpt", stream=True)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert words in caught.value.message
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "9"


def test_a_backend_that_is_left_alone_says_why(sdk, cloud):
    cloud.answer = Reply(status=401)
    for _ in range(2):
        with pytest.raises(openai.APIStatusError) as caught:
            ask(sdk, "gpt")
    assert (caught.value.status_code, caught.value.code) == (503, "backend_unavailable")
    assert "next try in" in caught.value.message
    assert len(cloud.received) == 1


def test_an_answer_that_breaks_off_ends_with_an_error(sdk, cloud):
    cloud.answer = Reply(cut_after=3)
    stream = sdk.chat.completions.create(model="gpt", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="gpt"):
        list(stream)


def test_a_reason_fits_into_a_header():
    line = route_header(Routed("gpt", "cloud", "Für “alle”:\r\nX-Evil: 1\x00" + "a" * 500, to="api.example"))
    assert line.startswith('gpt (cloud at api.example): F?r "alle": X-Evil: 1')
    assert len(line) == 300
    assert line.isprintable()


# --- Many at once ---


def test_200_streams_at_once_are_all_answered_and_none_is_mixed_up(cloud, tmp_path):
    async def one(client: AsyncOpenAI, number: int) -> str:
        messages = [{"role": "user", "content": f"please say number {number} again"}]
        stream = await client.chat.completions.create(model="parley/best", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def main(url: str) -> list[str]:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:
            return await asyncio.gather(*(one(client, number) for number in range(200)))

    cloud.answer = lambda received: Reply(echo(received).pieces, between_s=0.05)
    with routing(written(tmp_path, listing([("gpt", cloud, GOOD)]) + "[api]\nmax_requests = 1\n")) as url:
        answers = asyncio.run(main(url))
    assert answers == [f"please say number {number} again" for number in range(200)]
    assert cloud.most_at_once > 100


def test_equal_backends_share_the_work(cloud, tmp_path):
    """Requests that come one after another, and take a while; a burst of one moment may go to the same backend."""

    async def main(url: str) -> None:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:
            asking = []
            for number in range(20):
                asking.append(asyncio.create_task(client.chat.completions.create(model="parley/best", messages=HELLO)))
                await asyncio.to_thread(arrived, number + 1)
            await asyncio.gather(*asking)

    def arrived(requests: int) -> None:
        with anyone:
            assert anyone.wait_for(lambda: len(cloud.received) + len(other.received) >= requests, 20)

    anyone = threading.Condition()
    cloud.answer = Reply(first_s=1.0)
    with Cloud(Reply(first_s=1.0)) as other:
        cloud._arrival = other._arrival = anyone
        listed = listing([("one", cloud, GOOD), ("two", other, GOOD)])
        with routing(written(tmp_path, listed)) as url:
            asyncio.run(main(url))
        shares = len(cloud.received), len(other.received)
    assert shares == (10, 10)


class HeldModel(OneAnswerModel):
    """Stands for a language model that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_go_on = threading.Event(), threading.Event()

    async def stream(self, request):
        self.began.set()
        await asyncio.to_thread(self.may_go_on.wait, 20)
        async for piece in super().stream(request):
            yield piece


def test_only_what_this_machine_works_on_itself_is_limited(cloud, tmp_path):
    held = HeldModel()
    config = written(tmp_path, listing([("gpt", cloud, GOOD)]) + "[api]\nmax_requests = 1\n")
    with (
        routing(config, held) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        answers = []
        first = threading.Thread(target=lambda: answers.append(text(ask(client, "parley/private")[1])))
        first.start()
        assert held.began.wait(20)
        with pytest.raises(openai.RateLimitError, match="as many requests as it may"):
            ask(client, "parley/private")
        assert text(ask(client, "gpt")[1]) == "Hello there"
        held.may_go_on.set()
        first.join(20)
        assert answers == [ANSWER]
        assert text(ask(client, "parley/private")[1]) == ANSWER


def test_a_program_that_leaves_ends_the_request_to_the_backend(sdk, cloud):
    cloud.answer = Reply(stall_after=2)
    stream = sdk.chat.completions.create(model="gpt", messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    cloud.received[0].wait()
    assert cloud.received[0].gone
    cloud.answer = Reply()
    assert text(ask(sdk, "gpt")[1]) == "".join(WORDS)


def test_nothing_said_is_logged(sdk, cloud, caplog, tmp_path: Path):
    cloud.answer = Reply(status=500, error="Hello there broke me")
    with pytest.raises(openai.APIStatusError):
        ask(sdk, "gpt")
    assert "Hello there" not in caplog.text
