"""`python -m tests.bench.router_overhead`: what the router adds to a turn that is answered on this machine.

The model answers at once, so that only the router's own work is left: reading wishes in the conversation, deciding
between four backends, passing the pieces on. The target is 3 ms at the 95th percentile.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from statistics import median, quantiles

from assistant.router.kinds import Guess, Kind
from assistant.router.router import Parts, Router
from pipeline.engines import Asker, ChatMessage, ChatRequest, Finish, Generated, LanguageModel, TextDelta
from tests.assistant.router.doubles import ScriptedBackend, ScriptedClassifier, ScriptedRecall, ScriptedReflexes
from tests.bench.routing_report import questions

_TURNS = 1000
_HISTORY = 20
TARGET_MS = 3.0


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


def routers() -> dict[str, Callable[[], LanguageModel]]:
    """Return what is measured, by name."""
    clouds = [ScriptedBackend(f"cloud-{number}", quality=0.5 + number / 10) for number in range(3)]
    parts = Parts(
        backends=clouds,
        reflexes=ScriptedReflexes(),
        classifier=ScriptedClassifier(Guess(Kind.CHAT)),
        recall=ScriptedRecall(("A fact.",)),
    )
    return {
        "no router": AtOnce,
        "router, no backends": lambda: Router(AtOnce(), Parts()),
        "router, 3 backends": lambda: Router(AtOnce(), parts),
    }


def measure() -> dict[str, tuple[float, float]]:
    """Return the 95th percentiles (ms) of the first word and of the whole turn."""
    measured: dict[str, tuple[float, float]] = {}
    asked = requests()
    for name, make in routers().items():

        async def all_turns(llm: LanguageModel) -> list[tuple[float, float]]:
            return [await turn_ms(llm, request) for request in asked]

        times = asyncio.run(all_turns(make()))
        firsts, wholes = [first for first, _ in times], [whole for _, whole in times]
        p95 = (quantiles(firsts, n=20)[-1], quantiles(wholes, n=20)[-1])
        measured[name] = p95
        print(
            f"{name:20} first word p50 {median(firsts):6.3f} p95 {p95[0]:6.3f} ms, "
            f"turn p50 {median(wholes):6.3f} p95 {p95[1]:6.3f} ms"
        )
    return measured


if __name__ == "__main__":
    figures = measure()
    added = figures["router, 3 backends"][1] - figures["no router"][1]
    print(f"The router adds {added:.3f} ms (p95; target {TARGET_MS}).")
