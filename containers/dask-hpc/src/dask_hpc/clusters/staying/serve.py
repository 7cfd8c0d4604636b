"""The scheduler of a cluster that stays, as its job or a login node runs it: `dask-hpc cluster serve NAME`."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from dask.utils import format_time
from distributed.diagnostics.plugin import SchedulerPlugin

from dask_hpc import sif
from dask_hpc.clusters.base import quieten
from dask_hpc.clusters.jobs import cancelled_at_end
from dask_hpc.clusters.slurm.backend import SlurmBackend, SlurmPlan, kept_cluster
from dask_hpc.clusters.slurm.kept.cluster import KeptScheduler
from dask_hpc.clusters.slurm.kept.keeper import Keeper
from dask_hpc.clusters.staying import relay
from dask_hpc.clusters.staying.attach import ENDED
from dask_hpc.clusters.staying.folder import Address, ClusterFolder, End, Request
from dask_hpc.credentials import credentials
from dask_hpc.errors import DaskHpcError
from dask_hpc.screen import Screen
from dask_hpc.slurm.environment import CHOICES, plain
from dask_hpc.stop import Stopped, ignore_further_signals, stopping_cleanly

if TYPE_CHECKING:
    from distributed import Security

    from dask_hpc.clusters.slurm.kept.cluster import KeptCluster

_IDLE = "idle-timeout-exceeded"  # Dask's reason
_CHECK = 5.0  # seconds between looks at the folder, which a user may remove


class Ending:
    """Why the cluster ends: the first reason counts.

    Args:
        folder: the cluster's folder, which notes the reason.
    """

    def __init__(self, folder: ClusterFolder) -> None:
        self._folder = folder
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.end: End | None = None
        self.wanted = False

    def now(self, reason: str) -> None:
        """End the cluster as its user wants."""
        self._end(End(reason=reason), wanted=True)

    def told(self) -> None:
        """End the cluster because Slurm or a user ends this process."""
        self._end(End(reason="ended: its scheduler was told to end", by_slurm=True), wanted=False)

    def error(self, error: Exception) -> None:
        """End the cluster with an error."""
        text = error.message if isinstance(error, DaskHpcError) else f"{type(error).__name__}: {error}"
        self._end(End(reason="ended with an error", details=text), wanted=False)

    def _end(self, end: End, *, wanted: bool) -> None:
        with self._lock:
            if self.end is None:
                self.end, self.wanted = end, wanted
                self._folder.ended(end)  # at once: Slurm may kill this process soon
        self._over.set()

    def wait(self, seconds: float) -> bool:
        """Return whether it ends within some seconds."""
        return self._over.wait(seconds)


class StayingScheduler(KeptScheduler):
    """A scheduler that leaves it to the main thread to close it, together with the jobs."""

    def __init__(self, *args: Any, ending: Ending, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ending = ending

    async def close(self, timeout: float | None = None, reason: str = "unknown") -> None:
        """Close as Dask does, or note why Dask or a client wants it."""
        if self._ending.end is None:
            idle = f"ended: it was idle for {format_time(float(self.idle_timeout or 0))}"
            self._ending.now(idle if reason == _IDLE else "was shut down by a client")
        else:
            await super().close(timeout=timeout, reason=reason)


class Reception(SchedulerPlugin):
    """Tell the keeper about workers, and clients about the end."""

    name = "dask-hpc-staying"

    scheduler: Any = None

    def __init__(self, keeper: Keeper, ending: Ending) -> None:
        self._keeper = keeper
        self.ending = ending

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Note that a worker has connected."""
        self._keeper.came(scheduler.workers[worker])

    async def before_close(self) -> None:
        """Tell clients why the cluster ends, before their connections are closed."""
        end = self.ending.end
        if end and self.scheduler:
            self.scheduler.log_event(ENDED, msgspec.to_builtins(end))
            await asyncio.gather(*(comm.close() for comm in list(self.scheduler.client_comms.values())))


@dataclass(frozen=True, kw_only=True)
class StayingPlan(SlurmPlan):
    """Worker jobs of a cluster that stays, whose credentials are in its folder."""

    folder: ClusterFolder

    @property
    def credentials(self) -> Path | None:
        """Folder of the credentials."""
        return self.folder.tls


def serve(name: str) -> int:
    """Run the scheduler until it is stopped, or has no reason to go on; return the exit status."""
    folder = ClusterFolder(name)
    request = folder.request()
    if request is None:
        return 0  # stopped before its job started
    quieten()
    ending = Ending(folder)
    with suppress(Stopped, Exception), stopping_cleanly(), _noted(ending):  # the folder and the log report it
        _serve(folder, request, ending)
    return _finish(folder, ending)


@contextmanager
def _noted(ending: Ending) -> Iterator[None]:
    """Note why the block ends, if that is before the user wants it."""
    try:
        yield
    except Stopped:
        ignore_further_signals()
        ending.told()
        raise
    except Exception as error:
        ending.error(error)
        raise


def _finish(folder: ClusterFolder, ending: Ending) -> int:
    """Leave the logs of a cluster that did not end as it should, and nothing of any other."""
    shutil.rmtree(folder.tls, ignore_errors=True)
    if ending.wanted or ending.end is None:
        folder.remove()
        return 0
    sys.stderr.write(f"The cluster {folder.name} {ending.end.reason}.\n{ending.end.details}\n")
    return 1


