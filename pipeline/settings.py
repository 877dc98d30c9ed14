"""How one session behaves: defaults from the configuration, changed by the client as it goes."""

from dataclasses import dataclass, field
from typing import Literal

from pipeline.engines import NO_TOOLS, Toolbox
from pipeline.tool_servers import ToolServer


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """When a turn starts, ends and is interrupted. Durations named `_s` are seconds."""

    mode: Literal["semantic", "silence", "manual"] = "semantic"
    """semantic: sound and silence decide together; silence: only its length; manual: the client says when."""
    vad_threshold: float = 0.5
    """A window at or above this probability is voice; below it by 0.1, silence; between, what the last one was."""
    start_s: float = 0.096
    """Voice that makes an utterance."""
    prefix_s: float = 0.3
    """Sound kept from before the first voiced window, so that no first word is clipped."""
    pause_s: float = 0.064
    """Silence, or a fading voice, that may be the end: the utterance is weighed, the speculative answer starts."""
    resume_s: float = 0.064
    """Voice after a pause that makes the utterance go on."""
    look_again_s: float = 0.192
    """Silence after which an utterance that is in doubt is weighed once more."""
    command_s: float = 0.096
    """Silence that must pass after a whole command that needs no model."""
    min_silence_s: float = 0.16
    """Silence that must pass even when sound and words are surely finished."""
    max_silence_s: float = 1.3
    """Silence that ends an utterance however unfinished it seems; in silence mode, the only rule."""
    hold_s: float = 0.064
    """Voice during a reply that makes it pause, until it is known what is being said."""
    look_s: float = 0.352
    """Voice during a reply that is long enough to have words."""
    yield_s: float = 0.16
    """Silence after which a sound of the user's during a reply is over."""
    barge_in_s: float = 0.704
    """Voice that interrupts a reply whatever it says; of a backchannel, twice as much."""
    reopen_s: float = 0.8
    """For so long after a commit, voice means that the user goes on with the utterance."""
    max_utterance_s: float = 60.0
    """An utterance is committed when it gets this long."""
    stall_s: float = 2.0
    """When the client stops sending in mid-utterance, it is committed after this long (wall clock)."""
    idle_timeout_s: float | None = None
    """After a reply, silence this long (wall clock) is reported to the client."""
    wake: bool = False
    """Begin asleep: only a wake word or a button makes the session listen."""
    follow_up_s: float = 8.0
    """With `wake`, the session falls asleep after this long without voice (wall clock)."""
    speculate: bool = True
    """Prepare the answer during a pause, before it is known that the user is done."""
    create_response: bool = True
    """Answer every committed utterance without being asked."""
    interrupt_response: bool = True
    """The user's voice stops the reply."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One session's settings."""

    instructions: str = ""
    output: Literal["audio", "text"] = "audio"
    voice: str | None = None
    speed: float = 1.0
    language: str | None = None
    """Of the user's speech, ISO 639-1; None lets the recogniser decide."""
    transcription_prompt: str = ""
    trust_logprob: float = -0.9
    """Transcript.logprob from which on the fast recogniser's words are answered before they have been checked."""
    show_transcript: bool = True
    """Send the client what the user said."""
    report_heard: bool = False
    """Tell the client which words of a reply have been heard."""
    max_output_tokens: int = 300
    temperature: float = 0.7
    max_history_chars: int = 6000
    """Older messages leave the prompt when it gets longer."""
    history_retention: float = 0.5
    """The part (0..1) of that which is left then."""
    toolbox: Toolbox = NO_TOOLS
    """What the model may call."""
    tool_servers: tuple[ToolServer, ...] = ()
    """Whose tools it may call as well, once they are known."""
    route: str = ""
    """Who is to answer, as a wish: a preset of the router's, or a backend's name; empty: as is configured."""
    turn_taking: TurnTaking = field(default_factory=TurnTaking)
