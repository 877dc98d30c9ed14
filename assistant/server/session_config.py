"""The session object of the wire: how a client's updates merge into it, and what it means for the conversation."""

import copy
import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from openai.types.realtime import RealtimeSessionCreateRequest, RealtimeTranscriptionSessionCreateRequest

from assistant.config import Config
from assistant.server.extensions import Extensions
from assistant.server.mcp_tools import mcp_servers, shown
from assistant.server.sound import RATES, SoundFormat
from assistant.server.tools import toolbox
from assistant.server.wire import check, refuse_unknown
from assistant.tools.owned import owned
from assistant.tools.spec import McpServer
from pipeline.endings import eager
from pipeline.engines import Toolbox
from pipeline.errors import RequestError
from pipeline.ids import random_id
from pipeline.settings import Settings, TurnTaking

Tree: TypeAlias = dict[str, Any]

SESSION_S: Final = 24 * 3600
"""Seconds that a session may last; the client is told in `expires_at`."""
MOST_TOKENS: Final = 4096
"""The protocol's upper limit of `max_output_tokens`, and what "inf" means."""

LOGPROBS: Final = "item.input_audio_transcription.logprobs"
"""What a client writes into `include` to be told how sure the recogniser is of each token."""
NO_PROMPTS: Final = "prompts are stored on OpenAI's servers, and this isn't one. Send the text as instructions."

