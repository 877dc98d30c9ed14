"""A whole server whose router asks backends over real HTTP; its own model is the quick one of the fakes.

`python -m tests.e2e.routing CONFIG` runs one in a process of its own and prints its URL, until its input ends.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from assistant.config import Config, load
from assistant.router.build import router_settings
from assistant.router.kinds import Guess, Kind
from assistant.router.registry import opened
from assistant.router.router import Parts, Router
from assistant.server.api.programs import Programs, programs_of
from assistant.server.app import build_app
from assistant.server.listener import Listener, bind, url_of
from tests.assistant.router.doubles import ScriptedClassifier
from tests.e2e.fakes import OneAnswerModel, fake_engines
from tests.faults.cloud import Cloud

WAIT_S = 30.0


def listing(clouds: Sequence[tuple[str, Cloud, str]]) -> str:
    """Return the configuration of backends: their names, the stand-ins behind them, and more keys."""
    return "".join(
        f'[[backends]]\nname = "{name}"\nurl = "{cloud.url}"\nmodel = "stand-in"\nplace = "cloud"\n{more}\n'
        for name, cloud, more in clouds
    )


def written(folder: Path, text: str) -> Config:
    file = folder / "my.toml"
    file.write_text(text, encoding="utf-8")
    return load(file=file, port=0)


@contextmanager
def routing(config: Config, embedded: OneAnswerModel | None = None, token: str | None = None) -> Iterator[str]:
    """Run the server in a thread, and give its URL."""
    programs = Programs(programs_of(config.api), now=time.monotonic)
    ready, url, stop = threading.Event(), [""], [lambda: None]

    async def main() -> None:
        with bind(config.server) as bound:
            async with opened(config.backends, None) as backends:
                parts = Parts(backends=backends, classifier=ScriptedClassifier(Guess(Kind.FACT)))
                router = Router(embedded or OneAnswerModel(), parts, router_settings(config))
                app = build_app(config, fake_engines(router), token=token, programs=programs)
                listener = Listener(app, config.server)
                stop[0] = lambda: setattr(listener, "should_exit", True)
                url[0] = url_of(bound)
                ready.set()
                await listener.serve([bound])

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="routing")
    thread.start()
    try:
        assert ready.wait(WAIT_S)
        yield url[0]
    finally:
        end: Callable[[], None] = stop[0]
        end()
        thread.join(WAIT_S)
        assert not thread.is_alive()


if __name__ == "__main__":
    with routing(load(file=Path(sys.argv[1]), port=0)) as address:
        print(address, flush=True)
        sys.stdin.read()
