"""The configuration: TOML files laid over configs/default.toml, checked key by key."""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from assistant.router.backend_section import BackendSection, fit_together
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


class ApiKey(_Section):
    """A program that has a key of its own, and what it may ask for; None: as much as it likes."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")
    key_env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    requests_a_minute: int | None = Field(default=None, ge=1)
    at_once: int | None = Field(default=None, ge=1)
    daily_cost: float | None = Field(default=None, ge=0)


class Api(_Section):
    """What requests over plain HTTP may take."""

    keys: tuple[ApiKey, ...]
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
    command_s: float = Field(gt=0)
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
    judge: str
    threads: int = Field(ge=0)
    context_tokens: int = Field(ge=512)
    parallel: int = Field(ge=1)


class OwnPreset(_Section):
    """What the owner values, beside the presets that there are; the names are those of assistant.router.decision."""

    like: Literal["private", "balanced", "best", "cheap"] = "balanced"
    floor: Literal["device", "lan", "cloud"] | None = None
    personal_floor: Literal["device", "lan", "cloud"] | None = None
    quality: float | None = Field(default=None, ge=0)
    speed: float | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0)
    leaving: float | None = Field(default=None, ge=0)
    hedge: Literal["never", "free", "always"] | None = None
    ask_expert: bool | None = None
    ask_local: bool | None = None


class Router(_Section):
    """Who answers which turn."""

    preset: str
    presets: dict[str, OwnPreset]
    bridges: bool
    bridge_after_s: float = Field(ge=0)
    device_quality: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _preset_is_there(self) -> Self:
        if self.preset not in self.known:
            raise ValueError(f"There is no preset {self.preset!r}. The presets are: {', '.join(self.known)}.")
        return self

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all presets."""
        return (*get_args(OwnPreset.model_fields["like"].annotation), *self.presets)


class Tts(_Section):
    """The voice."""

    engine: Literal["piper"]
    model: str
    threads: int = Field(ge=1)


class Vision(_Section):
    """The eyes."""

    engine: Literal["local", "none"]
    model: str
    faces: str
    hands: str
    threads: int = Field(ge=1)

    def models(self) -> tuple[str, ...]:
        """Name the models that it needs."""
        if self.engine == "none":
            return ()
        return (self.model, *(name for name in (self.faces, self.hands) if name != "none"))


class Reflexes(_Section):
    """What is answered without a model."""

    enabled: bool
    timezone: str
    tell_times: int = Field(ge=1)
    tell_every_s: float = Field(ge=5)


class Store(_Section):
    """Where what outlives a conversation is kept."""

    url: str


class Embeddings(_Section):
    """What tells what sentences mean."""

    engine: Literal["minilm", "none"]
    model: str


class Memory(_Section):
    """What is kept of what people say."""

    conversations: bool
    retention_days: int = Field(ge=1, le=36500)
    most_relevant: int = Field(ge=0, le=10)


class Privacy(_Section):
    """What is hidden before words leave this machine for the cloud."""

    mask: bool
    blur_faces: bool
    names: tuple[str, ...]
    region: str = Field(pattern="^([A-Z]{2})?$")


class BackendBudget(_Section):
    """What may be spent on one backend; 0: as much as it takes."""

    daily: float = Field(default=0.0, ge=0)
    monthly: float = Field(default=0.0, ge=0)


