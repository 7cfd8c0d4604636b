"""End a process of an MPI job after Dask has ended: normally, after SIGTERM, or with the whole MPI world."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.world import wait
from dask_hpc.slurm.allocation import Allocation

TERMINATED = 128 + signal.SIGTERM


class Ending:
    """How this process ends.

    Attributes:
        status: the exit status; None for a normal end.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self._expected = False

    def expect_exit(self) -> None:
        """Register `end` to run when Python exits; repeated calls register it once."""
        if not self._expected:
            self._expected = True
            atexit.register(self.end)

    def set_status(self, status: int) -> None:
        """End with this status once Dask has closed, and remove the cluster's folder now.

        Every rank removes the folder, as the rank that created it may have been killed. It must not wait: once Dask's
        event loop has ended, another SIGTERM kills the process.
        """
        self.status = status
        if MpiSettings.configured().made_here:
            remove_folder()

    def end(self) -> None:
        """End this process as `status` says, at its exit or when closing takes too long."""
        sys.stdout.flush()
        sys.stderr.flush()
        mpi = running_mpi()
        if self.status == TERMINATED:
            os._exit(self.status)
        if self.status:
            abort()
        elif mpi and not mpi.Is_finalized():
            wait(mpi.COMM_WORLD.Ibarrier())
            mpi.Finalize()  # now, as `later` no longer works once Python shuts down


def remove_folder() -> None:
    """Remove the cluster's private folder, if it has one."""
    if folder := MpiSettings.configured().folder:
        with suppress(OSError):
            Folder(Path(folder)).remove()


def abort(reason: str = "") -> None:
    """End all ranks at once."""
    if reason:
        say(reason)
    sys.stderr.flush()
    mpi = running_mpi()
    if mpi and not mpi.Is_finalized():
        mpi.COMM_WORLD.Abort(1)
    os._exit(1)


def say(text: str) -> None:
    """Write a line to the job's log, with this process's rank and node."""
    mpi = running_mpi()
    rank = mpi.COMM_WORLD.rank if mpi and not mpi.Is_finalized() else "?"
    where = Allocation.from_environment().node or os.uname().nodename
    print(f"dask-hpc: rank {rank} on {where}: {text}", file=sys.stderr, flush=True)  # noqa: T201


def running_mpi() -> Any:
    """Return the module `mpi4py.MPI` if this process is a rank, else None."""
    module: Any = sys.modules.get("mpi4py.MPI")
    return module if module and module.Is_initialized() else None


def later(seconds: float, function: Callable[..., None], *arguments: str) -> None:
    """Call a function in a thread after some seconds, unless the process has ended by then."""
    timer = threading.Timer(seconds, function, arguments)
    timer.daemon = True
    timer.start()
