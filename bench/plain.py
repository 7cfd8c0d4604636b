"""Measure the limit that the cores set: the speed-up of two plain processes, without Dask."""

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
    """Return the speed-up of two processes on two nodes, with half of the work each, over one with all of it.

    Args:
        sim: A mini-cluster.
        prepare: Python code to run before the clock starts; it can import the workloads.
        work: Python code for one process; `share(n)` is its share of n.
    """
    shared = "share = lambda n: int(n) // int(sys.argv[1])"
    program = _TIMED.format(prepare=f"{prepare}\n{shared}", work=work)
    alone, together = (
        max(map(float, sim.exec("srun", f"-N{nodes}", "python", "-c", program, str(nodes)).stdout.split()))
        for nodes in (1, 2)
    )
    return alone / together
