"""Share what Slurm gave a job on a node among its MPI ranks there: none may use the whole node.

dask-mpi itself gives every rank all cores and all memory of its machine: eight ranks of a node then have eight times
what there is, and Slurm kills the job.
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
        threads: cores, each for a thread of Dask's.
        memory: bytes.
        why: where these figures are from.
    """

    threads: int
    memory: int
    why: str


@dataclass(frozen=True)
class Machine:
    """Resources that processes here may use: cores, bytes of memory, and whether they are limited."""

    cores: int
    memory: int
    limited: bool = False


def of_this_rank(ranks: int) -> Share:
    """Return the share of this process, which is one of `ranks` on this node."""
    from distributed.system import MEMORY_LIMIT  # a control group's, or a resource limit: Slurm may set either

    memory = int(MEMORY_LIMIT)
    machine = Machine(len(os.sched_getaffinity(0)), memory, limited=memory < psutil.virtual_memory().total)
    return share(Allocation.from_environment(), ranks, machine)


def share(allocation: Allocation, ranks: int, machine: Machine) -> Share:
    """Return the share of one of `ranks` ranks on this node.

    Args:
        allocation: what Slurm gave, if there is a job.
        ranks: how many of this world run on this node.
        machine: what to go by where Slurm says nothing.

    Raises:
        RequestError: there are more ranks here than the job has cores.
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
        f"ask for them: sbatch --ntasks-per-node={ranks} --cpus-per-task={threads}; or start no more than "
        f'{max(1, cores // threads)} a node: mpirun -np "$SLURM_NTASKS".',
    )


def _memory(allocation: Allocation, cores: int, machine: Machine) -> tuple[int, str]:
    """Return the job's bytes on this node, and what says so."""
    if allocation.memory_per_node:
        return allocation.memory_per_node << 20, VARIABLES["memory_per_node"]
    if allocation.memory_per_cpu:
        return (allocation.memory_per_cpu << 20) * cores, VARIABLES["memory_per_cpu"]
    if machine.limited:
        return machine.memory, "the limit that is set for processes here"
    return machine.memory * min(cores, machine.cores) // machine.cores, "the machine's, by cores"