_READ_ONLY: Final = frozenset({"id", "object", "expires_at", "type"})
_CHARS_PER_TOKEN: Final = 4  # of English: the conversation's limit is counted in characters
_UNLIMITED: Final = 10**9
_MERGED: Final = frozenset({"audio", "input", "output", "turn_detection", "transcription", "noise_reduction"})
_CLEARED: Final[Tree] = {
    "instructions": "",
    "turn_detection": None,
    "transcription": None,
    "noise_reduction": None,
    "idle_timeout_ms": None,
    "language": None,
    "include": None,
    "tracing": None,
    "prompt": None,
}
"""What an explicit null means where it isn't "back to the default"."""
_DETECTION: Final[Mapping[Any, Tree]] = {
    "server_vad": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
}
_RANGES: Final[tuple[tuple[str, float, float], ...]] = (
    ("audio.output.speed", 0.25, 1.5),
    ("audio.input.turn_detection.threshold", 0, 1),
    ("audio.input.turn_detection.prefix_padding_ms", 0, 5_000),
    ("audio.input.turn_detection.silence_duration_ms", 0, 60_000),
    ("audio.input.turn_detection.idle_timeout_ms", 1_000, 3_600_000),
    ("audio.input.noise_reduction.strength", 0, 1),
    ("max_output_tokens", 1, MOST_TOKENS),
    ("truncation.retention_ratio", 0, 1),
    ("truncation.token_limits.post_instructions", 1, 1_000_000),
)
_LANGUAGE: Final = re.compile(r"([a-zA-Z]{2,3})(-[a-zA-Z0-9]+)*")


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """One session object; an update makes a new one."""

    base: Settings
    """What the session began with."""
    defaults: Tree
    session: Tree
    extensions: Extensions = field(default_factory=Extensions)
    may_resume: bool = True
    """Whether the server keeps sessions without their clients."""
    tool_instructions: str = ""
    """What the model is told where there are tools and the client gave no instructions."""
    reachable: tuple[str, ...] = ()
    """The origins of the MCP servers that clients may name."""
    owned: tuple[McpServer, ...] = ()
    """Those that every session has."""

    @classmethod
    def fresh(cls, config: Config, model: str, *, transcribes: bool = False) -> "SessionConfig":
        """Return a session as the configuration has it; `model` is the name that the client asked for.

        `transcribes`: it is a transcription session, which only writes down what it hears.
        """
        base = config.settings()
        transcription: Tree = {"model": config.stt.model}
        if base.language is not None:
            transcription["language"] = base.language
        session: Tree = {
            "type": "transcription" if transcribes else "realtime",
            "id": random_id("sess"),
            "model": model,
            "expires_at": int(time.time()) + SESSION_S,
            "output_modalities": [base.output],
            "instructions": base.instructions,
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "max_output_tokens": min(base.max_output_tokens, MOST_TOKENS),
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "include": None,
            "audio": {
                "input": {
                    "format": format_object({}),
                    "transcription": transcription,
                    "noise_reduction": None,
                    "turn_detection": _detection(base.turn_taking),
                },
                "output": {"format": format_object({}), "voice": config.tts.model, "speed": base.speed},
            },
        }
        return cls(
            base=base,
            defaults=session,
            session=session,
            may_resume=config.server.resume_s > 0,
            tool_instructions=config.assistant.tool_instructions,
            reachable=config.tools.mcp_servers,
            owned=() if transcribes else owned(config.tools),
        )

    @property
    def session_id(self) -> str:
        """The session's id."""
        return str(self.session["id"])

    @property
    def transcribes(self) -> bool:
        """Whether it is a transcription session."""
        return bool(self.session["type"] == "transcription")

    @property
    def voice(self) -> str:
        """The name of the voice that the client wants."""
        return str(self.session["audio"]["output"]["voice"])

    @property
    def logprobs(self) -> bool:
        """Whether the client wants to know how sure the recogniser is of each token."""
        return LOGPROBS in (self.session["include"] or ())

    @property
    def expires_at(self) -> int:
        """When the session ends, in seconds since 1970."""
        return int(self.session["expires_at"])

    @property
    def input_format(self) -> SoundFormat:
        """The format of the client's sound."""
        return cast(SoundFormat, self.session["audio"]["input"]["format"]["type"])

    @property
    def output_format(self) -> SoundFormat:
        """The format of our speech."""
        return cast(SoundFormat, self.session["audio"]["output"]["format"]["type"])

    def wire(self) -> Tree:
        """Return the object for `session.created` and `session.updated`."""
        told = (
            _transcription(self.session) if self.transcribes else self.session | {"tools": shown(self.session["tools"])}
        )
        # The protocol's session objects don't show whether calls may be parallel.
        told = {key: value for key, value in told.items() if key != "parallel_tool_calls"}
        kind = "realtime.transcription_session" if self.transcribes else "realtime.session"
        extensions = self.extensions.wire()
        return told | {"object": kind} | ({"parley": extensions} if extensions else {})

    def updated(self, patch: Tree) -> "SessionConfig":
        """Return the session with the patch's keys changed. Raises RequestError, and then nothing has changed."""
        kind = patch.get("type", self.session["type"])
        if kind not in ("realtime", "transcription"):
            raise _wrong("type", 'is "realtime" or "transcription"')
        extensions = self.extensions.updated(patch["parley"]) if "parley" in patch else self.extensions
        if extensions.resume and not self.may_resume:
            message = "This server keeps no session without its client ([server] resume_s is 0)."
            raise RequestError("unsupported_extension", message, "session.parley.resume")
        changes = {key: value for key, value in patch.items() if key not in _READ_ONLY | {"parley"}}
        # Checked before the merge too: merging needs objects where objects belong, and a fault is then the patch's own.
        for path in ("audio", "audio.input", "audio.output"):
            value = _at(changes, path)
            if value is not None and not isinstance(value, dict):
                raise RequestError("invalid_value", f"session.{path} is an object.", f"session.{path}")
        if kind == "transcription":
            refuse_unknown(
                check(RealtimeTranscriptionSessionCreateRequest, {**changes, "type": kind}, "session"), "session"
            )
        session = _merged(self.session, changes, self.defaults) | {"type": kind}
        checked = {key: value for key, value in session.items() if key not in _READ_ONLY} | {"type": "realtime"}
        refuse_unknown(check(RealtimeSessionCreateRequest, checked, "session"), "session")
        _check_values(session)
        updated = dataclasses.replace(self, session=session, extensions=extensions)
        updated.toolbox()
        return updated

    def speaking_at(self, speed: float) -> "SessionConfig":
        """Return the session with this speed of the assistant's speech."""
        audio = self.session["audio"]
        session = self.session | {"audio": audio | {"output": audio["output"] | {"speed": speed}}}
        return dataclasses.replace(self, session=session)

    def mcp_servers(self, given: Sequence[Tree] | None = None, at: str = "session.") -> tuple[McpServer, ...]:
        """Return the owner's MCP servers, and those among the session's tools, or among `given`. Raises RequestError.

        The owner's labels are taken: a client that names one of them means the owner's server.
        """
        tools: Sequence[Tree] = self.session["tools"] if given is None else given
        labels = {server.label for server in self.owned}
        wanted = [tool for tool in tools if tool.get("server_label") not in labels]
        return (*self.owned, *mcp_servers(wanted, self.reachable, at=at))

    def toolbox(self, session: Tree | None = None, at: str = "session.") -> Toolbox:
        """Return the functions that the client offers in this session object, or another. Raises RequestError."""
        session = self.session if session is None else session
        labels = [server.label for server in self.mcp_servers(session["tools"], at)]
        parallel = session["parallel_tool_calls"]
        return toolbox(session["tools"], session["tool_choice"], parallel=parallel, at=at, labels=labels)

    def settings(self) -> Settings:
        """Return what the session object means for the conversation."""
        heard, spoken = self.session["audio"]["input"], self.session["audio"]["output"]
        transcription: Tree | None = heard["transcription"]
        language, words = self.base.language, ""
        if transcription is not None:
            language = _language(transcription) or language
            words = ", ".join(filter(None, (transcription.get("prompt"), *(transcription.get("keywords") or ()))))
        told_nothing = (
            bool(self.session["tools"] or self.owned) and self.session["instructions"] == self.base.instructions
        )
        told = self.tool_instructions if told_nothing else self.session["instructions"]
        tokens = self.session["max_output_tokens"]
        taking = _turn_taking(self.base.turn_taking, heard["turn_detection"])
        chars, retention = _history(self.session["truncation"], self.base)
        return dataclasses.replace(
            self.base,
            instructions="" if self.transcribes else told,
            output=self.session["output_modalities"][0],
            voice=None if self.voice == self.defaults["audio"]["output"]["voice"] else self.voice,
            speed=spoken["speed"],
            language=language,
            transcription_prompt=words,
            show_transcript=transcription is not None,
            report_heard=self.extensions.heard,
            route=self.extensions.wish,
            max_output_tokens=MOST_TOKENS if tokens == "inf" else tokens,
            max_history_chars=chars,
            history_retention=retention,
            toolbox=self.toolbox(),
            tool_servers=() if self.transcribes else tuple(server.as_server for server in self.mcp_servers()),
            turn_taking=_listening(taking) if self.transcribes else taking,
        )


