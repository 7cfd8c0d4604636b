"""Watching workers come and go, and telling from the queue when they never will."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin

from dask_hpc.clusters import slurm_ask
from dask_hpc.clusters.slurm_ask import QueuedJob
from dask_hpc.errors import ClusterError, RequestError

__all__ = ["AllWorkersLost", "Watch", "log_tails", "recording_job", "wait_for_workers"]

# Slurm keeps such a job pending although waiting does not help: https://slurm.schedmd.com/job_reason_codes.html
_HOPELESS = {
    "AccountNotAllowed", "AssociationJobLimit", "AssocMaxCpuPerJobLimit", "AssocMaxMemPerJob", "BadConstraints",
    "InvalidAccount", "InvalidQOS", "JobHeldAdmin", "JobHeldUser", "PartitionDown", "PartitionInactive",
    "PartitionNodeLimit", "PartitionTimeLimit", "QOSMaxCpuPerJobLimit", "QOSMaxMemoryPerJob",
    "QOSMaxWallDurationPerJobLimit", "launch failed requeued held",
}  # fmt: skip
_ALIVE = {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"}
_GRACE = 3  # seconds without any worker before a run is given up: a restarted one would be back by then


class AllWorkersLost(Exception):  # noqa: N818 (an event, raised in the main thread)
    """The last worker went away while the workload was running."""


class Watch(SchedulerPlugin):
    """Counts workers in the scheduler, which runs in this process: nothing polls for them."""

    name = "dask-hpc-watch"

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._count = 0
        self._closing = False
        self._changed = threading.Condition()

    def add_worker(self, scheduler: Any, worker: str) -> None:  # noqa: ARG002
        """A worker has connected."""
        self._update(len(scheduler.workers))

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ARG002
        """A worker has gone."""
        self._update(len(scheduler.workers))
        if not scheduler.workers and not self._closing:
            scheduler.loop.call_later(_GRACE, self._give_up)

    def _give_up(self) -> None:
        # the main thread waits for a result that nobody computes any more; a signal is what wakes it
        if self._count == 0 and not self._closing:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _update(self, count: int) -> None:
        with self._changed:
            self._count = count
            self._changed.notify_all()

    def fail(self, failure: Exception) -> None:
        """A job could not be submitted."""
        with self._changed:
            self.failure = failure
            self._changed.notify_all()

    def closing(self) -> None:
        """From now on workers may go."""
        self._closing = True

    def wait(self, count: int, timeout: float) -> bool:
        """Return whether `count` workers are there, after at most `timeout` seconds; raises a recorded failure."""
        with self._changed:
            self._changed.wait_for(lambda: self.failure or self._count >= count, timeout)
            if self.failure:
                raise self.failure
            return self._count >= count


def recording_job(watch: Watch) -> type[SLURMJob]:
    """Return dask-jobqueue's job, which tells when sbatch refuses: `SLURMCluster.scale` itself only logs that."""

    class RecordingJob(SLURMJob):
        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, OSError, ValueError) as error:
                self.status = Status.running  # anything else ends in an AssertionError in the event loop
                watch.fail(_refused(str(error)))

    return RecordingJob


def _refused(message: str) -> ClusterError:
    said = message.partition("stderr:\n")[2].strip() or message
    return ClusterError("sbatch did not take the job.", said, "compare what was asked for (above) with 'sinfo'.")


def wait_for_workers(watch: Watch, count: int, name: str, timeout: float, logs: Path) -> None:
    """Wait for `count` workers.

    Raises:
        RequestError: Slurm says that the jobs will never start.
        ClusterError: a job was refused or has ended, or `timeout` seconds have passed.
    """
    deadline = monotonic() + timeout
    while not watch.wait(count, timeout=0.5):
        found = slurm_ask.jobs(name)
        _judge(found, logs)
        if monotonic() > deadline:
            raise ClusterError(
                f"The {count} workers have not come in {timeout:.0f} s.",
                f"{_queue_lines(found)}\n{log_tails(logs)}",
                "on a busy cluster ask for less or wait longer (--timeout); else see the log.",
            )


def _judge(found: Sequence[QueuedJob], logs: Path) -> None:
    if stuck := [job for job in found if job.state == "PENDING" and job.reason in _HOPELESS]:
        raise RequestError(
            "Slurm will not start the jobs as they are.", _queue_lines(stuck), "ask for less, see 'sinfo'."
        )
    if ended := [job for job in found if job.state not in _ALIVE]:
        shared = any(logs.glob("*.err"))
        todo = "" if shared else f"see that {logs} is shared with the nodes, or try another --log-directory."
        raise ClusterError(
            "A job has ended before its workers came.", f"{_queue_lines(ended)}\n{log_tails(logs)}", todo
        )


def _queue_lines(found: Sequence[QueuedJob]) -> str:
    return (
        "\n".join(f"  job {job.id}: {job.state} ({job.reason}) {job.node}" for job in found)
        or "  (no job in the queue)"
    )


def log_tails(logs: Path, lines: int = 12) -> str:
    """Return the last lines of each job's log, and where they are."""
    parts = []
    for file in sorted(logs.glob("*.err")):
        text = file.read_text(errors="replace").splitlines()[-lines:]
        parts.append("\n".join([f"{file}:", *(f"  {line}" for line in text or ["(empty)"])]))
    return "\n".join(parts) or f"No log in {logs}: no job has started, or none could write there."