def _serve(folder: ClusterFolder, request: Request, ending: Ending) -> None:
    screen = Screen(pipe_width=1000)
    job = _leave_job()
    plan = _plan(folder, request)
    keeper = plan.keeper(fail=ending.error, say=lambda line: _log(screen, line))
    reception = Reception(keeper, ending)
    with (
        cancelled_at_end(plan.name),  # without a wait: Slurm may kill this process before
        credentials(folder.tls, timedelta(seconds=request.lifetime)) as security,
        kept_cluster(
            plan,
            keeper,
            reception,
            security,
            scheduler_cls=StayingScheduler,
            ending=ending,
            idle_timeout=f"{request.idle}s",
        ) as cluster,
        _noted(ending),  # before the cluster is closed, which tells clients
        _leaving_the_rest_to_the_launcher(cluster, reception, folder),
    ):
        reception.scheduler = cluster.scheduler
        dashboard = _prepare(cluster, keeper, ending, security)
        cluster.scale(jobs=plan.request.jobs)
        if plan.request.most_jobs > plan.request.jobs:
            cluster.adapt(minimum_jobs=plan.request.jobs, maximum_jobs=plan.request.most_jobs)
        here = Address(
            scheduler=cluster.scheduler_address,
            dashboard=dashboard,
            node=socket.gethostname(),
            pid=os.getpid(),
            job=job,
            workers=plan.name,
        )
        folder.began(here)
        _log(screen, f"The scheduler listens at {here.scheduler}.")
        while not ending.wait(_CHECK):
            if not folder.exists:
                ending.now("was stopped: its folder was removed")


@contextmanager
def _leaving_the_rest_to_the_launcher(
    cluster: KeptCluster, reception: Reception, folder: ClusterFolder
) -> Iterator[None]:
    """In a SIF, end at once if Slurm ends the job: it also ends the server of the SIF's file system.

    Nothing more can be started in the SIF then. The launcher around it cancels the worker jobs, by their name.
    """
    try:
        yield
    except Stopped:
        if not sif.current() or not os.environ.get("DASK_HPC_SESSION"):
            raise
        ignore_further_signals()
        reception.ending.told()
        with suppress(Exception):
            cluster.sync(reception.before_close, callback_timeout=2)
        shutil.rmtree(folder.tls, ignore_errors=True)
        os._exit(1)


def _leave_job() -> str:
    """Forget the job around this process, whose variables would become options of worker jobs; return its number."""
    job = os.environ.get("SLURM_JOB_ID", "")
    choices = {variable: os.environ[variable] for variable in CHOICES.values() if variable in os.environ}
    kept = plain(os.environ) | choices
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    return job


def _plan(folder: ClusterFolder, request: Request) -> StayingPlan:
    options = request.options
    if options.log_directory is None:
        options = replace(options, log_directory=folder.logs)
    plan = SlurmBackend().plan(options)
    values = {field.name: getattr(plan, field.name) for field in fields(plan)}
    if not os.environ.get("DASK_HPC_SESSION"):  # else the name has the launcher's session, which cancels them
        values["name"] = request.jobs
    return StayingPlan(**values, folder=folder)


def _prepare(cluster: KeptCluster, keeper: Keeper, ending: Ending, security: Security) -> tuple[str, int]:
    """Let clients control the cluster, and open the dashboard for the relay; return the dashboard's address."""
    scheduler: Any = cluster.scheduler

    def status() -> dict[str, Any]:
        return _status(scheduler, keeper)

    def scale(fewest: int, most: int) -> None:
        if most > fewest:
            keeper.adapt(fewest, most)
        else:
            keeper.scale(most)

    def stop() -> None:
        ending.now("was stopped")

    scheduler.handlers.update(dask_hpc_status=status, dask_hpc_scale=scale, dask_hpc_stop=stop)
    opened: tuple[str, int] = cluster.sync(relay.open_dashboard, scheduler, security)
    return opened


def _status(scheduler: Any, keeper: Keeper) -> dict[str, Any]:
    """Return what `dask-hpc cluster status` shows."""
    tasks = scheduler.tasks.values()
    found: dict[str, int] = {}
    for task in tasks:
        found[task.state] = found.get(task.state, 0) + 1
    idle = scheduler.idle_since
    return {
        "jobs": keeper.describe(),
        "target": keeper.bounds,
        "workers": len(scheduler.workers),
        "threads": sum(worker.nthreads for worker in scheduler.workers.values()),
        "worker_threads": min((worker.nthreads for worker in scheduler.workers.values()), default=1),
        "worker_memory": min((worker.memory_limit or 0 for worker in scheduler.workers.values()), default=0),
        "memory": sum(worker.nbytes for worker in scheduler.workers.values()),
        "tasks": found,
        "clients": len([name for name in scheduler.clients if name != "fire-and-forget"]),
        "published": sorted(map(str, scheduler.extensions["publish"].datasets)),
        "idle": time.time() - idle if idle else 0.0,
    }


def _log(screen: Screen, line: str) -> None:
    screen.say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
