"""Watch workers connect and leave, and detect from the queue that they never will connect."""

from __future__ import annotations

import asyncio
import shlex
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from dask_jobqueue.slurm import SLURMJob
from distributed.client import CancelledError
from distributed.comm import CommClosedError
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.scheduler import Scheduler

from dask_hpc.clusters.jobs import refused
from dask_hpc.errors import ClusterError
from dask_hpc.slurm.environment import plain
from dask_hpc.slurm.jobs import QueuedJob, describe, jobs, judge, log_tails
from dask_hpc.stop import in_main_thread

_GRACE = 3  # seconds without any worker until the run fails: a restarted worker would be back by then
_RESTART = 10  # seconds for a nanny to restart a worker while others still start, and all import Dask


class AllWorkersLost(Exception):  # noqa: N818 (an event, raised in the main thread)
    """The last worker was lost while the workload was running."""


class Watch(SchedulerPlugin):
    """Count workers without polling, in the scheduler, which runs in this process.

    Args:
        jobs_alive: returns whether a pending or running job may still start workers; blocks while it asks Slurm.
    """

    name = "dask-hpc-watch"
    cluster: Any = None  # the SLURMCluster, once it exists

    def __init__(self, jobs_alive: Callable[[], bool] = lambda: True) -> None:
        self._jobs_alive = jobs_alive
        self._awaited = False  # whether the user has restarted or requested workers
        self._timer: object = None
        self.failure: Exception | None = None
        self.gave_up = False
        self._by_signal = in_main_thread()
        self._count = 0
        self._names: dict[str, str] = {}
        self._lost: dict[str, float] = {}
        self._jobs: dict[str, str] = {}
        self._closing = False
        self._changed = threading.Condition()

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Note that a worker has connected."""
        name = self._names[worker] = str(scheduler.workers[worker].name)
        self._lost.pop(name, None)
        self._awaited = False
        if self._timer:
            scheduler.loop.remove_timeout(self._timer)
            self._timer = None
        self._update(len(scheduler.workers))

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Note that a worker has left."""
        self._lost[self._names.pop(worker, worker)] = monotonic()
        self._update(len(scheduler.workers))
        if not scheduler.workers and not self._closing:
            self._timer = scheduler.loop.call_later(_GRACE, self._give_up, scheduler)

    def restarting(self) -> None:
        """Note that workers are restarted: they leave, and come back."""
        self._awaited = True

    def _give_up(self, scheduler: Any) -> None:
        """Wake the thread that waits for a result that no worker computes."""
        if self._count or self._closing or self._none_wanted():
            return
        if self._awaited:
            scheduler.loop.add_callback(self._await_return, scheduler)
            return
        self.gave_up = True
        if self._by_signal:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        else:  # Dask cancels what the client waits for
            scheduler.loop.add_callback(scheduler.close, reason="all workers were lost")

    def judge(self, error: BaseException) -> None:
        """Give up if the error results from the loss of all jobs, which may not have been noticed yet.

        A restart may fail first, or cancel the futures that the user waits for.
        """
        told = isinstance(error, (CancelledError, TimeoutError, CommClosedError))
        if told and not self.gave_up and not self._none_wanted() and not self._jobs_alive():
            self.gave_up = True

    def _none_wanted(self) -> bool:
        """Return whether the user scaled the cluster to zero, or lets Dask scale it."""
        return self.cluster is not None and not (self.cluster.worker_spec and self.cluster._adaptive is None)

    async def _await_return(self, scheduler: Any) -> None:
        """Check again later, unless the workers' jobs have ended."""
        alive = await asyncio.to_thread(self._jobs_alive)
        if self._count or self._closing:
            return
        self._awaited = alive
        if alive:
            self._timer = scheduler.loop.call_later(_GRACE, self._give_up, scheduler)
        else:
            self._give_up(scheduler)

    def _update(self, count: int) -> None:
        with self._changed:
            self._count = count
            self._changed.notify_all()

    def fail(self, failure: Exception) -> None:
        """Note that a job could not be submitted."""
        with self._changed:
            self.failure = failure
            self._changed.notify_all()

    def submitted(self, name: str, job: str) -> None:
        """Note that Slurm accepted a job; its workers have that name, with `-0` and so on appended if several."""
        self._jobs[name] = job
        self._awaited = True

    def lost(self) -> set[str]:
        """Return the jobs of workers that left longer ago than a restart takes."""
        over = monotonic() - _RESTART
        gone = [f"{name}-" for name, since in self._lost.copy().items() if since < over]
        return {job for name, job in self._jobs.copy().items() if any(one.startswith(f"{name}-") for one in gone)}

    def closing(self) -> None:
        """Expect workers to leave from now on."""
        self._closing = True

    @property
    def count(self) -> int:
        """Number of connected workers."""
        return self._count

    def wait(self, count: int, timeout: float) -> bool:
        """Return whether `count` workers are connected, after at most `timeout` seconds; raises a recorded failure."""
        with self._changed:
            self._changed.wait_for(lambda: self.failure or self._count >= count, timeout)
            if self.failure:
                raise self.failure
            return self._count >= count


