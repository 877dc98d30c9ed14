"""What the conversation asks of its engines, on one page.

An engine's MODEL is shared by all sessions and is safe to call from all of them at once; a STREAM belongs to one
session. Each engine hops to its own thread inside its own file. Cancelling an awaiting task may leave that thread
running to its end: its late result goes nowhere. Engines raise whatever their libraries raise; a turn wraps it once.

Sound that is heard is `Samples` at `INPUT_RATE`; sound that is spoken is `Samples` at `OUTPUT_RATE`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from audio.types import Samples, Transcript
from pipeline.lanes import Lanes
from pipeline.tool_servers import NoToolServers, RemoteTool, ToolServers
from vision.types import Frame, PictureError, Scene

__all__ = [
    "NO_TOOLS",
    "VAD_WINDOW",
    "Adjusted",
    "Asker",
    "Bridge",
    "ChatMessage",
    "ChatRequest",
    "Engines",
    "Eyes",
    "Finish",
    "Generated",
    "LanguageModel",
    "NamedTool",
    "Picture",
    "PictureError",
    "RemoteChoice",
    "Routed",
    "Sampling",
    "Sight",
    "SpeechToText",
    "TakenBack",
    "TextDelta",
    "TextToSpeech",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "Toolbox",
    "Transcript",
    "TurnDetector",
    "Unseen",
    "View",
    "VoiceDetector",
    "VoiceStream",
]

VAD_WINDOW = 512
"""Samples in a voice detector's window: 32 ms."""


class VoiceStream(Protocol):
    """One session's voice detector: it remembers what it heard."""

    def score(self, window: Samples) -> float:
        """Return the probability (0..1) that `window` (exactly VAD_WINDOW samples) holds a voice. About 0.1 ms."""
        ...

    def reset(self) -> None:
        """Forget what was heard."""
        ...


class VoiceDetector(Protocol):
    """Tells voice from everything else."""

    def stream(self) -> VoiceStream:
        """Return a fresh stream for one session."""
        ...


class TurnDetector(Protocol):
    """Tells a finished utterance from a pause, by its sound."""

    async def score(self, audio: Samples) -> float:
        """Return the probability (0..1) that the speaker is done; only the last 8 s of `audio` count."""
        ...


class SpeechToText(Protocol):
    """Writes down what was said."""

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
    ) -> Transcript:
        """Return the words in `audio`; `language` is a hint (ISO 639-1), `prompt` holds words to expect.

        `temperature` (0..1) is how freely it guesses; `words` also asks when each word was said. An engine that can do
        neither ignores both.
        """
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that the user shows: a data URL of a PNG, JPEG or WebP image."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"
    """How closely it is to be looked at."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model can call."""

    name: str
    description: str = ""
    parameters: str = '{"type": "object", "properties": {}}'
    """The JSON Schema of its arguments, an object, as JSON text."""
    remote: RemoteTool | None = None
    """Where the session has it carried out; None where the client runs it."""


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The one function that must be called."""

    name: str


@dataclass(frozen=True, slots=True)
class RemoteChoice:
    """The tool of a server that must be called, by the server's own name; without one, any of its tools.

    Before a model is asked it becomes one of the others, since only then is it known what the server has.
    """

    label: str
    name: str | None = None


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool | RemoteChoice
"""auto: the model answers or calls as it sees fit; none: it answers; required: it calls some function."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the model may call. The tools stand in the prompt whatever the choice is."""

    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = "auto"
    """Names a tool that is there; without tools, it is of no consequence."""
    parallel: bool = True
    """Several calls in one answer are allowed."""

    @property
    def may_call(self) -> bool:
        """Whether an answer may call something."""
        return bool(self.tools) and self.choice != "none"

    def remote(self, name: str) -> RemoteTool | None:
        """Return where the tool that the model knows by this name is carried out; None where the client runs it."""
        return next((tool.remote for tool in self.tools if tool.name == name), None)


NO_TOOLS: Final = Toolbox()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function: whole, since half of one is of no use to anybody."""

    call_id: str
    name: str
    arguments: str
    """A JSON object, as text."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the prompt."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    """Of a tool's message, what the function returned."""
    pictures: tuple[Picture, ...] = ()
    """What belongs to the words; empty for a model that takes no pictures."""
    calls: tuple[ToolCall, ...] = ()
    """What an assistant's message calls, after its words. The tools' messages that follow have the results."""
    call_id: str | None = None
    """Of a tool's message, the call that it belongs to."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, as it is generated."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of the answer, always the last thing of a stream; `length`: max_tokens cut it off."""

    reason: Literal["stop", "length"]
    input_tokens: int
    cached_tokens: int
    """Those of `input_tokens` whose work an earlier request had done."""
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Routed:
    """Who answers from here on, and why: the first thing of a routed answer, and again where another takes over."""

    backend: str
    """Its name in the configuration; "reflex" where no model is asked."""
    place: Literal["device", "lan", "cloud"]
    reason: str
    """In plain words, for the person."""
    kind: str = ""
    """What kind of turn it was taken for."""
    to: str = ""
    """The host that the words go to; empty where nothing leaves this machine."""
    pictures: bool = False
    """What the user shows goes there, too, as pictures."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """Words that are spoken while the answer is awaited, and are no part of it: the history never has them."""

    text: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The end of the text so far isn't valid any more: its model failed. What follows continues what was before it.

    Of a spoken answer only words that don't make a whole clause yet are taken back; of a written one, none ever.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Adjusted:
    """How the assistant speaks from now on; None leaves it as it is."""

    volume: float | None = None
    """0..1, of the sound that is sent."""
    speed: float | None = None
    """0.25..1.5"""


Generated: TypeAlias = TextDelta | ToolCall | Finish | Routed | Bridge | TakenBack | Adjusted


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is chosen, beyond what every conversation sets."""

    stop: tuple[str, ...] = ()
    """Texts before which the answer ends."""
    schema: str | None = None
    """JSON Schema, as JSON, that the answer follows; "{}" stands for any JSON object."""
    top_p: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf a model is asked."""

    session: str = ""
    """The conversation: what timers and adjustments belong to; the response's id tells its turns apart."""
    turn: str = ""
    user: str = "owner"
    """Whose memory and whose budget."""
    route: str = ""
    """A preset, or a backend's own name, that was asked for; empty: the configuration decides."""
    language: str | None = None
    """Of the user's last words, ISO 639-1, where it is known."""


