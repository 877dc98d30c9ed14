"""A replay for people: what happened when, and where that is not what was recorded."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from assistant.record.compare import Line, Mark, Pair, words_of
from assistant.record.format import Tree
from assistant.record.replay import Replayed
from assistant.record.stored import Stored
from pipeline.events import Announce, Audio, CameraFrame, Request

_MARKS: Final[Mapping[Mark, str]] = {"same": " ", "changed": "~", "replayed": "+", "recorded": "-"}
_LEGEND: Final = "(~ moved or changed, + only in the replay, - only in the recording)"


def differ(pairs: Sequence[Pair]) -> int:
    """Return how many of the events differ."""
    return sum(pair.mark != "same" for pair in pairs)


def timeline(stored: Stored, replayed: Replayed, pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield the lines of a report, without their line ends."""
    yield f"{stored.folder.name}: {stored.end_s:.1f} s, {len(pairs)} events"
    for remark in stored.remarks:
        yield f"  ! {remark}"
    if replayed.trace.windows:
        yield f"  ! {replayed.trace.windows} windows of sound were not heard like that in the recording."
    notes = [(at, " ", f"pause: the turn detector says {score:.2f}") for at, score in replayed.trace.scores]
    last_s = max([stored.end_s, *(pair.at for pair in pairs)])  # what an engine is asked after that tells nothing
    notes += [(at, "!", text) for at, text in replayed.trace.stand_ins if at <= last_s]
    notes += [
        (at, " ", f"to be said: “{request.text}”" if isinstance(request, Announce) else _asked(request))
        for at, request in stored.requests
        if not isinstance(request, Audio | CameraFrame)
    ]
    told = [(pair.at, _MARKS[pair.mark], _tell(pair)) for pair in pairs]
    for at, mark, text in sorted([*told, *notes], key=lambda line: line[0]):
        yield f"  {mark} {at:9.3f} s  {text}"
    count = differ(pairs)
    yield f"  {count} of {len(pairs)} events differ {_LEGEND}" if count else "  The same as it was recorded."


def _asked(request: Request) -> str:
    return f"the client asks: {type(request).__name__}"


def _tell(pair: Pair) -> str:
    line = pair.now or pair.then
    assert line is not None
    return describe(line) + (f"   (recorded: {'; '.join(pair.before)})" if pair.before else "")


def describe(line: Line) -> str:  # noqa: PLR0911, PLR0912 - one for each kind of event
    """Say in a few words what happened."""
    match line.event:
        case {"$": "SpeechStarted", "at_s": at}:
            return f"speech started, at {at:.3f} s of the sound"
        case {"$": "SpeechStopped", "at_s": at}:
            return f"turn committed: the speech ended at {at:.3f} s of the sound"
        case {"$": "AudioCommitted"}:
            return "the utterance is in the conversation"
        case {"$": "AudioCleared"}:
            return "no words: what was heard is forgotten"
        case {"$": "TranscriptDelta", "text": text}:
            return f"partial words: “{text.strip()}”"
        case {"$": "TranscriptCompleted", "text": text}:
            return f"you: “{text}”"
        case {"$": "ResponseStarted"}:
            return "reply begins"
        case {"$": "MessageStarted"}:
            return "reply has words"
        case {"$": "ToolCalled", "item": {"parts": [call]}}:
            return f"reply calls {call['name']} with {call['arguments']}"
        case {"$": "RemoteCalled", "item": {"parts": [{"call": call, "tool": tool}]}}:
            return f"reply calls {call['name']} of {tool['server']['label']} with {call['arguments']}"
        case {"$": "RemoteReturned", "item": {"parts": [{"failure": {"message": message}}]}}:
            return f"the tool failed: {message}"
        case {"$": "RemoteReturned", "item": {"parts": [{"output": output}]}}:
            return f"the tool returned: “{output}”"
        case {"$": "ItemAdded", "item": {"parts": [{"$": "ToolResult", "output": output}]}}:
            return f"the function returned: “{output}”"
        case {"$": "ResponseText", "text": text}:
            return f"reply: “{text.strip()}”"
        case {"$": "ResponseRouted", "routed": {"backend": backend, "place": place, "reason": reason}}:
            return f"reply is made by {backend} ({place}): {reason}"
        case {"$": "ResponseBridged", "text": text}:
            return f"reply bridges the wait: “{text}”"
        case {"$": "ResponseAudio"}:
            return f"reply is heard: {line.sound_s:.2f} s of sound"
        case {"$": "ResponseEnded", "status": "cancelled", "reason": "turn_detected", "item": item}:
            return f"reply interrupted; heard of it: “{words_of(item)}”"
        case {"$": "ResponseEnded", "status": status, "error_message": message}:
            return f"reply {status}" + (f": {message}" if message else "")
        case {"$": "ItemAdded", "item": item}:
            return f"message of the {item['role']}" + (f": “{words_of(item)}”" if words_of(item) else "")
        case {"$": "TurnTimed", "timings": timings}:
            moments = (
                f"{name.removesuffix('_s')} {at:.4g}" for name, at in timings.items() if isinstance(at, int | float)
            )
            return f"seconds after the voice: {', '.join(moments)}"
        case {"$": "SessionFailed", "error": error}:
            return f"the session failed: {error}"
        case values:
            shown = (f"{name}={value}" for name, value in values.items() if isinstance(value, str | float | int))
            return " ".join(shown).removeprefix("$=")


def as_json(stored: Stored, replayed: Replayed, pairs: Sequence[Pair], turn: Mapping[str, object]) -> Tree:
    """Return all of it as what JSON holds."""
    return {
        "folder": str(stored.folder),
        "end_s": stored.end_s,
        "whole": stored.whole,
        "set": dict(turn),
        "same": differ(pairs) == 0,
        "remarks": stored.remarks,
        "stand_ins": [{"at": round(at, 6), "text": text} for at, text in replayed.trace.stand_ins],
        "new_windows": replayed.trace.windows,
        "scores": [{"at": round(at, 6), "score": score} for at, score in replayed.trace.scores],
        "lines": [
            {
                "mark": pair.mark,
                "at": None if pair.now is None else pair.now.at,
                "recorded_at": None if pair.then is None else pair.then.at,
                "event": (pair.now or pair.then).event["$"],  # type: ignore[union-attr]  # a pair has one of them
                "text": _tell(pair),
            }
            for pair in pairs
        ],
        "events": [{"at": at, "event": event} for at, event in replayed.events],
    }
