"""Why a backend answers, and why another may not: in plain words, for the person."""

from collections.abc import Sequence
from typing import Final

from assistant.router.decision import FAR, Candidate, Need, Preset, Refusal, floor
from assistant.router.kinds import Kind
from assistant.router.parts import Place

_CALLED: Final[dict[Kind, str]] = {
    Kind.CHAT: "Small talk",
    Kind.FACT: "A question of fact",
    Kind.REASONING: "This needs thinking",
    Kind.CODE: "This is about code",
    Kind.CAMERA: "This needs eyes",
    Kind.HOME: "This is about the house",
    Kind.PERSONAL: "This is personal",
}

_WHERE: Final[dict[Place, str]] = {"device": "this machine", "lan": "this house", "cloud": "the cloud"}


def why_here(need: Need, preset: Preset) -> str:
    """Return why the words may not go as far as to some backend."""
    where = _WHERE[floor(need, preset)]
    if need.private:
        return "this conversation stays on this machine, as you asked"
    if FAR[preset.floor] > FAR[floor(need, preset)]:
        return f"it is personal, and such things don't leave {where}"
    return f"with “{preset.name}”, nothing leaves {where}"


def why_next(before: Candidate, chosen: Candidate) -> str:
    """Return why `chosen` is asked after `before`."""
    return f"{before.name} didn't answer, and {chosen.name} is the next best."


def why_first(need: Need, chosen: Candidate, others: Sequence[Candidate], refused: Sequence[Refusal]) -> str:
    """Return why `chosen` is asked before all `others` that may be asked."""
    if chosen.name == need.named:
        return f"You asked for {chosen.name}."
    if need.big and chosen.place != "device":
        return f"You asked for the big brain: {chosen.name} is the best that may be asked."
    if others:
        return f"{_CALLED[need.guess.kind]}: {_merit(chosen, others)} ({_terms(chosen)})."
    if refused:
        best = max(refused, key=lambda refusal: refusal.candidate.quality)
        return f"Nobody else may be asked. {best.reason}"
    return "There is no other model."


def _merit(chosen: Candidate, others: Sequence[Candidate]) -> str:
    rival = max(others, key=lambda other: other.quality)
    if chosen.quality > rival.quality:
        return f"{chosen.name} knows best"
    if chosen.quality == rival.quality:
        return f"{chosen.name} is as good as {rival.name}, and less busy or quicker"
    gains = [
        *(["sooner"] if chosen.first_audio_s < rival.first_audio_s else []),
        *(["cheaper"] if chosen.cost < rival.cost else []),
        *(["closer to home"] if FAR[chosen.place] < FAR[rival.place] else []),
    ]
    listed = " and ".join(filter(None, (", ".join(gains[:-1]), *gains[-1:])))
    return f"{chosen.name} is good enough, and {listed or 'at hand'}"


def _terms(candidate: Candidate) -> str:
    cents = candidate.cost * 100
    cost = "free" if not cents else "for less than 0.01 cents" if cents < 0.01 else f"for about {cents:.2g} cents"
    return f"sound in about {candidate.first_audio_s:.1f} s, {cost}"
