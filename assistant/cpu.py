"""The processor: how many cores this process may use, and how its libraries behave on them."""

import os
from pathlib import Path
from typing import Final

_MANNERS: Final = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}

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


def share_cores() -> None:
    """Make the threads of OpenMP and OpenBLAS sleep while they wait. Call before any library that uses them is loaded.

    By default they spin, which is good for one program that has the machine to itself. Here several engines take turns
    on few cores, and two spinning threads beside a busy one are ten times slower than one. What the environment says
    already stays.
    """
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