def _merged(old: Tree, changes: Tree, defaults: Tree) -> Tree:
    new = dict(old)
    for key, value in changes.items():
        if value is None:
            new[key] = _CLEARED[key] if key in _CLEARED else copy.deepcopy(defaults.get(key))
        elif key == "format" and isinstance(value, dict):
            new[key] = format_object(value)
        elif key == "voice" and isinstance(value, dict) and isinstance(value.get("id"), str):
            new[key] = value["id"]  # the protocol shows a custom voice by its name alone
        elif key == "turn_detection" and isinstance(value, dict):
            new[key] = _merged_detection(old.get(key), value)
        elif key in _MERGED and isinstance(value, dict):
            new[key] = _merged(old.get(key) or defaults.get(key) or {}, value, defaults.get(key) or {})
        else:
            new[key] = value
    return new


def _merged_detection(old: Tree | None, changes: Tree) -> Tree:
    kind = changes.get("type", (old or {}).get("type"))
    defaults = _DETECTION.get(kind, {}) if isinstance(kind, str) else {}
    before = old if old is not None and old["type"] == kind else defaults
    return _merged(before, changes, dict(defaults))


def format_object(given: Tree) -> Tree:
    """Return a format as the protocol writes it, with its rate."""
    resolved = {"type": "audio/pcm"} | given
    return resolved | {"rate": given.get("rate", 24_000)} if resolved["type"] == "audio/pcm" else resolved


