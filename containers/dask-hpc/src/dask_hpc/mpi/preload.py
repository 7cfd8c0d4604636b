"""What Dask's processes in an MPI job load first: it makes the job end, and end well, whichever of them ends first.

Dask goes on when a worker is lost. An MPI world cannot: the ranks that are left wait for the lost one for ever. So

- the scheduler gives the job up when a rank has gone, and says which;
- it closes when its client has gone, if it was started for that one;
- SIGTERM (scancel, the end of the job's time) closes every process in good order;
- who waits in vain for the others to finish, aborts the world.

Dask's configuration names it (`distributed.scheduler.preload`), so plain dask-mpi has it as well; what it is to do is
under `dask-hpc.mpi` there.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from dask import config

from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.watch import WorldWatch
from dask_hpc.mpi.world import wait

__all__ = ["dask_setup", "dask_teardown"]

_PATIENCE = 20.0  # seconds that the ranks of a cluster that has closed wait for each other
_CLOSING = 3.0  # seconds to close in, before Slurm kills (KillWait, 30 unless a site has changed it)


class _Ending:
    """How this process is to end, once Dask has."""

    status: int | None = None  # None: in good order
    registered = False
    entered: Any = None  # a request, kept until it is done


def dask_setup(server: Any) -> None:
    """Set up a scheduler or a worker; Dask calls it."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, _terminate, server)
    if not _Ending.registered:
        _Ending.registered = True
        atexit.register(_end)
        logging.getLogger("distributed.worker").addFilter(_without_traceback)
    if hasattr(server, "add_plugin"):  # a scheduler
        server.handlers |= {"restart": _refuse_restart, "restart_workers": _refuse_restart}
        _publish(server)
        if "world" in config.get("dask-hpc.mpi", {}):
            # the others wait for it (`mpi_world.wait`), and dask-mpi goes on
            _Ending.entered = _mpi().COMM_WORLD.Ibarrier()
        server.add_plugin(WorldWatch(server, config.get("dask-hpc.mpi", {}), _give_up))


async def _refuse_restart(**_: Any) -> NoReturn:
    """Refuse before anything is lost: Dask would end the workers, and wait for them in vain."""
    raise RuntimeError(
        "The workers are MPI ranks, which cannot be restarted: the MPI world would break. "
        "What to do: release results by client.cancel(futures), or start another cluster."
    )


def dask_teardown(server: Any) -> None:
    """Tidy up as a scheduler or a worker closes; Dask calls it."""
    if file := _file(server):
        file.unlink(missing_ok=True)
    for executor in getattr(server, "executors", {}).values():
        _do_not_wait(executor)
    _later(_PATIENCE, _abort, "the other ranks have not ended")


def _without_traceback(record: logging.LogRecord) -> bool:
    """Leave a heartbeat that fails its message alone: the scheduler may just have closed, as it should."""
    if "during heartbeat" in record.msg and isinstance((record.exc_info or (None, None))[1], OSError):
        record.exc_info = None
    return True


def _do_not_wait(executor: Any) -> None:
    """Have its shutdown leave tasks alone that still run: for nobody, half a minute long, while all ranks wait."""
    shutdown = executor.shutdown
    executor.shutdown = lambda wait=True, **how: shutdown(wait=False, **how)  # noqa: ARG005


def _file(server: Any) -> Path | None:
    path = config.get("dask-hpc.mpi.scheduler-file", None) or getattr(server, "scheduler_file", None)
    return Path(path) if path and hasattr(server, "add_plugin") else None


def _publish(scheduler: Any) -> None:
    file = _file(scheduler)
    if not file:
        return
    settings = config.get("dask-hpc.mpi", {})
    dashboard = scheduler.services.get("dashboard")
    more = {
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "node": os.environ.get("SLURMD_NODENAME", ""),
        "dashboard": dashboard.port if dashboard else 0,
        **{name: settings[name] for name in ("world", "mpi") if name in settings},
    }
    try:
        mpi_scheduler_file.publish(file, scheduler.identity(), more)
    except OSError as error:
        _say(f"the scheduler file {file} cannot be written: {error}")
        _abort("nobody could find the scheduler")


def _terminate(server: Any) -> None:
    """Close after SIGTERM, without waiting for tasks, nor for the other ranks, which are told as well."""
    _ended_by(128 + signal.SIGTERM)
    if hasattr(server, "add_plugin"):
        _say("SIGTERM: the job is cancelled, or its time is over")
        closing = server.close(reason="SIGTERM")
    else:
        closing = server.close(reason="SIGTERM", executor_wait=False)
    _later(_CLOSING, _end)
    server._mpi_closing = asyncio.ensure_future(closing)  # kept: a task that nobody holds may vanish


def _give_up(scheduler: Any, reason: str, *, broken: bool) -> None:
    """Close the cluster, and the world with it if it is broken."""
    if _Ending.status is not None:
        return
    if broken:
        _ended_by(1)  # at once: Slurm's PMIx may kill the step for the same reason
    _say(reason)
    if broken:
        _later(_CLOSING, _end)
    else:
        atexit.register(_remove)  # whoever has made the folder is no longer there
    scheduler._mpi_closing = asyncio.ensure_future(scheduler.close(reason=reason))


def _ended_by(status: int) -> None:
    """End with that status once Dask has closed; the folder goes at once.

    Every rank removes it, as the one that has made it may be the one that was killed; and not later: there may be
    another SIGTERM, and it kills as soon as Dask's event loop has ended.
    """
    _Ending.status = status
    if config.get("dask-hpc.mpi.made-here", False):
        _remove()


def _remove() -> None:
    """Remove the cluster's folder, if it has one."""
    if folder := config.get("dask-hpc.mpi.folder", None):
        with suppress(OSError):
            Folder(Path(folder)).remove()


def _end() -> None:
    """End this process as it has to; at its exit, or when closing takes too long."""
    sys.stdout.flush()
    sys.stderr.flush()
    mpi = _mpi()
    if _Ending.status == 128 + signal.SIGTERM:
        os._exit(_Ending.status)
    if _Ending.status:
        _abort("")
    elif mpi and not mpi.Is_finalized():
        wait(mpi.COMM_WORLD.Ibarrier())
        mpi.Finalize()  # here, where `_later` still works, and not when Python is down already


def _abort(reason: str) -> None:
    """End all ranks at once."""
    if reason:
        _say(reason)
    sys.stderr.flush()
    mpi = _mpi()
    if mpi and not mpi.Is_finalized():
        mpi.COMM_WORLD.Abort(1)
    os._exit(1)


def _mpi() -> Any:
    """Return mpi4py's module, if this process is a rank."""
    module: Any = sys.modules.get("mpi4py.MPI")
    return module if module and module.Is_initialized() else None


def _later(seconds: float, function: Any, *arguments: str) -> None:
    timer = threading.Timer(seconds, function, arguments)
    timer.daemon = True
    timer.start()


def _say(text: str) -> None:
    mpi = _mpi()
    rank = mpi.COMM_WORLD.rank if mpi and not mpi.Is_finalized() else "?"
    where = os.environ.get("SLURMD_NODENAME") or os.uname().nodename
    print(f"dask-hpc: rank {rank} on {where}: {text}", file=sys.stderr, flush=True)  # noqa: T201
