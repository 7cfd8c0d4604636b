"""A worker job as its keeper knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dask_hpc.clusters.slurm.kept.fate import Fate
from dask_hpc.clusters.slurm.kept.losses import Loss
from dask_hpc.slurm.jobs import QueuedJob


@dataclass(kw_only=True, eq=False)
class WorkerJob:
    """A job with workers; times are in seconds of the monotonic clock, None if they are not reached or not known.

    Attributes:
        name: the name of its workers in Dask; with several per job, `-0` and so on is appended.
        submitted: time of its submission.
        id: its number in Slurm; '' until sbatch has answered.
        queued: Slurm's last answer about it.
        node: the node that it runs or ran on.
        start: Slurm's start time of its run, as text; '' while it waits. A job that is requeued gets another one.
        running: time at which it was first seen running.
        ends: time at which Slurm will end it.
        came: time at which its first worker connected.
        workers: addresses of its connected workers.
        short: time since when workers are missing that were connected.
        losses: workers that were lost, until Slurm explains why.
        successor: the job that takes its place.
        leaving: why it retires; '' if it does not.
        needed: False if it leaves because there are too many.
        completing: whether its processes are being ended.
        hopeless: whether it waits for something that Slurm does not expect to happen.
        fate: why it ended.
        ended: time at which it ended, or began to retire.
    """

    name: str
    submitted: float
    id: str = ""
    queued: QueuedJob | None = None
    node: str = ""
    start: str = ""
    running: float | None = None
    ends: float | None = None
    came: float | None = None
    workers: set[str] = field(default_factory=set)
    short: float | None = None
    losses: list[Loss] = field(default_factory=list)
    successor: WorkerJob | None = None
    leaving: str = ""
    needed: bool = True
    completing: bool = False
    hopeless: bool = False
    fate: Fate | None = None
    ended: float | None = None

    def __str__(self) -> str:
        return f"Job {self.id} on {self.node}" if self.node else f"Job {self.id}"

    @property
    def stands(self) -> bool:
        """True if it fills a place now and, as far as known, later."""
        return not (self.leaving or self.completing or self.fate or (self.successor and not self.successor.fate))

    def put_back(self) -> None:
        """Forget the run of a job that Slurm has put back into the queue."""
        self.start, self.running, self.ends, self.came, self.short = "", None, None, None, None
        self.workers.clear()
        self.losses.clear()
