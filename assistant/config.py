"""The configuration: TOML files laid over configs/default.toml, checked key by key."""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ParleyError
from pipeline.settings import Settings, TurnTaking

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


class ConfigError(ParleyError):
    """A configuration that can't be used; the message names the file, the key and the cure."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(_Section):
    """Where and for whom the server listens."""

    host: str
    port: int = Field(ge=0, le=65535)
    max_sessions: int = Field(ge=1)
    max_message_bytes: int = Field(ge=65536)
    send_timeout_s: float = Field(gt=0)
    resume_s: float = Field(ge=0, le=3600)
    allowed_origins: tuple[str, ...]
    tls_cert: str
    tls_key: str
    tls_self_signed: bool


class Api(_Section):
    """What requests over plain HTTP may take."""

    max_requests: int = Field(ge=1)
    max_upload_bytes: int = Field(ge=65536)
    max_request_s: float = Field(gt=0)


class Assistant(_Section):
    """Who answers."""

    instructions: str
    tool_instructions: str
    max_output_tokens: int = Field(ge=1)
    temperature: float = Field(ge=0, le=2)


class Turn(_Section):
    """When a turn starts and ends; the same names and meanings as pipeline.settings.TurnTaking."""

    mode: Literal["semantic", "silence", "manual"]
    vad_threshold: float = Field(gt=0, lt=1)
    start_s: float = Field(gt=0)
    prefix_s: float = Field(ge=0)
    pause_s: float = Field(gt=0)
    resume_s: float = Field(gt=0)
    look_again_s: float = Field(gt=0)
    min_silence_s: float = Field(gt=0)
    max_silence_s: float = Field(gt=0)
    hold_s: float = Field(gt=0)
    look_s: float = Field(gt=0)
    yield_s: float = Field(gt=0)
    barge_in_s: float = Field(gt=0)
    reopen_s: float = Field(ge=0)
    max_utterance_s: float = Field(gt=1)
    stall_s: float = Field(gt=0)
    speculate: bool


class Vad(_Section):
    """The voice detector."""

    engine: Literal["silero"]
    model: str


class TurnDetector(_Section):
    """The end-of-turn detector."""

    engine: Literal["smart-turn", "none"]
    model: str


class Stt(_Section):
    """The reference recogniser."""

    engine: Literal["faster-whisper", "moonshine"]
    model: str
    language: str
    threads: int = Field(ge=1)
    short_window: bool


class Live(_Section):
    """The fast recogniser."""

    engine: Literal["moonshine", "none"]
    model: str
    trust_logprob: float = Field(le=0)


class Llm(_Section):
    """The language model."""

    engine: Literal["llama.cpp"]
    model: str
    threads: int = Field(ge=0)
    context_tokens: int = Field(ge=512)
    parallel: int = Field(ge=1)


class Tts(_Section):
    """The voice."""

    engine: Literal["piper"]
    model: str
    threads: int = Field(ge=1)


class McpTool(_Section):
    """An MCP server whose tools every session has."""

    label: str = Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$")
    url: str = Field(pattern=r"^https?://[^@]+$")
    key_env: str = ""
    """The environment variable that holds its access token."""
    allowed_tools: tuple[str, ...] | None = None
    require_approval: Literal["always", "never"] = "never"


class Tools(_Section):
    """What the server may have carried out by others."""

    mcp_servers: tuple[str, ...]
    mcp_timeout_s: float = Field(gt=0, le=600)
    mcp_max_tools: int = Field(ge=1)
    mcp_max_result_chars: int = Field(ge=100)
    mcp: tuple[McpTool, ...]


class Log(_Section):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"]


class Config(_Section):
    """All of it."""

    server: Server
    api: Api
    assistant: Assistant
    turn: Turn
    vad: Vad
    turn_detector: TurnDetector
    stt: Stt
    live: Live
    llm: Llm
    tts: Tts
    tools: Tools
    log: Log

    def models(self) -> tuple[str, ...]:
        """Name the models that this configuration needs, each once."""
        wanted = [self.vad.model]
        if self.turn_detector.engine != "none":
            wanted.append(self.turn_detector.model)
        wanted.append(self.stt.model)
        if self.live.engine != "none":
            wanted.append(self.live.model)
        wanted += [self.llm.model, self.tts.model]
        return tuple(dict.fromkeys(wanted))

    def settings(self) -> Settings:
        """Return the settings that a session begins with."""
        return Settings(
            instructions=self.assistant.instructions,
            max_output_tokens=self.assistant.max_output_tokens,
            temperature=self.assistant.temperature,
            language=self.stt.language or None,
            trust_logprob=self.live.trust_logprob,
            turn_taking=TurnTaking(**self.turn.model_dump()),
        )


def load(*, profile: str | None = None, file: Path | None = None, **server: str | int | bool | None) -> Config:
    """Read the defaults, then the profile, then the file, then `server` keys that are not None.

    Raises ConfigError when a file is missing or not TOML, or a key or value is wrong.
    """
    layers = [CONFIGS / "default.toml"]
    if profile is not None:
        layers.append(_profile(profile))
    if file is not None:
        layers.append(file)
    merged: dict[str, Any] = {}
    origin: dict[tuple[str, ...], str] = {}
    for path in layers:
        _lay_over(merged, _read(path), str(path), origin)
    given = {key: value for key, value in server.items() if value is not None}
    _lay_over(merged, {"server": given} if given else {}, "command line", origin)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from None


def profiles() -> list[str]:
    """Name the profiles in configs/."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml") if path.stem not in {"default", "models"})


def _profile(name: str) -> Path:
    if name not in profiles():
        raise ConfigError(f"There is no profile {name!r}. The profiles are: {', '.join(profiles())}.")
    return CONFIGS / f"{name}.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


def _lay_over(
    below: dict[str, Any],
    above: dict[str, Any],
    source: str,
    origin: dict[tuple[str, ...], str],
    at: tuple[str, ...] = (),
) -> None:
    for key, value in above.items():
        here = (*at, key)
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _lay_over(below[key], value, source, origin, here)
        elif isinstance(below.get(key), dict):
            raise ConfigError(f"{source}: [{key}] should be a section with keys, and it is {value!r}.")
        else:
            below[key] = value
            origin[here] = source


def _explain(error: ValidationError, origin: dict[tuple[str, ...], str]) -> str:
    return "\n".join(
        _sentence(tuple(str(step) for step in problem["loc"]), problem, origin) for problem in error.errors()
    )


def _sentence(at: tuple[str, ...], problem: ErrorDetails, origin: dict[tuple[str, ...], str]) -> str:
    # The problem may lie deeper than what a layer set (a list's item), or be of a section that one replaced whole.
    source = next((origin[at[:depth]] for depth in range(len(at), 0, -1) if at[:depth] in origin), "configuration")
    where = f"{source}: [{at[0]}]" + (f" {'.'.join(at[1:])}" if at[1:] else "")
    match problem["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(at[-1], _keys(at[:-1]), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            return f"{where}: there is no such {'key' if at[1:] else 'section'}.{hint}"
        case "missing":
            return f"{where}: it is missing."
        case _:
            message = problem["msg"].removeprefix("Input ").rstrip(".")
            return f"{where}: it {message}, and it is {problem['input']!r}."


def _keys(at: tuple[str, ...]) -> list[str]:
    section: type[BaseModel] = Config
    for step in at:
        field = section.model_fields.get(step)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        section = field.annotation
    return list(section.model_fields)
