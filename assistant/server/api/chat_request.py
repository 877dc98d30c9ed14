"""The body of `POST /v1/chat/completions`: what it may hold, and what it means to the language model."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from assistant.server.api.errors import invalid, unsupported
from assistant.server.tools import toolbox
from pipeline.engines import NO_TOOLS, ChatMessage, Sampling, Toolbox, ToolCall

_MOST_STOPS: Final = 4


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")  # what is unknown is refused by name, as OpenAI does


class TextPart(_Part):
    """A piece of a message's text."""

    type: Literal["text"]
    text: str


class OtherPart(_Part):
    """A picture, a sound or a file: known, so that it can be refused by name."""

    type: Literal["image_url", "input_audio", "file", "refusal"]
    image_url: Any = None
    input_audio: Any = None
    file: Any = None
    refusal: Any = None


Part: TypeAlias = Annotated[TextPart | OtherPart, Field(discriminator="type")]


class Function(_Part):
    """A function that the client can run."""

    name: str
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None


class FunctionTool(_Part):
    """A tool."""

    type: Literal["function"]
    function: Function


class Named(_Part):
    """A function's name."""

    name: str


class NamedChoice(_Part):
    """The one function that must be called."""

    type: Literal["function"]
    function: Named


class Called(_Part):
    """What is called, and with what."""

    name: str
    arguments: str


class Call(_Part):
    """A call that an earlier answer made."""

    id: str
    type: Literal["function"] = "function"
    function: Called


class Message(_Part):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    audio: Any = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    function_call: Any = None


class StreamOptions(_Part):
    """What a stream says besides the text."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class JsonSchema(_Part):
    """A schema that the answer follows."""

    name: str = "answer"
    description: str | None = None
    strict: bool | None = None
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")


class ResponseFormat(_Part):
    """Of what kind the answer is."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ChatBody(_Part):
    """The whole body. `Any` marks what is accepted and makes no difference here."""

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: Annotated[list[str] | None, BeforeValidator(_listed)] = Field(None, max_length=_MOST_STOPS)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    response_format: ResponseFormat | None = None
    n: int | None = None
    logprobs: bool | None = None
    logit_bias: dict[str, float] | None = None
    modalities: list[str] | None = None
    tools: list[FunctionTool] | None = None
    functions: list[Any] | None = None
    web_search_options: Any = None
    audio: Any = None
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    function_call: Any = None
    top_logprobs: Any = None
    metadata: Any = None
    moderation: Any = None
    parallel_tool_calls: bool | None = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    reasoning_effort: Any = None
    safety_identifier: Any = None
    service_tier: Any = None
    store: Any = None
    user: Any = None
    verbosity: Any = None

    def check(self) -> None:
        """Raise ApiError for what this server can't do and would be missed."""
        if self.n not in {None, 1}:
            raise unsupported("n: there is one answer to a request here. Leave n out, or ask several times.", "n")
        if self.functions or self.function_call is not None:
            param = "functions" if self.functions else "function_call"
            raise unsupported(f"{param} is OpenAI's old way: use tools and tool_choice.", param)
        if self.logprobs:
            raise unsupported("logprobs: the tokens' probabilities can't be had. Leave it out.", "logprobs")
        if self.logit_bias:
            raise unsupported("logit_bias: the tokens of this model have other numbers. Leave it out.", "logit_bias")
        if self.web_search_options is not None:
            raise unsupported("web_search_options: this server doesn't search the web.", "web_search_options")
        if self.modalities not in (None, ["text"]):
            message = 'modalities: answers are ["text"] here. For speech, send the text to /v1/audio/speech.'
            raise unsupported(message, "modalities")
        if self.stream_options is not None and not self.stream:
            raise invalid("stream_options is for streams only: set stream to true, or leave it out.", "stream_options")
        if self.response_format and self.response_format.type == "json_schema" and not self.response_format.json_schema:
            param = "response_format.json_schema"
            raise invalid(f"{param} is required with this type.", param, "missing_required_parameter")

    def conversation(self) -> list[ChatMessage]:
        """Return the messages as the language model takes them. Raises ApiError for what it can't take."""
        return [_message(message, f"messages.{number}") for number, message in enumerate(self.messages)]

    def toolbox(self) -> Toolbox:
        """Return what the answer may call. Raises RequestError."""
        if not self.tools:
            return NO_TOOLS
        choice: Any = self.tool_choice or "auto"
        if isinstance(choice, NamedChoice):
            choice = {"type": "function", "name": choice.function.name}
        tools = [tool.function.model_dump() for tool in self.tools]
        return toolbox(tools, choice, parallel=self.parallel_tool_calls is not False, inside=".function")

    def sampling(self) -> Sampling:
        """Return how the answer is to be chosen."""
        return Sampling(
            stop=tuple(filter(None, self.stop or ())),
            schema=self._schema(),
            top_p=self.top_p,
            seed=None if self.seed is None else self.seed % 2**32,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )

    def _schema(self) -> str | None:
        if self.response_format is None or self.response_format.type == "text":
            return None
        return json.dumps(self.response_format.json_schema.schema_ if self.response_format.json_schema else {})


def _message(message: Message, at: str) -> ChatMessage:
    match message.role:
        case "function":
            raise unsupported('Use the role "tool", with the tool_call_id of the call.', f"{at}.role")
        case "tool":
            if message.tool_call_id is None:
                param = f"{at}.tool_call_id"
                raise invalid(
                    f"{param} is required: the id of the call that has this result.",
                    param,
                    "missing_required_parameter",
                )
            return ChatMessage("tool", _text(message.content, f"{at}.content"), call_id=message.tool_call_id)
        case "assistant" if message.tool_calls:
            calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls)
            return ChatMessage("assistant", _text(message.content or "", f"{at}.content"), calls=calls)
        case "system" | "developer":
            return ChatMessage("system", _text(message.content, f"{at}.content"))
        case "user" | "assistant":
            return ChatMessage(message.role, _text(message.content, f"{at}.content"))


def _text(content: str | Sequence[TextPart | OtherPart] | None, at: str) -> str:
    if content is None:
        raise invalid(f"{at} is required: a text, or a list of parts.", at, "missing_required_parameter")
    if isinstance(content, str):
        return content
    texts = []
    for number, part in enumerate(content):
        if isinstance(part, OtherPart):
            raise unsupported(
                f"Parts of type {part.type} aren't served over HTTP yet. Send text.", f"{at}.{number}.type"
            )
        texts.append(part.text)
    return "\n".join(texts)