class Budget(_Section):
    """What may be spent on models elsewhere."""

    currency: str = Field(pattern="^[A-Z]{3}$")
    timezone: str
    daily: float = Field(ge=0)
    monthly: float = Field(ge=0)
    backends: dict[str, BackendBudget]

    @field_validator("timezone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone and zone not in available_timezones():
            near = difflib.get_close_matches(zone, available_timezones(), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{zone!r} is no time zone: they are named like 'America/New_York'.{hint}")
        return zone


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

    backends: tuple[BackendSection, ...]
    server: Server
    api: Api
    assistant: Assistant
    turn: Turn
    vad: Vad
    turn_detector: TurnDetector
    stt: Stt
    live: Live
    llm: Llm
    router: Router
    tts: Tts
    vision: Vision
    reflexes: Reflexes
    store: Store
    embeddings: Embeddings
    memory: Memory
    privacy: Privacy
    budget: Budget
    tools: Tools
    log: Log

    @field_validator("backends")
    @classmethod
    def _backends_fit_together(cls, backends: tuple[BackendSection, ...]) -> tuple[BackendSection, ...]:
        fit_together(backends)
        return backends

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        for backend in self.backends:
            if backend.name in self.router.known:
                raise ValueError(f"{backend.name!r} is a preset's name: call the backend something else.")
        return self

    def models(self) -> tuple[str, ...]:
        """Name the models that this configuration needs, each once."""
        wanted = [self.vad.model]
        if self.turn_detector.engine != "none":
            wanted.append(self.turn_detector.model)
        wanted.append(self.stt.model)
        if self.live.engine != "none":
            wanted.append(self.live.model)
        wanted.append(self.llm.model)
        if self.llm.judge != "none":
            wanted.append(self.llm.judge)
        wanted.append(self.tts.model)
        wanted += self.vision.models()
        if self.embeddings.engine != "none":
            wanted.append(self.embeddings.model)
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
        raise ConfigError(_explain(error, origin, merged)) from None


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
            origin.pop(here, None)  # the newest stands last
            origin[here] = source


def _explain(error: ValidationError, origin: dict[tuple[str, ...], str], merged: dict[str, Any]) -> str:
    return "\n".join(
        _sentence(tuple(str(step) for step in problem["loc"]), problem, origin, merged) for problem in error.errors()
    )


def _place(at: tuple[str, ...], merged: dict[str, Any]) -> str:
    if at[:2] == ("api", "keys") and len(at) > 2:
        return " ".join(("[[api.keys]]", f"number {int(at[2]) + 1}", *at[3:]))
    if len(at) > 1 and at[0] == "backends":
        backend = merged["backends"][int(at[1])]
        name = backend.get("name", "") if isinstance(backend, dict) else ""
        return " ".join(filter(None, ("[[backends]]", str(name) or f"number {int(at[1]) + 1}", ".".join(at[2:]))))
    return f"[{at[0]}]" + (f" {'.'.join(at[1:])}" if at[1:] else "") if at else ""


def _sentence(
    at: tuple[str, ...], problem: ErrorDetails, origin: dict[tuple[str, ...], str], merged: dict[str, Any]
) -> str:
    # The problem may lie deeper than what a layer set (a list's item), or be of a section of which a layer set a part.
    sources = [source for path, source in origin.items() if all(map(str.__eq__, path, at))]
    source = sources[-1] if sources and at else "configuration"
    where = f"{source}: {_place(at, merged)}"
    match problem["type"]:
        case "value_error" if not at:
            return str(problem["ctx"]["error"])
        case "extra_forbidden":
            near = difflib.get_close_matches(at[-1], _keys(at[:-1]), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            return f"{where}: there is no such {'key' if at[1:] else 'section'}.{hint}"
        case "missing":
            return f"{where}: it is missing."
        case "value_error":
            return f"{where}: {problem['ctx']['error']}"
        case _:
            message = problem["msg"].removeprefix("Input ").removeprefix("String ").rstrip(".")
            # A name that can't be a variable's may be the key itself.
            found = "" if at[-1:] == ("key_env",) else f", and it is {problem['input']!r}"
            return f"{where}: it {message}{found}."


def _keys(at: tuple[str, ...]) -> list[str]:
    section: type[BaseModel] = Config
    steps = iter(at)
    for step in steps:
        field = section.model_fields.get(step)
        inner = None if field is None else field.annotation
        if get_origin(inner) in {dict, tuple}:
            next(steps, None)  # a section's own name, or its number
            inner = next((kind for kind in get_args(inner) if kind not in {str, Ellipsis}), None)
        if not isinstance(inner, type) or not issubclass(inner, BaseModel):
            return []
        section = inner
    return list(section.model_fields)