class WatchedScheduler(Scheduler):
    """A scheduler that tells its watch when it restarts workers."""

    async def restart_workers(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Restart workers as Dask does."""
        for plugin in self.plugins.values():
            if isinstance(plugin, Watch):
                plugin.restarting()
        restarted: dict[str, Any] = await super().restart_workers(*args, **kwargs)
        return restarted


def recording_job(watch: Watch) -> type[SLURMJob]:
    """Return a dask-jobqueue job that reports a rejection by sbatch, which `SLURMCluster.scale` only logs."""

    class RecordingJob(SLURMJob):
        def __init__(self, *args: Any, security: Any = None, **kwargs: Any) -> None:
            super().__init__(*args, security=security and _Quoted(security), **kwargs)

        @staticmethod
        async def _call(cmd: Sequence[str], **kwargs: Any) -> Any:
            return await SLURMJob._call(cmd, env=plain(), **kwargs)

        async def start(self) -> None:
            try:
                await super().start()
                watch.submitted(str(self.name), str(self.job_id))
            except (RuntimeError, OSError, ValueError) as error:
                self.status = Status.running  # any other status causes an AssertionError in the event loop
                watch.fail(_rejection(str(error)))

    return RecordingJob


class _Quoted:
    """Credentials whose paths are quoted for a job script."""

    def __init__(self, security: Any) -> None:
        self._security = security

    def get_tls_config_for_role(self, role: str) -> dict[str, str]:
        """Return the paths, quoted for bash."""
        return {key: shlex.quote(value) for key, value in self._security.get_tls_config_for_role(role).items()}


def _rejection(message: str) -> ClusterError:
    said = message.partition("stderr:\n")[2].strip() or message
    return refused(said)


def wait_for_workers(watch: Watch, count: int, *, name: str, timeout: float, logs: Path) -> None:
    """Wait for `count` workers.

    Raises:
        RequestError: Slurm says that the jobs will never start.
        ClusterError: a job was rejected or has ended, a worker was lost, or `timeout` seconds have passed.
    """
    deadline = monotonic() + timeout
    seen = set[str]()
    while not watch.wait(count, timeout=0.5):
        found = jobs(name)
        judge(found, logs)
        _judge_lost(found, seen=seen, lost=watch.lost(), logs=logs)
        seen |= {job.id for job in found}
        if monotonic() > deadline:
            raise ClusterError(
                f"Only {watch.count} of {count} workers connected within {timeout:.0f} s.",
                describe(found, logs),
                "on a busy cluster, request less or increase --timeout; otherwise see the log.",
            )


def _judge_lost(found: Sequence[QueuedJob], *, seen: set[str], lost: set[str], logs: Path) -> None:
    """Raise if a job has left the queue, or if a running job has lost a worker for good."""
    if gone := seen - {job.id for job in found}:
        left = ", ".join(sorted(gone))
        raise ClusterError(
            "A job left the queue before its workers connected.",
            f"  job {left}: no longer in squeue\n{log_tails(logs)}",
        )
    if hit := [job for job in found if job.id in lost]:
        raise ClusterError(
            "A worker was lost while others were still starting.",
            describe(hit, logs),
            "find out why it ended (memory, its log), then run the workload again.",
        )
