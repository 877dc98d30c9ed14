"""Clients of the HTTP side that send nonsense, too much or nothing, or go away: each gets a typed error."""

import asyncio
import contextlib
import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from audio.types import OUTPUT_RATE
from pipeline.engines import Finish, TextDelta
from tests.e2e.fakes import BrokenModel, OneAnswerModel, fake_engines, voice
from tests.e2e.test_openai_http import ShapedModel, encoded, wav

pytestmark = pytest.mark.e2e

BOUNDARY = "b0undary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON = {"Content-Type": "application/json"}
HELLO = [{"role": "user", "content": "Hello"}]


def connection(server):
    address = server.url.removeprefix("http://")
    return contextlib.closing(http.client.HTTPConnection(address, timeout=30))


def post(server, path, body, headers=JSON):
    with connection(server) as client:
        client.request("POST", f"/v1/{path}", body if isinstance(body, bytes) else json.dumps(body), headers)
        response = client.getresponse()
        return response.status, response.headers, response.read()


def error_of(server, path, body, headers=JSON):
    status, _, data = post(server, path, body, headers)
    error = json.loads(data)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].endswith((".", "here.", "…")), error["message"]
    return status, error["code"], error["param"]


def form(file=b"", filename="a.wav", **fields):
    fields.setdefault("model", "whisper-1")
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if file is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        parts.append(head.encode() + file + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "invalid_json", None),
        (b"[" * 100_000, 400, "invalid_json", None),
        (b"\xff\xfe", 400, "invalid_json", None),
        (b"", 400, "invalid_json", None),
        ([], 400, "invalid_json", None),
        ({"model": "parley"}, 400, "missing_required_parameter", "messages"),
        ({"messages": HELLO}, 400, "missing_required_parameter", "model"),
        ({"model": "parley", "messages": []}, 400, "invalid_value", "messages"),
        ({"model": "parley", "messages": [{"role": "king", "content": "x"}]}, 400, "invalid_value", "messages.0.role"),
        ({"model": "parley", "messages": [{"role": "user"}]}, 400, "missing_required_parameter", "messages.0.content"),
        (
            {
                "model": "p",
                "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            },
            400,
            "unsupported_parameter",
            "messages.0.content.0.type",
        ),
        (
            {"model": "p", "messages": [{"role": "user", "content": [{"type": "smell"}]}]},
            400,
            "invalid_value",
            "messages.0.content.0",
        ),
        (
            {"model": "p", "messages": [{"role": "tool", "content": "x"}]},
            400,
            "missing_required_parameter",
            "messages.0.tool_call_id",
        ),
        (
            {"model": "p", "messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            400,
            "missing_required_parameter",
            "messages.0.tool_calls.0.function",
        ),
        ({"model": "p", "messages": HELLO, "temperature": 3}, 400, "invalid_value", "temperature"),
        ({"model": "p", "messages": HELLO, "max_tokens": 0}, 400, "invalid_value", "max_tokens"),
        ({"model": "p", "messages": HELLO, "n": 2}, 400, "unsupported_parameter", "n"),
        (
            {"model": "p", "messages": HELLO, "tools": [{"type": "function"}]},
            400,
            "missing_required_parameter",
            "tools.0.function",
        ),
        (
            {"model": "p", "messages": HELLO, "tools": [{"type": "function", "function": {"name": "a b"}}]},
            400,
            "invalid_value",
            "tools.0.function.name",
        ),
        ({"model": "p", "messages": HELLO, "functions": [{}]}, 400, "unsupported_parameter", "functions"),
        ({"model": "p", "messages": HELLO, "logprobs": True}, 400, "unsupported_parameter", "logprobs"),
        ({"model": "p", "messages": HELLO, "logit_bias": {"1": 5}}, 400, "unsupported_parameter", "logit_bias"),
        (
            {"model": "p", "messages": HELLO, "web_search_options": {}},
            400,
            "unsupported_parameter",
            "web_search_options",
        ),
        ({"model": "p", "messages": HELLO, "modalities": ["audio"]}, 400, "unsupported_parameter", "modalities"),
        ({"model": "p", "messages": HELLO, "stream_options": {}}, 400, "invalid_value", "stream_options"),
        ({"model": "p", "messages": HELLO, "stop": ["a"] * 5}, 400, "invalid_value", "stop"),
        (
            {"model": "p", "messages": HELLO, "response_format": {"type": "json_schema"}},
            400,
            "missing_required_parameter",
            "response_format.json_schema",
        ),
        ({"model": "p", "messages": HELLO, "top_k": 4}, 400, "unknown_parameter", "top_k"),
    ],
)
def test_a_chat_that_cannot_be_served(serve, body, status, code, param):
    assert error_of(serve(), "chat/completions", body) == (status, code, param)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": "t", "voice": "alloy"}, "missing_required_parameter", "input"),
        ({"model": "t", "voice": "alloy", "input": ""}, "invalid_value", "input"),
        ({"model": "t", "voice": "alloy", "input": "… !"}, "invalid_value", "input"),
        ({"model": "t", "voice": "alloy", "input": "a" * 4097}, "invalid_value", "input"),
        ({"model": "t", "voice": "darth", "input": "Hi"}, "invalid_value", "voice"),
        ({"model": "t", "voice": {"id": "voice_1"}, "input": "Hi"}, "invalid_value", "voice"),
        ({"model": "t", "voice": "alloy", "input": "Hi", "speed": 9}, "invalid_value", "speed"),
        ({"model": "t", "voice": "alloy", "input": "Hi", "response_format": "wma"}, "invalid_value", "response_format"),
    ],
)
def test_speech_that_cannot_be_made(serve, body, code, param):
    assert error_of(serve(), "audio/speech", body) == (400, code, param)


