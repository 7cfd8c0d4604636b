"""What becomes of jobs, told from the queue and their logs: whether waiting helps, and what a person is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm.ask import QueuedJob

__all__ = ["ALIVE", "judge", "log_tails", "queue_lines"]

# Slurm keeps such a job pending although waiting does not help: https://slurm.schedmd.com/job_reason_codes.html
_HOPELESS = {
    "AccountNotAllowed", "AssociationJobLimit", "AssocMaxCpuPerJobLimit", "AssocMaxMemPerJob", "BadConstraints",
    "InvalidAccount", "InvalidQOS", "JobHeldAdmin", "JobHeldUser", "PartitionDown", "PartitionInactive",
    "PartitionNodeLimit", "PartitionTimeLimit", "QOSMaxCpuPerJobLimit", "QOSMaxMemoryPerJob",
    "QOSMaxWallDurationPerJobLimit", "launch failed requeued held",
}  # fmt: skip
ALIVE = {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"}


def judge(found: Sequence[QueuedJob], logs: Path) -> None:
    """Raise if it makes no sense to wait for these jobs.

    Raises:
        RequestError: Slurm says that they will never start.
        ClusterError: one has ended.
    """
    if stuck := [job for job in found if job.state == "PENDING" and job.reason in _HOPELESS]:
        raise RequestError(
            "Slurm will not start the jobs as they are.", queue_lines(stuck), "ask for less, see 'sinfo'."
        )
    if ended := [job for job in found if job.state not in ALIVE]:
        shared = any(logs.glob("*.err"))
        todo = "" if shared else f"see that {logs} is shared with the nodes, or try another --log-directory."
        raise ClusterError("A job has ended before its workers came.", f"{queue_lines(ended)}\n{log_tails(logs)}", todo)


def queue_lines(found: Sequence[QueuedJob]) -> str:
    """Return one line a job."""
    return (
        "\n".join(f"  job {job.id}: {job.state} ({job.reason}) {job.node}" for job in found)
        or "  (no job in the queue)"
    )


def log_tails(logs: Path, lines: int = 12) -> str:
    """Return the last lines of each job's log, and where they are; what Dask tells when all is well is left out."""
    parts = []
    for file in sorted(logs.glob("*.err")):
        text = [line for line in file.read_text(errors="replace").splitlines() if " - INFO - " not in line][-lines:]
        parts.append("\n".join([f"{file}:", *(f"  {line}" for line in text or ["(no word of trouble)"])]))
    return "\n".join(parts) or f"No log in {logs}: no job has started, or none could write there."
