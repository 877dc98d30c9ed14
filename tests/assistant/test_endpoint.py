"""An endpoint against a stand-in for a cloud API: what it sends, what it makes of what comes, how it names faults."""

import asyncio
import datetime
import json
import socket
import ssl
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.llm.chat_wire import dialect_of
from assistant.llm.chunks import Thoughts
from assistant.llm.endpoint import Endpoint, Patience
from assistant.llm.endpoint_errors import (
    BackendError,
    BusyError,
    ElsewhereError,
    FailedError,
    GarbledError,
    RefusedError,
    RejectedError,
    TooSlowError,
    UnreachableError,
    Where,
    retry_after_s,
)
from assistant.server.certificate import make_own
from pipeline.engines import (
    ChatMessage,
    ChatRequest,
    Finish,
    NamedTool,
    Picture,
    Sampling,
    TextDelta,
    Tool,
    Toolbox,
    ToolCall,
)
from tests.faults.cloud import Cloud, echo
from tests.faults.replies import WORDS, Call, Reply

KEY = "sk-very-secret-1234567890"
ASKED = ChatRequest((ChatMessage("system", "Be brief."), ChatMessage("user", "What time is it?")), max_tokens=50)
SKY = Tool("sky", "The weather.", '{"type": "object", "properties": {"city": {"type": "string"}}}')
CALLING = replace(ASKED, toolbox=Toolbox((SKY,)))
ROME, OSLO = Call("sky", '{"city": "Rome"}', "a"), Call("sky", '{"city": "Oslo"}', "b")


def endpoint(cloud: Cloud, *, key: str = "", url: str = "", **options) -> Endpoint:
    url = url or cloud.url
    where = Where("gpt", url, url.split("/")[2], "small", key, "GPT_KEY" if key else "")
    return Endpoint(where, direct=True, **options)


async def collect(model: Endpoint, request: ChatRequest = ASKED) -> list:
    async with aclosing(model.stream(request)) as pieces:
        return [piece async for piece in pieces]


def ask(cloud: Cloud, request: ChatRequest = ASKED, **options) -> list:
    async def main() -> list:
        model = endpoint(cloud, **options)
        try:
            return await collect(model, request)
        finally:
            await model.close()

    return asyncio.run(main())


def text_of(pieces: list) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


def failure(cloud: Cloud, kind: type[BackendError], request: ChatRequest = ASKED, **options) -> BackendError:
    with pytest.raises(kind) as caught:
        ask(cloud, request, **options)
    error = caught.value
    assert type(error) is kind
    assert str(error).startswith("gpt ")
    assert error.cause
    assert error.cure
    assert str(error).endswith(".")
    assert KEY not in f"{error}{error.__cause__}{error.__context__}"
    return error


# --- What it answers ---


def test_text_comes_as_it_is_generated_and_the_end_says_what_was_used():
    with Cloud(Reply(cached=12)) as cloud:
        *deltas, finish = ask(cloud)
    assert [delta.text for delta in deltas] == list(WORDS)
    assert finish == Finish("stop", 20, 12, 11)


def test_what_is_sent_and_nothing_else(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: of-somebody-else")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async def main() -> int:
        model = endpoint(cloud)
        await collect(model)
        await model.close()
        return model.sent_bytes

    with Cloud() as cloud:
        sent = asyncio.run(main())
        ask(cloud, key=KEY)
    bare, keyed = cloud.received
    assert bare.body == {
        "model": "small",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What time is it?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 50,
        "temperature": 0.7,
    }
    assert sent == len(bare.raw)
    assert "of-somebody-else" not in str(bare.headers) + str(keyed.headers)
    assert bare.headers.keys() == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-type",
        "content-length",
        "user-agent",
    }
    assert keyed.headers["authorization"] == f"Bearer {KEY}"


def test_everything_that_a_request_may_hold():
    shown = ChatMessage("user", "And this?", (Picture("data:image/png;base64,AAAA", "low"),))
    called = ChatMessage("assistant", "", calls=(ToolCall("a", "sky", '{"city": "Rome"}'),))
    result = ChatMessage("tool", "Sunny.", call_id="a")
    request = ChatRequest(
        (ChatMessage("user", "Hello"), called, result, shown),
        toolbox=Toolbox((SKY,), NamedTool("sky"), parallel=False),
        sampling=Sampling(("END",), '{"type": "object"}', 0.5, 7, 0.1, 0.2),
    )
    with Cloud(Reply((), (ROME,))) as cloud:
        ask(cloud, request, extra={"reasoning_effort": "low"})
    body = cloud.received[0].body
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "sky", "arguments": '{"city": "Rome"}'}}
            ],
        },
        {"role": "tool", "content": "Sunny.", "tool_call_id": "a"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            ],
        },
    ]
    assert body["tools"][0]["function"]["parameters"]["properties"] == {"city": {"type": "string"}}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "sky"}}
    assert body["parallel_tool_calls"] is False
    assert (body["stop"], body["top_p"], body["seed"]) == (["END"], 0.5, 7)
    assert (body["frequency_penalty"], body["presence_penalty"]) == (0.1, 0.2)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert body["reasoning_effort"] == "low"


