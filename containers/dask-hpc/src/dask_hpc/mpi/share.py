"""Divide a job's resources on a node among its MPI ranks there, so that no rank uses the whole node.

dask-mpi itself gives every rank all cores and all memory of its machine: eight ranks on a node then use up to eight
times its resources, and Slurm kills the job.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from dask_hpc.errors import RequestError
from dask_hpc.slurm.allocation import VARIABLES, Allocation


@dataclass(frozen=True)
class Share:
    """A rank's part of its node.

    Attributes:
        threads: Dask threads, one per core.
        memory: bytes.
        why: source of these figures.
    """

    threads: int
    memory: int
    why: str


@dataclass(frozen=True)
class Machine:
    """Resources that processes here may use: cores, bytes of memory, and whether a limit is set on memory."""

    cores: int
    memory: int
    limited: bool = False


def of_this_rank(ranks: int) -> Share:
    """Return the share of this process, which is one of `ranks` on this node."""
    from distributed.system import MEMORY_LIMIT  # of the control group, or a resource limit: Slurm may set either

    memory = int(MEMORY_LIMIT)
    machine = Machine(len(os.sched_getaffinity(0)), memory, limited=memory < psutil.virtual_memory().total)
    return share(Allocation.from_environment(), ranks, machine)


def share(allocation: Allocation, ranks: int, machine: Machine) -> Share:
    """Return the share of one of `ranks` ranks on this node.

    Args:
        allocation: resources from Slurm, if there is a job.
        ranks: number of this world's ranks on this node.
        machine: resources to use if Slurm does not set any.

    Raises:
        RequestError: the ranks need more cores than the job has here.
    """
    cores = allocation.cpus or machine.cores
    threads = allocation.cpus_per_task or max(1, cores // ranks)
    if allocation.cpus and ranks * threads > cores and not allocation.overcommit:
        _refuse(node=allocation.node, ranks=ranks, threads=threads, cores=cores)
    memory, source = _memory(allocation, cores, machine)
    why = f"{ranks} ranks share {cores} cores and {memory >> 20} MiB of a node, by {source}"
    return Share(threads, memory // ranks, why)


def _refuse(*, node: str, ranks: int, threads: int, cores: int) -> None:
    raise RequestError(
        f"{ranks} ranks of {threads} {'core' if threads == 1 else 'cores'} are too many for {node or 'this node'}.",
        f"Slurm gave the job {cores} cores there ({VARIABLES['cpus']}).",
        f"request them: sbatch --ntasks-per-node={ranks} --cpus-per-task={threads}; or start at most "
        f'{max(1, cores // threads)} per node: mpirun -np "$SLURM_NTASKS".',
    )


def _memory(allocation: Allocation, cores: int, machine: Machine) -> tuple[int, str]:
    """Return the job's memory on this node in bytes, and the source of this figure."""
    if allocation.memory_per_node:
        return allocation.memory_per_node << 20, VARIABLES["memory_per_node"]
    if allocation.memory_per_cpu:
        return (allocation.memory_per_cpu << 20) * cores, VARIABLES["memory_per_cpu"]
    if machine.limited:
        return machine.memory, "the memory limit of processes here"
    return machine.memory * min(cores, machine.cores) // machine.cores, "the machine's memory and cores"
