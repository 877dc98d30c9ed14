"""A server in a process of its own, with real reflexes, timers and a real database, but with quick engines.

`python -m tests.e2e.served_reflexes FOLDER` keeps the database in FOLDER, and prints its URL when ready.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from assistant.config import load
from assistant.reflex.build import open_reflexes
from assistant.reflex.reflexes import Reflexes
from assistant.server.app import build_app
from assistant.server.listener import Listener, bind, url_of
from assistant.server.present import Present
from assistant.store.database import Database
from pipeline.engines import ChatRequest, Finish, Generated, TextDelta
from tests.e2e.fakes import OneAnswerModel, fake_engines


class ReflexesFirst(OneAnswerModel):
    """Stands for the router, as far as it asks the reflexes; the reflexes are the real ones."""

    def __init__(self, reflexes: Reflexes) -> None:
        super().__init__()
        self._reflexes = reflexes

    async def stream(self, request: ChatRequest) -> AsyncIterator[Generated]:
        said = request.messages[-1].content
        last = next((each.content for each in reversed(request.messages) if each.role == "assistant"), "")
        reflex = self._reflexes.match(said, language="en", asker=request.asker, said_last=last)
        if reflex is None:
            async for piece in super().stream(request):
                yield piece
            return
        await request.committed()
        if reflex.words:
            yield TextDelta(reflex.words)
        if reflex.act and (more := await reflex.act()):
            yield TextDelta(f" {more}")
        yield Finish("stop", 0, 0, 0)


async def main(folder: str) -> None:
    config = load(port=0)
    present = Present()
    async with (
        await Database.open(f"sqlite:///{folder}/parley.db") as database,
        open_reflexes(config, database, present) as (reflexes, timers),
    ):
        present.when_arrived(timers.arrived)
        with bind(config.server) as bound:
            app = build_app(config, fake_engines(ReflexesFirst(reflexes)), present=present)
            listener = Listener(app, config.server, on_stop=app.state.house.lives.end_waiting)
            async with asyncio.TaskGroup() as group:
                ticking = group.create_task(timers.run())
                print(url_of(bound), flush=True)
                await listener.serve([bound])
                ticking.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