Unseen: TypeAlias = Literal["off", "stale", "black", "broken"]
"""Why nothing is seen: the camera is off; no picture has come from it for a while; all is black; it can't be read."""


class View(Protocol):
    """What the user shows, for one turn: with the camera while they speak, and with the pictures of their messages.

    Nothing of it is part of the conversation, and asking for it changes nothing.
    """

    @property
    def on(self) -> bool:
        """Whether the camera is on."""
        ...

    async def look(self, *, closely: bool = False) -> Scene | Unseen:
        """Return what the camera showed when the user spoke last; `closely`: text and codes are wanted, too."""
        ...

    async def picture(self, *, longest: int, blur_faces: bool) -> Picture | None:
        """Return that picture itself, its longer side at most `longest` pixels; None where there is none to be had."""
        ...

    async def see(self, picture: Picture) -> Scene | Unseen:
        """Return what a message's picture shows, after a close look."""
        ...

    async def describe(self, picture: Picture) -> str:
        """Return the same in words; empty where that can't be told."""
        ...

    def described(self, picture: Picture) -> str | None:
        """Return the same as far as it is known by now; None where it isn't."""
        ...


async def _at_once() -> None:
    return


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a language model is asked."""

    messages: tuple[ChatMessage, ...]
    max_tokens: int = 300
    temperature: float = 0.7
    toolbox: Toolbox = NO_TOOLS
    sampling: Sampling | None = None
    begun: str = ""
    """What of the answer was given out before: what comes after it is wanted. Only the embedded model obeys it."""
    spoken: bool = False
    """The answer is spoken clause by clause, and a person waits for it; otherwise its text is delivered as it comes."""
    asker: Asker = Asker()
    urgent: bool = field(default=False, compare=False, repr=False)
    """The user has paused: of a `prefill`, nothing but how finished the words are is worth waiting for."""
    view: View | None = field(default=None, compare=False, repr=False)
    """What the user shows; None where nobody can see."""
    illustrated: ChatMessage | None = field(default=None, compare=False, repr=False)
    """The user's last message as it came, where it had pictures that `messages` tells in words."""
    committed: Callable[[], Awaitable[None]] = field(default=_at_once, compare=False, repr=False)
    """Waits until it is sure that this is asked. Before that, nothing may leave this machine and nothing may change."""


class LanguageModel(Protocol):
    """Answers a conversation."""

    @property
    def takes_pictures(self) -> bool:
        """Whether it understands the pictures of a message. One that doesn't is never given any."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Generate the next assistant message: words, then calls. Closing it (or cancelling) stops the work soon.

        Raises RequestError where what is asked for can't be done: a conversation that is too long, a broken schema.
        """
        ...

    async def prefill(self, request: ChatRequest) -> float | None:
        """Do the work for its messages now, so that a `stream` whose messages begin with them starts sooner.

        Where the last message is the user's, return how probable it is (0..1) that it ends here; None where the model
        can't tell.
        """
        ...


class TextToSpeech(Protocol):
    """Speaks."""

    def speak(self, text: str, *, voice: str | None = None, speed: float = 1.0) -> AsyncGenerator[Samples, None]:
        """Speak one clause of plain text, in chunks at OUTPUT_RATE; `speed` is 0.25..1.5, 1 is normal.

        `voice` is a wish: an engine that has no voice of that name uses its default one.
        """
        ...


class Sight(Protocol):
    """One session's eyes: they remember what they saw, so that they can tell what came and what went."""

    async def look(self, frame: Frame, *, closely: bool = False) -> Scene:
        """Return what `frame` shows; `closely` also reads text and codes. A still picture costs next to nothing.

        Raises PictureError, which says what is wrong, where the frame isn't a picture that may be looked at.
        """
        ...

    async def picture(self, frame: Frame, *, longest: int, blur_faces: bool) -> bytes:
        """Return `frame` as a JPEG, upright, its longer side at most `longest` pixels, without anything but its pixels.

        `blur_faces` makes all faces unrecognisable. Raises PictureError.
        """
        ...


class Eyes(Protocol):
    """Understands pictures."""

    def open(self) -> Sight:
        """Begin a stream of pictures that belong together."""
        ...


@dataclass(frozen=True, slots=True)
class Engines:
    """All that a conversation needs.

    `live` is a fast recogniser of English: with it words are known while the user speaks, and answers are prepared
    from its words; `stt` then only checks them. Without it everything waits for `stt`.
    """

    vad: VoiceDetector
    turn: TurnDetector
    stt: SpeechToText
    live: SpeechToText | None
    llm: LanguageModel
    tts: TextToSpeech
    lanes: Lanes = field(default_factory=lambda: Lanes(2))
    """Who may work now."""
    eyes: Eyes | None = None
    """None: this server can't see."""
    tools: ToolServers = field(default_factory=NoToolServers)
    """The servers whose tools this session may have carried out."""
