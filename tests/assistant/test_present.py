"""Who is there to be spoken to."""

import asyncio
from dataclasses import dataclass, field

from assistant.record.virtual_time import run
from assistant.server.present import Present
from pipeline.engines import Asker
from pipeline.events import Announce, Request


@dataclass
class Session:
    attended: bool = True
    heard: list[str] = field(default_factory=list)

    async def ask(self, request: Request) -> None:
        assert isinstance(request, Announce)
        self.heard.append(request.text)


def test_a_session_is_found_when_its_client_has_settled_and_until_it_ends() -> None:
    async def script() -> None:
        present, session, arrivals = Present(), Session(), []
        present.when_arrived(lambda: arrivals.append(asyncio.get_running_loop().time()))
        with present.one(Asker(session="a", user="tom"), session):
            assert not await present.announce("a", "Too early.")
            await asyncio.sleep(1.1)
            assert arrivals == [1.0]
            assert present.connected("tom") == ("a",)
            assert present.connected("anna") == ()
            assert await present.announce("a", "Now.")
            assert not await present.announce("b", "Nobody.")
        assert present.connected("tom") == ()
        assert not await present.announce("a", "Too late.")
        assert session.heard == ["Now."]

    run(script())


def test_the_latest_session_comes_first_and_those_without_a_client_are_left_out() -> None:
    async def script() -> None:
        present, first, second, third = Present(), Session(), Session(), Session(attended=False)
        asker = [Asker(session=name) for name in "abc"]
        with present.one(asker[0], first), present.one(asker[1], second), present.one(asker[2], third):
            await asyncio.sleep(2)
            assert present.connected("owner") == ("b", "a")
            assert not await present.announce("c", "Nobody listens.")

    run(script())


def test_one_that_ends_at_once_never_was_there() -> None:
    async def script() -> None:
        present, arrivals = Present(), []
        present.when_arrived(lambda: arrivals.append(1))
        with present.one(Asker(session="a"), Session()):
            pass
        await asyncio.sleep(5)
        assert arrivals == []

    run(script())
