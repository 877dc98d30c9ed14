"""`parley backends` and `parley backends test NAME`, against a stand-in for a cloud API."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assistant import cli
from assistant.store.database import Database
from tests.faults.cloud import Cloud, echo
from tests.faults.replies import Reply

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PARLEY_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("GPT_KEY", "sk-secret")

    def invoke(cloud: Cloud, *args: str, more: str = "") -> Result:
        file = tmp_path / "my.toml"
        file.write_text(
            f'[[backends]]\nname = "gpt"\nurl = "{cloud.url}"\nmodel = "small"\nplace = "cloud"\nkey_env = "GPT_KEY"\n'
            f"price_in = 1\nprice_out = 2\nfirst_s = 2.0\n{more}"
        )
        result = CliRunner().invoke(cli.main, ["backends", "--config", str(file), *args])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "sk-secret" not in result.output
        return result

    return invoke


def test_the_list_says_where_each_is_what_it_can_and_costs_and_how_it_is(run: Run, tmp_path: Path) -> None:
    with Cloud(models=["small"], key="sk-secret") as cloud:
        result = run(cloud)
        host = cloud.url.split("/")[2]
    device, gpt = result.stdout.splitlines()[1:3]
    assert device.split()[:2] == ["device", "device"]
    assert "not here yet" in device
    assert gpt.split() == ["gpt", "cloud", host, "small", "tools,", "JSON", "8192", "1/2", "USD", "well"]
    assert "`parley models pull` fetches it" in result.stdout
    assert result.exit_code == 1  # the embedded model is missing
    assert not (tmp_path / "state").exists()


def test_the_list_for_programs(run: Run) -> None:
    with Cloud(models=["large"]) as cloud:
        device, gpt = json.loads(run(cloud, "--json").stdout)
    assert (device["name"], device["place"]) == ("device", "device")
    assert gpt | {"host": ""} == {
        "name": "gpt",
        "place": "cloud",
        "host": "",
        "model": "small",
        "abilities": ["tools", "JSON"],
        "context_tokens": 8192,
        "price_in": 1.0,
        "price_out": 2.0,
        "currency": "USD",
        "quality": 0.6,
        "weight": 1.0,
        "concurrency": 256,
        "figures": {
            "requests": 0,
            "errors": 0,
            "first_token_p50_s": None,
            "first_token_p95_s": None,
            "tokens_per_s": None,
            "last_error": None,
            "last_at": None,
        },
        "health": "there, doesn't list the model",
        "trouble": None,
    }


def test_one_that_is_not_there_is_listed_with_the_cure(run: Run) -> None:
    with Cloud() as cloud:
        cloud.kill()
        result = run(cloud)
        cloud.revive()
    assert "✗ gpt isn't there" in result.stdout
    assert result.exit_code == 1


def test_a_trial_says_what_it_said_and_how_quick_it_was(run: Run) -> None:
    with Cloud(echo) as cloud:
        result = run(cloud, "test", "gpt", "--say", "Good morning to you")
        assert result.exit_code == 0
        assert "said: Good morning to you" in result.stdout
        assert "first token after" in result.stdout
        assert "20 tokens sent, 11 received" in result.stdout
        assert "cost 0.000042 USD" in result.stdout
        tried = json.loads(run(cloud, "test", "gpt", "--json").stdout)
        assert tried["sent_bytes"] == len(cloud.received[-1].raw)
    assert (tried["said"], tried["error"], tried["tokens_out"]) == ("Say hello in one short sentence.", None, 11)


def test_a_trial_is_measured_where_there_is_a_store(run: Run, tmp_path: Path) -> None:
    import asyncio  # noqa: PLC0415

    async def make() -> None:
        async with await Database.open():
            pass

    asyncio.run(make())
    with Cloud(echo) as cloud:
        for _ in range(3):
            run(cloud, "test", "gpt")
        result = run(cloud)
        figures = json.loads(run(cloud, "--json").stdout)[1]["figures"]
    assert "0 of 3" in result.stdout
    assert figures["requests"] == 3
    assert 0 < figures["first_token_p50_s"] < 2


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(status=429, headers={"Retry-After": "30"}), "ask again in 30 s"),
        (Reply(stall_after=0), "said nothing for 2 s"),
        (Reply(content_type="text/html"), "sent text/html instead of an answer"),
    ],
)
def test_a_trial_that_fails_says_why_and_what_to_do(run: Run, reply: Reply, words: str) -> None:
    with Cloud(reply) as cloud:
        result = run(cloud, "test", "gpt")
    assert result.exit_code == 1
    assert "✗ gpt" in result.stdout
    assert words in result.stdout


def test_a_model_that_is_not_there_is_answered_with_those_that_are(run: Run) -> None:
    with Cloud(models=["large", "huge"]) as cloud:
        result = run(cloud, "test", "gpt")
    assert "has no model 'small'" in result.stdout
    assert "it has: large, huge" in result.stdout


def test_an_unknown_backend(run: Run) -> None:
    with Cloud() as cloud:
        result = run(cloud, "test", "gtp")
    assert result.exit_code == 2
    assert "There is no backend 'gtp'. There are: device, gpt." in result.output


@pytest.mark.models
def test_the_embedded_model_is_tried_as_well(
    model_path: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_path("smollm2-135m-iq4")
    result = CliRunner().invoke(cli.main, ["backends", "--profile", "tiny", "test", "device", "--json"])
    tried = json.loads(result.stdout)
    assert tried["said"]
    assert tried["tokens_out"] > 0
    assert tried["error"] is None
