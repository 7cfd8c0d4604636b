"""When jobs retire before their wall time ends, and when their successors are submitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_SHARE = 0.15  # of the wall time: the time to move data before the end
_LEAST, _MOST = 8.0, 60.0  # seconds, limits of that share
_MOVING = 1 / 3  # of the wall time: the most time for moving large data
_SPREAD = 0.25  # of the wall time: the most time over which retirements are staggered
_LEAD = 0.25  # of the wall time: the most time that a successor is submitted early


@dataclass(frozen=True)
class Lifetime:
    """The times at which a job retires, and at which its successor is submitted.

    Both are in seconds of the clock of its end.
    """

    retires: float
    succeeded: float


@dataclass(frozen=True)
class Ending:
    """A running job's end, its wall time, and the time that moving its data takes; all in seconds."""

    end: float
    walltime: float
    moving: float = 0.0

    @property
    def margin(self) -> float:
        """Seconds between retirement and end."""
        share = min(max(_SHARE * self.walltime, _LEAST), _MOST)
        return max(share, min(self.moving, _MOVING * self.walltime))


def lifetimes(endings: Mapping[str, Ending], *, lead: float) -> dict[str, Lifetime]:
    """Return the lifetimes of running jobs, by name.

    Retirements are staggered: jobs that were submitted together end together, and the data of one needs another.

    Args:
        endings: the jobs' ends, by name.
        lead: seconds that a job took lately from its submission to its first worker.
    """
    found: dict[str, Lifetime] = {}
    following = float("inf")
    for name, ending in sorted(endings.items(), key=lambda item: item[1].end, reverse=True):
        latest = ending.end - ending.margin
        gap = min(ending.margin, _SPREAD * ending.walltime / len(endings))
        earliest = latest - _SPREAD * ending.walltime
        following = max(earliest, min(latest, following - gap))
        found[name] = Lifetime(following, following - min(lead, _LEAD * ending.walltime))
    return found
