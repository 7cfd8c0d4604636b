"""How often to ask Slurm: soon when there is something to learn, rarely otherwise; a site's controller is shared."""

from __future__ import annotations

_ROUTINE = 12.0  # seconds between queries in steady state: five per minute
_FIRST = 0.4  # seconds before the first query in a hurry; each further one waits twice as long
_CREDIT = 6.0  # queries in a hurry that may follow each other
_REFILL = 60.0  # seconds until one more is allowed: six queries per minute at most, over time


class Pace:
    """Decides when the next query is due.

    Args:
        now: the time, in seconds of the clock that the other methods use.
    """

    def __init__(self, now: float) -> None:
        self._asked = now
        self._credit = _CREDIT
        self._refilled = now
        self._gap = 0.0  # of queries in a hurry; 0 if there is none

    def hurry(self) -> None:
        """Note that there is something to learn."""
        self._gap = self._gap or _FIRST

    def start_over(self) -> None:
        """Note that something has just happened, so that the next query is worth more than the last one was."""
        self._gap = _FIRST

    def calm(self) -> None:
        """Note that there is nothing to learn."""
        self._gap = 0.0

    def due(self, now: float) -> float:
        """Return the seconds until the next query."""
        self._refill(now)
        gap = min(self._gap, _ROUTINE) if self._gap and self._credit >= 1 else _ROUTINE
        return max(0.0, self._asked + gap - now)

    def asked(self, now: float) -> None:
        """Note that Slurm was asked."""
        self._refill(now)
        early = now - self._asked < _ROUTINE
        self._asked = now
        if self._gap:
            self._credit = max(0.0, self._credit - early)
            self._gap = min(self._gap * 2, _ROUTINE)

    def _refill(self, now: float) -> None:
        self._credit = min(_CREDIT, self._credit + (now - self._refilled) / _REFILL)
        self._refilled = now
