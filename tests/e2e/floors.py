"""`python -m tests.e2e.floors PRESET`: questions to a router with a backend in the world; prints who answered.

Run inside a network namespace of its own, and watched: the backend leads nowhere, and trying it is what counts.
"""

import asyncio
import sys

from assistant.llm.endpoint import Endpoint, Patience
from assistant.llm.endpoint_errors import Where
from tests.assistant.router.doubles import asks, listen, routing
from tests.assistant.router.test_over_http import HttpBackend
from tests.e2e.watched import watch
from tests.e2e.without_network import loopback_up

QUESTIONS = (
    "Why is the sky blue?",
    "Use the big brain for this: who was Ada Lovelace?",
    "Write a program that sorts a list.",
    "Should I tell my doctor about it?",
)


async def main(preset: str) -> None:
    endpoint = Endpoint(
        Where("big", "http://192.0.2.1/v1", "192.0.2.1", "large"), patience=Patience(connect_s=1), direct=True
    )
    router = routing(HttpBackend("big", quality=1.0, endpoint=endpoint), preset=preset)
    for question in QUESTIONS:
        answer = await listen(router, asks(question))
        assert answer.error is None
        print(" ".join(answer.routes))
    await endpoint.close()


if __name__ == "__main__":
    loopback_up()
    watch(sys.argv[1])
    asyncio.run(main(sys.argv[2]))
