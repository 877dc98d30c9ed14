"""The server that is measured: `parley serve` in a process of its own, with what it costs."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class Served:
    """`parley serve` on a free port, for the length of a `with`."""

    def __init__(self, profile: str | None) -> None:
        profile_options = [] if profile is None else ["--profile", profile]
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("parley"), "serve", "--port", "0", *profile_options],
            stdout=subprocess.PIPE,
            text=True,
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    @property
    def cpu_s(self) -> float:
        """Core-seconds spent so far."""
        fields = (Path("/proc") / str(self._process.pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_gb(self) -> tuple[float, float]:
        """Resident memory now, and its greatest so far, in GB (10^9 bytes)."""
        status = (Path("/proc") / str(self._process.pid) / "status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return tuple(int(lines[name].split()[0]) * 1024 / 1e9 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
