"""Who answers a turn, and why: a pure function.

Hard constraints first, in this order: privacy floor, abilities, context, budget, health. No score can outweigh them. Of
the backends that are left, the best score comes first: what its quality is worth for this kind of turn, less what the
wait for the first sound, the cost and the way there weigh. Backends that are alike share the work: the least busy goes
first, then the quickest.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from assistant.router.decision import FAR, Candidate, Choice, Constraint, Decision, Need, Preset, Refusal, floor
from assistant.router.kinds import Kind
from assistant.router.reasons import why_first, why_here, why_next

_UNSURE: Final = 0.5
"""What quality is worth where the kind of turn isn't known."""

_WORTH: Final[dict[Kind, float]] = {
    Kind.CHAT: 0.15,
    Kind.FACT: 0.6,
    Kind.REASONING: 1.0,
    Kind.CODE: 1.0,
    Kind.CAMERA: 1.0,
    Kind.HOME: 0.15,
    Kind.PERSONAL: 0.4,
}
"""What quality is worth for each kind of turn."""


def decide(need: Need, candidates: Iterable[Candidate], preset: Preset) -> Decision:
    """Return who may answer, the best first, and why the others may not."""
    allowed: list[Candidate] = []
    refused: list[Refusal] = []
    for candidate in candidates:
        refusal = _refusal(need, candidate, preset)
        if refusal is None:
            allowed.append(candidate)
        else:
            refused.append(refusal)
    worth = need.guess.confidence * _WORTH[need.guess.kind] + (1 - need.guess.confidence) * _UNSURE
    scored = [(_score(each, preset, worth), each) for each in allowed]

    def rank(each: tuple[float, Candidate]) -> tuple[bool, float, float]:
        score, one = each
        return one.name == need.named, one.quality if need.big else 0.0, score  # a wish outweighs all scores

    ordered = _share(sorted(scored, key=rank, reverse=True), need)
    names = [each for _, each in ordered]
    order = [
        Choice(each, why_next(names[place - 1], each) if place else why_first(need, each, names[1:], refused), score)
        for place, (score, each) in enumerate(ordered)
    ]
    return Decision(tuple(order), tuple(refused))


def _refusal(need: Need, candidate: Candidate, preset: Preset) -> Refusal | None:
    def no(constraint: Constraint, reason: str) -> Refusal:
        return Refusal(candidate, constraint, f"{candidate.name}: {reason}.")

    lacks = [
        what
        for what, needed, able in (
            ("take pictures", need.vision, candidate.vision),
            ("call functions", need.tools, candidate.tools),
            ("follow a JSON schema", need.json, candidate.json),
        )
        if needed and not able
    ]
    if FAR[candidate.place] > FAR[floor(need, preset)]:
        return no(Constraint.PRIVACY, why_here(need, preset))
    if lacks:
        return no(Constraint.ABILITIES, f"it can't {' or '.join(lacks)}")
    if need.tokens > candidate.context_tokens:
        size = f"the conversation has about {need.tokens} tokens, and it holds {candidate.context_tokens}"
        return no(Constraint.CONTEXT, size)
    if candidate.over_budget is not None:
        return no(Constraint.BUDGET, candidate.over_budget.rstrip("."))
    if candidate.unwell is not None:
        return no(Constraint.HEALTH, candidate.unwell.rstrip("."))
    return None


def _score(candidate: Candidate, preset: Preset, worth: float) -> float:
    gain = preset.quality * worth * candidate.quality
    wait = preset.speed * candidate.first_audio_s
    way = preset.leaving * FAR[candidate.place] / FAR["cloud"]
    return gain - wait - preset.cost * candidate.cost - way


def _share(ranked: Sequence[tuple[float, Candidate]], need: Need) -> list[tuple[float, Candidate]]:
    """Let backends that are alike take turns: the least busy for its weight goes first, then the quickest."""

    def alike(each: tuple[float, Candidate]) -> tuple[object, ...]:
        _, one = each
        return (one.name == need.named, one.place, one.quality, one.cost, one.vision, one.tools, one.json)

    def busy(each: tuple[float, Candidate]) -> tuple[float, float]:
        _, one = each
        return one.outstanding / one.weight, one.first_audio_s

    first: dict[tuple[object, ...], int] = {}
    for place, each in enumerate(ranked):
        first.setdefault(alike(each), place)
    together = sorted(ranked, key=lambda each: first[alike(each)])  # a group stands where its best one stood
    return [each for _, group in groupby(together, alike) for each in sorted(group, key=busy)]