def _check_values(session: Tree) -> None:
    """Raise RequestError for what has the right type and yet can't be."""
    for path, low, high in _RANGES:
        value = _at(session, path)
        if isinstance(value, int | float) and not low <= value <= high:
            raise _wrong(path, f"is {low:g} to {high:g}, not {value:g}")
    if len(session["output_modalities"]) != 1:
        raise _wrong("output_modalities", 'is ["audio"] (which brings a transcript with it) or ["text"], not both')
    for path in ("audio.input.format", "audio.output.format"):
        if _at(session, path)["type"] not in RATES:
            raise _wrong(f"{path}.type", f"is one of {', '.join(RATES)}")
    transcription = _at(session, "audio.input.transcription") or {}
    for language in filter(None, (transcription.get("language"), *(transcription.get("languages") or ()))):
        if not _LANGUAGE.fullmatch(language):
            raise _wrong("audio.input.transcription.language", 'is an ISO 639-1 code, such as "en"')
    if session["prompt"] is not None:
        raise RequestError("unsupported_parameter", f"session.prompt: {NO_PROMPTS}", "session.prompt")


def _wrong(path: str, what: str) -> RequestError:
    return RequestError("invalid_value", f"session.{path} {what}.", f"session.{path}")


def _at(tree: Tree, path: str) -> Any:
    value: Any = tree
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _language(transcription: Tree) -> str | None:
    """Return the language that the user is said to speak; of several, none."""
    possible = transcription.get("languages") or []
    given: str | None = transcription.get("language") or (possible[0] if len(possible) == 1 else None)
    return given.split("-")[0].lower() if given else None


def _transcription(session: Tree) -> Tree:
    """Return what a transcription session has of the session object."""
    shown = {key: session[key] for key in ("type", "id", "expires_at", "include")}
    return shown | {"audio": {"input": session["audio"]["input"]}}


def _listening(taking: TurnTaking) -> TurnTaking:
    """Return the turn-taking of a session that never answers: nothing is prepared, and nothing interrupts."""
    return dataclasses.replace(
        taking, create_response=False, interrupt_response=False, speculate=False, idle_timeout_s=None
    )


def _history(truncation: str | Tree, base: Settings) -> tuple[int, float]:
    """Return how many characters of the conversation the model is shown, and which part stays when there are more."""
    if truncation == "disabled":
        return _UNLIMITED, 1.0
    if not isinstance(truncation, dict):
        return base.max_history_chars, base.history_retention
    tokens = _at(truncation, "token_limits.post_instructions")
    chars = base.max_history_chars if tokens is None else min(base.max_history_chars, tokens * _CHARS_PER_TOKEN)
    return chars, truncation["retention_ratio"]


def _detection(turn: TurnTaking) -> Tree | None:
    """Return the `turn_detection` that says what the configuration says."""
    answers = {"create_response": turn.create_response, "interrupt_response": turn.interrupt_response}
    match turn.mode:
        case "manual":
            return None
        case "semantic":
            return _DETECTION["semantic_vad"] | answers
        case "silence":
            return _DETECTION["server_vad"] | {
                "threshold": turn.vad_threshold,
                "prefix_padding_ms": round(turn.prefix_s * 1000),
                "silence_duration_ms": round(turn.max_silence_s * 1000),
                **answers,
            }


def _turn_taking(base: TurnTaking, detection: Tree | None) -> TurnTaking:
    if detection is None:
        return dataclasses.replace(base, mode="manual")
    answers = {key: detection[key] for key in ("create_response", "interrupt_response")}
    if detection["type"] == "semantic_vad":
        return dataclasses.replace(eager(base, detection["eagerness"]), mode="semantic", **answers)
    idle = detection["idle_timeout_ms"]
    return dataclasses.replace(
        base,
        mode="silence",
        vad_threshold=detection["threshold"],
        prefix_s=detection["prefix_padding_ms"] / 1000,
        max_silence_s=detection["silence_duration_ms"] / 1000,
        idle_timeout_s=None if idle is None else idle / 1000,
        **answers,
    )
