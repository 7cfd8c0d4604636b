"""Configure Open MPI for the machine and the job, which only the rank itself knows.

The settings are environment variables, set before MPI is loaded. A value that the user has set wins.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from dask_hpc.slurm.allocation import Allocation

YIELD = "OMPI_MCA_mpi_yield_when_idle"
WINDOWS = ("OMPI_MCA_osc_sm_backing_directory", "OMPI_MCA_osc_rdma_backing_directory")
ONE_SIDED = "OMPI_MCA_osc"
LOOPBACK = "OMPI_MCA_btl_tcp_if_exclude"

_SHM = Path("/dev/shm")  # noqa: S108 (where Open MPI puts windows)
_FABRICS = Path("/sys/class/infiniband")
_LEAST = 1 << 30  # bytes: Docker's default is 64 MB
_NOT_BY_SLURM = {
    "Accept",
    "Connect",
    "Create_from_group",
    "Create_from_groups",
    "Join",
    "Lookup_name",
    "Publish_name",
    "Spawn",
    "Spawn_multiple",
    "Unpublish_name",
}
"""Calls that need services that Slurm's PMIx lacks."""


def load(execute: Callable[[], None]) -> None:
    """Load MPI by calling `execute`, after setting the variables that are not set yet."""
    for name, value in settings(os.environ).items():
        os.environ.setdefault(name, value)
    _add_to_path(f"{sys.base_prefix}/bin")  # where Open MPI looks for the program that starts more processes
    here = "OPAL_PREFIX" not in os.environ and (Path(sys.base_prefix) / "share/openmpi").is_dir()
    if here:
        # Open MPI looks for its texts where it was built. The variable is removed after the import, since programs that
        # this one starts may have another Open MPI.
        os.environ["OPAL_PREFIX"] = sys.base_prefix
    try:
        execute()
    finally:
        if here:
            del os.environ["OPAL_PREFIX"]


def _add_to_path(folder: str) -> None:
    path = os.environ.get("PATH", os.defpath)
    if folder not in path.split(":"):
        os.environ["PATH"] = f"{path}:{folder}"  # last


def settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a rank with this environment."""
    found = {}
    if "HOME" not in environ:
        # Open MPI does not start without it, and does not look it up in the list of users.
        found["HOME"] = os.path.expanduser("~")  # noqa: PTH111 (Path.home() raises for a user who is not listed)
    if "PMIX_RANK" in environ and crowded(environ, len(os.sched_getaffinity(0))):
        # A rank that waits spins. That is best while each has a core (1.4 µs per message, 1.8 µs if it yields), but
        # costs milliseconds per message with more ranks than cores. Neither srun nor mpirun tells Open MPI.
        found[YIELD] = "1"
    if folder := roomier(_SHM, Path(environ.get("TMPDIR", "/tmp"))):  # noqa: S108
        # A window that does not fit into /dev/shm fails on one rank, and the others wait for that rank forever.
        found |= dict.fromkeys(WINDOWS, str(folder))
    if not _FABRICS.is_dir():
        # Without a fabric, UCX's one-sided component reports for every window, on every rank, that it cannot be used.
        found[ONE_SIDED] = "^ucx"
    if all(name == "lo" for _, name in socket.if_nameindex()):
        # A rank reaches the processes that it starts over TCP. Without a network only loopback works, which Open MPI
        # excludes by default.
        found[LOOPBACK] = ""
    return found


def crowded(environ: Mapping[str, str], cpus: int) -> bool:
    """Return whether this node has more ranks than CPUs; `cpus` is its number of CPUs if Slurm does not say."""
    allocation = Allocation.from_environment(environ)
    ranks = allocation.tasks_on_node if allocation.by_srun else _of_mpirun(environ)
    return (ranks or 0) > (allocation.cpus or cpus)


def _of_mpirun(environ: Mapping[str, str]) -> int:
    local = environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", "")
    return int(local) if local.isdigit() else 0


def roomier(shm: Path, other: Path) -> Path | None:
    """Return `other` for windows of shared memory, if `shm` is too small for most and has less room than `other`."""
    room = _free(shm)
    return other if room < _LEAST and _free(other) > room else None


def _free(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize if os.access(folder, os.W_OK) else 0


def explain_errors() -> None:
    """Make an unhandled MPI error end all ranks, and explain it if Slurm's PMIx is the cause.

    Otherwise the rank waits in MPI_Finalize, and the others wait for the rank, forever. MPI itself ends all ranks on an
    error, but mpi4py turns the error into an exception.
    """
    show = sys.excepthook

    def explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        from mpi4py import MPI

        if not isinstance(error, MPI.Exception):
            show(kind, error, trace)
            return
        if note := unsupported(trace, os.environ):
            error.add_note(note)
        show(kind, error, trace)
        if MPI.Is_initialized() and not MPI.Is_finalized() and MPI.COMM_WORLD.size > 1:
            MPI._set_abort_status(1)

    sys.excepthook = explain


def unsupported(trace: TracebackType | None, environ: Mapping[str, str]) -> str:
    """Return a note on a call that failed because Slurm's PMIx lacks a service that it needs; '' on other failures."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    function = trace.tb_frame.f_code.co_name.rpartition(".")[2] if trace else ""
    if function not in _NOT_BY_SLURM or not started_by_srun(environ):
        return ""
    return (
        f"{function} does not work in ranks that srun has started: Slurm's PMIx has no such service. "
        "Start all ranks at once, or start the program with mpirun inside the allocation."
    )


def started_by_srun(environ: Mapping[str, str]) -> bool:
    """Return whether this process is a rank that srun has started."""
    return "PMIX_RANK" in environ and Allocation.from_environment(environ).by_srun
