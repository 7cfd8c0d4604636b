"""All checks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dask_hpc.doctor.checks import clocks, environment, limits, machine, mpi, network, preemption, shared, slurm
from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict


@dataclass(frozen=True)
class Check:
    """A function that returns a verdict, or None if it does not apply, and its time limit in seconds."""

    look: Callable[[Site], Verdict | None]
    seconds: float


CHECKS = {
    "environment": Check(environment.lock, 10),
    "own packages": Check(environment.own_packages, 10),
    "Slurm": Check(slurm.version, 20),
    "sbatch": Check(slurm.submission, 20),
    "preemption": Check(preemption.preemption, 50),
    "sbatch on nodes": Check(preemption.submission_from_nodes, 50),
    "nodes": Check(slurm.nodes, 60),
    "environment on nodes": Check(environment.on_nodes, 60),
    "PMIx": Check(mpi.pmix, 20),
    "PMIx fences": Check(mpi.fences, 20),
    "MPI ranks": Check(mpi.ranks, 120),
    "shared folders": Check(shared.folders, 60),
    "interface": Check(network.interface, 60),
    "clocks": Check(clocks.skew, 60),
    "/dev/shm": Check(machine.shared_memory, 60),  # noqa: S108 (a name, not a file)
    "open files": Check(machine.open_files, 60),
    "user namespaces": Check(machine.namespaces, 60),
    "CPUs": Check(limits.cpus, 30),
    "memory": Check(limits.memory, 30),
}
