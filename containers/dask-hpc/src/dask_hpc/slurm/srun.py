"""Run a short program on nodes without disturbing other jobs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dask_hpc.processes import Answer
from dask_hpc.slurm.allocation import Allocation
from dask_hpc.slurm.commands import ask, run
from dask_hpc.slurm.environment import place
from dask_hpc.slurm.nodes import nodes

MOST_NODES = 64  # enough to find problems, few enough not to disturb other users


@dataclass(frozen=True)
class Room:
    """Nodes on which a program may run, and srun's options for them."""

    options: tuple[str, ...]
    nodes: tuple[str, ...]


def find_room(environ: Mapping[str, str], partition: str | None) -> Room:
    """Return the idle nodes of a partition, or the nodes of the job that this process is in.

    Args:
        environ: the environment of this process.
        partition: its name; None for Slurm's default.

    Raises:
        DaskHpcError: Slurm does not list the nodes.
    """
    allocation = Allocation.from_environment(environ)
    if allocation.job:
        listed = ask("scontrol", "show", "hostnames", allocation.nodes).split()
        return Room((f"--jobid={allocation.job}", "--overlap", "--mem=0"), tuple(listed))
    found = nodes(partition)
    idle = [node.name for node in found if node.state == "idle"][:MOST_NODES]  # awake, and reserved for no job
    where = [f"--partition={found[0].partition}"] if found else []
    # --immediate: other users' jobs come first
    short = ["--job-name=dask-hpc-doctor", "--time=1", "--immediate=15", "--quiet"]
    return Room((*short, *where, *place(environ)), tuple(idle))


def on(chosen: Sequence[str]) -> list[str]:
    """Return the options for these nodes."""
    return [f"--nodelist={','.join(chosen)}", f"--nodes={len(chosen)}"]


def once_a_node(chosen: Sequence[str]) -> list[str]:
    """Return the options for one task on each of these nodes, without MPI."""
    return [*on(chosen), f"--ntasks={len(chosen)}", "--ntasks-per-node=1", "--mpi=none"]


def srun(*arguments: str, timeout: float, environ: Mapping[str, str] = os.environ) -> Answer:
    """Run a program as a job or a step whose size only the arguments set, not a step around this process."""
    return run("srun", *arguments, timeout=timeout, environ={**environ, "SLURM_PMIX_FENCE": "ring"})
