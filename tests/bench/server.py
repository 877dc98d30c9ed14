"""The server that is measured: `parley serve` in a process of its own, with what it costs."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.cpu import Meter


class Served:
    """`parley serve` on a free port, for the length of a `with`."""

    def __init__(self, profile: str | None) -> None:
        profile_options = [] if profile is None else ["--profile", profile]
        # What a measurement says must not get among what its owner said: a store of its own.
        self._state = tempfile.TemporaryDirectory(prefix="parley-bench-")
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("parley"), "serve", "--port", "0", *profile_options],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"XDG_STATE_HOME": self._state.name},
        )
        address = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            address = line.strip().rpartition(" ")[2]
            if address.startswith("http"):
                break
        else:
            raise SystemExit(f"The server ended with exit code {self._process.wait()} before it was ready.")
        self.ready_s = time.perf_counter() - begin
        """From the start of the process to the printed address."""
        self.url = address.replace("http", "ws", 1) + "/v1/realtime"
        self.pid = self._process.pid
        self.meter = Meter(self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        self._state.cleanup()
