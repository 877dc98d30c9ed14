"""The machine: how many cores this process may use, and how its libraries share cores and memory."""

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MANNERS: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000", "OPENBLAS_NUM_THREADS": "1"}
_M_ARENA_MAX: Final = -8  # of <malloc.h>

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


def share_machine() -> None:
    """Make this process a good neighbour of itself. Call before NumPy, or whatever has threads of its own, is loaded.

    The threads of OpenMP and OpenBLAS spin while they wait, which is good for one program that has the machine to
    itself. Here several engines take turns on few cores, and two spinning threads beside a busy one are ten times
    slower than one: they sleep instead. OpenMP's spin for 1000 rounds before, some 50 µs: the language model's two
    threads wait for each other hundreds of times a token, mostly for less than that, and to be woken takes as long.
    A token of the default model takes 65 ms on one slow core, 58 on two that sleep at once, 40 on two that spin
    first; beside a busy process 78, 76 and 83. What the environment says already stays.

    And glibc keeps a heap for each thread, with room for the longest utterance in every one of them: one heap is
    enough, and saves 140 MB.
    """
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)


@contextmanager
def loading() -> Iterator[Callable[[], None]]:
    """Spare what is loaded the search for garbage: none while it is, nor ever after in what was there when it was done.

    Yields what says that it is. Python looks through all its objects from time to time: five times while the models are
    loaded, 0.4 s together; later rarely, but 0.25 s each time, in which nobody is heard.
    """
    gc.disable()

    def done() -> None:
        gc.freeze()
        gc.enable()

    try:
        yield done
    finally:
        gc.enable()


def give_back_memory() -> None:
    """Give the system what was needed for a moment only: glibc would keep it. Takes up to 25 ms."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
