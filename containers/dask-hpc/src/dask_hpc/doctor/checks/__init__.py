"""All checks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable

from dask_hpc.doctor.checks import clocks, environment, limits, machine, mpi, network, shared, slurm
from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict

__all__ = ["CHECKS", "Check"]

Check = Callable[[Site], Verdict | None]

# The number is how many seconds a check may take. A check that has nothing to say where it is returns None.
CHECKS: dict[str, tuple[Check, float]] = {
    "environment": (environment.lock, 10),
    "own packages": (environment.own_packages, 10),
    "Slurm": (slurm.version, 20),
    "sbatch": (slurm.submission, 20),
    "nodes": (slurm.nodes, 60),
    "environment on nodes": (environment.on_nodes, 60),
    "PMIx": (mpi.pmix, 20),
    "PMIx fences": (mpi.fences, 20),
    "MPI ranks": (mpi.ranks, 120),
    "shared folders": (shared.folders, 60),
    "interface": (network.interface, 60),
    "clocks": (clocks.skew, 60),
    "/dev/shm": (machine.shared_memory, 60),  # noqa: S108 (a name, no file)
    "open files": (machine.open_files, 60),
    "user namespaces": (machine.namespaces, 60),
    "CPUs": (limits.cpus, 30),
    "memory": (limits.memory, 30),
}
