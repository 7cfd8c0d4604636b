"""When failures of jobs end the run, and with which error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dask_hpc.clusters.jobs import refused
from dask_hpc.clusters.slurm.kept.fate import Cause, Fate
from dask_hpc.clusters.slurm.kept.job import WorkerJob
from dask_hpc.errors import ClusterError
from dask_hpc.slurm.jobs import log_tails

_PAUSES = (0.0, 5.0, 20.0, 60.0)  # seconds before a job is submitted again, by failures in a row
_SHOWN = 8  # failures in the error
_PASSING = re.compile(
    r"unable to contact|timed out|temporar|try again|connection (refused|reset)|zero bytes|communication"
    r"|MaxSubmit|GrpSubmit|MaxJobCount|too many jobs|resource temporarily|controller",
    re.IGNORECASE,
)
"""In what sbatch says if the same job may be accepted later: Slurm is away, or a limit on submitted jobs is reached."""


def passes(said: str) -> bool:
    """Return whether sbatch may accept the same job later."""
    return bool(_PASSING.search(said))


class Failures:
    """Failures in a row: jobs that were submitted before the first of them failed share its cause, and count as one.

    Args:
        most: failures in a row that end the run.
        logs: folder of the jobs' logs.
    """

    def __init__(self, most: int, logs: Path) -> None:
        self._most = most
        self._logs = logs
        self._row: list[str] = []
        self._ids: list[str] = []
        self._count = 0
        self._began = 0.0
        self._memory = ""
        self.last = 0.0

    def add(self, job: WorkerJob, fate: Fate, now: float) -> ClusterError | None:
        """Note a job that failed; return the error that ends the run, if it does."""
        self._row.append(f"  {job} {fate.text}")
        self._ids.append(job.id)
        self._add(job, now)
        if fate.cause is Cause.MEMORY and job.losses:
            self._memory = f"{job.losses[-1].memory}"
        return self._enough()

    def refused(self, job: WorkerJob, said: str, now: float) -> ClusterError | None:
        """Note a job that sbatch rejected; return the error that ends the run, if it does."""
        self._row.append(f"  {said}")
        self._add(job, now)
        return self._enough()

    def forget(self) -> None:
        """Start to count again: a job works."""
        self._row, self._ids, self._memory, self._count = [], [], "", 0

    @property
    def any(self) -> bool:
        """True if the last job failed."""
        return bool(self._row)

    @property
    def pause(self) -> float:
        """Seconds between the last failure and the next submission."""
        return _PAUSES[min(max(self._count - 1, 0), len(_PAUSES) - 1)]

    def _add(self, job: WorkerJob, now: float) -> None:
        if not self._count or job.submitted >= self._began:
            self._count += 1
            self._began = now
        self.last = now

    def _enough(self) -> ClusterError | None:
        if self._count < self._most:
            return None
        row = self._row[-_SHOWN:]
        earlier = len(self._row) - len(row)
        lines = [f"  {earlier} more, before:", *row] if earlier else row
        seen = "\n".join([*lines, *([log_tails(self._logs, jobs=self._ids[-_SHOWN:])] if self._ids else [])])
        todo = "find the cause in the log; --max-failures sets how many failures in a row end the run."
        if self._memory:
            todo = f"request more with --memory: the last job's workers used {self._memory}."
        return ClusterError(f"Worker jobs failed {self._count} times in a row.", seen, todo)


def never_worked(jobs: Sequence[WorkerJob], fate: Fate, logs: Path) -> ClusterError:
    """Return the error for jobs that ended before any worker connected: the request itself is the likely cause."""
    lines = "\n".join(f"  {job} {fate.text}" for job in jobs)
    todo = "" if any(logs.glob("*.err")) else f"check that {logs} is shared with the nodes, or choose another "
    return ClusterError(
        "A job ended before its workers connected.",
        f"{lines}\n{log_tails(logs)}",
        f"{todo}--log-directory." if todo else "",
    )


__all__ = ["Failures", "never_worked", "passes", "refused"]
