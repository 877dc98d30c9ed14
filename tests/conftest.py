"""What every room's tests share: the recordings, and the models on disk."""

import asyncio
import json
import os
import signal
import socket
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from audio.types import INPUT_RATE, Samples
from tests.postgresql import Cluster, cluster, programs

# A shared machine may be slow at any moment: an example's duration says nothing. CI repeats the same examples.
settings.register_profile(
    "parley", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("parley")

# A shell has what it starts in the background ignore it, and so would the programs that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _close_what_came_too_late(transport: type[asyncio.Transport]) -> None:
    """Close a socket that a server accepted in the moment of its own closing.

    asyncio forgets such a connection unclosed (https://github.com/python/cpython/issues/109564), and whichever test
    runs when it is collected would be charged with it.
    """
    begin: Callable[..., None] = transport.__init__

    def mended(self: Any, loop: asyncio.AbstractEventLoop, sock: socket.socket, *args: Any, **options: Any) -> None:
        try:
            begin(self, loop, sock, *args, **options)
        except AssertionError:
            sock.close()
            self._sock = None
            raise

    transport.__init__ = mended  # type: ignore[method-assign]


_close_what_came_too_late(asyncio.selector_events._SelectorTransport)  # type: ignore[attr-defined]

SPEECH = Path(__file__).parent / "data" / "speech"


def read_clip(name: str) -> Samples:
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (INPUT_RATE, 1, 2)
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return (pcm / np.float32(32768)).astype(np.float32)


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Timers, facts and the ledger of whoever runs the tests are none of their business, child processes included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def clips() -> list[dict[str, Any]]:
    """The recordings' rows: id, text, lang, kind, seconds, speech_start_s, speech_end_s ..."""
    return [json.loads(line) for line in (SPEECH / "index.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def clip() -> Callable[[str], Samples]:
    """A recording's samples at 16 kHz, by its id."""
    return read_clip


@pytest.fixture(scope="session")
def model_path() -> Callable[[str], Path]:
    """The folder of a model, fetched into the user's cache when it isn't there yet."""
    import onnxruntime  # noqa: PLC0415 - only the tests that use models need these

    from assistant.models import Store  # noqa: PLC0415

    # A voice says a sentence in another way each time, now and then one that a small recogniser mishears.
    onnxruntime.set_seed(1)
    return Store().pull


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL that runs; `postgresql.new()` is the URL of a fresh database."""
    if programs() is None:
        pytest.skip("PostgreSQL isn't installed: `make test` installs it where that needs no password.")
    with cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh store: the test runs once with SQLite, once with PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'parley.db'}"
    server: Cluster = request.getfixturevalue("postgresql")
    return server.new()
