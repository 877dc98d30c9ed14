"""A server in a process of its own, with the real router, reflexes, timers and database, but with quick engines.

`python -m tests.e2e.served_reflexes FOLDER` keeps the database in FOLDER, and prints its URL when ready.
"""

import asyncio
import sys

from assistant.config import load
from assistant.reflex.build import open_reflexes
from assistant.router.router import Parts, Router
from assistant.server.app import build_app
from assistant.server.listener import Listener, bind, url_of
from assistant.server.present import Present
from assistant.store.database import Database
from tests.e2e.fakes import OneAnswerModel, fake_engines


async def main(folder: str) -> None:
    config = load(port=0)
    present = Present()
    async with (
        await Database.open(f"sqlite:///{folder}/parley.db") as database,
        open_reflexes(config, database, present) as (reflexes, timers),
    ):
        present.when_arrived(timers.arrived)
        with bind(config.server) as bound:
            app = build_app(config, fake_engines(Router(OneAnswerModel(), Parts(reflexes=reflexes))), present=present)
            listener = Listener(app, config.server, on_stop=app.state.house.lives.end_waiting)
            async with asyncio.TaskGroup() as group:
                ticking = group.create_task(timers.run())
                print(url_of(bound), flush=True)
                await listener.serve([bound])
                ticking.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
