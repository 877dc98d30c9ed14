"""`python -m tests.bench.routing_report`: where 200 mixed questions go, what that costs, how soon one hears something.

The questions and the kind that each should be taken for are in tests/data/routing/questions.tsv. Three
usual backends stand for those of an owner: a model in the house and two in the cloud, with list prices of 2026. Times
to the first sound and costs are those that the policy expects; nothing is sent anywhere.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from assistant.router.decision import PRESETS, Candidate, Preset
from assistant.router.kinds import Guess, Kind
from assistant.router.parts import Backend, Classifier
from assistant.router.plan import Device, candidate, need
from assistant.router.policy import decide
from assistant.router.wishes import wishes
from pipeline.engines import ChatMessage, ChatRequest, Picture
from tests.assistant.router.doubles import ScriptedBackend

DATA = Path(__file__).parent.parent / "data" / "routing" / "questions.tsv"
_REFLEX_S = 0.05
_SYSTEM = ChatMessage("system", "You are Parley, a friendly voice assistant. " * 20)


@dataclass(frozen=True, slots=True)
class Question:
    """One of the list; a reflex has no kind."""

    kind: Kind | None
    text: str


@dataclass(frozen=True, slots=True)
class Routing:
    """Where a question goes."""

    question: Question
    taken_for: Kind | None
    to: str
    place: str
    cost: float
    first_audio_s: float


def questions() -> list[Question]:
    """Read the list."""
    rows = [line.split("\t") for line in DATA.read_text(encoding="utf-8").splitlines()]
    return [Question(None if kind == "reflex" else Kind(kind), text) for kind, text in rows]


def usual_backends() -> list[Backend]:
    """Return what an owner may have."""
    house = ScriptedBackend("house-8b", "lan", "nas.local", quality=0.6, price_in=0, price_out=0, p50_s=0.5)
    small = ScriptedBackend("cloud-small", quality=0.75, price_in=0.25, price_out=2.0, p50_s=0.6, vision=True)
    large = ScriptedBackend("cloud-large", quality=0.95, price_in=2.5, price_out=15.0, p50_s=1.1, vision=True)
    return [house, small, large]


async def route(
    backends: Sequence[Backend], preset: Preset, classifier: Classifier | None, device: Device
) -> list[Routing]:
    """Decide all questions; a `classifier` tells their kinds, otherwise those of the list count."""
    routed = []
    for question in questions():
        if question.kind is None:
            routed.append(Routing(question, None, "reflex", "device", 0.0, _REFLEX_S))
            continue
        guess = Guess(question.kind) if classifier is None else await classifier.kind(question.text)
        # What needs eyes comes with a picture: clients that have a camera send one.
        shown = (Picture("data:,"),) if guess.kind is Kind.CAMERA else ()
        request = ChatRequest((_SYSTEM, ChatMessage("user", question.text, pictures=shown)), spoken=True)
        everybody = [device.candidate(vision=False), *(candidate(each, request, guess.kind, None) for each in backends)]
        decision = decide(need(request, guess, wishes(request.messages, private=False), ""), everybody, preset)
        chosen = decision.order[0].candidate if decision.order else everybody[0]
        routed.append(_routing(question, guess.kind, chosen))
    return routed


def _routing(question: Question, kind: Kind, chosen: Candidate) -> Routing:
    return Routing(question, kind, chosen.name, chosen.place, chosen.cost, chosen.first_audio_s)


def always(backend: Backend) -> tuple[float, float]:
    """Return what all questions would cost with this backend, and the expected time to the first sound."""
    costs = []
    for question in questions():
        request = ChatRequest((_SYSTEM, ChatMessage("user", question.text)), spoken=True)
        costs.append(candidate(backend, request, question.kind or Kind.CHAT, None).cost)
    first = candidate(backend, ChatRequest((_SYSTEM,)), Kind.CHAT, None).first_audio_s
    return sum(costs), first


def report(
    backends: Sequence[Backend], classifier: Classifier | None, device: Device, presets: Sequence[Preset]
) -> str:
    """Return the report as a Markdown table."""
    largest = max(backends, key=lambda each: each.quality)
    dear, slow = always(largest)
    lines = [
        f"| preset | on this machine | in the house | in the cloud | cost, against always {largest.name} "
        "| first sound, mean / median, s | leave though personal |",
        "|---|---|---|---|---|---|---|",
        f"| (always {largest.name}) | 0 % | 0 % | 100 % | {dear:.3f} (100 %) | {slow:.2f} / {slow:.2f} | 30 |",
    ]
    for preset in presets:
        routed = asyncio.run(route(backends, preset, classifier, device))
        places = Counter(each.place for each in routed)
        share = {place: f"{100 * places[place] / len(routed):.0f} %" for place in ("device", "lan", "cloud")}
        cost, firsts = sum(each.cost for each in routed), [each.first_audio_s for each in routed]
        left = sum(each.question.kind is Kind.PERSONAL and each.place != "device" for each in routed)
        lines.append(
            f"| {preset.name} | {share['device']} | {share['lan']} | {share['cloud']} | {cost:.3f} "
            f"({100 * cost / dear:.0f} %) | {mean(firsts):.2f} / {median(firsts):.2f} | {left} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(usual_backends(), None, Device(), list(PRESETS.values())))
