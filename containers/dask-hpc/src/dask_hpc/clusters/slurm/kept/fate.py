"""Why a job ended, from its state and reason in Slurm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from dask_hpc.slurm.jobs import QueuedJob


class Cause(Enum):
    """The kind of end, which decides whether it counts against tasks, and whether it is a failure."""

    WALLTIME = "wall time"
    TAKEN = "taken away by Slurm or a user: preemption, a lost node, scancel"
    MEMORY = "too little memory"
    FAILED = "failed by itself"
    UNSTARTED = "could not be started on its node"
    UNREACHABLE = "runs, according to Slurm, but its workers are gone"
    UNKNOWN = "Slurm has forgotten it"


@dataclass(frozen=True)
class Fate:
    """The end of a job; `text` completes a sentence that begins with the job."""

    cause: Cause
    text: str

    @property
    def explained(self) -> bool:
        """True if the end has another reason than the tasks."""
        return self.cause not in {Cause.MEMORY, Cause.FAILED}


_BY_STATE = {
    "TIMEOUT": Fate(Cause.WALLTIME, "reached its wall time"),
    "DEADLINE": Fate(Cause.WALLTIME, "reached its deadline"),
    "PREEMPTED": Fate(Cause.TAKEN, "was preempted"),
    "NODE_FAIL": Fate(Cause.TAKEN, "lost its node"),
    "CANCELLED": Fate(Cause.TAKEN, "was cancelled"),
    "REVOKED": Fate(Cause.TAKEN, "was revoked"),
    "BOOT_FAIL": Fate(Cause.UNSTARTED, "could not be started: its node did not boot"),
    "OUT_OF_MEMORY": Fate(Cause.MEMORY, "used more memory than it requested"),
}
_KILLED = re.compile(r"RaisedSignal:9\b")
_HELD = {"launch failed requeued held", "launch_failed_requeued_held", "JobHoldMaxRequeue"}

GONE = Fate(Cause.UNKNOWN, "is no longer known to Slurm")
"""A controller that was lost forgets jobs, and a site may keep ended ones for seconds only (MinJobAge)."""
WITHOUT_WORKERS = Fate(Cause.UNREACHABLE, "still runs, but its workers are gone, as if its node were lost")
"""Dask notices the loss of a node at once or after minutes, and so does Slurm; a job whose process dies ends."""
NEVER_CAME = Fate(Cause.FAILED, "runs, but its workers did not connect")


def held(job: QueuedJob) -> bool:
    """Return whether Slurm holds a job that it could not start; only an administrator would release it."""
    return job.state == "PENDING" and job.reason in _HELD


def fate(job: QueuedJob) -> Fate:
    """Return why a job that has ended, or is held, ended."""
    if held(job):
        return Fate(Cause.UNSTARTED, f"could not be started ({job.reason})")
    if known := _BY_STATE.get(job.state):
        return Fate(known.cause, f"{known.text} ({job.node})") if job.state == "NODE_FAIL" and job.node else known
    if job.reason == "OutOfMemory":
        return _BY_STATE["OUT_OF_MEMORY"]
    if _KILLED.search(job.reason):
        # without cgroups, this is how a job ends that is killed for its memory
        return Fate(Cause.MEMORY, "was killed by signal 9, as for using too much memory")
    if job.state == "COMPLETED":
        return Fate(Cause.FAILED, "ended although it was still needed")
    reason = "" if job.reason in {"", "None"} else f" ({job.reason})"
    return Fate(Cause.FAILED, f"ended as {job.state}{reason}")


def requeued(job: QueuedJob) -> Fate:
    """Return why a job that ran is in the queue again."""
    return Fate(Cause.TAKEN, f"was put back into the queue by Slurm{_because(job)}")


def _because(job: QueuedJob) -> str:
    return f" ({job.reason})" if job.reason not in {"", "None"} else ""
