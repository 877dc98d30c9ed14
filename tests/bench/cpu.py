"""What a process costs: core-seconds and memory, as Linux counts them."""

import os
from pathlib import Path


class Meter:
    """Reads the accounts of one process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)

    def spent_s(self) -> float:
        """Return the core-seconds spent so far, in steps of 10 ms."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_gb(self) -> tuple[float, float]:
        """Return the resident memory now, and its greatest so far, in GB (10^9 bytes)."""
        lines = dict(line.split(":", 1) for line in (self._folder / "status").read_text().splitlines())
        now, peak = (int(lines[name].split()[0]) * 1024 / 1e9 for name in ("VmRSS", "VmHWM"))
        return now, peak
