import tomllib
from pathlib import Path

import pytest

from assistant.config import CONFIGS, Config, ConfigError, load, profiles
from pipeline.settings import TurnTaking


@pytest.fixture
def written(tmp_path: Path) -> "Written":
    return Written(tmp_path / "my.toml")


class Written:
    """A configuration file, and what is said about it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, text: str) -> Config:
        self.path.write_text(text, encoding="utf-8")
        return load(file=self.path)

    def refuse(self, text: str) -> str:
        with pytest.raises(ConfigError) as raised:
            self.load(text)
        return str(raised.value).replace(str(self.path), "my.toml")


def test_the_defaults_stand_alone_and_hold_every_key() -> None:
    defaults = tomllib.loads((CONFIGS / "default.toml").read_text(encoding="utf-8"))
    assert load().model_dump(mode="json") == defaults


def test_the_defaults_of_a_turn_are_those_of_the_pipeline() -> None:
    assert load().settings().turn_taking == TurnTaking()


@pytest.mark.parametrize("profile", profiles())
def test_every_profile_loads(profile: str) -> None:
    assert load(profile=profile).models()


def test_a_file_lies_over_the_profile_and_options_over_the_file(written: Written) -> None:
    written.path.write_text("[server]\nport = 1\nmax_sessions = 2\n[tts]\nthreads = 3\n", encoding="utf-8")
    config = load(profile="tiny", file=written.path, host="localhost", port=4)
    assert (config.server.host, config.server.port, config.server.max_sessions) == ("localhost", 4, 2)
    assert config.llm.model == "smollm2-135m-iq4"
    assert config.tts.threads == 3


def test_options_that_are_not_given_change_nothing() -> None:
    assert load(host=None, port=None) == load()


def test_models_are_named_once_and_only_when_needed(written: Written) -> None:
    config = written.load(
        '[stt]\nengine = "moonshine"\nmodel = "moonshine-tiny-en"\n'
        '[turn_detector]\nengine = "none"\n[live]\nengine = "none"\n[embeddings]\nengine = "none"\n'
        '[vision]\nengine = "none"'
    )
    model, judge = "qwen2.5-coder-0.5b-iq4", "smollm2-135m"
    assert config.models() == ("silero-vad", "moonshine-tiny-en", model, judge, "piper-joe")
    assert load(profile="tiny").models().count("moonshine-tiny-en") == 1


def test_an_empty_language_is_detected(written: Written) -> None:
    assert load().settings().language is None
    assert written.load('[stt]\nlanguage = "de"').settings().language == "de"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nprot = 1", "my.toml: [server] prot: there is no such key. Did you mean 'port'?"),
        ("[server]\nxyzzy = 1", "my.toml: [server] xyzzy: there is no such key."),
        ("[srver]\nport = 1", "my.toml: [srver]: there is no such section. Did you mean 'server'?"),
        ("port = 1", "my.toml: [port]: there is no such section."),
        ("server = 3", "my.toml: [server] should be a section with keys, and it is 3."),
        (
            "[server]\nport = 99999",
            "my.toml: [server] port: it should be less than or equal to 65535, and it is 99999.",
        ),
        (
            '[server]\nallowed_origins = ["https://a.example", 3]',
            "my.toml: [server] allowed_origins.1: it should be a valid string, and it is 3.",
        ),
        (
            '[router]\npreset = "privat"',
            "my.toml: [router]: There is no preset 'privat'. The presets are: private, balanced, best, cheap.",
        ),
        (
            '[turn]\nmode = "smart"',
            "my.toml: [turn] mode: it should be 'semantic', 'silence' or 'manual', and it is 'smart'.",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_cure(written: Written, text: str, sentence: str) -> None:
    assert written.refuse(text) == sentence


def test_every_mistake_is_named(written: Written) -> None:
    assert len(written.refuse("[server]\nprot = 1\nport = -1\n[turn]\nthreshold = 2").splitlines()) == 3


def test_a_mistake_on_the_command_line_is_not_blamed_on_a_file() -> None:
    with pytest.raises(ConfigError, match=r"^command line: \[server\] port"):
        load(port=70000)


def test_what_is_not_toml_names_the_line(written: Written) -> None:
    assert written.refuse("[server\n").startswith("my.toml is not valid TOML: Expected ']'")
    assert "line 1" in written.refuse("[server\n")


def test_what_is_not_text_is_told(written: Written) -> None:
    written.path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(file=written.path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read .*nowhere\.toml: No such file or directory\."):
        load(file=tmp_path / "nowhere.toml")


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"There is no profile 'tny'\. The profiles are: better, .*tiny"):
        load(profile="tny")


@pytest.mark.parametrize("profile", ["default", "models", "../default"])
def test_only_profiles_are_profiles(profile: str) -> None:
    with pytest.raises(ConfigError, match="There is no profile"):
        load(profile=profile)