def truncated(kind):
    return encoded(voice(2), kind)[:40]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (form(None), "missing_required_parameter", "file"),
        (form(b""), "invalid_file_format", "file"),
        (form(b"Dear Sir or Madam, " * 500, "letter.mp3"), "invalid_file_format", "file"),
        (form(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "a.m3u8"), "invalid_file_format", "file"),
        (form(wav(voice(0))), "invalid_file_format", "file"),
        (form(wav(voice(0.05))), "audio_too_short", "file"),
        (form(wav(voice(1))[:30]), "invalid_file_format", "file"),
        (form(truncated("flac")), "invalid_file_format", "file"),
        (form(truncated("opus")), "invalid_file_format", "file"),
        (form(np.random.default_rng(1).bytes(100_000), "a.mp3"), "invalid_file_format", "file"),
        (form(wav(voice(1)), language="klingon"), "invalid_value", "language"),
        (form(wav(voice(1)), response_format="pdf"), "invalid_value", "response_format"),
        (form(wav(voice(1)), temperature="warm"), "invalid_value", "temperature"),
        (form(wav(voice(1)), stream="true", response_format="srt"), "invalid_value", "response_format"),
        (form(wav(voice(1)), **{"timestamp_granularities[]": "word"}), "invalid_value", "timestamp_granularities"),
        (
            form(wav(voice(1)), response_format="verbose_json", **{"timestamp_granularities[]": "word"}),
            "unsupported_parameter",
            "timestamp_granularities",
        ),
        (form(wav(voice(1)), **{"include[]": "logprobs"}), "unsupported_parameter", "include"),
        (form(wav(voice(1)), colour="blue"), "unknown_parameter", "colour"),
        (form(wav(voice(1)))[:-40], "invalid_form", None),
        (b"nonsense", "invalid_form", None),
    ],
)
def test_a_file_that_cannot_be_transcribed(serve, body, code, param):
    assert error_of(serve(), "audio/transcriptions", body, FORM) == (400, code, param)


