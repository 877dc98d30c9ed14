"""How many processor cores this process may use."""

import os
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def cores(quota: Path = _QUOTA) -> int:
    """Count the cores that the scheduler may give this process, or fewer where its container has a quota; at least 1.

    `quota` is the control group's file: microseconds of processor time in a period, or "max", and the period.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text(encoding="ascii").split()
    except (OSError, ValueError):  # no control groups, or not of this kind
        return allowed
    if not share.isdecimal() or not period.isdecimal():
        return allowed
    return max(1, min(allowed, int(share) // int(period)))
