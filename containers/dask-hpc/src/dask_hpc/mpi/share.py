"""What one MPI rank may use: its share of what Slurm gave the job on its node, never the whole node.

dask-mpi itself gives every rank all cores and all memory of its machine: eight ranks of a node then have eight times
what there is, and Slurm kills the job.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dask_hpc.errors import RequestError

__all__ = ["Machine", "Share", "of_this_rank", "share"]


@dataclass(frozen=True)
class Share:
    """What a rank may use.

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
    """What processes here may use: cores, bytes of memory, and whether those are less than there is."""

    cores: int
    memory: int
    limited: bool = False


def share(environ: Mapping[str, str], ranks: int, machine: Machine) -> Share:
    """Return the share of one of `ranks` ranks on this node.

    Args:
        environ: this process's environment, with Slurm's variables if there is a job.
        ranks: how many of this world run on this node.
        machine: what to go by where those say nothing.

    Raises:
        RequestError: there are more ranks here than the job has cores.
    """
    given = _number(environ.get("SLURM_CPUS_ON_NODE"))
    cores = given or machine.cores
    threads = _number(environ.get("SLURM_CPUS_PER_TASK")) or max(1, cores // ranks)
    if given and ranks * threads > given and "SLURM_OVERCOMMIT" not in environ:
        _refuse(environ, ranks, threads, given)
    memory, source = _memory(environ, cores, machine)
    why = f"{ranks} ranks share {cores} cores and {memory >> 20} MiB of a node, by {source}"
    return Share(threads, memory // ranks, why)


def _memory(environ: Mapping[str, str], cores: int, machine: Machine) -> tuple[int, str]:
    """Return the job's bytes on this node, and what says so."""
    if mib := _number(environ.get("SLURM_MEM_PER_NODE")):
        return mib << 20, "SLURM_MEM_PER_NODE"
    if mib := _number(environ.get("SLURM_MEM_PER_CPU")):
        return (mib << 20) * cores, "SLURM_MEM_PER_CPU"
    if machine.limited:
        return machine.memory, "the limit that is set for processes here"
    return machine.memory * min(cores, machine.cores) // machine.cores, "the machine's, by cores"


def _refuse(environ: Mapping[str, str], ranks: int, threads: int, cores: int) -> None:
    node = environ.get("SLURMD_NODENAME", "this node")
    raise RequestError(
        f"{ranks} ranks of {threads} {'core' if threads == 1 else 'cores'} are too many for {node}.",
        f"Slurm gave the job {cores} cores there (SLURM_CPUS_ON_NODE).",
        f"ask for them: sbatch --ntasks-per-node={ranks} --cpus-per-task={threads}; or start no more than "
        f'{max(1, cores // threads)} a node: mpirun -np "$SLURM_NTASKS".',
    )


def _number(text: str | None) -> int:
    """Return the number that a variable of Slurm's begins with; 0 if there is none."""
    found = re.match(r"\d+", text or "")
    return int(found[0]) if found else 0


def of_this_rank(ranks: int) -> Share:
    """Return the share of this process, which is one of `ranks` on this node."""
    from distributed.system import MEMORY_LIMIT  # a control group's, or a resource limit: Slurm may set either

    memory = int(MEMORY_LIMIT)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    machine = Machine(len(os.sched_getaffinity(0)), memory, limited=memory < total)
    return share(os.environ, ranks, machine)
