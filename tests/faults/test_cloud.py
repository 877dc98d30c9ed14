"""The stand-in does what it says: checked with plain HTTP and the official SDK."""

import threading

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.faults.cloud import Cloud, echo
from tests.faults.replies import WORDS, Call, Reply

HELLO = [{"role": "user", "content": "Hello there"}]


def sdk(cloud: Cloud, **options) -> OpenAI:
    return OpenAI(base_url=cloud.url, api_key="secret", max_retries=0, **options)


def text(chunks) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_an_answer_and_what_was_received():
    with Cloud() as cloud, sdk(cloud) as client:
        chunks = list(
            client.chat.completions.create(
                model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
        )
        assert text(chunks) == "".join(WORDS)
        assert chunks[-1].usage.prompt_tokens == 20
        whole = client.chat.completions.create(model="m", messages=HELLO)
        assert whole.choices[0].message.content == "".join(WORDS)
        assert [model.id for model in client.models.list()] == ["stand-in"]
    first, second, _ = cloud.received
    assert first.body["messages"] == HELLO
    assert first.asked == "Hello there"
    assert first.headers["authorization"] == "Bearer secret"
    assert (first.gone, second.gone) == (False, False)


def test_it_echoes():
    with Cloud(echo) as cloud, sdk(cloud) as client:
        assert text(client.chat.completions.create(model="m", messages=HELLO, stream=True)) == "Hello there"


@pytest.mark.parametrize("style", ["fragments", "whole", "same index", "no index"])
def test_calls(style):
    calls = (Call("sky", '{"city": "Rome"}', "a"), Call("sky", '{"city": "Oslo"}', "b"))
    with Cloud(Reply((), calls, calls_as=style)) as cloud, sdk(cloud) as client:
        chunks = list(client.chat.completions.create(model="m", messages=HELLO, stream=True))
    parts = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert "".join(part.function.arguments or "" for part in parts) == '{"city": "Rome"}{"city": "Oslo"}'
    assert [part.id for part in parts if part.id] == ["a", "b"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_refusals():
    with Cloud(key="right", models=["small"], refuses={"max_tokens": "Use 'max_completion_tokens' instead."}) as cloud:
        wrong = sdk(cloud)
        with wrong, pytest.raises(openai.AuthenticationError):
            wrong.chat.completions.create(model="small", messages=HELLO)
        with OpenAI(base_url=cloud.url, api_key="right", max_retries=0) as client:
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="large", messages=HELLO)
            with pytest.raises(openai.BadRequestError, match="max_completion_tokens"):
                client.chat.completions.create(model="small", messages=HELLO, max_tokens=5)


def test_statuses_and_wrong_bodies():
    with Cloud() as cloud, sdk(cloud) as client:
        cloud.next(Reply(status=429, headers={"Retry-After": "7"}), Reply(status=500), Reply(content_type="text/html"))
        with pytest.raises(openai.RateLimitError) as limited:
            client.chat.completions.create(model="m", messages=HELLO)
        assert limited.value.response.headers["retry-after"] == "7"
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="m", messages=HELLO)
        page = httpx2.post(f"{cloud.url}/chat/completions", json={"model": "m", "messages": HELLO, "stream": True})
        assert page.headers["content-type"] == "text/html"
        assert b"sign in" in page.content
        assert client.chat.completions.create(model="m", messages=HELLO).choices[0].message.content == "".join(WORDS)


def streamed(cloud: Cloud, reply: Reply) -> bytes:
    """Return what arrives of a stream before it breaks or ends."""
    cloud.next(reply)
    arrived = b""
    asked = {"model": "m", "messages": HELLO, "stream": True}
    try:
        with httpx2.stream("POST", f"{cloud.url}/chat/completions", json=asked, timeout=0.2) as response:
            for data in response.iter_bytes():
                arrived += data
    except httpx2.HTTPError as error:
        arrived += type(error).__name__.encode()
    return arrived


def test_faults_in_a_stream():
    with Cloud() as cloud:
        cut = streamed(cloud, Reply(cut_after=3))
        stalled = streamed(cloud, Reply(stall_after=2))
        ended = streamed(cloud, Reply(end_after=3))
        malformed = streamed(cloud, Reply(malformed_after=1))
        failed = streamed(cloud, Reply(error_after=1))
        waited = streamed(cloud, Reply(keep_alives=2, usage_in_last_chunk=True))
    assert cut.count(b'"content": " ') == 2
    assert cut.endswith((b"ReadError", b"RemoteProtocolError"))
    assert stalled.endswith(b"ReadTimeout")
    assert b"DONE" not in ended
    assert not ended.endswith(b"Error")
    assert b'{"con\n' in malformed
    assert b"provider" in failed
    assert waited.count(b": OPENROUTER") == 2
    assert b"usage" in waited
    stall = cloud.received[1]
    stall.wait()
    assert stall.gone


def test_it_dies_and_comes_back():
    with Cloud(Reply(stall_after=1)) as cloud, sdk(cloud) as client:
        stream = client.chat.completions.create(model="m", messages=HELLO, stream=True)
        assert text([next(stream), next(stream)]) == "It"
        killer = threading.Thread(target=cloud.kill)
        killer.start()
        with pytest.raises(openai.APIConnectionError):
            list(stream)
        killer.join()
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="m", messages=HELLO)
        cloud.revive()
        cloud.answer = echo
        assert client.chat.completions.create(model="m", messages=HELLO).choices[0].message.content == "Hello there"
