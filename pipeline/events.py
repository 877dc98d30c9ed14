"""What goes into a session, and what comes out of it. Times named `_s` are seconds of audio since the session began."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audio.types import Samples, Token
from pipeline.engines import Routed, Toolbox
from pipeline.history import Item
from pipeline.settings import Settings
from pipeline.timings import Timings
from pipeline.tool_servers import ToolFailure, ToolServer
from vision.types import Scene

# --- In: what a client may ask for. `request_id` is the client's own, echoed when the request is refused. ---


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound from the microphone, at INPUT_RATE."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A picture of the camera: a JPEG, PNG or WebP file. It means that the camera is on."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera is on, or it is off: nothing of what it showed is kept then.

    What the user says is obeyed: when they want not to be seen, no frame is taken until it is `on` again.
    """

    on: bool
    by: Literal["client", "user"] = "client"
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """New settings; the whole of them."""

    settings: Settings
    request_id: str | None = None
    sets_speed: bool = False
    """The client has chosen the speed; otherwise one that the assistant was told to speak at holds on."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The user is done speaking: what was heard since the last commit is the utterance."""

    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget what was heard since the last commit."""

    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class CreateItem:
    """Put a message into the conversation: after `previous_item_id`, "root" for the front, None for the end."""

    item: Item
    previous_item_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    """Ask for a message of the conversation."""

    item_id: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Take a message out of the conversation."""

    item_id: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """The user heard an assistant's message only up to `audio_end_s` of its own sound."""

    item_id: str
    audio_end_s: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemReference:
    """A message that stands in the conversation."""

    item_id: str


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """Answer now. What is None is as in the session's settings."""

    instructions: str | None = None
    output: Literal["audio", "text"] | None = None
    voice: str | None = None
    max_output_tokens: int | None = None
    request_id: str | None = None
    toolbox: Toolbox | None = None
    tool_servers: tuple[ToolServer, ...] | None = None
    """Whose tools may be called as well."""
    beside: bool = False
    """Beside the conversation: nothing of it gets into the history, and it may run while another one does."""
    input: tuple[Item | ItemReference, ...] | None = None
    """What is answered instead of the conversation."""
    metadata: Mapping[str, str] | None = None
    """The client's own, handed back with the response."""
    sound_format: str | None = None
    """Of the response's speech, by its name on the wire."""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Stop the reply that is under way; or the response of this id, where one is given."""

    response_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetrieveConversation:
    """Ask for all messages."""

    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """The client has played `at_s` seconds of this message's sound; of a reply that is over, nothing follows."""

    item_id: str
    at_s: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClientLeft:
    """Nobody listens: hold the reply."""

    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClientReturned:
    """Somebody listens again, and has yet to play the last `unheard_s` seconds of what was sent."""

    unheard_s: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Announce:
    """Say this, as soon as nobody speaks: something has happened that the user waits for, such as a timer's end."""

    text: str
    """Empty: only the client is to know."""
    watch: str = ""
    """What was watched for, where that has come true: "a cat appears"."""
    within_s: float | None = None
    """It isn't said any more when so many seconds have passed."""


@dataclass(frozen=True, slots=True)
class LookClosely:
    """Read the text and codes that the camera shows once in so many seconds; None: only while the user speaks."""

    every_s: float | None = None


Attendance: TypeAlias = Played | ClientLeft | ClientReturned
"""How far the client has heard the reply."""

Change: TypeAlias = CreateItem | RetrieveItem | RetrieveConversation | DeleteItem | TruncateItem
"""What concerns messages."""

Demand: TypeAlias = Update | Commit | Clear | Change | CreateResponse | CancelResponse | Attendance | Camera
"""What is carried out or refused."""

Request: TypeAlias = Audio | CameraFrame | Announce | LookClosely | Demand

# --- Out: what happened. ---


@dataclass(frozen=True, slots=True)
class SettingsUpdated:
    """The settings are in force."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak; if they go on to say words, `item_id` will be theirs."""

    item_id: str
    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user is done speaking."""

    item_id: str
    at_s: float


@dataclass(frozen=True, slots=True)
class AudioCommitted:
    """What was heard became the message `item_id` (its ItemAdded follows)."""

    item_id: str
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class AudioCleared:
    """What was heard is forgotten: the client asked for it, or there were no words in it."""


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody has spoken since `start_s`, for as long as the settings allow: that is the user's message `item_id`."""

    item_id: str
    start_s: float
    at_s: float


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item stands in the conversation that isn't part of an answer."""

    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """The message that was asked for."""

    item: Item


@dataclass(frozen=True, slots=True)
class ConversationRetrieved:
    """All messages, in their order; of a reply under way, what has been heard."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """The message is gone."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """The message ends at `audio_end_s` of its sound; its transcript holds what was heard until then."""

    item_id: str
    audio_end_s: float


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """More words of the user's, which will not change; possibly before AudioCommitted."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptCompleted:
    """All the words of the user's message; what the deltas said is replaced by it."""

    item_id: str
    text: str
    audio_s: float
    tokens: tuple[Token, ...] = ()
    """The text's tokens, where the recogniser tells how probable each of them was."""


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    """The user's words could not be found out."""

    item_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """An answer begins: the assistant's message `item_id` comes after `previous_item_id`.

    Where the model may call tools instead, `item_id` is None, and MessageStarted follows as soon as there are words.
    `asked` is the request for it, without its input; None when the user's words asked. One that is `beside` the
    conversation runs whatever else does, and its items are in no history.
    """

    response_id: str
    item_id: str | None
    previous_item_id: str | None
    output: Literal["audio", "text"]
    asked: CreateResponse | None = None


