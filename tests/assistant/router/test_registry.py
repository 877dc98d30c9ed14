"""Backends from the configuration: what they become, and how mistakes are named."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from assistant.config import Config, ConfigError, load
from assistant.router.registry import build, key, opened
from assistant.store.database import Database
from pipeline.engines import ChatMessage, ChatRequest
from tests.faults.cloud import Cloud

GPT = """
[[backends]]
name = "gpt"
url = "https://api.openai.com/v1/"
model = "gpt-5-mini"
"""
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my.toml"


def loaded(file: Path, text: str) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file=file)


def refused(file: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(file, text)
    return str(caught.value).replace(str(file), "my.toml")


def test_what_the_owner_says_and_what_goes_without_saying(file: Path) -> None:
    text = (
        GPT
        + """
        key_env = "GPT_KEY"
        vision = true
        price_in = 0.25
        price_out = 2
        quality = { default = 0.8, code = 0.9 }
        [[backends]]
        name = "ollama"
        url = "http://nas.local:11434/v1"
        model = "llama3"
        tools = false
        """
    )
    gpt, ollama = (build(section, {"GPT_KEY": SECRET}) for section in loaded(file, text).backends)
    assert (gpt.name, gpt.place, gpt.host, gpt.vision, gpt.tools) == ("gpt", "cloud", "api.openai.com", True, True)
    assert (gpt.price_in, gpt.price_out, gpt.quality, gpt.quality_of("code")) == (0.25, 2.0, 0.8, 0.9)
    assert (ollama.name, ollama.place, ollama.host) == ("ollama", "lan", "nas.local:11434")
    assert (ollama.tools, ollama.json, ollama.quality, ollama.context_tokens) == (False, True, 0.6, 8192)
    assert key(gpt) == "gpt gpt-5-mini"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://localhost:8080/v1", "device"),
        ("http://[::1]:8080/v1", "device"),
        ("http://192.168.1.5/v1", "lan"),
        ("https://llm.example.com/v1", "cloud"),
        ("https://8.8.8.8/v1", "cloud"),
    ],
)
def test_the_address_tells_the_place(file: Path, url: str, place: str) -> None:
    (section,) = loaded(file, f'[[backends]]\nname = "a"\nurl = "{url}"\nmodel = "m"').backends
    assert section.where == place


def test_a_gateway_on_this_machine_may_be_as_far_away_as_its_owner_says(file: Path) -> None:
    text = '[[backends]]\nname = "a"\nurl = "http://127.0.0.1:4000/v1"\nmodel = "m"\nplace = "cloud"'
    assert loaded(file, text).backends[0].where == "cloud"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            GPT.replace('"gpt"', '"My GPT"'),
            "my.toml: [[backends]] My GPT name: 'My GPT' can't be a name: take up to 40 small letters, digits, dots, "
            "hyphens.",
        ),
        (GPT.replace('"gpt"', '"device"'), "The name 'device' has a meaning of its own: take another."),
        (GPT.replace('"gpt"', '"cheap"'), "'cheap' is a preset's name: call the backend something else."),
        (GPT + GPT, "Two backends are called 'gpt': give each a name of its own."),
        (GPT + "qualty = 1", "my.toml: [[backends]] gpt qualty: there is no such key. Did you mean 'quality'?"),
        (GPT + f'key = "{SECRET}"', "my.toml: [[backends]] gpt key: there is no such key. Did you mean 'key_env'?"),
        (GPT + f'key_env = "{SECRET}"', "It is the NAME of an environment variable, such as OPENAI_API_KEY"),
        (GPT + 'key_env = "sk_abcdefghijklmnopqrstuvwxyz"', "It is the NAME of an environment variable"),
        (GPT.replace("https://", f"https://me:{SECRET}@"), "An address holds no key and no password"),
        (GPT.replace("/v1/", f"/v1?key={SECRET}"), "An address holds no key and no password"),
        (GPT.replace("https://", ""), "It is no address: write it as http://HOST:PORT/v1"),
        (GPT.replace("openai.com", "openai.com:99999"), "It is no address"),
        (GPT.replace("/v1/", "/v1/chat/completions"), "Leave out /chat/completions: it is added."),
        (GPT.replace("https", "http"), "would go to api.openai.com for all to read: take https://."),
        (
            GPT.replace("api.openai.com", "8.8.8.8") + 'place = "lan"',
            'place is "lan", but 8.8.8.8 is farther away: its place is "cloud".',
        ),
        (
            GPT.replace("api.openai.com", "nas.local") + 'place = "device"',
            'place is "device", but nas.local is farther away: its place is "lan".',
        ),
        (GPT + 'place = "moon"', "my.toml: [[backends]] gpt place: it should be 'device', 'lan' or 'cloud'"),
        (GPT + "quality = { maths = 1 }", "There is no kind of turn 'maths'. There are: default, chit-chat, fact"),
        (GPT + "quality = 2", "[[backends]] gpt quality"),
        (GPT + 'currency = "Euro"', "'Euro' is no currency: write its three letters, such as USD or EUR."),
        (
            GPT + "price_in = 1" + GPT.replace('"gpt"', '"b"') + 'price_in = 1\ncurrency = "EUR"',
            "The prices are in EUR and USD: give all of them in one currency.",
        ),
        (GPT + "first_s = 300", "first_s is longer than whole_s"),
        ('[[backends]]\nname = "a"', "my.toml: [[backends]] a url: it is missing."),
        ('[[backends]]\nurl = "http://localhost"\nmodel = "m"', "my.toml: [[backends]] number 1 name: it is missing."),
        ("backends = [3]", "my.toml: [[backends]] number 1"),
        ("backends = 3", "my.toml: [backends]"),
    ],
)
def test_a_mistake_is_named_with_its_cure_and_without_the_key(file: Path, text: str, sentence: str) -> None:
    said = refused(file, text)
    assert sentence in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, "GPT_KEY is not set"), ({"GPT_KEY": " "}, "GPT_KEY is not set"), ({"GPT_KEY": "ä\n"}, "no key")],
)
def test_a_key_that_is_not_in_the_environment(file: Path, environment: dict[str, str], words: str) -> None:
    (section,) = loaded(file, GPT + 'key_env = "GPT_KEY"').backends
    with pytest.raises(ConfigError, match=words):
        build(section, environment)


def test_figures_outlive_a_restart(file: Path, tmp_path: Path) -> None:
    async def run() -> int:
        async with (
            await Database.open(f"sqlite:///{tmp_path / 'parley.db'}") as database,
            opened(config.backends, database) as (backend,),
        ):
            async with aclosing(backend.stream(ChatRequest((ChatMessage("user", "Hello"),)))) as pieces:
                assert [piece async for piece in pieces]
            return backend.figures.summary().requests

    with Cloud() as cloud:
        config = loaded(file, f'[[backends]]\nname = "a"\nurl = "{cloud.url}"\nmodel = "m"')
        assert [asyncio.run(run()) for _ in range(3)] == [1, 2, 3]
