"""What a client may ask of one response, beyond the types of the schema."""

from typing import Final

from openai.types.realtime import RealtimeResponseCreateParams

from assistant.server.session_config import MOST_TOKENS, NO_PROMPTS, SessionConfig
from assistant.server.sound import RATES
from pipeline.errors import RequestError

_PAIRS: Final = 16
_KEY: Final = 64
_VALUE: Final = 512
"""The protocol's limits of `metadata`: how many pairs, and the characters of a key and of a value."""


def check_response(wanted: RealtimeResponseCreateParams, config: SessionConfig) -> None:
    """Raise RequestError for a response that can't be had in a session as `config` has it."""
    if config.transcribes:
        message = "This is a transcription session: it has no responses. Connect without intent=transcription for them."
        raise RequestError("unsupported_response", message)
    if wanted.conversation not in (None, "auto", "none"):
        raise _wrong("conversation", 'is "auto" or "none"')
    if wanted.output_modalities is not None and len(wanted.output_modalities) != 1:
        raise _wrong("output_modalities", 'is ["audio"] or ["text"], not both')
    tokens = wanted.max_output_tokens
    if isinstance(tokens, int) and not 1 <= tokens <= MOST_TOKENS:
        raise _wrong("max_output_tokens", f"is 1 to {MOST_TOKENS}, not {tokens}")
    if wanted.prompt is not None:
        raise RequestError("unsupported_parameter", f"response.prompt: {NO_PROMPTS}", "response.prompt")
    spoken = wanted.audio.output if wanted.audio is not None else None
    if spoken is not None and spoken.format is not None and spoken.format.type not in RATES:
        raise _wrong("audio.output.format.type", f"is one of {', '.join(RATES)}")
    _check_metadata(wanted.metadata or {})


def _check_metadata(metadata: dict[str, str]) -> None:
    if len(metadata) > _PAIRS:
        raise _wrong("metadata", f"has at most {_PAIRS} pairs, not {len(metadata)}")
    for key, value in metadata.items():
        if len(key) > _KEY or len(value) > _VALUE:
            raise _wrong("metadata", f"has keys of at most {_KEY} characters and values of at most {_VALUE}")


def _wrong(path: str, what: str) -> RequestError:
    return RequestError("invalid_value", f"response.{path} {what}.", f"response.{path}")
