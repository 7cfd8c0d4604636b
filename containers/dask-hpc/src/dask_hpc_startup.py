"""Read by Python as a rank of MPI starts (dask_hpc_startup.pth): ranks that wait leave their cores to others.

An MPI rank that waits spins. That is best while each has a core (1.4 µs for a message, 1.8 µs if it yields), and costs
milliseconds a message where ranks are more than cores. Open MPI is to yield then, but neither srun nor mpirun tells it.
A value of one's own wins: `OMPI_MCA_mpi_yield_when_idle`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

YIELD = "OMPI_MCA_mpi_yield_when_idle"


def crowded(environ: Mapping[str, str], cpus: int) -> bool:
    """Return whether this node has more ranks than CPUs for them; `cpus` is how many it has, if Slurm does not say."""
    slurms = environ.get("PMIX_NAMESPACE", "").startswith("slurm.")
    ranks = _of_step(environ) if slurms else _number(environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", ""))
    return ranks > (_number(environ.get("SLURM_CPUS_ON_NODE", "")) or cpus)


def _of_step(environ: Mapping[str, str]) -> int:
    """Return how many tasks srun has started here, out of one number a node: `4(x2),3` is 4, 4 and 3."""
    nodes: list[int] = []
    for tasks, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", environ.get("SLURM_STEP_TASKS_PER_NODE", "")):
        nodes += [int(tasks)] * int(times or 1)
    here = _number(environ.get("SLURM_NODEID", ""))
    return nodes[here] if here < len(nodes) else 0


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


if crowded(os.environ, len(os.sched_getaffinity(0))):
    os.environ.setdefault(YIELD, "1")