@pytest.mark.parametrize("style", ["fragments", "whole", "same index", "no index"])
def test_calls_side_by_side_come_whole(style):
    with Cloud(Reply(("Let me look.",), (ROME, OSLO), calls_as=style)) as cloud:
        said, *calls, finish = ask(cloud, CALLING)
    assert said == TextDelta("Let me look.")
    assert calls == [ToolCall("a", "sky", '{"city": "Rome"}'), ToolCall("b", "sky", '{"city": "Oslo"}')]
    assert isinstance(finish, Finish)


@pytest.mark.parametrize("style", ["fragments", "whole"])
def test_calls_without_ids_get_some(style):
    calls = (replace(ROME, id=None), replace(OSLO, id=None))
    with Cloud(Reply((), calls, calls_as=style)) as cloud:
        one, two, _ = ask(cloud, CALLING)
    assert (one.arguments, two.arguments) == ('{"city": "Rome"}', '{"city": "Oslo"}')
    assert one.call_id
    assert one.call_id != two.call_id


def test_only_one_call_where_several_are_not_wanted():
    with Cloud(Reply((), (ROME, OSLO))) as cloud:
        call, _ = ask(cloud, replace(ASKED, toolbox=Toolbox((SKY,), parallel=False)))
    assert call.call_id == "a"


def test_a_call_without_arguments_has_an_empty_object():
    with Cloud(Reply((), (Call("sky", "", "a"),))) as cloud:
        assert ask(cloud, CALLING)[0] == ToolCall("a", "sky", "{}")


@pytest.mark.parametrize(
    "reply", [Reply(usage_in_last_chunk=True), Reply(keep_alives=3), Reply(reasoning=("Hm", "m."))]
)
def test_habits_of_servers_make_no_difference(reply):
    with Cloud(reply) as cloud:
        *deltas, finish = ask(cloud)
    assert [delta.text for delta in deltas] == list(WORDS)
    assert (finish.input_tokens, finish.output_tokens) == (20, 11)


def test_a_server_that_does_not_say_what_was_used_is_estimated():
    with Cloud(Reply(usage=False)) as cloud:
        finish = ask(cloud)[-1]
    assert 10 <= finish.input_tokens <= 25
    assert 8 <= finish.output_tokens <= 16


def test_a_server_that_does_not_stream_is_understood():
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Noon."}, "finish_reason": "length"}]}
    with Cloud(
        Reply(body=json.dumps(body | {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}).encode())
    ) as cloud:
        assert ask(cloud) == [TextDelta("Noon."), Finish("length", 3, 0, 2)]


def test_thoughts_in_tags_are_no_part_of_the_answer():
    with Cloud(Reply(("<thi", "nk>It may be noon.</th", "ink>\n", "\nNo", "on."))) as cloud:
        assert text_of(ask(cloud)) == "Noon."


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<thi", "nk>", "a", " ", "\n", "</", "<"]), max_size=12), st.data()
)
def test_thoughts_are_left_out_however_the_text_is_cut(parts, data):
    text = "".join(parts)
    begun = text.lstrip()
    expected = begun.partition("</think>")[2].lstrip() if begun.startswith("<think>") else begun
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    thoughts = Thoughts()
    fed = "".join(thoughts.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))
    assert fed + thoughts.flush() == expected


def test_connections_are_used_again():
    async def main() -> None:
        model = endpoint(cloud)
        for _ in range(3):
            await collect(model)
        await model.close()

    with Cloud() as cloud:
        asyncio.run(main())
        assert cloud.connections == 1


# --- How it finds out what a server is like ---


def test_what_a_server_refuses_is_said_otherwise_and_remembered():
    refuses = {
        "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
        "temperature": "Unsupported value: 'temperature' does not support 0.7 with this model.",
        "stream_options": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')}]",
    }

    async def main() -> list:
        model = endpoint(cloud)
        pieces = await collect(model)
        assert pieces == await collect(model)
        await model.close()
        return pieces

    with Cloud(refuses=refuses) as cloud:
        assert text_of(asyncio.run(main())) == "".join(WORDS)
    assert len(cloud.received) == 5  # one for each refusal, one that is answered, and one that knows it all
    assert cloud.received[-1].body.keys() == {"model", "messages", "stream", "max_completion_tokens"}