@pytest.mark.parametrize("kind", ["mp3", "flac", "opus", "wav"])
def test_of_a_file_that_was_cut_off_the_beginning_is_transcribed(serve, kind):
    data = encoded(voice(6), kind)
    status, _, body = post(serve(), "audio/transcriptions", form(data[: len(data) // 2]), FORM)
    assert status == 200
    assert 1 < json.loads(body)["usage"]["seconds"] < 5


def test_wrong_content_types_and_addresses(serve):
    server = serve()
    assert error_of(server, "chat/completions", b"{}", {"Content-Type": "text/plain"})[0] == 415
    assert error_of(server, "audio/transcriptions", {"model": "x"})[:2] == (415, "unsupported_media_type")
    assert error_of(server, "embeddings", {})[:2] == (404, "unknown_url")
    with connection(server) as client:
        client.request("GET", "/v1/chat/completions")
        response = client.getresponse()
        assert (response.status, response.headers["Allow"]) == (405, "POST")


def test_a_large_body_is_refused_before_it_is_read(serve):
    server = serve()
    with connection(server) as client:
        client.putrequest("POST", "/v1/chat/completions")
        client.putheader("Content-Type", "application/json")
        client.putheader("Content-Length", str(100 * 2**20))
        client.endheaders()
        for _ in range(100):
            client.send(bytes(2**20))
        response = client.getresponse()
        assert (response.status, json.loads(response.read())["error"]["code"]) == (413, "request_too_large")


def test_a_large_body_that_does_not_say_so_is_refused_too(serve):
    def endless():
        for _ in range(40):
            yield b" " * 2**20

    with connection(serve()) as client:
        client.request("POST", "/v1/chat/completions", endless(), JSON, encode_chunked=True)
        assert client.getresponse().status == 413


def test_100_mib_of_sound_are_transcribed_in_little_memory(serve):
    minutes = 55
    silence = wav(np.zeros(16_000 * 60 * minutes, np.float32))
    assert len(silence) > 100 * 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, _, body = post(serve(), "audio/transcriptions", form(silence), FORM)
    assert (status, json.loads(body)["text"]) == (200, "")
    assert json.loads(body)["usage"]["seconds"] == 60 * minutes
    # The client's own copies are the form and what http.client makes of it.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 * len(silence) / 1024


# --- Failures in mid-course ---


class SlowModel(OneAnswerModel):
    """Stands for a language model that takes its time; counts the answers that are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.running = 0
        self.began = threading.Event()

    async def stream(self, request):
        self.running += 1
        self.began.set()
        try:
            for _ in range(200):
                yield TextDelta("word ")
                await asyncio.sleep(0.1)
            yield Finish("stop", 1, 1, 200)
        finally:
            self.running -= 1


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_ends_the_work(serve, stream):
    model = SlowModel()
    server = serve(engines=fake_engines(model))
    body = json.dumps({"model": "parley", "messages": HELLO, "stream": stream})
    with connection(server) as client:
        client.request("POST", "/v1/chat/completions", body, JSON)
        assert model.began.wait(20)
        assert model.running == 1
    until(lambda: model.running == 0)
    assert post(serve(), "chat/completions", {"model": "parley", "messages": HELLO})[0] == 200


def test_one_request_too_many_is_told_to_come_back(serve):
    model = SlowModel()
    server = serve(engines=fake_engines(model), api={"max_requests": 1})
    with connection(server) as client:
        body = json.dumps({"model": "parley", "messages": HELLO, "stream": True})
        client.request("POST", "/v1/chat/completions", body, JSON)
        assert model.began.wait(20)
        status, headers, data = post(server, "chat/completions", {"model": "parley", "messages": HELLO})
        assert (status, headers["Retry-After"], headers["x-should-retry"]) == (429, "2", "true")
        assert json.loads(data)["error"]["type"] == "rate_limit_error"


def test_a_request_that_takes_too_long_is_ended(serve):
    model = SlowModel()
    server = serve(engines=fake_engines(model), api={"max_request_s": 0.5})
    assert error_of(server, "chat/completions", {"model": "p", "messages": HELLO})[:2] == (504, "timeout")
    assert model.running == 0


def test_a_model_that_fails_is_a_server_error(serve, caplog):
    server = serve(engines=fake_engines(BrokenModel()))
    status, _, data = post(server, "chat/completions", {"model": "p", "messages": HELLO})
    assert (status, json.loads(data)["error"]["code"]) == (500, "think_failed")
    status, _, data = post(server, "chat/completions", {"model": "p", "messages": HELLO, "stream": True})
    assert status == 200
    assert json.loads(data.split(b"data: ")[-1])["error"]["type"] == "server_error"
    assert "Hello" not in caplog.text


def test_a_schema_that_the_model_does_not_follow_is_an_error(serve):
    body = {"model": "p", "messages": HELLO, "response_format": {"type": "json_object"}}
    server = serve(engines=fake_engines(ShapedModel("```json")))
    assert error_of(server, "chat/completions", body) == (400, "invalid_value", "response_format")


class FailingSpeaker:
    """Stands for a voice that fails in the middle."""

    async def speak(self, text, *, voice=None, speed=1.0):
        yield np.zeros(OUTPUT_RATE, np.float32)
        raise RuntimeError("out of breath")


def test_speech_that_fails_in_the_middle_is_visibly_incomplete(serve):
    engines = fake_engines()
    object.__setattr__(engines, "tts", FailingSpeaker())
    body = {"model": "t", "voice": "alloy", "input": "Hello there.", "response_format": "pcm"}
    with pytest.raises(http.client.IncompleteRead):
        post(serve(engines=engines), "audio/speech", body)


def test_a_server_without_models_says_so(serve):
    server = serve(ready=False)
    assert error_of(server, "chat/completions", {"model": "p", "messages": HELLO})[:2] == (503, "not_ready")


def test_a_full_disk_is_told(tmp_path):
    """The server's process may write no file over 1 MiB, which to it is the same as a full disk."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)); import runpy, sys; "
    code += "sys.argv = ['serving', '0']; runpy.run_module('tests.e2e.served', run_name='__main__')"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment, cwd=root
    ) as process:
        try:
            url = next(line for line in process.stdout if line.startswith("http")).strip()
            with contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)) as client:
                client.request("POST", "/v1/audio/transcriptions", form(wav(voice(60))), FORM)
                response = client.getresponse()
                assert response.status == 507
                assert json.loads(response.read())["error"]["code"] == "insufficient_storage"
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []
