"""`python -m tests.bench.router_overhead`: what the router adds to a turn that is answered on this machine.

The model answers at once, so that only the router's own work is left: reading wishes in the conversation, deciding
between four backends, passing the pieces on. The target is 3 ms at the 95th percentile. What the classifier takes,
which may be 8 ms, is in a line of its own. The rows take turns, so that a busy moment of the machine is shared.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from statistics import median, quantiles

from assistant.embeddings import MiniLm
from assistant.models import Store
from assistant.router.classifier import KindClassifier
from assistant.router.decision import PRESETS
from assistant.router.kinds import Guess, Kind
from assistant.router.parts import Classifier
from assistant.router.router import Parts, Router, RouterSettings
from pipeline.engines import Asker, ChatMessage, ChatRequest, Finish, Generated, LanguageModel, TextDelta
from tests.assistant.router.doubles import ScriptedBackend, ScriptedClassifier, ScriptedRecall, ScriptedReflexes
from tests.bench.routing_report import questions

_TURNS = 1000
_HISTORY = 20
TARGET_MS = 3.0
_BARE, _ROUTED = "no router", "router, 3 backends"


class AtOnce:
    """A model that takes no time."""

    takes_pictures = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        for _ in range(30):
            yield TextDelta(" word")
        yield Finish("stop", 1, 0, 30)

    async def prefill(self, request: ChatRequest) -> float | None:
        return 0.5


async def turn_ms(llm: LanguageModel, request: ChatRequest) -> tuple[float, float]:
    """Return the time to the first word and to the end."""
    began, first = time.perf_counter(), 0.0
    async for piece in llm.stream(request):
        if isinstance(piece, TextDelta) and not first:
            first = time.perf_counter() - began
    return first * 1000, (time.perf_counter() - began) * 1000


def requests() -> list[ChatRequest]:
    """Return turns of a long conversation; each has other words, as in life."""
    said = [question.text for question in questions()]
    made = []
    for number in range(_TURNS):
        history = [ChatMessage("system", "You are Parley. " * 60)]
        for back in range(_HISTORY // 2, 0, -1):
            history += [
                ChatMessage("user", said[(number - back) % len(said)]),
                ChatMessage("assistant", f"Answer {number - back}. " * 8),
            ]
        question = ChatMessage("user", f"{said[number % len(said)]} ({number})")
        made.append(ChatRequest((*history, question), spoken=True, asker=Asker(f"sess_{number % 8}", language="en")))
    return made


def routers(classifier: Classifier) -> dict[str, LanguageModel]:
    """Return what is measured, by name."""
    clouds = [ScriptedBackend(f"cloud-{number}", quality=0.5 + number / 10) for number in range(3)]
    small_talk = ScriptedClassifier(Guess(Kind.CHAT))
    parts = Parts(clouds, ScriptedReflexes(), small_talk, ScriptedRecall(("A fact.",)))
    return {
        _BARE: AtOnce(),
        "router, no backends": Router(AtOnce(), Parts()),
        _ROUTED: Router(AtOnce(), parts),
        "router, 3 backends, classifier": Router(
            AtOnce(),
            replace(parts, classifier=classifier),
            RouterSettings(replace(PRESETS["balanced"], leaving=1000.0)),  # every turn stays here
        ),
    }


async def measure(classifier: Classifier) -> dict[str, list[tuple[float, float]]]:
    """Return the times of all turns, by what they are measured with."""
    models = routers(classifier)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for request in requests():
        for name, model in models.items():
            times[name].append(await turn_ms(model, request))
    return times


def main() -> None:
    """Measure, and print the figures."""
    embedder = MiniLm(Store().path("minilm-l6-v2"))
    try:
        times = asyncio.run(measure(KindClassifier(embedder)))
    finally:
        embedder.close()
    wholes: dict[str, float] = {}
    for name, turns in times.items():
        cells = []
        for what, column in zip(("first word", "turn"), zip(*turns, strict=True), strict=True):
            wholes[name] = quantiles(column, n=20)[-1]
            cells.append(f"{what} p50 {median(column):.3f}, p95 {wholes[name]:.3f} ms")
        print(f"{name:32} {'; '.join(cells)}")
    print(f"The router adds {wholes[_ROUTED] - wholes[_BARE]:.3f} ms to a turn (p95; target {TARGET_MS}).")


if __name__ == "__main__":
    main()
