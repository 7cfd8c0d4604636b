"""Measure the cores' own limit: two plain processes side by side, without Dask, against one."""

from __future__ import annotations

from slurm_sim import SlurmSim

__all__ = ["speedup"]

_TIMED = """
import sys, time, numpy
from dask_hpc.tutorial import discovery
sys.path.insert(0, str(discovery.folder()))
{prepare}
start = time.perf_counter()
{work}
print(time.perf_counter() - start)
"""


def speedup(sim: SlurmSim, prepare: str, work: str) -> float:
    """Return how much faster two processes on two nodes are, with half of the work each, than one with all of it.

    Args:
        sim: a mini-cluster.
        prepare: Python that comes before the clock starts; the workloads can be imported.
        work: Python for one process; `share(n)` is its part of n.
    """
    shared = "share = lambda n: int(n) // int(sys.argv[1])"
    program = _TIMED.format(prepare=f"{prepare}\n{shared}", work=work)
    alone, together = (
        max(map(float, sim.exec("srun", f"-N{nodes}", "python", "-c", program, str(nodes)).stdout.split()))
        for nodes in (1, 2)
    )
    return alone / together
