"""Preload for Dask's processes in an MPI job: end the whole job cleanly, regardless of which process ends first.

Dask continues when a worker is lost. An MPI world cannot: the remaining ranks wait for the lost one forever. Therefore

- the scheduler ends the job when a rank is lost, and reports which one;
- it closes when its client is lost, if it was started for a client;
- SIGTERM (scancel, or the job's time limit) closes every process cleanly;
- a process aborts the world if the others do not finish in time.

Dask's configuration names it (`distributed.scheduler.preload`), so plain dask-mpi loads it too; its settings are in
`dask_hpc.mpi.settings`.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, NoReturn

from distributed import Scheduler

from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.ending import TERMINATED, Ending, abort, later, remove_folder, running_mpi, say
from dask_hpc.mpi.scheduler_file import Origin
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.watch import WorldWatch
from dask_hpc.slurm.allocation import Allocation

_PATIENCE = 20.0  # seconds that ranks wait for each other after the cluster has closed
_CLOSING = 3.0  # seconds for closing, before Slurm kills (KillWait, by default 30)

_ending = Ending()
_kept: list[Any] = []  # MPI requests and asyncio tasks, which may vanish without a reference


def dask_setup(server: Any) -> None:
    """Set up a scheduler or a worker; called by Dask."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, _terminate, server)
    _ending.expect_exit()
    logging.getLogger("distributed.worker").addFilter(_without_traceback)
    if isinstance(server, Scheduler):
        _set_up_scheduler(server, MpiSettings.configured())


def _set_up_scheduler(scheduler: Scheduler, settings: MpiSettings) -> None:
    scheduler.handlers |= {"restart": _refuse_restart, "restart_workers": _refuse_restart}
    _publish(scheduler, settings)
    if settings.world:
        # the others wait for it (`dask_hpc.mpi.world.wait`), then dask-mpi continues
        _kept.append(running_mpi().COMM_WORLD.Ibarrier())
    scheduler.add_plugin(WorldWatch(scheduler, settings, _give_up))


async def _refuse_restart(**_: Any) -> NoReturn:
    """Reject the restart: Dask would end the workers, and wait for ones that never come back."""
    raise RuntimeError(
        "The workers are MPI ranks, which cannot be restarted: the MPI world would break. "
        "What to do: release results with client.cancel(futures), or start another cluster."
    )


def _publish(scheduler: Scheduler, settings: MpiSettings) -> None:
    file = _scheduler_file(scheduler, settings)
    if not file:
        return
    dashboard = scheduler.services.get("dashboard")
    here = Allocation.from_environment()
    origin = Origin(
        job=here.job,
        node=here.node,
        dashboard=dashboard.port if dashboard else 0,
        world=settings.world,
        mpi=settings.mpi,
    )
    try:
        mpi_scheduler_file.publish(file, scheduler.identity(), origin)
    except OSError as error:
        say(f"cannot write the scheduler file {file}: {error}")
        abort("without it, clients and workers cannot find the scheduler")


def _scheduler_file(scheduler: Scheduler, settings: MpiSettings) -> Path | None:
    path = settings.scheduler_file or getattr(scheduler, "scheduler_file", None)
    return Path(path) if path else None


def _without_traceback(record: logging.LogRecord) -> bool:
    """Remove the traceback of a heartbeat that found no scheduler: it may have closed normally."""
    if "during heartbeat" in record.msg and isinstance((record.exc_info or (None, None))[1], OSError):
        record.exc_info = None
    return True


def dask_teardown(server: Any) -> None:
    """Clean up when a scheduler or a worker closes; called by Dask."""
    if isinstance(server, Scheduler) and (file := _scheduler_file(server, MpiSettings.configured())):
        file.unlink(missing_ok=True)
    for executor in getattr(server, "executors", {}).values():
        _do_not_wait(executor)
    later(_PATIENCE, abort, "the other ranks did not exit in time")


def _do_not_wait(executor: Any) -> None:
    """Make shutdown ignore running tasks: their results are useless, and all ranks would wait for them."""
    shutdown = executor.shutdown
    executor.shutdown = lambda wait=True, **how: shutdown(wait=False, **how)  # noqa: ARG005


def _terminate(server: Any) -> None:
    """Close after SIGTERM without waiting for tasks or for the other ranks, which get the signal too."""
    _ending.set_status(TERMINATED)
    if isinstance(server, Scheduler):
        say("SIGTERM: the job was cancelled, or reached its time limit")
        closing = server.close(reason="SIGTERM")
    else:
        closing = server.close(reason="SIGTERM", executor_wait=False)
    later(_CLOSING, _ending.end)
    _keep_running(closing)


def _give_up(scheduler: Scheduler, reason: str, *, broken: bool) -> None:
    """Close the cluster, and abort the world if it is broken."""
    if _ending.status is not None:
        return
    if broken:
        _ending.set_status(1)  # at once: Slurm's PMIx may kill the step for the same reason
    say(reason)
    if broken:
        later(_CLOSING, _ending.end)
    else:
        atexit.register(remove_folder)  # the program that created the folder has exited
    _keep_running(scheduler.close(reason=reason))


def _keep_running(closing: Awaitable[None]) -> None:
    _kept.append(asyncio.ensure_future(closing))