@dataclass(frozen=True, slots=True)
class MessageStarted:
    """The answer has words: the assistant's message `item_id` comes after `previous_item_id`."""

    response_id: str
    item_id: str
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The answer calls a function: the client runs it, once, and puts the result into the conversation."""

    response_id: str
    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ToolsAsked:
    """A server is asked for its tools: `item_id` (its ItemAdded came before) will hold them."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ToolsListed:
    """What a server's tools are; or why that can't be known, and then the item has none."""

    item: Item
    failure: ToolFailure | None = None


@dataclass(frozen=True, slots=True)
class RemoteCalled:
    """The answer calls a tool that the session has carried out, now or when the user allows it."""

    response_id: str
    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """The user is asked to allow a call: the client answers with an item that holds an Approval."""

    response_id: str
    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class RemoteRuns:
    """A call that the user has allowed is carried out."""

    item: Item


@dataclass(frozen=True, slots=True)
class RemoteReturned:
    """What came of a call; `response_id` is None when its response was over by then.

    `cancelled`: nothing follows from it, since the user has taken the floor, or the client has stopped the response.
    """

    response_id: str | None
    item: Item
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class ResponseText:
    """The next words of the answer: spoken ones of an audio response, written ones of a text response."""

    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ResponseAudio:
    """The next sound of the answer, at OUTPUT_RATE, paced."""

    response_id: str
    item_id: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class ResponseRouted:
    """Who answers from here on, and why; the sound of what was generated before it may still be to come."""

    response_id: str
    routed: Routed


@dataclass(frozen=True, slots=True)
class ResponseBridged:
    """Words are spoken that are no part of the answer, from `at_s` of its sound on: they stand in no transcript."""

    response_id: str
    item_id: str
    text: str
    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechAdjusted:
    """The user told the assistant how to speak: that holds from now on. What is None stays as it was."""

    volume: float | None
    """0..1, of the sound that is sent."""
    speed: float | None
    """0.25..1.5, of the clauses that aren't spoken yet."""


@dataclass(frozen=True, slots=True)
class CameraSwitched:
    """The user, not the client, has had the camera switched: the client obeys."""

    on: bool


@dataclass(frozen=True, slots=True)
class WatchFired:
    """What was watched for has come true; `text` is what is said about it."""

    watch: str
    text: str


@dataclass(frozen=True, slots=True)
class SceneSeen:
    """What the camera shows."""

    scene: Scene
    dropped: int = 0
    """Frames so far that nobody had time to look at."""
    period: int = 0
    """Another number: the camera was off in between, and what it showed before is forgotten."""


@dataclass(frozen=True, slots=True)
class ReplyHeard:
    """The words of the answer that have been heard, up to `at_s` of its sound; where Settings.report_heard asks for it.

    Comes with every word that is heard more, and right before the end with what stays in the history.
    """

    response_id: str
    item_id: str
    text: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """The answer is over; exactly one for each ResponseStarted, and nothing of that response after it.

    An audio response that completes ends when its sound has been played, not when it has been sent: a client that
    takes the end of the sending for the end of the sound can then still be interrupted. `item` holds the message as it
    stands in the history (what was heard), `text` as far as it was sent; an answer without words has none in them.
    """

    response_id: str
    item: Item
    text: str
    status: Literal["completed", "cancelled", "failed", "incomplete"]
    reason: Literal["turn_detected", "client_cancelled", "max_output_tokens"] | None = None
    error_code: str | None = None
    error_message: str | None = None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class TurnTimed:
    """Where the time of a turn went, and who answered, in their order; nobody is named where there is no choice."""

    response_id: str
    timings: Timings
    routes: tuple[Routed, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request could not be carried out, or a part of the session failed; the session goes on."""

    code: str
    message: str
    param: str | None = None
    request_id: str | None = None
    fault: Literal["client", "server"] = "client"


RemoteEvent: TypeAlias = ToolsAsked | ToolsListed | RemoteCalled | ApprovalAsked | RemoteRuns | RemoteReturned
"""What concerns the tools of servers."""

Event: TypeAlias = (
    SettingsUpdated
    | SpeechStarted
    | SpeechStopped
    | AudioCommitted
    | AudioCleared
    | IdleTimeout
    | ItemAdded
    | ItemRetrieved
    | ConversationRetrieved
    | ItemDeleted
    | ItemTruncated
    | TranscriptDelta
    | TranscriptCompleted
    | TranscriptFailed
    | ResponseStarted
    | MessageStarted
    | ResponseText
    | ResponseAudio
    | ResponseRouted
    | ResponseBridged
    | SpeechAdjusted
    | CameraSwitched
    | WatchFired
    | SceneSeen
    | ReplyHeard
    | ToolCalled
    | RemoteEvent
    | ResponseEnded
    | TurnTimed
    | Rejected
)