def test_schemas_are_put_as_the_server_takes_them():
    schema = replace(ASKED, sampling=Sampling(schema='{"type": "object"}'))
    any_object = replace(ASKED, sampling=Sampling(schema="{}"))
    complaint = Reply(
        status=400, error="Invalid schema for response_format 'answer': 'additionalProperties' is required."
    )
    with Cloud() as cloud:
        cloud.next(complaint)
        ask(cloud, schema)
        cloud.next(Reply(status=400, error="'response_format.type' must be 'json_schema' or 'text'"))
        ask(cloud, any_object)
    _, loose, asked, other = [received.body["response_format"] for received in cloud.received]
    assert loose == {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    assert asked == {"type": "json_object"}
    assert other["json_schema"]["schema"] == {"type": "object"}


def test_the_limit_has_the_name_that_the_host_knows():
    assert dialect_of("https://api.openai.com/v1").limit == "max_completion_tokens"
    assert dialect_of("https://mine.openai.azure.com/openai/v1").limit == "max_completion_tokens"
    assert dialect_of("http://localhost:11434/v1").limit == "max_tokens"
    assert dialect_of("https://notapi.openai.com.example.com/v1").limit == "max_tokens"


def test_a_complaint_that_quotes_the_user_changes_nothing():
    with Cloud() as cloud:
        cloud.next(Reply(status=400, error="I won't tell you the temperature."))
        failure(cloud, RejectedError)
        assert len(cloud.received) == 1


def test_a_server_that_refuses_everything_is_not_asked_for_ever():
    with Cloud(Reply(status=400, error="'max_tokens' and 'max_completion_tokens' are wrong")) as cloud:
        failure(cloud, RejectedError)
    assert 1 < len(cloud.received) <= 8


# --- Faults ---


def test_a_wrong_key_is_named_by_its_variable_and_never_shown():
    with Cloud(key="right") as cloud:
        error = failure(cloud, RefusedError, key=KEY)
        assert "GPT_KEY" in error.cure
        assert error.lasting
        assert "key_env" in failure(cloud, RefusedError).cure


def test_a_model_that_is_not_there():
    with Cloud(models=["large"]) as cloud:
        error = failure(cloud, RefusedError)
    assert "'small'" in error.cause
    assert "model" in error.cure


def test_a_wrong_path():
    with Cloud() as cloud:
        assert "url" in failure(cloud, RefusedError, url=cloud.url.removesuffix("/v1") + "/v2/chat").cure


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(status=429, headers={"Retry-After": "7"}), BusyError, "in 7 s"),
        (Reply(status=429), BusyError, "in a while"),
        (Reply(status=429, code="insufficient_quota"), RefusedError, "credit"),
        (Reply(status=503, headers={"Retry-After": "3"}), BusyError, "in 3 s"),
        (Reply(status=503), FailedError, "503"),
        (Reply(status=500, error="Out of memory"), FailedError, "Out of memory"),
        (Reply(status=504, body=b"<html>Gateway", content_type="text/html"), FailedError, "504"),
        (Reply(status=402), RefusedError, "credit"),
        (Reply(status=403), RefusedError, "key"),
        (Reply(status=413), RejectedError, "size"),
        (Reply(status=400, error="This model's maximum context length is 4096 tokens."), RejectedError, "so long"),
        (Reply(status=400, error="No such thing"), RejectedError, "No such thing"),
        (Reply(status=307, headers={"Location": "https://elsewhere.example/v1"}), RefusedError, "elsewhere.example"),
        (Reply(content_type="text/html"), GarbledError, "text/html"),
        (Reply(body=b'{"error": {"message": "No provider", "code": 502}}'), FailedError, "No provider"),
        (Reply(body=b'{"hello": 1}'), GarbledError, "application/json"),
        (Reply(malformed_after=0), GarbledError, "JSON"),
        (Reply(malformed_after=4), GarbledError, "JSON"),
        (Reply(error_after=3), FailedError, "provider"),
        (Reply(cut_after=0), UnreachableError, "broke the connection"),
        (Reply(cut_after=3), UnreachableError, "broke the connection"),
        (Reply(end_after=3), UnreachableError, "stopped in mid-answer"),
        (Reply(finish="error"), FailedError, "mid-answer"),
        (Reply((), finish="content_filter"), RejectedError, "content filter"),
        (Reply((), finish="length"), GarbledError, "without a word"),
        (Reply((), (Call("sea"),)), GarbledError, "function that isn't there"),
        (Reply((), (Call("sky", '{"city": "Ro'),)), GarbledError, "no JSON object"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_faults_have_a_name_a_cause_and_a_cure(reply, kind, words):
    with Cloud(reply) as cloud:
        error = failure(cloud, kind, CALLING, key=KEY)
    assert words in str(error)
    assert error.unwell == (kind is not RejectedError)


def test_a_key_in_the_servers_own_words_is_taken_out():
    with Cloud(Reply(status=500, error=f"Key {KEY}\nis\tfine, but I failed " + "a" * 500)) as cloud:
        error = failure(cloud, FailedError, key=KEY)
    assert "Key [the key] is fine" in str(error)
    assert len(str(error)) < 350


def test_nobody_there():
    with Cloud() as cloud, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        assert "refuses the connection" in failure(cloud, UnreachableError, url=url).cause
        assert "no address is known" in failure(cloud, UnreachableError, url="http://nowhere.invalid/v1").cause
        assert "TLS" in failure(cloud, UnreachableError, url=cloud.url.replace("http", "https")).cause


def test_a_certificate_that_nobody_vouches_for(tmp_path):
    with Cloud(tls=certificate(tmp_path)) as cloud:
        assert "certificate" in failure(cloud, UnreachableError).cause


def certificate(folder: Path) -> ssl.SSLContext:
    made = make_own(folder, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    return context


QUICK = Patience(connect_s=0.5, first_s=0.3, between_s=0.2, whole_s=5.0)


@pytest.mark.parametrize(
    ("reply", "patience", "phase", "words"),
    [
        (Reply(headers_s=60), QUICK, "first", "said nothing for 0.3 s"),
        (Reply(first_s=60), QUICK, "first", "said nothing for 0.3 s"),
        (Reply(keep_alives=3, first_s=60), QUICK, "first", "said nothing"),
        (Reply(stall_after=3), QUICK, "between", "fell silent in mid-answer for 0.2 s"),
        (Reply(between_s=0.1), replace(QUICK, whole_s=0.35), "whole", "wasn't done for 0.35 s"),
    ],
)
def test_every_wait_has_a_limit(reply, patience, phase, words):
    with Cloud(reply) as cloud:
        began = time.monotonic()
        error = failure(cloud, TooSlowError, patience=patience)
        assert time.monotonic() - began < 3
        cloud.received[0].wait()
        assert cloud.received[0].gone
    assert error.phase == phase
    assert words in error.cause


def test_thinking_counts_as_a_sign_of_life():
    with Cloud(Reply(reasoning=("Hm",), first_s=0.35)) as cloud:
        assert text_of(ask(cloud, patience=replace(QUICK, between_s=2.0))) == "".join(WORDS)


def test_a_finished_answer_needs_no_account_of_it():
    with Cloud(Reply(cut_at_end=True)) as cloud:
        pieces = ask(cloud)
    assert text_of(pieces) == "".join(WORDS)
    assert isinstance(pieces[-1], Finish)


@pytest.mark.parametrize("reply", [Reply(headers_s=60), Reply(stall_after=0), Reply(stall_after=2)])
def test_cancelling_closes_the_connection(reply):
    async def main() -> None:
        model = endpoint(cloud)
        asking = asyncio.create_task(collect(model))
        await asyncio.to_thread(cloud.wait_for, 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(cloud.received[0].wait)
        await model.close()

    with Cloud(reply) as cloud:
        asyncio.run(main())
        assert cloud.received[0].gone


def test_closing_in_mid_answer_closes_the_connection():
    async def main() -> None:
        model = endpoint(cloud)
        async with aclosing(model.stream(ASKED)) as pieces:
            assert (await anext(pieces)) == TextDelta("It")
        await asyncio.to_thread(cloud.received[0].wait)
        assert len(await collect(model)) == len(WORDS) + 1
        await model.close()

    with Cloud() as cloud:
        cloud.next(Reply(stall_after=1))
        asyncio.run(main())
        assert cloud.received[0].gone


def test_a_guard_that_objects_keeps_everything_here():
    async def guard() -> None:
        raise ElsewhereError("gpt", "is elsewhere", "correct place")

    with Cloud() as cloud:
        failure(cloud, ElsewhereError, guard=guard)
        assert cloud.received == []
        assert cloud.connections == 0


def test_answers_side_by_side_are_not_mixed_up():
    async def main() -> None:
        model = endpoint(cloud)
        asked = [replace(ASKED, messages=(ChatMessage("user", f"this is number {n}"),)) for n in range(50)]
        answers = await asyncio.gather(*(collect(model, request) for request in asked))
        await model.close()
        assert [text_of(answer) for answer in answers] == [request.messages[0].content for request in asked]

    with Cloud(echo) as cloud:
        asyncio.run(main())


def test_the_models_that_it_has():
    async def main() -> list[str]:
        model = endpoint(cloud)
        try:
            return list(await model.models())
        finally:
            await model.close()

    with Cloud(models=["small", "large"]) as cloud:
        assert asyncio.run(main()) == ["small", "large"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "1e9"}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({}, None),
    ],
)
def test_when_to_come_again(headers, expected):
    assert retry_after_s(headers) == expected


def test_when_to_come_again_as_a_date():
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}) == 3600.0
