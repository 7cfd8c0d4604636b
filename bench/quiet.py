"""Wait until the machine is idle: measurements on a busy machine mean little."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["QUIET", "busy", "wait"]

QUIET = 0.1
"""Fraction of the machine that other work may use."""

_STAT = Path("/proc/stat")


def busy(seconds: float = 1, stat: Callable[[], str] = _STAT.read_text) -> float:
    """Return the fraction of all cores that is busy during the next `seconds`, 0 to 1."""
    before = _times(stat())
    time.sleep(seconds)
    idle, total = (new - old for new, old in zip(_times(stat()), before, strict=True))
    return 1 - idle / total if total else 0.0


def _times(stat: str) -> tuple[int, int]:
    """Return idle and all ticks since boot; time that the host takes away (steal) is not idle."""
    ticks = [int(word) for word in stat.splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def wait(patience: float = 30, look: Callable[[], float] = busy) -> float:
    """Return how busy the machine is once it is quiet, or after `patience` seconds."""
    end = time.monotonic() + patience
    while (seen := look()) > QUIET and time.monotonic() < end:
        pass
    return seen
