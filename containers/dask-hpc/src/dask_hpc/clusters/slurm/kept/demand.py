"""How many jobs an adaptive cluster keeps, from how many its work could use."""

from __future__ import annotations

from collections import deque

_PATIENCE = 30.0  # seconds, the least time for which fewer jobs must do until some retire
_PER_LEAD = 2.0  # times the time that a new job takes to come


class Demand:
    """Follows the work: upwards at once, downwards once fewer jobs have been enough for a while.

    A job costs a place in the queue and a start, so an interruption of the load, such as the client's own work between
    two computations, does not end jobs. The longer new ones take to come, the longer they are kept.

    Args:
        fewest: jobs that are always kept.
        most: jobs that are never exceeded.
    """

    def __init__(self, fewest: int, most: int) -> None:
        self.fewest, self.most = fewest, most
        self._useful: deque[tuple[float, int]] = deque()  # times and numbers, which decrease: the first is the largest

    def jobs(self, now: float, useful: int, *, lead: float) -> int:
        """Return the number of jobs to keep.

        Args:
            now: the time, in seconds.
            useful: jobs that the work could use now.
            lead: seconds that a job takes from its submission to its first worker.
        """
        bounded = min(max(useful, self.fewest), self.most)
        while self._useful and self._useful[-1][1] <= bounded:
            self._useful.pop()
        self._useful.append((now, bounded))
        oldest = now - max(_PATIENCE, _PER_LEAD * lead)
        while self._useful[0][0] < oldest:
            self._useful.popleft()
        return self._useful[0][1]
