"""Preload for Dask's processes in an MPI job: it ends the whole job cleanly, whichever process ends first.

Dask goes on when a worker is lost. An MPI world cannot: the ranks that are left wait for the lost one forever. So

- the scheduler gives the job up when a rank has gone, and says which;
- it closes when its client has gone, if it was started for that one;
- SIGTERM (scancel, the end of the job's time) closes every process in good order;
- a process that waits in vain for the others to finish aborts the world.

Dask's configuration names it (`distributed.scheduler.preload`), so plain dask-mpi has it as well; its settings are
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

_PATIENCE = 20.0  # seconds that the ranks of a cluster that has closed wait for each other
_CLOSING = 3.0  # seconds to close in, before Slurm kills (KillWait, 30 unless a site has changed it)

_ending = Ending()
_kept: list[Any] = []  # requests of MPI and tasks of asyncio, which may vanish where nothing refers to them


def dask_setup(server: Any) -> None:
    """Set up a scheduler or a worker; Dask calls it."""
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
        # the others wait for it (`dask_hpc.mpi.world.wait`), and dask-mpi goes on
        _kept.append(running_mpi().COMM_WORLD.Ibarrier())
    scheduler.add_plugin(WorldWatch(scheduler, settings, _give_up))


async def _refuse_restart(**_: Any) -> NoReturn:
    """Refuse before anything is lost: Dask would end the workers, and wait for them in vain."""
    raise RuntimeError(
        "The workers are MPI ranks, which cannot be restarted: the MPI world would break. "
        "What to do: release results by client.cancel(futures), or start another cluster."
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
        say(f"the scheduler file {file} cannot be written: {error}")
        abort("no client or worker could find the scheduler")


def _scheduler_file(scheduler: Scheduler, settings: MpiSettings) -> Path | None:
    path = settings.scheduler_file or getattr(scheduler, "scheduler_file", None)
    return Path(path) if path else None


def _without_traceback(record: logging.LogRecord) -> bool:
    """Leave a heartbeat that fails its message alone: the scheduler may just have closed, as it should."""
    if "during heartbeat" in record.msg and isinstance((record.exc_info or (None, None))[1], OSError):
        record.exc_info = None
    return True


def dask_teardown(server: Any) -> None:
    """Tidy up as a scheduler or a worker closes; Dask calls it."""
    if isinstance(server, Scheduler) and (file := _scheduler_file(server, MpiSettings.configured())):
        file.unlink(missing_ok=True)
    for executor in getattr(server, "executors", {}).values():
        _do_not_wait(executor)
    later(_PATIENCE, abort, "the other ranks have not ended")


def _do_not_wait(executor: Any) -> None:
    """Have its shutdown leave running tasks alone: their results are of no use, and all ranks would wait."""
    shutdown = executor.shutdown
    executor.shutdown = lambda wait=True, **how: shutdown(wait=False, **how)  # noqa: ARG005


def _terminate(server: Any) -> None:
    """Close after SIGTERM, without waiting for tasks, nor for the other ranks, which are told as well."""
    _ending.set_status(TERMINATED)
    if isinstance(server, Scheduler):
        say("SIGTERM: the job is cancelled, or its time is over")
        closing = server.close(reason="SIGTERM")
    else:
        closing = server.close(reason="SIGTERM", executor_wait=False)
    later(_CLOSING, _ending.end)
    _keep_running(closing)


def _give_up(scheduler: Scheduler, reason: str, *, broken: bool) -> None:
    """Close the cluster, and the world with it if it is broken."""
    if _ending.status is not None:
        return
    if broken:
        _ending.set_status(1)  # at once: Slurm's PMIx may kill the step for the same reason
    say(reason)
    if broken:
        later(_CLOSING, _ending.end)
    else:
        atexit.register(remove_folder)  # the program that has made the folder is no longer there
    _keep_running(scheduler.close(reason=reason))


def _keep_running(closing: Awaitable[None]) -> None:
    _kept.append(asyncio.ensure_future(closing))
